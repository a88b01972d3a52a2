//! The offsets that our group has committed: what it had, what we sent it last, and what holds them up.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::Offset as NativeOffset;

use super::{EXCHANGE, Session};
use crate::deliver::{Beginning, Kept, SessionError};
use crate::record::Partition;
use crate::shell::kafka::restore;
use crate::shell::kafka::transaction::ToGroup;

/// How long committed offsets may take: while a dead worker's transaction is open they are not
/// told, and other partitions must not wait for that.
const OFFSETS: Duration = Duration::from_secs(1);

/// Between two tries to settle offsets that stay unstable: a transaction that somebody is now
/// ending needs no help.
const SETTLE_EVERY: Duration = Duration::from_secs(5);

/// How long after a dead worker's transaction has timed out offsets may still not be told: the brokers look for
/// such transactions every 10 s.
const TIMED_OUT: Duration = Duration::from_secs(20);

impl Session {
    /// Ends what our id left without an end; true if offsets that were committed may be undone.
    pub(super) fn settle(
        &self,
        was_committed: impl FnOnce() -> bool,
    ) -> Result<bool, SessionError> {
        self.step("looking for what has no end");
        self.with_group(|to| self.transactions.settle(to, was_committed))
    }

    pub(super) fn with_group<T>(&self, act: impl FnOnce(ToGroup<'_>) -> T) -> T {
        let is_stable = || {
            let n = self.transactions.partitions_of(&self.topic, EXCHANGE).unwrap_or(0);
            let all: Vec<Partition> = (0..n).map(Partition).collect();
            n > 0
                && self.consumer().committed_offsets(self.subscription.named(&all), OFFSETS).is_ok()
        };
        let has_ours = || {
            let ours: Vec<Partition> = self.sent.borrow().iter().map(|&(p, _)| p).collect();
            self.consumer().committed_offsets(self.subscription.named(&ours), OFFSETS).is_ok()
        };
        let (is_stable, has_ours) = (&is_stable, &has_ours);
        act(ToGroup { group: &self.group, topic: &self.topic, is_stable, has_ours })
    }

    /// Whether the group has moved to offsets that we sent it last: then it was told of a commit.
    pub(super) fn was_committed(&self) -> bool {
        let (sent, known) = (self.sent.borrow(), self.known.borrow());
        let partitions: Vec<Partition> = sent.iter().map(|&(partition, _)| partition).collect();
        let asked = self.subscription.named(&partitions);
        let Ok(now) = self.consumer().committed_offsets(asked, OFFSETS) else { return false };
        sent.iter().any(|(partition, sent)| {
            let has_moved = known.get(partition).is_some_and(|known| *known != Some(*sent));
            let now = now.find_partition(&self.topic, partition.0);
            has_moved && now.is_some_and(|now| now.offset() == NativeOffset::Offset(sent.0))
        })
    }

    /// Right after another worker died its transaction may still hide what it committed before;
    /// that ends within the transaction timeout.
    pub(super) fn find_beginnings(
        &self,
        partitions: &[Partition],
        kept: Kept<'_>,
    ) -> Result<Vec<Beginning>, SessionError> {
        self.step("reading state and offsets");
        let reader = self.clients.reader(&self.role);
        let found = restore::beginnings(
            self.consumer(),
            (&reader, self.clients.ids()),
            &self.topic,
            partitions,
            kept,
            OFFSETS,
        );
        let since = self.settled.get();
        if let Ok(found) = &found {
            self.settled.set(None);
            let committed = found.iter().map(|b| (b.partition, b.committed));
            self.known.borrow_mut().extend(committed);
        } else if since.is_none_or(|at| at.elapsed() >= SETTLE_EVERY) {
            self.settled.set(Some(Instant::now()));
            if since.is_some() {
                self.fenced(self.with_group(|to| self.transactions.settle_pending(to)))?;
            }
        }
        self.doubt_consumer(found)
    }

    /// The brokers answer, but tell no offsets, longer than any transaction lasts: it may be our consumer that
    /// does not hear them. A new one joins the group.
    fn doubt_consumer<T>(&self, found: Result<T, SessionError>) -> Result<T, SessionError> {
        match found {
            Err(SessionError::Exchange { what: restore::ASKING_OFFSETS, reason }) => {
                let since = self.untold.get().unwrap_or_else(Instant::now);
                self.untold.set(Some(since));
                let patience = self.clients.kafka().transaction_timeout + TIMED_OUT;
                if since.elapsed() < patience {
                    let what = restore::ASKING_OFFSETS;
                    return Err(SessionError::Exchange { what, reason });
                }
                self.untold.set(None);
                let reason =
                    format!("no offsets of group {} for {patience:?}: {reason}", self.group);
                Err(SessionError::Consumer { reason })
            }
            found => {
                self.untold.set(None);
                found
            }
        }
    }
}
