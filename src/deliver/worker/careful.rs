//! Records of a batch that are not scored with the others: a topic may refuse them, or they may end the process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::WorkerParts;
use crate::deliver::refusal::Facts;
use crate::deliver::{CrashLoopGuard, Fetched, Scorer};
use crate::record::{Offset, Partition};

impl<R: Scorer> WorkerParts<R> {
    /// Takes two kinds of records out of `messages`, and returns them:
    ///
    /// - The first record that must be scored alone, because records of its partition may have ended the process. All
    ///   later records of such a partition are dropped, and the partition is read `again`.
    /// - Records behind the last one of their partition that a topic may refuse.
    pub(super) fn set_aside<M: Fetched>(
        &self,
        messages: &mut Vec<M>,
        again: &mut BTreeSet<Partition>,
    ) -> (Option<M>, Vec<M>) {
        let careful = |(partition, crash_loop): (&Partition, &CrashLoopGuard)| {
            self.careful(*partition, crash_loop)
        };
        if self.refusals.is_empty() && !self.crash_loops.iter().any(careful) {
            return (None, vec![]);
        }
        let last = self.last_doubtful();
        let (mut alone, mut behind) = (None, vec![]);
        let mut kept = Vec::with_capacity(messages.len());
        for message in messages.drain(..) {
            let at = message.record().at;
            let careful =
                self.crash_loops.get(&at.partition).is_some_and(|b| self.careful(at.partition, b));
            let is_behind = last.get(&at.partition).is_some_and(|&last| at.offset > last);
            if careful && again.insert(at.partition) && alone.is_none() {
                // Whatever of its partition comes before it in this batch goes first: then it is
                // the next one, and its turn comes when the partition is read again.
                let first = kept.iter().all(|m: &M| m.record().at.partition != at.partition);
                alone = first.then_some(message);
            } else if !again.contains(&at.partition) {
                if is_behind { behind.push(message) } else { kept.push(message) }
            }
        }
        *messages = kept;
        (alone, behind)
    }

    /// By partition: the last record that a topic may refuse, if there is one.
    pub(super) fn last_doubtful(&self) -> BTreeMap<Partition, Offset> {
        self.refusals.last(|partition| self.partitions.slot(partition).map(|slot| slot.lane.next()))
    }

    /// Whether a topic may refuse one of `messages`.
    pub(super) fn has_doubtful<M: Fetched>(&self, messages: &[M], now: Instant) -> bool {
        let may_be_refused = |message: &M| {
            let record = message.record();
            self.refusals.may_be_refused(record.at, Facts::of(&record), now)
        };
        !self.refusals.is_empty() && messages.iter().any(may_be_refused)
    }

    /// Whether the partition's next record must be scored alone.
    pub(super) fn careful(&self, partition: Partition, crash_loop: &CrashLoopGuard) -> bool {
        self.partitions.slot(partition).is_some_and(|slot| crash_loop.careful(slot.lane.next()))
    }
}
