//! The one way back: whatever failed, what is open is given up, and its owner begins again where the last commit stands.
//!
//! Worker and monitor have the same. What "begin again" means each knows itself.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::{Progress, Session, SessionError};

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

/// What was given up, and how.
#[derive(Debug)]
pub struct GivenUp {
    pub error: SessionError,
    /// The brokers say that it is undone, and the producer is kept. Else a new one is made first.
    pub undone: bool,
}

impl Recovery {
    /// Gives up what is open. After a refusal the brokers can say at once that it is undone; after all other
    /// errors nobody knows, and the producer is replaced.
    ///
    /// # Errors
    /// Only [`SessionError::Fenced`]: leave, touch nothing.
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
            // Whoever must hear of it was told once.
            debug!(%error, "beginning again at the last commit");
            undone = session.undo().inspect_err(|error| debug!(%error, "not undone yet")).is_ok();
        } else {
            warn!(%error, "transaction given up; beginning again at the last commit");
        }
        if !undone {
            self.begin(session.now());
        }
        Ok(GivenUp { error, undone })
    }

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
