//! Partitions of a worker: assigned, revoked, paused, and read again from their last commit.

use std::collections::BTreeMap;

use tracing::{info, warn};

use super::begin::{begin, unfit};
use super::partitions::{Pause, Why};
use super::{LANE_KEY, Slot, WorkerParts};
use crate::deliver::{
    Beginning, CRASH_LOOP_KEY, Change, CrashLoopGuard, Kept, Output, Progress, Refusal, Scorer,
    Session, SessionError,
};
use crate::record::{Offset, Partition, Position};
use crate::score::{Lane, LaneError, LaneState};

/// A lane, and the group's committed offset, which may be lower.
type Begun = (Lane, Option<Offset>);
/// Where a partition begins, or why that is not known yet.
type Restored = Result<Begun, Why>;

impl<R: Scorer> WorkerParts<R> {
    /// Handles assignments and revocations.
    pub(super) fn rebalance<S: Session>(&mut self, session: &S) -> Result<(), SessionError> {
        while let Some(change) = session.change() {
            let in_flight = session.is_open();
            let outcome = match change {
                Change::Assigned(partitions) => {
                    info!(?partitions, in_flight, "assigned");
                    self.take_over(session, &partitions)
                }
                Change::Revoked(partitions) => {
                    // Given back whether the commit succeeded or not: the group waits for it, and
                    // nobody tells us twice.
                    let committed = self.part_with(session, &partitions);
                    info!(?partitions, in_flight, "handed over");
                    self.forget(session, &partitions).and(committed)
                }
                Change::Lost(partitions) => {
                    warn!(
                        ?partitions,
                        in_flight, "lost: somebody else has them, nothing is committed"
                    );
                    let given_up = SessionError::Transaction {
                        step: "keeping partitions",
                        reason: "the group gave them to somebody else".into(),
                    };
                    self.forget(session, &partitions).and(Err(given_up))
                }
            };
            self.progress.rebalanced(self.partitions.len(), in_flight);
            outcome?;
        }
        Ok(())
    }

    /// Takes over these partitions. One whose state is not there yet, or does not fit, is paused.
    fn take_over<S: Session>(
        &mut self,
        session: &S,
        partitions: &[Partition],
    ) -> Result<(), SessionError> {
        let (mut from, mut held, mut free) = (vec![], vec![], vec![]);
        for (partition, lane) in self.restore(session, partitions)? {
            match lane {
                Ok((lane, committed)) => {
                    from.push((partition, lane.next()));
                    let next = lane.next();
                    self.partitions.read(partition, Slot::new(lane, committed, session.now()));
                    self.progress.stands(partition, next);
                    free.push(partition);
                }
                Err(why) => {
                    from.push((partition, Offset(0)));
                    self.partitions.restore(partition, Pause::begin(session.now(), why));
                    held.push(partition);
                }
            }
        }
        session.assign(&from)?;
        session.pause(&held)?;
        self.progress.join();
        self.announce(session, &free)
    }

    fn forget<S: Session>(
        &mut self,
        session: &S,
        partitions: &[Partition],
    ) -> Result<(), SessionError> {
        for partition in partitions {
            self.partitions.forget(*partition);
            self.crash_loops.remove(partition);
            self.unannounced.remove(partition);
        }
        self.stalls.forget(partitions);
        self.losses.forget(partitions);
        self.refusals.forget(partitions);
        self.arrivals.forget(partitions);
        session.unassign(partitions)
    }

    /// Forgets all partitions.
    pub(super) fn clear(&mut self) {
        self.partitions.clear();
        self.crash_loops.clear();
        self.unannounced.clear();
        self.stalls.clear();
        self.losses.clear();
        self.refusals.clear();
        self.arrivals.clear();
    }

    /// Reads every lane again from its last commit, as soon as that is known.
    pub(super) fn forget_uncommitted<S: Session>(
        &mut self,
        session: &S,
        because: &str,
    ) -> Result<(), SessionError> {
        self.losses.give_up();
        if session.lost() {
            // The group tells us next; until then there is nothing that is ours.
            self.partitions.forget_slots();
            return Ok(());
        }
        let partitions: Vec<Partition> =
            self.partitions.slots().map(|(partition, _)| partition).collect();
        self.read_anew(session, &partitions, because)
    }

    /// Pauses these partitions until their lanes are restored from the log.
    fn read_anew<S: Session>(
        &mut self,
        session: &S,
        partitions: &[Partition],
        because: &str,
    ) -> Result<(), SessionError> {
        for &partition in partitions {
            let why = Why::Restore(format!("its last commit is looked for, after {because}"));
            self.partitions.restore(partition, Pause::begin(session.now(), why));
        }
        session.pause(partitions)
    }

    /// Sets every lane back to its last commit. A lane without a copy of that in memory, or whose crash-loop record must be
    /// written first, is restored from the log.
    fn take_back<S: Session>(
        &mut self,
        session: &S,
        stuck: &[Position],
    ) -> Result<(), SessionError> {
        // A partition of which no record was read since the commit keeps its queue. If its records were fetched again, they
        // would stand behind those of all other partitions each time, and their turn would never come.
        let read: BTreeMap<Partition, Offset> = session.positions().into_iter().collect();
        let (mut from, mut unknown) = (vec![], vec![]);
        for (partition, slot, is_reading) in self.partitions.slots_and_states_mut() {
            let is_stuck = stuck.iter().any(|at| at.partition == partition);
            match slot.last.clone() {
                Some(last) if !is_stuck && !self.unannounced.contains(&partition) => {
                    let was = slot.lane.next();
                    (slot.lane, slot.told_quiet, slot.passed_over) =
                        (last.lane, last.told_quiet, false);
                    let next = slot.lane.next();
                    // After a rewind nothing may have been read yet, and it stands beyond the last commit all the same.
                    let is_beyond =
                        was != next || read.get(&partition).is_some_and(|&at| at > next);
                    if is_reading && is_beyond {
                        from.push((partition, next));
                    }
                }
                _ => unknown.push(partition),
            }
        }
        self.losses.give_up();
        self.read_anew(session, &unknown, "its topic took not every record")?;
        session.rewind(&from)
    }

    /// Begins again after topics refused records; `beside` are the other records of the refused requests. If the transaction
    /// is `undone`, every lane is set back at once, and else restored from the log. A partition with a record that has no
    /// form left to try is paused.
    pub(super) fn refused<S: Session>(
        &mut self,
        session: &S,
        refusals: &[Refusal],
        beside: &[Position],
        undone: bool,
    ) -> Result<(), SessionError> {
        let now = session.now();
        if self.timing.offsets_lag {
            self.refusals.keep_foreseen();
        }
        let stuck = self.refusals.take(refusals, now);
        if self.timing.offsets_lag {
            let owed = refusals.iter().map(|refusal| refusal.at).chain(beside.iter().copied());
            self.arrivals.arrived_but(&owed.collect());
        }
        if undone && !session.lost() {
            self.take_back(session, &stuck)?;
        } else {
            self.forget_uncommitted(session, "its topic took not every record")?;
        }
        for Position { partition, offset } in stuck {
            if self.partitions.is_waiting(partition) {
                self.partitions.refused(partition, offset, now);
            }
        }
        Ok(())
    }

    /// Resumes paused partitions whose time has come, if they can be read.
    pub(super) fn wake<S: Session>(&mut self, session: &S) -> Result<(), SessionError> {
        let due = self.partitions.due(session.now());
        if due.is_empty() {
            return Ok(());
        }
        let (paused, unknown): (Vec<Partition>, Vec<Partition>) =
            due.into_iter().partition(|&partition| self.partitions.slot(partition).is_some());
        let mut free = paused.clone();
        for (partition, lane) in self.restore(session, &unknown)? {
            let now = session.now();
            match lane {
                Ok((lane, committed)) => {
                    self.partitions.read(partition, Slot::new(lane, committed, now));
                    free.push(partition);
                }
                Err(why) => {
                    self.partitions.restore_later(
                        partition,
                        now,
                        self.timing.state_agrees_after,
                        why,
                    );
                }
            }
        }
        let from = self.nexts(free.iter().copied());
        paused.iter().for_each(|&partition| self.partitions.resume(partition));
        from.iter().for_each(|&(partition, next)| self.progress.stands(partition, next));
        // Before anything that may fail: one that is `Reading` is not paused.
        session.resume(&from)?;
        self.announce(session, &free)
    }

    /// Commits what was read before these partitions go. The crash-loop guard of the next worker must not count this as a
    /// crash: a record that was scored alone has not ended the process.
    pub(super) fn part_with<S: Session>(
        &mut self,
        session: &S,
        partitions: &[Partition],
    ) -> Result<(), SessionError> {
        for partition in partitions {
            if let Some(crash_loop) =
                self.crash_loops.get_mut(partition).filter(|crash_loop| crash_loop.is_begun())
            {
                crash_loop.survived();
                self.unannounced.insert(*partition);
            }
        }
        self.announce(session, partitions)?;
        self.commit(session)
    }

    /// Writes the crash-loop records of these partitions that are not in the log yet. Records of a partition are scored
    /// only after that.
    pub(super) fn announce<S: Session>(
        &mut self,
        session: &S,
        partitions: &[Partition],
    ) -> Result<(), SessionError> {
        let new = partitions.iter().copied().filter(|p| self.unannounced.contains(p));
        let new: Vec<Partition> = new.collect();
        if new.is_empty() {
            return Ok(());
        }
        if !self.losses.is_told() {
            // Who finds a partition taken over above them does not look for them.
            self.commit(session)?;
        }
        for &partition in &new {
            let crash_loop = self.crash_loops[&partition].to_bytes();
            session.send(Output {
                topic: &self.stream.topics.state,
                partition: Some(partition),
                key: CRASH_LOOP_KEY,
                value: &crash_loop,
                headers: &[],
            })?;
            self.said.insert(partition, crash_loop);
        }
        self.commit(session)?;
        self.unannounced.retain(|partition| !new.contains(partition));
        Ok(())
    }

    /// The lanes of these partitions as of their last commit, or why one is not known yet. An error means that another
    /// client is needed.
    fn restore<S: Session>(
        &mut self,
        session: &S,
        partitions: &[Partition],
    ) -> Result<Vec<(Partition, Restored)>, SessionError> {
        let held = |partition: Partition, why: String| (partition, Err(Why::Restore(why)));
        if let Err(error) = self.count_outputs(session, partitions) {
            return Ok(partitions.iter().map(|&p| held(p, error.to_string())).collect());
        }
        // A partition that an output topic lacks cannot be worked on: nothing of it could leave.
        let (whole, lacking): (Vec<Partition>, Vec<Partition>) =
            partitions.iter().partition(|partition| partition.0 < self.outputs);
        let why = format!(
            "an output topic has only {} partitions: `tripline topics --apply` adds what is missing",
            self.outputs
        );
        let mut lanes: Vec<_> = lacking.into_iter().map(|p| held(p, why.clone())).collect();
        if whole.is_empty() {
            return Ok(lanes);
        }
        let (topic, keys) = (&*self.stream.topics.state, &[LANE_KEY, CRASH_LOOP_KEY]);
        let kept = Kept::in_same(topic, keys, LaneState::log_of);
        match session.beginnings(&whole, kept) {
            Ok(found) => lanes.extend(found.into_iter().map(|b| (b.partition, self.lane(b)))),
            Err(error) if error.is_of_client() => return Err(error),
            Err(error) => lanes.extend(whole.into_iter().map(|p| held(p, error.to_string()))),
        }
        Ok(lanes)
    }

    fn lane(&mut self, mut beginning: Beginning) -> Result<Begun, Why> {
        let partition = beginning.partition;
        if beginning.kept[1].is_none() {
            // We took it over, and could not say so yet.
            beginning.kept[1] =
                self.crash_loops.get(&partition).map(|crash_loop| crash_loop.to_bytes());
        }
        let [state, crash_loop] = &beginning.kept[..] else {
            unreachable!("two keys were asked for")
        };
        let WorkerParts { stream, scorer, timing, .. } = &*self;
        let begun = begin(&beginning, scorer.baseline(), stream, timing.offsets_lag);
        let (lane, gone) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                let why = unfit(stream, partition, &error);
                if let LaneError::Discontinuous { next, gone, .. } = error {
                    self.losses.holds(partition, next, gone);
                    self.progress.stands(partition, gone.next);
                }
                return Err(Why::Restore(why));
            }
        };
        self.crash_loops.entry(partition).or_insert_with(|| {
            self.unannounced.insert(partition);
            // From where it was read: until it is told what is gone, nobody may think that it began behind that.
            let from = gone.as_ref().map_or(lane.next(), |&(from, _)| from);
            let mut begun =
                CrashLoopGuard::take_over(crash_loop.as_deref(), from, self.stream.rows_max);
            // The last to begin it was this worker, which has not ended: it lost the partition.
            if crash_loop.is_some() && self.said.get(&partition) == crash_loop.as_ref() {
                begun.survived();
            }
            begun
        });
        // Nothing was committed, and there is nothing to commit yet.
        let fresh = state.is_none();
        let committed = beginning.committed.or_else(|| fresh.then(|| lane.next()));
        if let Some((from, gone)) = gone {
            self.losses.goes_on(partition, from, gone);
            return Ok((lane, None));
        }
        if let Some(behind) = beginning.committed.filter(|&committed| committed < lane.next())
            && !self.timing.offsets_lag
        {
            warn!(
                %partition, committed = %behind, state = %lane.next(),
                "the group tells an offset behind the state; going on where the state ends"
            );
            Progress::add(&self.progress.offsets_behind_state, 1);
            // A commit follows at once, and writes the offset anew.
            self.unannounced.insert(partition);
        }
        Ok((lane, committed))
    }

    /// The next offset of each of these partitions.
    pub(super) fn nexts(
        &self,
        partitions: impl IntoIterator<Item = Partition>,
    ) -> Vec<(Partition, Offset)> {
        let next = |partition| Some((partition, self.partitions.slot(partition)?.lane.next()));
        partitions.into_iter().filter_map(next).collect()
    }
}
