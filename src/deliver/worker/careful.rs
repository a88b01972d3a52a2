//! Records of a batch that are not judged together with the others: those in doubt, and those of a partition that
//! may have ended the process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Desk;
use crate::deliver::refusal::Facts;
use crate::deliver::{CrashLoopGuard, Fetched, Scorer};
use crate::record::{Offset, Partition};

impl<R: Scorer> Desk<R> {
    /// Takes out what must be judged alone, and all that comes after it in its partition, which is read
    /// `again`. Gives the first record that must be judged alone, and what lies behind the last record of its
    /// partition that a topic refused.
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

    /// The last record in doubt of each partition that has one.
    pub(super) fn last_doubtful(&self) -> BTreeMap<Partition, Offset> {
        self.refusals.last(|partition| self.partitions.slot(partition).map(|slot| slot.lane.next()))
    }

    /// Whether a topic may refuse some of `messages`, as it did before.
    pub(super) fn has_doubtful<M: Fetched>(&self, messages: &[M], now: Instant) -> bool {
        let may_be_refused = |message: &M| {
            let record = message.record();
            self.refusals.may_be_refused(record.at, Facts::of(&record), now)
        };
        !self.refusals.is_empty() && messages.iter().any(may_be_refused)
    }

    pub(super) fn careful(&self, partition: Partition, crash_loop: &CrashLoopGuard) -> bool {
        self.partitions.slot(partition).is_some_and(|slot| crash_loop.careful(slot.lane.next()))
    }
}
