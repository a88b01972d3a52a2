//! Topics in memory: records, who sees them, and where reading stops.
//!
//! As Kafka keeps them: a transaction's records are in the log at once, and a reader of what is
//! committed stops at the first record whose transaction has no end marker yet, passes over
//! aborted ones, and finds offsets missing where markers stand.

use std::rc::Rc;

use crate::deliver::Objection;
use crate::record::{OwnedRecord, Stamp, Timestamp};

/// A transaction, by the order in which it began.
pub type TxnId = usize;

/// A record without headers.
pub fn record(key: Option<&[u8]>, value: Option<&[u8]>) -> OwnedRecord {
    let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let stamp = Stamp::of_sender(Timestamp(0));
    OwnedRecord { stamp, key: own(key), headers: vec![], value: own(value) }
}

/// One offset of a partition.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `None` is the marker that ends a transaction.
    pub record: Option<Rc<OwnedRecord>>,
    pub fate: Fate,
}

/// Whether a record counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Committed,
    Aborted,
    /// Until the transaction's marker is here.
    Open(TxnId),
}

/// One partition of a topic.
#[derive(Clone, Debug, Default)]
pub struct PartitionLog {
    entries: Vec<Entry>,
    /// Transactions without a marker here, and the first offset of each.
    open: Vec<(TxnId, usize)>,
    /// Offsets below are deleted.
    start: usize,
    /// How often a leader was elected, and where the log ended each time.
    elections: Vec<usize>,
}

/// A topic.
#[derive(Clone, Debug)]
pub struct Topic {
    pub name: String,
    /// How often it was made anew.
    pub made: u32,
    pub partitions: Vec<PartitionLog>,
    pub takes: Takes,
}

/// What a topic takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takes {
    /// Values longer than this are refused.
    pub bytes_max: usize,
    /// Timestamps outside are refused.
    pub within: Option<(Timestamp, Timestamp)>,
    /// Values that begin with this are refused.
    pub forbidden: Option<u8>,
    /// Records without a key are refused.
    pub keyed: bool,
}

impl Takes {
    pub const ANYTHING: Self =
        Self { bytes_max: usize::MAX, within: None, forbidden: None, keyed: false };

    /// What there is to object to a record: the first is what a topic says.
    pub fn objections(&self, record: &OwnedRecord) -> Vec<Objection> {
        let value = record.value.as_deref().unwrap_or_default();
        let outside = |(least, most): &(Timestamp, Timestamp)| {
            !(*least..=*most).contains(&record.stamp.at) && record.stamp.at >= Timestamp(0)
        };
        let forbidden = value.first().is_some_and(|first| Some(*first) == self.forbidden);
        let found = [
            (value.len() > self.bytes_max).then_some(Objection::Size),
            self.within.filter(outside).map(|_| Objection::Timestamp),
            (forbidden || self.keyed && record.key.is_none()).then_some(Objection::Record),
        ];
        found.into_iter().flatten().collect()
    }
}

impl Topic {
    /// Another one under the same name has another.
    pub fn id(&self) -> String {
        format!("{}#{}", self.name, self.made)
    }
}

impl PartitionLog {
    /// The offset after the last entry.
    pub fn end(&self) -> usize {
        self.entries.len()
    }

    /// The oldest offset that is kept.
    pub fn start(&self) -> usize {
        self.start
    }

    /// The leader epoch.
    pub fn epoch(&self) -> usize {
        self.elections.len()
    }

    /// The leader epoch in which what stands at `offset` was appended.
    pub fn epoch_at(&self, offset: usize) -> usize {
        self.elections.iter().filter(|&&end| end <= offset).count()
    }

    /// Where leader epoch `epoch` ended, if it did.
    pub fn end_of(&self, epoch: usize) -> Option<usize> {
        self.elections.get(epoch).copied()
    }

    /// Retention deletes what lies below `start`.
    pub fn delete_below(&mut self, start: usize) {
        self.start = self.start.max(start.min(self.end()));
    }

    /// A leader is elected that has nothing from `end` on: clean if that is the end of the log.
    pub fn elect(&mut self, end: usize) {
        let end = end.min(self.end());
        self.entries.truncate(end);
        self.open.retain(|&(_, first)| first < end);
        self.elections.iter_mut().for_each(|known| *known = end.min(*known));
        self.elections.push(end);
    }

    /// Appends a record that counts at once, or with its transaction.
    pub fn append(&mut self, record: Rc<OwnedRecord>, txn: Option<TxnId>) {
        if let Some(txn) = txn
            && self.open.iter().all(|(open, _)| *open != txn)
        {
            self.open.push((txn, self.entries.len()));
        }
        let fate = txn.map_or(Fate::Committed, Fate::Open);
        self.entries.push(Entry { record: Some(record), fate });
    }

    /// The marker of a transaction arrives.
    pub fn mark(&mut self, txn: TxnId, fate: Fate) {
        let Some(at) = self.open.iter().position(|(open, _)| *open == txn) else { return };
        let (_, first) = self.open.remove(at);
        for entry in &mut self.entries[first..] {
            if entry.fate == Fate::Open(txn) {
                entry.fate = fate;
            }
        }
        self.entries.push(Entry { record: None, fate: Fate::Committed });
    }

    /// The last stable offset: who reads what is committed stops here.
    pub fn stable(&self) -> usize {
        self.open.iter().map(|&(_, first)| first).min().unwrap_or(self.entries.len())
    }

    /// The first committed record at or after `from`, and its offset.
    pub fn next(&self, from: usize) -> Option<(usize, &Rc<OwnedRecord>)> {
        self.committed(from).next()
    }

    /// Every committed record that this log ever had below its end, deleted or not.
    pub fn committed_ever(&self) -> impl Iterator<Item = (usize, &Rc<OwnedRecord>)> {
        self.committed(0)
    }

    /// Committed records from `from` on, with their offsets.
    pub fn committed(
        &self,
        from: usize,
    ) -> impl DoubleEndedIterator<Item = (usize, &Rc<OwnedRecord>)> {
        let stable = self.stable();
        let read = self.entries.get(from.min(stable)..stable).unwrap_or_default();
        read.iter().enumerate().filter_map(move |(i, entry)| {
            let record = entry.record.as_ref().filter(|_| entry.fate == Fate::Committed)?;
            Some((from + i, record))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: u8) -> Rc<OwnedRecord> {
        Rc::new(super::record(None, Some(&[value])))
    }

    fn read(log: &PartitionLog) -> Vec<(usize, u8)> {
        log.committed(0).map(|(at, r)| (at, r.value.as_ref().unwrap()[0])).collect()
    }

    #[test]
    fn a_reader_of_what_is_committed_stops_at_the_first_open_transaction() {
        let mut log = PartitionLog::default();
        log.append(record(0), None);
        log.append(record(1), Some(7));
        log.append(record(2), Some(8));
        log.append(record(3), Some(7));
        assert_eq!(read(&log), [(0, 0)]);
        log.mark(8, Fate::Committed);
        assert_eq!((read(&log), log.stable()), (vec![(0, 0)], 1));
        log.mark(7, Fate::Aborted);
        assert_eq!(read(&log), [(0, 0), (2, 2)]);
        assert_eq!(log.stable(), 6);
    }
}
