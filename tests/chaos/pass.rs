//! What a decorator of a session does not change.

/// Methods of `deliver::Session` that go straight to `self.inner`.
macro_rules! pass {
    ($($name:ident)*) => { $( $crate::pass::pass!(@ $name); )* };
    (@ now) => { fn now(&self) -> Instant { self.inner.now() } };
    (@ wall) => { fn wall(&self) -> Timestamp { self.inner.wall() } };
    (@ poll) => {
        fn poll(&self, timeout: Duration) -> Result<Option<Self::Message<'_>>, SessionError> {
            self.inner.poll(timeout)
        }
    };
    (@ has_news) => { fn has_news(&self) -> bool { self.inner.has_news() } };
    (@ change) => { fn change(&self) -> Option<Change> { self.inner.change() } };
    (@ lost) => { fn lost(&self) -> bool { self.inner.lost() } };
    (@ assign) => {
        fn assign(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError> {
            self.inner.assign(from)
        }
    };
    (@ unassign) => {
        fn unassign(&self, partitions: &[Partition]) -> Result<(), SessionError> {
            self.inner.unassign(partitions)
        }
    };
    (@ pause) => {
        fn pause(&self, partitions: &[Partition]) -> Result<(), SessionError> {
            self.inner.pause(partitions)
        }
    };
    (@ resume) => {
        fn resume(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError> {
            self.inner.resume(from)
        }
    };
    (@ rewind) => {
        fn rewind(&self, to: &[(Partition, Offset)]) -> Result<(), SessionError> {
            self.inner.rewind(to)
        }
    };
    (@ is_open) => { fn is_open(&self) -> bool { self.inner.is_open() } };
    (@ forward) => {
        fn forward(
            &self,
            message: &Self::Message<'_>,
            forward: Forward<'_>,
        ) -> Result<(), SessionError> {
            self.inner.forward(message, forward)
        }
    };
    (@ send) => {
        fn send(&self, output: Output<'_>) -> Result<(), SessionError> { self.inner.send(output) }
    };
    (@ barrier) => { fn barrier(&self) -> Result<(), SessionError> { self.inner.barrier() } };
    (@ offsets) => {
        fn offsets(&self, next: &[(Partition, Offset)]) -> Result<(), SessionError> {
            self.inner.offsets(next)
        }
    };
    (@ commit) => { fn commit(&self) -> Result<(), SessionError> { self.inner.commit() } };
    (@ discard_consumer) => { fn discard_consumer(&mut self) { self.inner.discard_consumer(); } };
    (@ recover) => {
        fn recover(&mut self) -> Result<(), SessionError> { self.inner.recover() }
    };
    (@ beginnings) => {
        fn beginnings(
            &self,
            partitions: &[Partition],
            kept_in: &str,
            keys: &[&[u8]],
        ) -> Result<Vec<Beginning>, SessionError> {
            self.inner.beginnings(partitions, kept_in, keys)
        }
    };
    (@ partitions_of) => {
        fn partitions_of(&self, topic: &str) -> Result<i32, SessionError> {
            self.inner.partitions_of(topic)
        }
    };
}

pub(crate) use pass;
