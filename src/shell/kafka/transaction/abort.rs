//! Gives up what is open, and sees that the brokers took that at once.

use std::time::{Duration, Instant};

use rdkafka::producer::Producer;
use tracing::{debug, warn};

use super::{ToGroup, Transactions};
use crate::config::Delivery;
use crate::deliver::SessionError;
use crate::shell::kafka::words;

/// A call that took this long may have asked twice. librdkafka waits at least a second for an
/// answer; an error in between, which may come sooner, is seen by itself.
const SUSPECT: Duration = Duration::from_millis(500);

/// librdkafka waits this long before it asks for a producer's next epoch, which it needs when requests were out of
/// sequence.
const BUMP: Duration = Duration::from_millis(500);

/// How long an abort may take before the broker does it.
pub(super) const ABORT: Duration = Duration::from_secs(5);

impl Transactions {
    /// Gives up what is open, and keeps the producer. The brokers must say at once that it is undone: what is asked
    /// twice may end a later transaction.
    ///
    /// # Errors
    /// If they do not: [`Transactions::restart`] next.
    pub fn undo(&self, to: ToGroup<'_>) -> Result<(), SessionError> {
        let unknown =
            |reason: &str| SessionError::Transaction { step: "abort", reason: reason.into() };
        if self.delivery == Delivery::AtLeastOnce {
            if self.producer.borrow().in_flight_count() > 0 {
                return Err(unknown("something is on its way"));
            }
            self.deliveries.forgive();
        } else if self.open.get() {
            if !self.hanging.borrow().is_clean() {
                return Err(unknown("something older may hang"));
            }
            if self.aborted.get().is_none() {
                self.abort_if(true);
            }
            if self.aborted.get() != Some(true) {
                return Err(unknown("the brokers did not answer at once"));
            }
            if self.is_wary() && !self.deliveries.has_landed() {
                return Err(unknown("no partition of ours shows whether it has ended"));
            }
            self.was_ended(to)?;
            self.hanging.borrow_mut().committed();
        }
        self.open.set(false);
        Ok(())
    }

    /// Aborts a transaction that the group is in: nothing changes, but the coordinator of the group
    /// forgets what it still holds as pending from an older transaction of our id. After a crash a
    /// broker may miss the end of one and call our group's offsets unstable for ever.
    ///
    /// # Errors
    /// Only if somebody else has our id.
    pub fn settle_pending(&self, to: ToGroup<'_>) -> Result<(), SessionError> {
        if self.open.get() || self.delivery != Delivery::ExactlyOnce {
            return Ok(());
        }
        match self.abort_into(&[], to) {
            Err(error @ SessionError::Fenced { .. }) => Err(error),
            Err(error) => {
                warn!(%error, "pending offsets cannot be settled");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// What the error says is undone for sure can be undone now, not when the broker's timeout
    /// says so. Unless the brokers took it at once, a new producer follows.
    pub(super) fn abort_if(&self, requires_abort: bool) {
        if !requires_abort {
            return;
        }
        self.step("aborting");
        self.quieten();
        let started = Instant::now();
        let aborted = self.producer.borrow().abort_transaction(ABORT);
        if let Err(error) = &aborted {
            debug!("aborting: {}", words::of(error));
        }
        let at_once = started.elapsed() < SUSPECT + BUMP && !self.deliveries.is_troubled();
        self.aborted.set(Some(aborted.is_ok() && at_once));
    }

    /// Waits until what is on its way is answered, as far as anything is. The answer to a request behind one that
    /// was refused says that it is out of sequence; if it came later, it would spoil the next transaction. What is
    /// queued is not sent any more, and stays.
    pub(super) fn quieten(&self) {
        const LOOK: Duration = Duration::from_millis(10);
        let deadline = Instant::now() + SUSPECT / 2;
        let mut left = self.producer.borrow().in_flight_count();
        while left > 0 && Instant::now() < deadline {
            std::thread::sleep(LOOK);
            let now = self.producer.borrow().in_flight_count();
            if now == left {
                return;
            }
            left = now;
        }
    }

    pub(super) fn suspect_since(&self, started: Instant) {
        if started.elapsed() >= SUSPECT || self.deliveries.is_troubled() {
            self.suspect.set(true);
            self.beware();
        }
    }
}

/// What is open when its owner goes is undone now, not when the broker's timeout says so.
impl Drop for Transactions {
    fn drop(&mut self) {
        if self.open.get()
            && self.delivery == Delivery::ExactlyOnce
            && let Err(error) = self.producer.borrow().abort_transaction(ABORT)
        {
            warn!("aborting: {}; the broker will do it", words::of(&error));
        }
    }
}
