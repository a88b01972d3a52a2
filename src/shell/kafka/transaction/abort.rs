//! Aborts the open transaction, and checks that the brokers confirmed it at once.

use std::time::{Duration, Instant};

use rdkafka::producer::Producer;
use tracing::{debug, warn};

use super::{ToGroup, Transactions};
use crate::config::Delivery;
use crate::deliver::SessionError;
use crate::shell::kafka::words;

/// librdkafka may have sent a request twice in a call that took this long: it waits at least one second for an answer.
/// An earlier error is reported by itself.
const SUSPECT: Duration = Duration::from_millis(500);

/// librdkafka waits this long before it asks for a producer's next epoch, which it needs when requests were out of
/// sequence.
const BUMP: Duration = Duration::from_millis(500);

/// How long an abort may take before the broker does it.
pub(super) const ABORT: Duration = Duration::from_secs(5);

impl Transactions {
    /// Aborts the open transaction and keeps the producer. The brokers must confirm at once: a request that was sent twice
    /// may end a later transaction.
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

    /// Aborts a transaction that touches only the group. Its coordinator then drops the offsets of our id that are still
    /// pending. Without this, a broker that missed the end of a transaction in a crash reports our group's offsets as
    /// unstable for ever.
    ///
    /// # Errors
    /// Only if somebody else has our id.
    pub fn end_pending_offsets(&self, to: ToGroup<'_>) -> Result<(), SessionError> {
        if self.open.get() || self.delivery != Delivery::ExactlyOnce {
            return Ok(());
        }
        match self.abort_into(&[], to) {
            Err(error @ SessionError::Fenced { .. }) => Err(error),
            Err(error) => {
                warn!(%error, "pending offsets cannot be ended");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Aborts now instead of at the broker's timeout, if the error requires an abort. If the brokers do not confirm at
    /// once, a new producer follows.
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

    /// Waits for the answers to requests that were sent, as long as answers come. A request after a refused one is
    /// answered as out of sequence. If that answer came later, it would fail the next transaction. Queued records are not
    /// sent any more.
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

/// Aborts the open transaction now instead of at the broker's timeout.
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
