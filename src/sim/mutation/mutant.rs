//! A session with a mistake in it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Mutation;
use crate::deliver::{
    Beginning, Change, Fetched as _, Forward, Kept, Output, Session, SessionError,
};
use crate::record::{Extent, Offset, Partition, Timestamp, TopicPartition};
use crate::score::Survey;

/// A session with a mistake in it, or with none.
pub struct Mutant<S> {
    inner: S,
    mutation: Option<Mutation>,
    /// How a session aborts and goes on with the producer it has.
    reuse: Option<Reuse<S>>,
    alerts: String,
    /// The state topic.
    kept_in: RefCell<String>,
    /// One past the furthest record that was polled, by partition.
    polled: RefCell<BTreeMap<Partition, Offset>>,
    ahead: Cell<bool>,
    revoked: Cell<bool>,
    late: RefCell<Vec<StateRecord>>,
}

/// Aborts, and goes on with the same producer.
pub type Reuse<S> = fn(&mut S) -> Result<(), SessionError>;

/// An output put off.
struct StateRecord {
    partition: Option<Partition>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<S: Session> Mutant<S> {
    /// `alerts` is the topic that only a monitor writes to. Without `reuse`, a session makes a new
    /// producer even under [`Mutation::ReuseProducer`].
    pub fn new(
        inner: S,
        mutation: Option<Mutation>,
        reuse: Option<Reuse<S>>,
        alerts: &str,
    ) -> Self {
        Self {
            inner,
            mutation,
            reuse,
            alerts: alerts.to_owned(),
            kept_in: RefCell::default(),
            polled: RefCell::default(),
            ahead: Cell::new(false),
            revoked: Cell::new(false),
            late: RefCell::default(),
        }
    }

    /// What the mistake sees of a log.
    fn believe_the_log(&self, found: &mut Survey) {
        if self.is(Mutation::BelieveTheLog) {
            let (start, end) = (Offset(0), Offset(i64::MAX));
            *found = Survey { extent: Extent { start, end, ..found.extent.clone() }, parted: None };
        }
        if self.is(Mutation::BelieveTheLog) || self.is(Mutation::LongEnough) {
            (found.extent.topic, found.extent.leader_epoch, found.parted) = (None, None, None);
        }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Whether partitions go without a commit. A worker that hears of it commits what is open before it
    /// hands over, or because there is nothing else to do: neither is done.
    fn forgets(&self) -> bool {
        self.is(Mutation::ForgetOnRevoke) && (self.revoked.get() || self.inner.has_news())
    }

    /// Commits the offsets of records that were not sent on yet.
    fn commit_ahead(&self) -> Result<(), SessionError> {
        let polled: Vec<_> = self.polled.borrow().iter().map(|(&p, &o)| (p, o)).collect();
        if !self.inner.is_open() {
            // A transaction begins with a record; this one says nothing to anybody.
            self.inner.send(Output {
                topic: &self.kept_in.borrow(),
                partition: polled.first().map(|&(partition, _)| partition),
                key: b"mutant",
                value: b"",
                headers: &[],
            })?;
        }
        self.inner.offsets(&polled)?;
        self.inner.commit()
    }

    /// What was refused, as the mistake has it.
    fn blame<T>(&self, done: Result<T, SessionError>) -> Result<T, SessionError> {
        done.map_err(|error| match error {
            SessionError::Refused { mut refusals, beside }
                if self.is(Mutation::BlameTheRequest) =>
            {
                refusals.iter_mut().for_each(|refusal| refusal.sure = true);
                SessionError::Refused { refusals, beside }
            }
            other => other,
        })
    }

    /// The further of where reading should go on and where it stands.
    fn further(&self, to: &[(Partition, Offset)]) -> Vec<(Partition, Offset)> {
        let polled = self.polled.borrow();
        let further = |&(p, offset): &(Partition, Offset)| {
            (p, polled.get(&p).map_or(offset, |&polled| polled.max(offset)))
        };
        to.iter().map(further).collect()
    }
}

impl<S: Session> Session for Mutant<S> {
    type Fetched<'a>
        = S::Fetched<'a>
    where
        Self: 'a;

    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn wall(&self) -> Timestamp {
        self.inner.wall()
    }

    fn poll(&self, timeout: Duration) -> Result<Option<Self::Fetched<'_>>, SessionError> {
        let message = self.inner.poll(timeout)?;
        if let Some(message) = &message {
            let at = message.record().at;
            self.polled.borrow_mut().insert(at.partition, at.offset.next());
        }
        Ok(message)
    }

    fn has_news(&self) -> bool {
        self.inner.has_news()
    }

    fn change(&self) -> Option<Change> {
        let change = self.inner.change()?;
        if let Change::Revoked(partitions) = &change {
            self.revoked.set(true);
            self.polled.borrow_mut().retain(|partition, _| !partitions.contains(partition));
        }
        Some(change)
    }

    fn lost(&self) -> bool {
        self.inner.lost()
    }

    fn assign(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError> {
        self.inner.assign(from)
    }

    fn unassign(&self, partitions: &[Partition]) -> Result<(), SessionError> {
        self.revoked.set(false);
        self.inner.unassign(partitions)
    }

    fn pause(&self, partitions: &[Partition]) -> Result<(), SessionError> {
        self.inner.pause(partitions)
    }

    fn resume(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError> {
        match self.is(Mutation::NoRewind) {
            true => self.inner.resume(&self.further(from)),
            false => self.inner.resume(from),
        }
    }

    fn rewind(&self, to: &[(Partition, Offset)]) -> Result<(), SessionError> {
        match self.is(Mutation::NoRewind) {
            true => Ok(()),
            false => self.inner.rewind(to),
        }
    }

    fn is_open(&self) -> bool {
        self.inner.is_open()
    }

    fn forward(
        &self,
        message: &Self::Fetched<'_>,
        forward: Forward<'_>,
    ) -> Result<(), SessionError> {
        if self.is(Mutation::CommitBeforeProduce) && !self.ahead.replace(true) {
            self.commit_ahead()?;
        }
        self.blame(self.inner.forward(message, forward))
    }

    fn send(&self, output: Output<'_>) -> Result<(), SessionError> {
        if self.is(Mutation::MonitorCommitsFirst) && output.topic == self.alerts {
            let Output { partition, key, value, .. } = output;
            let kept = StateRecord { partition, key: key.to_vec(), value: value.to_vec() };
            self.late.borrow_mut().push(kept);
            return Ok(());
        }
        if self.forgets() && output.topic == *self.kept_in.borrow() {
            return Ok(());
        }
        self.blame(self.inner.send(output))
    }

    fn barrier(&self) -> Result<(), SessionError> {
        self.blame(self.inner.barrier())
    }

    fn arrive(&self) -> Result<(), SessionError> {
        self.blame(self.inner.arrive())
    }

    fn offsets(&self, next: &[(Partition, Offset)]) -> Result<(), SessionError> {
        if self.forgets() {
            return Ok(());
        }
        self.inner.offsets(next)
    }

    fn commit(&self) -> Result<(), SessionError> {
        if self.forgets() {
            self.revoked.set(false);
            return Ok(());
        }
        self.blame(self.inner.commit())?;
        self.ahead.set(false);
        for StateRecord { partition, key, value } in self.late.take() {
            let topic = self.alerts.as_str();
            let (key, value) = (&*key, &*value);
            self.inner.send(Output { topic, partition, key, value, headers: &[] })?;
        }
        Ok(())
    }

    fn discard_consumer(&mut self) {
        self.polled.borrow_mut().clear();
        self.inner.discard_consumer();
    }

    fn undo(&mut self) -> Result<(), SessionError> {
        self.inner.undo()
    }

    fn recover(&mut self) -> Result<(), SessionError> {
        self.ahead.set(false);
        self.late.borrow_mut().clear();
        match self.reuse.filter(|_| self.is(Mutation::ReuseProducer)) {
            Some(reuse) => reuse(&mut self.inner),
            None => self.inner.recover(),
        }
    }

    fn beginnings(
        &self,
        partitions: &[Partition],
        kept: Kept<'_>,
    ) -> Result<Vec<Beginning>, SessionError> {
        kept.topic.clone_into(&mut self.kept_in.borrow_mut());
        let mut found = self.inner.beginnings(partitions, kept)?;
        found.iter_mut().for_each(|found| self.believe_the_log(&mut found.log));
        if self.is(Mutation::RestoreUnchecked) {
            found.iter_mut().for_each(believe);
        }
        let disagree = |b: &Beginning| b.committed.is_some() && covered(b) > b.committed;
        if self.is(Mutation::WaitForTheGroup) && found.iter().any(disagree) {
            let reason = "state and offset differ".to_owned();
            return Err(SessionError::Exchange { what: "restore", reason });
        }
        Ok(found)
    }

    fn positions(&self) -> Vec<(Partition, Offset)> {
        self.inner.positions()
    }

    fn is_read_out(&self, partition: Partition, next: Offset) -> bool {
        self.inner.is_read_out(partition, next)
    }

    fn is_at_end(&self, partition: Partition) -> bool {
        self.inner.is_at_end(partition)
    }

    fn has_open(&self, partition: Partition) -> bool {
        self.inner.has_open(partition)
    }

    fn is_interrupted(&self) -> bool {
        self.inner.is_interrupted()
    }

    fn looked(&self) -> Option<BTreeMap<TopicPartition, Extent>> {
        let looked = self.inner.looked();
        looked.filter(|_| !self.is(Mutation::BelieveTheLog) && !self.is(Mutation::LongEnough))
    }

    fn topic_id(&self, topic: &str) -> Option<String> {
        let trusts = [Mutation::BelieveTheLog, Mutation::LongEnough, Mutation::CommitUnasked];
        let asks = !trusts.into_iter().any(|mutation| self.is(mutation));
        asks.then(|| self.inner.topic_id(topic)).flatten()
    }

    fn survey(
        &self,
        topic: &str,
        known: &[(Partition, Option<Extent>)],
    ) -> Result<Vec<(Partition, Survey)>, SessionError> {
        let mut found = self.inner.survey(topic, known)?;
        found.iter_mut().for_each(|(_, found)| self.believe_the_log(found));
        Ok(found)
    }

    fn source_before(
        &self,
        place: &TopicPartition,
        at: Offset,
    ) -> Result<Option<Offset>, SessionError> {
        self.inner.source_before(place, at)
    }

    fn replay(&self, topic: &str, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), SessionError> {
        self.inner.replay(topic, each)
    }

    fn partitions_of(&self, topic: &str) -> Result<i32, SessionError> {
        self.inner.partitions_of(topic)
    }
}

/// Where the state ends.
fn covered(beginning: &Beginning) -> Option<Offset> {
    let state = beginning.kept.first()?.as_ref()?;
    let value: serde_json::Value = serde_json::from_slice(state).ok()?;
    value["next"].as_i64().map(Offset)
}

/// Makes the state say that it covers what the group committed.
fn believe(beginning: &mut Beginning) {
    let (Some(committed), Some(Some(state))) = (beginning.committed, beginning.kept.first_mut())
    else {
        return;
    };
    if let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(state) {
        value["next"] = committed.0.into();
        *state = value.to_string().into_bytes();
    }
}
