//! Partitions of the answers topic whose last commit is looked for.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::begin::begin;
use super::{ANSWERS_KEY, AnswerDriver, ReadSoFar};
use crate::deliver::{FollowerState, Kept, Session, SessionError};
use crate::record::Partition;

/// Partitions whose last commit is looked for.
#[derive(Default)]
pub(super) struct Restoring {
    pub partitions: BTreeSet<Partition>,
    /// Since when there is one, and when the next attempt is due.
    since: Option<Instant>,
    again: Option<Instant>,
    /// The log already says that it takes too long.
    told: bool,
}

/// Between two looks for the last commit, and when that has taken too long.
const SOON: Duration = Duration::from_millis(300);
const LATER: Duration = Duration::from_secs(5);

impl Restoring {
    /// Adds these partitions, to be restored at once.
    pub fn begin(&mut self, partitions: &[Partition]) {
        self.partitions.extend(partitions);
        self.again = None;
    }
}

impl<S: Session> AnswerDriver<S> {
    /// Partitions go on where the last commit says; of one of which nothing was committed, from its first record on.
    pub(super) fn restore(&mut self) -> Result<(), SessionError> {
        let now = self.session.now();
        if self.restoring.partitions.is_empty() || self.restoring.again.is_some_and(|at| now < at) {
            return Ok(());
        }
        let partitions: Vec<Partition> = self.restoring.partitions.iter().copied().collect();
        let topic = &self.stream.topics.state;
        let kept = Kept::in_first(topic, &[ANSWERS_KEY], FollowerState::log_of);
        let found = match self.session.beginnings(&partitions, kept) {
            Ok(found) => found,
            Err(error) if error.is_of_client() => return Err(error),
            Err(error) => {
                self.restore_later(&partitions, &error.to_string());
                return Ok(());
            }
        };
        let mut from = vec![];
        for beginning in found {
            let partition = beginning.partition;
            let (next, gone) = match begin(&beginning) {
                Ok(begun) => begun,
                Err(error) => {
                    self.restore_later(&[partition], &error.to_string());
                    continue;
                }
            };
            let stream = &self.stream.name;
            if let Some(gone) = gone {
                error!(stream, %partition, %next, "answers are lost: {gone}");
                self.progress.lost(gone.cause, gone.unread);
            }
            if gone.is_some() || beginning.committed != Some(next) {
                // Written anew although nothing was read: so that a loss is counted once, and the group's offset is right.
                self.moved.insert(partition);
            }
            info!(stream, %partition, from = %next, "reading answers");
            self.restoring.partitions.remove(&partition);
            self.progress.release(partition);
            self.reading.insert(partition, ReadSoFar { next, log: beginning.log.extent });
            from.push((partition, next));
        }
        if self.restoring.partitions.is_empty() {
            self.restoring = Restoring::default();
        }
        self.progress.held(self.restoring.partitions.len());
        self.session.resume(&from)
    }

    /// `partitions` wait: whoever asks is told why, and after `state_agrees_after` the log says so once.
    fn restore_later(&mut self, partitions: &[Partition], reason: &str) {
        let now = self.session.now();
        let since = *self.restoring.since.get_or_insert(now);
        let late = now.saturating_duration_since(since) >= self.timing.state_agrees_after;
        self.restoring.again = Some(now + if late { LATER } else { SOON });
        if late && !self.restoring.told {
            error!(stream = self.stream.name, "answers are not read: {reason}");
            self.restoring.told = true;
        }
        partitions.iter().for_each(|&partition| self.progress.hold(partition, reason));
        self.progress.held(self.restoring.partitions.len());
    }
}
