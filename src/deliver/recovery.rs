//! The one way back after a failure: abort the open transaction, then start again at the last commit.
//!
//! All roles use this file. Each of them knows itself how to start again.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::{Progress, Session, SessionError};

/// Whether a session's producer can be used.
#[derive(Debug, Default)]
pub struct Recovery {
    /// If the producer is unusable: when to try to make a new one.
    broken: Option<Instant>,
}

/// How long a poll waits meanwhile. It bounds how late a change of partitions and a stop are noticed.
const POLL: Duration = Duration::from_millis(50);
/// The time between two attempts to reach a cluster that does not answer.
const AGAIN: Duration = Duration::from_millis(500);

/// A transaction that was given up, and how.
#[derive(Debug)]
pub struct GivenUp {
    pub error: SessionError,
    /// The brokers confirmed the abort, and the producer is kept. Otherwise a new producer is made first.
    pub undone: bool,
}

impl Recovery {
    /// Gives the open transaction up. After a refusal it is aborted now, and the brokers can confirm that. After all
    /// other errors its state is unknown: a new producer aborts it.
    ///
    /// # Errors
    /// Only [`SessionError::Fenced`]: stop, and write nothing.
    pub fn give_up<S: Session>(
        &mut self,
        error: SessionError,
        session: &mut S,
        progress: &Progress,
    ) -> Result<GivenUp, SessionError> {
        let is_fenced = matches!(error, SessionError::Fenced { .. });
        progress.gave_up(is_fenced);
        if is_fenced {
            return Err(error);
        }
        let mut undone = false;
        if let SessionError::Refused { .. } = error {
            // The refusal itself was logged when it came.
            debug!(%error, "starting again at the last commit");
            undone = session.undo().inspect_err(|error| debug!(%error, "not undone yet")).is_ok();
        } else {
            warn!(%error, "the transaction failed; starting again at the last commit");
        }
        if !undone {
            self.begin(session.now());
        }
        Ok(GivenUp { error, undone })
    }

    /// Marks the producer as unusable.
    pub fn begin(&mut self, now: Instant) {
        self.broken = Some(now);
    }

    pub fn is_over(&self) -> bool {
        self.broken.is_none()
    }

    /// Makes a new producer if the last one is unusable; false while there is none.
    ///
    /// # Errors
    /// If another process has the id, or the consumer cannot go on.
    pub fn advance<S: Session>(&mut self, session: &mut S) -> Result<bool, SessionError> {
        let Some(at) = self.broken else { return Ok(true) };
        let wait = at.saturating_duration_since(session.now());
        // All partitions are paused now. But a consumer that does not poll is removed from its group, and does
        // not learn of it.
        session.poll(wait.min(POLL))?;
        if session.now() < at {
            return Ok(false);
        }
        match session.recover() {
            Ok(()) => {
                self.broken = None;
                Ok(true)
            }
            Err(error @ SessionError::Fenced { .. }) => Err(error),
            Err(error) => {
                warn!(%error, "no new producer yet");
                self.broken = Some(session.now() + AGAIN);
                Ok(false)
            }
        }
    }
}
