//! Bugs that the checker must find: sessions that do one thing wrong.
//!
//! Each is a mistake that a stream processor of this kind could have. If a run with one of them
//! passes, the run proves nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tripline::deliver::{Beginning, Change, Forward, Message, Output, Session, SessionError};
use tripline::record::{Offset, Partition, Position, Timestamp};

use crate::pass::pass;

/// Which bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Offsets are committed with the first record of a transaction, before its output.
    CommitBeforeProduce,
    /// After a transaction was given up, reading goes on where it stood.
    NoRewind,
    /// What a partition sent is committed when it is handed over; its offset and state are not.
    ForgetOnRevoke,
}

impl Mutation {
    pub const ALL: [(&'static str, Self); 3] = [
        ("commit-before-produce", Self::CommitBeforeProduce),
        ("no-rewind", Self::NoRewind),
        ("forget-on-revoke", Self::ForgetOnRevoke),
    ];

    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|&(_, mutation)| mutation)
    }
}

/// A session with a bug, or none.
pub struct Mutant<S> {
    inner: S,
    mutation: Option<Mutation>,
    /// Where reading stands, per partition.
    read: RefCell<BTreeMap<Partition, Offset>>,
    revoked: RefCell<Vec<Partition>>,
    began: Cell<bool>,
    /// The state topic.
    kept_in: RefCell<String>,
}

impl<S> Mutant<S> {
    pub fn new(inner: S, mutation: Option<Mutation>) -> Self {
        Self {
            inner,
            mutation,
            read: RefCell::default(),
            revoked: RefCell::default(),
            began: Cell::new(false),
            kept_in: RefCell::default(),
        }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }
}

impl<S: Session> Mutant<S> {
    /// Commits the offset of a record that was not sent on yet.
    fn commit_ahead(&self, at: Position) -> Result<(), SessionError> {
        if !self.inner.is_open() {
            // A transaction begins with a record; this one says nothing to anybody.
            self.inner.send(Output {
                topic: &self.kept_in.borrow(),
                partition: Some(at.partition),
                key: b"mutant",
                value: b"",
            })?;
        }
        self.inner.offsets(&[(at.partition, at.offset.next())])?;
        self.inner.commit()
    }
}

impl<S: Session> Session for Mutant<S> {
    type Message<'a>
        = S::Message<'a>
    where
        Self: 'a;

    pass! { now wall poll has_news lost assign pause rewind is_open barrier discard_consumer
    recover partitions_of }

    fn beginnings(
        &self,
        partitions: &[Partition],
        kept_in: &str,
        keys: &[&[u8]],
    ) -> Result<Vec<Beginning>, SessionError> {
        kept_in.clone_into(&mut self.kept_in.borrow_mut());
        self.inner.beginnings(partitions, kept_in, keys)
    }

    fn forward(
        &self,
        message: &Self::Message<'_>,
        forward: Forward<'_>,
    ) -> Result<(), SessionError> {
        let at = message.position();
        if self.is(Mutation::CommitBeforeProduce) && !self.began.replace(true) {
            self.commit_ahead(at)?;
        }
        self.read.borrow_mut().insert(at.partition, at.offset.next());
        self.inner.forward(message, forward)
    }

    fn resume(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError> {
        if !self.is(Mutation::NoRewind) {
            return self.inner.resume(from);
        }
        let read = self.read.borrow();
        let stood = |&(partition, offset): &(Partition, Offset)| {
            (partition, read.get(&partition).copied().unwrap_or(offset).max(offset))
        };
        self.inner.resume(&from.iter().map(stood).collect::<Vec<_>>())
    }

    fn change(&self) -> Option<Change> {
        let change = self.inner.change();
        if let Some(Change::Revoked(partitions)) = &change
            && self.is(Mutation::ForgetOnRevoke)
        {
            self.revoked.borrow_mut().clone_from(partitions);
        }
        change
    }

    fn send(&self, output: Output<'_>) -> Result<(), SessionError> {
        let revoked = self.revoked.borrow();
        let of_revoked = output.partition.is_some_and(|partition| revoked.contains(&partition));
        if of_revoked && output.key == b"lane" {
            return Ok(());
        }
        self.inner.send(output)
    }

    fn offsets(&self, next: &[(Partition, Offset)]) -> Result<(), SessionError> {
        let revoked = self.revoked.borrow();
        let kept = next.iter().filter(|(partition, _)| !revoked.contains(partition));
        self.inner.offsets(&kept.copied().collect::<Vec<_>>())
    }

    fn commit(&self) -> Result<(), SessionError> {
        self.began.set(false);
        self.inner.commit()
    }

    fn unassign(&self, partitions: &[Partition]) -> Result<(), SessionError> {
        self.revoked.borrow_mut().clear();
        self.read.borrow_mut().retain(|partition, _| !partitions.contains(partition));
        self.inner.unassign(partitions)
    }
}
