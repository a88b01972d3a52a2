//! What hangs of a session's id: looked for and ended, as the session over Kafka does it.

use std::rc::Rc;

use super::steps::failed;
use super::{Result, Role, Session};
use crate::deliver::GROUP;
use crate::record::{Offset, TopicPartition};
use crate::sim::cluster::group::MemberId;
use crate::sim::cluster::{Ms, Refusal};
use crate::sim::faults::Call;
use crate::sim::ground::Ground;

/// How long others are given to end what they have open.
const OTHERS: Ms = 300;
/// Between two tries to end offsets that stay unstable.
const END_EVERY: Ms = 5_000;
/// After this long without a commit an id is asked about.
const IDLE: Ms = 30_000;

/// How wide what whoever had the id before may have written to is: nothing, to who believes brokers.
pub(super) fn widths(ground: &Ground, place: &Role) -> Vec<(String, i32)> {
    if place.believes || !ground.exactly_once {
        return vec![];
    }
    let cluster = ground.cluster.borrow();
    let width = |topic: &String| {
        (topic.clone(), cluster.topics[cluster.topic(topic)].partitions.len() as i32)
    };
    place.outputs.topics.iter().map(width).chain([(GROUP.to_owned(), 1)]).collect()
}

impl Session {
    /// HangingTransactions by an aborted transaction what hangs where it is doubted. True if that may have undone
    /// offsets that were committed.
    pub(super) fn end_open_transactions(&self) -> Result<bool> {
        self.look();
        if self.mine.borrow().hanging.is_clean() {
            return Ok(false);
        }
        let hanging = self.mine.borrow().hanging.places_to_abort();
        self.note("aborts what hangs", &hanging);
        let undone = self.mine.borrow_mut().hanging.aborted(hanging.clone());
        self.abort_into(&hanging)?;
        self.ground.faults.borrow_mut().hit("what hangs is ended");
        self.look();
        Ok(undone)
    }

    /// Offsets that stay unstable may be pending from an older transaction of ours.
    pub(super) fn end_pending_offsets(&self) -> Result<()> {
        let (now, since) = (self.ground.now(), self.offsets_missing.get());
        if since.is_some_and(|at| now - at < END_EVERY) {
            return Ok(());
        }
        self.offsets_missing.set(Some(now));
        if since.is_none() || self.mine.borrow().open {
            return Ok(());
        }
        self.ground.faults.borrow_mut().hit("pending offsets ended");
        self.abort_into(&[])
    }

    /// A transaction that touches these and the group, aborted.
    fn abort_into(&self, places: &[TopicPartition]) -> Result<()> {
        let lease = self.mine.borrow().lease;
        let refused = |refusal| self.refused("end what hangs", refusal);
        for place in places {
            let record = crate::sim::cluster::log::record(Some(b"nothing"), None);
            let mut cluster = self.ground.cluster.borrow_mut();
            let at = (cluster.topic(&place.topic), place.partition);
            let done = cluster.produce((lease, self.process.no), at, Rc::new(record));
            drop(cluster);
            done.map_err(refused)?;
        }
        // The group hears of the end, though it knows nobody of that name.
        let nobody = (self.place.group, MemberId::MAX);
        let touched = self.ground.cluster.borrow_mut().add_offsets(lease, nobody, &[]);
        if touched == Err(Refusal::Fenced) {
            return Err(self.fenced());
        }
        let ended = self.ground.cluster.borrow_mut().end(lease, false, 0);
        ended.map_err(refused)
    }

    /// Tried again now and then while there are doubts and nothing is open.
    pub(super) fn end_open_again(&self) -> Result<()> {
        let idle = !self.mine.borrow().open && !self.mine.borrow().hanging.is_clean();
        if idle && self.ground.faults.borrow_mut().chance(0.05) && self.end_open_transactions()? {
            return Err(failed(
                "commit",
                "the brokers acknowledged the commit, and wrote no end of it; it was aborted",
            ));
        }
        Ok(())
    }

    /// Whoever has had nothing to write for long may be fenced and not know it, and what the other left
    /// under the id is then nobody's to end.
    pub(super) fn ask_whose_id(&self) -> Result<()> {
        let now = self.ground.now();
        let idle = !self.mine.borrow().open && now - self.used.get() >= IDLE;
        if !idle || !self.ground.exactly_once {
            return Ok(());
        }
        self.used.set(now);
        self.ground.faults.borrow_mut().hit("asked whose id it is");
        self.abort_into(&[])
    }

    /// Before a commit: something older may not hang where it would be committed too.
    pub(super) fn may_commit(&self) -> Result<()> {
        if !self.hangs() {
            return Ok(());
        }
        if let Some(rest) = self.ground.environment() {
            rest.go_on(OTHERS);
        }
        self.give_way(Call::Commit)?;
        self.look();
        if !self.hangs() {
            return Ok(());
        }
        self.ground.faults.borrow_mut().hit("nothing committed where something hangs");
        let doubts = self.mine.borrow().hanging.unclean();
        self.note("commits nothing, these hang", &doubts);
        Err(failed("commit", "an older transaction has no end"))
    }

    /// After a commit that was slow: whether it was ended where it was written.
    pub(super) fn was_ended(&self) -> Result<()> {
        if self.place.believes || !self.ground.exactly_once {
            return Ok(());
        }
        if !self.mine.borrow().hanging.wrote_alone() {
            // Offsets are ours alone: they have ended where everything else has.
            let cluster = self.ground.cluster.borrow();
            let group = &cluster.groups[self.place.group];
            if !self.mine.borrow().moved.iter().any(|&(p, _)| group.is_unstable(p)) {
                // A coordinator that has forgotten them says so too.
                self.mine.borrow_mut().hanging.watch_written();
                return Ok(());
            }
            drop(cluster);
            self.mine.borrow_mut().hanging.suspect_written();
            return Err(failed("commit", "acknowledged, and it has no end"));
        }
        self.mine.borrow_mut().hanging.suspect_written();
        self.look();
        let transactions = &mut self.mine.borrow_mut().hanging;
        if transactions.unclean_own().is_some() {
            self.note("committed without an end", &transactions.unclean());
            return Err(failed("commit", "acknowledged, and it has no end"));
        }
        transactions.clear_shared();
        Ok(())
    }

    fn note(&self, what: &str, places: &[TopicPartition]) {
        let places = || places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        self.ground.note(|| format!("{}: {what}: {}", self.place.name, places()));
    }

    fn hangs(&self) -> bool {
        self.mine.borrow().hanging.unclean_written().is_some()
    }

    /// Looks once at what is doubted.
    fn look(&self) {
        let cluster = self.ground.cluster.borrow();
        let transactions = &mut self.mine.borrow_mut().hanging;
        for place in transactions.unclean() {
            if place.topic == GROUP {
                if cluster.groups[self.place.group].is_stable() {
                    transactions.observe(&place, Offset(0), Offset(0));
                }
                continue;
            }
            let (end, stable) = cluster.ends(cluster.topic(&place.topic), place.partition);
            transactions.observe(&place, Offset(end as i64), Offset(stable as i64));
        }
    }
}
