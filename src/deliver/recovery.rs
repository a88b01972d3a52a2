//! The one way back: whatever failed, the producer is replaced, and its owner begins again where the last commit stands.
//!
//! Worker and judge have the same. What "begin again" means each knows itself.

use std::time::{Duration, Instant};

use tracing::warn;

use super::{Session, SessionError};

/// Whether a session's producer is of use.
#[derive(Debug, Default)]
pub struct Recovery {
    /// It is not; when to try for a new one.
    broken: Option<Instant>,
}

/// How long a poll waits meanwhile: bounds how late news and the end are noticed.
const POLL: Duration = Duration::from_millis(50);
/// Between two tries to reach a cluster that does not answer.
const AGAIN: Duration = Duration::from_millis(500);

impl Recovery {
    /// The producer is of no use any more.
    pub fn begin(&mut self, now: Instant) {
        self.broken = Some(now);
    }

    pub fn is_over(&self) -> bool {
        self.broken.is_none()
    }

    /// Makes a new producer if the last one is of no use; false while there is none.
    ///
    /// # Errors
    /// If another process has the id, or the consumer cannot go on.
    pub fn advance<S: Session>(&mut self, session: &mut S) -> Result<bool, SessionError> {
        let Some(at) = self.broken else { return Ok(true) };
        let wait = at.saturating_duration_since(session.now());
        // Nothing of ours is read now. But who does not poll is thrown out of the group, and who
        // was thrown out does not hear of it.
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
