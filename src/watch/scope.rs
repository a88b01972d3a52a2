//! Whose records a panel watches, and its share of what the stream was promised.
//!
//! One panel watches the merged stream, or each partition has one. Then they share the budget: what a
//! window buys is divided by their number, and so is the room for what they remember.

use super::Hypothesis;
use crate::alarm::{Game, Key, Order, WindowStart};
use crate::record::Partition;

/// Whose records are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of the stream.
    Stream,
    /// One partition's, or those from it on that have a panel together.
    Partition(Partition),
}

/// What a panel watches, and with how many others it shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub scope: Scope,
    /// Panels that share, this one among them.
    pub panels: u64,
}

/// Windows that all panels of a stream remember to look for the start of a change, and cells in all of
/// them; of one panel never more windows than `RECENT_MAX`.
const RECENT_ALL: u64 = 512;
const RECENT_MAX: u64 = 64;
const RECENT_CELLS_MAX: u64 = 32 << 10;

/// Panels a stream has at most, and bytes of JSON that all of them may take beside their windows.
const PANELS_MAX: usize = 32;
const PANELS_BYTES: usize = 450_000;
/// What a watch takes: a bet's capital has up to 19 digits, but a thousand bets share a credit, and few have
/// won, so that most have fewer than 11; a bin's count has up to 6. The rest is the names of what is written.
const BET_BYTES: usize = 12;
const BIN_BYTES: usize = 7;
const WATCH_BYTES: usize = 120;

impl Share {
    /// All of the stream.
    pub const WHOLE: Self = Self { scope: Scope::Stream, panels: 1 };

    /// Windows that a panel remembers, and cells in them.
    pub(super) fn room(self) -> (usize, usize) {
        let panels = self.panels.max(1);
        let windows = (RECENT_ALL / panels).clamp(1, RECENT_MAX);
        (windows as usize, (RECENT_CELLS_MAX / panels) as usize)
    }

    /// Where a hypothesis with `key` draws from: elsewhere in each partition.
    pub(super) fn order(self, key: Key, window: WindowStart) -> Order {
        let key = match self.scope {
            Scope::Stream => key,
            Scope::Partition(partition) => key.of_partition(partition),
        };
        Order { key, window }
    }
}

/// How many panels with these hypotheses fit into a monitor's state.
pub(super) fn panels_max(hypotheses: &[Hypothesis]) -> usize {
    let bytes = |hypothesis: &Hypothesis| {
        let bins = match &hypothesis.game {
            Game::Ranks { clean, .. } => clean.bins().len(),
            Game::Bounds(_) => 0,
        };
        WATCH_BYTES + BET_BYTES * hypothesis.game.bets() + BIN_BYTES * bins
    };
    let panel: usize = hypotheses.iter().map(bytes).sum();
    (PANELS_BYTES / panel.max(1)).clamp(2, PANELS_MAX)
}
