//! What those remember who follow a topic of ours: the client monitor, and who joins requests and answers.

use serde::Serialize;

use super::{Remembered, StateError, Watched, What, kept};
use crate::answers::Join;
use crate::clients::ClientMonitor;
use crate::deliver::{Beginning, Follower, FollowerState, begin_follower};
use crate::record::{Extent, Offset};
use crate::shell::clients;

/// What a follower's state holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FollowerMemory {
    /// From here on it reads again at its next start.
    pub reads_again_from: Offset,
    pub bytes: usize,
}

impl Watched<'_> {
    /// What such a follower remembers, and who is in its group; none if the stream has none.
    pub(super) fn look_at(
        self,
        what: What,
        members: &mut Vec<String>,
    ) -> Result<Option<Remembered<FollowerMemory>>, StateError> {
        if self.is_watched(what).is_err() {
            return Ok(None);
        }
        let group = self.group(what)?;
        let beginnings = self.beginnings(&group, what)?;
        members.extend(group.members()?);
        Ok(Some(self.follower(what, beginnings.first().expect("one partition was asked for"))))
    }

    /// # Errors
    /// If the stream has no such follower.
    pub(super) fn is_watched(self, what: What) -> Result<(), StateError> {
        match what {
            What::Clients if self.stream.clients.is_none() => {
                Err(StateError::NotWatched("clients"))
            }
            What::Answers if self.stream.answers.is_none() => {
                Err(StateError::NotWatched("answers"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn follower(self, what: What, beginning: &Beginning) -> Remembered<FollowerMemory> {
        let problem = match what {
            What::Answers => self.join().and_then(|join| self.problem(&join, beginning)),
            _ => self.client_monitor().and_then(|monitor| self.problem(&monitor, beginning)),
        };
        let state = follower_state(beginning);
        let memory = |state: &FollowerState| FollowerMemory {
            reads_again_from: state.span().1,
            bytes: state.size(),
        };
        Remembered {
            partition: beginning.partition,
            committed: beginning.committed,
            covered: state.as_ref().map(|state| state.span().0),
            oldest: beginning.log.extent.start,
            end: beginning.log.extent.end,
            problem,
            baseline: None,
            crash_loop: None,
            kept: state.as_ref().map(memory),
        }
    }

    /// Key and value of the state of a follower that goes on at `next` and remembers nothing.
    pub(super) fn fresh_state(
        self,
        what: What,
        next: Offset,
        log: &Extent,
    ) -> Option<(&'static [u8], Vec<u8>)> {
        match what {
            What::Clients => self.client_monitor().map(|monitor| fresh(monitor, next, log)),
            What::Answers => self.join().map(|join| fresh(join, next, log)),
            What::Partitions(_) | What::Monitor => None,
        }
    }

    fn problem<F: Follower>(self, fresh: &F, beginning: &Beginning) -> Option<String> {
        begin_follower(fresh, beginning, self.offsets_lag()).err().map(|error| error.to_string())
    }

    fn client_monitor(self) -> Option<ClientMonitor> {
        clients::monitor(self.stream, self.guard)
    }

    fn join(self) -> Option<Join> {
        let answers = self.stream.answers.as_ref()?;
        Some(Join::new(answers.joining(self.stream.alerts.window)))
    }
}

pub(super) fn follower_state(beginning: &Beginning) -> Option<FollowerState> {
    kept(beginning, 0).and_then(|bytes| FollowerState::read(bytes).ok())
}

fn fresh<F: Follower>(follower: F, next: Offset, log: &Extent) -> (&'static [u8], Vec<u8>) {
    (F::KEY, FollowerState::of(&follower.starting_at(next), log).to_bytes())
}

/// What a reset of it forgets.
pub(super) fn forgets_of_follower(what: What, seen: &Remembered<FollowerMemory>) -> Vec<String> {
    let forgets = match what {
        What::Answers => "forgets requests and answers that wait for each other",
        _ => {
            "forgets what bets on clients have won, how usual their habits are (two weeks), quotas and the rows that \
             others are compared with; which clients were seen stays in the topic of clients"
        }
    };
    match (&seen.kept, &seen.problem) {
        (Some(_), _) => vec![forgets.into()],
        (None, Some(problem)) => vec![format!("nothing is known of what it forgets: {problem}")],
        (None, None) => vec!["there is nothing to forget".into()],
    }
}
