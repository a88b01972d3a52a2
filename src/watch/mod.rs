//! Evidence over the stream: additive counts, and the bets that turn them into an alarm.

mod bag;
mod bets;
mod capital;
mod change;
mod evidence;
mod firing;
mod keyed;
mod odds;
mod onset;
mod panel;
mod roster;
mod share;
mod signals;
mod tally;
mod terms;

pub use bag::Bag;
pub use bets::Bets;
pub use evidence::{
    Evidence, Loss, LossCause, Message, Presence, Reference, Stall, Tick, Window, WindowStart,
};
pub use keyed::Key;
pub use odds::Odds;
pub use panel::{Beyond, Panel, Transition};
pub use roster::{Flagged, Kind, Source, TOLERANCE, Watch, at_bound, roster};
pub use share::Share;
pub use signals::{Bins, Of, PLACES, Patch, Signal, Signals, Stat};
pub use tally::{Cells, Counts, Others, Tally, Usual};
pub use terms::{Terms, Times};
