//! What is counted of records beside the windows: by which output they left, and the groups of their rows.

use crate::privacy::Occurrence;
use crate::record::{Offset, Partition};
use crate::score::Destination;
use crate::watch::{Passage, RowGroups, WindowStart};

/// Counts since the last message, and those of messages that are to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    records: u64,
    quarantine: u64,
    dead_letter: u64,
    rows: Vec<(WindowStart, Occurrence)>,
    cut: Vec<(Passage, RowGroups)>,
}

impl Beside {
    /// One more record.
    pub fn count(&mut self, destination: Destination, day: WindowStart, rows: &[Occurrence]) {
        self.records += 1;
        self.quarantine += u64::from(destination == Destination::Quarantine);
        self.dead_letter += u64::from(destination == Destination::DeadLetter);
        self.rows.extend(rows.iter().map(|&one| (day, one)));
    }

    /// All so far is of the offsets `from..to`.
    pub fn cut(&mut self, partition: Partition, (from, to): (Offset, Offset), begins: bool) {
        let Self { records, quarantine, dead_letter, .. } = *self;
        let passage = Passage { partition, from, to, begins, records, quarantine, dead_letter };
        let rows = std::mem::take(&mut self.rows);
        let cut = std::mem::take(&mut self.cut);
        *self = Self { cut, ..Self::default() };
        self.cut.push((passage, RowGroups { partition, from, to, begins, rows }));
    }

    /// What was cut since the last call, in order.
    pub fn drain(&mut self) -> Vec<(Passage, RowGroups)> {
        std::mem::take(&mut self.cut)
    }
}
