//! The committed offsets of our group, and transactions that hide them.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::Offset as NativeOffset;

use super::{EXCHANGE, Session};
use crate::deliver::{Beginning, Kept, SessionError};
use crate::record::Partition;
use crate::shell::kafka::native;
use crate::shell::kafka::restore;
use crate::shell::kafka::survey::Ids;
use crate::shell::kafka::transaction::ToGroup;

/// Timeout of a request for committed offsets. The coordinator does not answer while a dead worker's transaction is
/// open, and other partitions must not wait for that.
const OFFSETS: Duration = Duration::from_secs(1);

/// Between two attempts to end unstable offsets: the transaction may be ending by itself.
const END_EVERY: Duration = Duration::from_secs(5);

/// How long a commit waits to hear that its input is still the same topic. Without an answer it goes on.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long after the transaction timeout the group's offsets may still be hidden: the brokers look for timed-out
/// transactions every 10 s.
const TIMED_OUT: Duration = Duration::from_secs(20);

impl Session {
    /// Ends open transactions of our id. Returns true if offsets that the brokers acknowledged may be lost.
    pub(super) fn end_open_transactions(
        &self,
        was_committed: impl FnOnce() -> bool,
    ) -> Result<bool, SessionError> {
        self.step("looking for open transactions");
        self.with_group(|to| self.transactions.end_open_transactions(to, was_committed))
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

    /// The id of a topic, if the brokers tell it at once and a commit may still be refused.
    pub(super) fn id_of(&self, topic: &str) -> Option<String> {
        if !self.is_transactional() || self.clients.ids() == Ids::Unknown {
            return None;
        }
        self.progress.doing("asking for a topic's id");
        native::topic_ids(self.consumer().client(), &[topic], AT_ONCE).ok()?.remove(topic)?
    }

    /// Whether the group has the offsets that we sent last. Then the coordinator got the commit.
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

    /// The last commit of each of `partitions`. Right after another worker died its open transaction may hide it, at most
    /// for the transaction timeout.
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
        let since = self.offsets_missing.get();
        if let Ok(found) = &found {
            self.offsets_missing.set(None);
            let committed = found.iter().map(|b| (b.partition, b.committed));
            self.known.borrow_mut().extend(committed);
        } else if since.is_none_or(|at| at.elapsed() >= END_EVERY) {
            self.offsets_missing.set(Some(Instant::now()));
            if since.is_some() {
                self.fenced(self.with_group(|to| self.transactions.end_pending_offsets(to)))?;
            }
        }
        self.doubt_consumer(found)
    }

    /// Gives up the consumer if the brokers answer everything but the group's offsets for longer than any transaction
    /// lasts. The fault may be in the consumer; a new one joins the group.
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
