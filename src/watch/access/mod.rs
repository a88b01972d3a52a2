//! Who uses a stream: which cells are counted of the clients of a window, and what is bet on them.
//!
//! The client monitor counts and plays them, with a hundredth of the page budget that is the clients'. A client counts once a
//! day, when it comes: what it does then hangs together.
//!
//! Blind to a change that begins with the stream, and to one slower than its reference grows.

mod distinct_clients;
mod largest_client;
mod new_clients;
mod origin_shares;
mod unnamed_rows;

use std::ops::Range;

use super::{Hypothesis, Source, Watch};
use crate::alarm::{Game, Reference, STAKE_ONE};

pub use distinct_clients::DistinctClients;
pub use largest_client::LargestClient;
pub use new_clients::NewClients;
pub use origin_shares::OriginShares;
pub use unnamed_rows::UnnamedRows;

/// Rows that say whose they are, and rows that do not.
pub const NAMED: Range<usize> = 0..2;
/// Clients that come: those that were seen before, and those that never were.
pub const ARRIVALS: Range<usize> = 2..4;
/// Origins that are new to their client, by their first bits.
pub const ORIGINS: Range<usize> = 4..68;
/// The part of a window's rows that one client sent, in 32nds: one count a window.
pub const LARGEST: Range<usize> = 68..100;
/// Clients of a window, four bins an octave: one count a window.
pub const DISTINCT: Range<usize> = 100..164;

/// Hundredths of the page budget that are these watches'.
pub const ACCESS_HUNDREDTHS: u64 = 1;

/// A claim about the clients of a stream.
#[derive(Debug)]
pub struct AccessClaim {
    pub feature: String,
    pub source: Source,
    pub game: Game,
}

/// Watches who uses a stream.
pub trait AccessWatch: Watch {
    fn claims(&self) -> Vec<AccessClaim>;

    /// What a finding of it says, after what was seen and what is usual: `of those that come are new`.
    fn words(&self) -> &'static str;

    /// Techniques of MITRE ATLAS that it is a sign of.
    fn atlas(&self) -> &'static [&'static str];
}

/// Every watch of access there is.
pub const ALL_ACCESS_WATCHES: &[&dyn AccessWatch] =
    &[&NewClients, &UnnamedRows, &LargestClient, &OriginShares, &DistinctClients];

/// The watch of this name.
pub fn access_watch(name: &str) -> Option<&'static dyn AccessWatch> {
    ALL_ACCESS_WATCHES.iter().find(|watch| watch.name() == name).copied()
}

/// What is bet on the clients of a stream; `origins`: whether records say where they come from; `moves`: whether rows move by
/// themselves. Each watch has the same part of [`ACCESS_HUNDREDTHS`].
pub fn access_hypotheses(origins: bool, moves: bool) -> Vec<Hypothesis> {
    let wanted = |watch: &&&dyn AccessWatch| {
        !(moves && watch.needs_stationary_rows())
            && (origins || watch.name() != OriginShares.name())
    };
    let watches: Vec<_> = ALL_ACCESS_WATCHES.iter().filter(wanted).collect();
    let part = STAKE_ONE * ACCESS_HUNDREDTHS / 100 / watches.len().max(1) as u64;
    let of = |watch: &&'static dyn AccessWatch| {
        let claims = watch.claims();
        let stake = part / claims.len().max(1) as u64;
        let watch: &'static dyn AccessWatch = *watch;
        let made = move |claim: AccessClaim| {
            let AccessClaim { feature, source, game } = claim;
            Hypothesis { stake, ..Hypothesis::new(watch, feature, source, game) }
        };
        claims.into_iter().map(made).collect::<Vec<_>>()
    };
    watches.into_iter().flat_map(of).collect()
}

/// A share against all earlier ones: two cells, of which the second is counted.
fn share(feature: &str, cells: Range<usize>, usual: f64) -> AccessClaim {
    let game = Game::on_a_share(usual, Reference::new(vec![0, 0]), false);
    AccessClaim { feature: feature.to_owned(), source: Source::Pairs { cells }, game }
}

/// A number of each window against all earlier ones.
fn number(feature: &str, cells: Range<usize>) -> AccessClaim {
    let game = Game::on_ranks(Reference::new(vec![0; cells.len()]));
    AccessClaim { feature: feature.to_owned(), source: Source::Pairs { cells }, game }
}

/// The cell of so many clients in a window.
pub fn distinct_cell(clients: u64) -> usize {
    let octave = u64::BITS - 1 - clients.max(1).leading_zeros();
    let quarter = if octave < 2 { 0 } else { clients.max(1) >> (octave - 2) & 3 };
    (DISTINCT.start + 4 * octave as usize + quarter as usize).min(DISTINCT.end - 1)
}

/// The cell of so many rows of one client, of all in a window.
pub fn largest_cell(rows: u64, all: u64) -> usize {
    let bins = LARGEST.len() as u64;
    LARGEST.start + (rows.saturating_mul(bins) / all.max(1)).min(bins - 1) as usize
}

#[cfg(test)]
mod tests;
