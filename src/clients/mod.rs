//! Who sends what: evidence about clients, about cells and about the stream, without a name in it.
//!
//! A worker marks each row and tells of it in a *visit*: by whom, under a pseudonym, with which marks and fingerprints.
//! The client monitor adds visits up by window, finds near-duplicates, and bets on every mark for every client, for every
//! cell (a coarse place of the row) and for the stream, under a share of the one budget of false pages.
//!
//! It cannot see a client that asks as everybody does, at an ordinary rate, of rows that look like any others.

mod access;
mod capital;
mod id;
mod known;
mod marks;
mod matches;
mod mix;
mod monitor;
mod prints;
mod pseudonym;
mod terms;
mod visit;

pub use access::{AccessTable, ClientAccess};
pub use capital::{CapitalEntry, CapitalPage, CapitalTable, MarkBets, TableTerms};
pub use id::{IdPlace, origin};
pub use known::{
    ClientSpell, HABITS, Habit, HabitShares, HabitTrials, KnownClient, KnownClients, KnownSettings,
    Spells,
};
pub use marks::{
    CleanMarks, MARKS, MATCHED, Mark, MarkConcern, RowFacts, mark, marks_of, marks_of_workers,
};
pub use matches::{MatchRow, MatchSet};
pub use monitor::{ClientMonitor, OPEN_ROWS_MAX, QUOTA};
pub use prints::{LOCAL, PRINTS, PrintMeasures, PrintScratch, Prints, RowPrints, SMOOTH};
pub use pseudonym::{ClientName, ClientNames};
pub use terms::{ClientSettings, ClientTerms, HUNDREDTHS, KeyBets};
pub use visit::{RowVisit, VisitLog, VisitMessage, VisitWindow, Visits};
