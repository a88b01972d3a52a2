//! What a stream's partitions and its monitor remember, looked at and reset from outside.
//!
//! Looking changes nothing and joins nothing. A reset takes the partitions over as a worker would, as
//! the only member of their group, so nobody works on them meanwhile; state and offset are then
//! written in one transaction. It cannot bring back what it forgets.

mod followers;
mod reset;

use std::time::Duration;

use serde::Serialize;

pub use self::followers::FollowerMemory;
pub use self::reset::Plan;
use super::audit::AuditLogError;
use super::kafka::{Clients, Group};
use super::run::monitor;
use crate::answers::Join;
use crate::clients::ClientMonitor;
use crate::config::{Delivery, Stream};
use crate::deliver::{
    Beginning, CRASH_LOOP_KEY, CrashLoopGuard, EVIDENCE_PARTITION, Follower as _, FollowerState,
    Kept, LANE_KEY, MONITOR_KEY, SessionError, begin_lane, begin_monitor,
};
use crate::monitor::{Incident, MonitorState};
use crate::record::{Offset, Partition};
use crate::score::{Guard, LaneState};

/// One stream as its topics show it.
#[derive(Clone, Debug, Serialize)]
pub struct Sight {
    pub stream: String,
    /// Of the bundle and budget that the configuration names.
    pub baseline: String,
    pub group: String,
    /// Who is in the group now, by client id and host.
    pub members: Vec<String>,
    pub partitions: Vec<Remembered<At>>,
    /// As partition 0, which evidence has alone.
    pub monitor: Remembered<MonitorMemory>,
    /// Who follows a topic of ours, where that is asked for: as partition 0 of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<Remembered<FollowerMemory>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<Remembered<FollowerMemory>>,
}

/// A partition, what the group committed of it, and what is remembered of what lies below.
#[derive(Clone, Debug, Serialize)]
pub struct Remembered<T> {
    pub partition: Partition,
    pub committed: Option<Offset>,
    /// The offset below which everything is in the state; `None` if there is none or it cannot be
    /// read.
    pub covered: Option<Offset>,
    pub oldest: Offset,
    pub end: Offset,
    /// Why whoever takes it over cannot go on.
    pub problem: Option<String>,
    /// Which knowledge judged what it remembers; under another one signals are watched anew.
    pub baseline: Option<String>,
    pub crash_loop: Option<CrashLoopGuard>,
    #[serde(flatten)]
    pub kept: Option<T>,
}

/// A lane's state holds nothing beyond where it stands.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct At {}

/// What a monitor's state holds.
#[derive(Clone, Debug, Serialize)]
pub struct MonitorMemory {
    pub windows: usize,
    /// The incidents that are not over.
    pub firing: Vec<Incident>,
}

/// Why nothing was reset.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Audit(#[from] AuditLogError),
    #[error(transparent)]
    Kafka(#[from] SessionError),
    #[error(
        "group {group} has members: {}; stop every process that guards this stream first (one that \
         was killed stays a member until its session times out)",
        members.join(", ")
    )]
    Active { group: String, members: Vec<String> },
    #[error("topic {topic} has no partition {partition}; it has {count}")]
    NoPartition { topic: String, partition: Partition, count: usize },
    #[error("partition {partition} has no offset {from}: it has {start} to {end}")]
    NoOffset { partition: Partition, from: Offset, start: Offset, end: Offset },
    #[error("group {group} did not give us {missing} partitions within {waited:?}")]
    NotOurs { group: String, missing: usize, waited: Duration },
    #[error("the stream has no [stream.{0}]")]
    NotWatched(&'static str),
    #[error("partition {0} moved while we looked at it; nothing was written, look again")]
    Moved(Partition),
}

/// What is looked at or reset.
#[derive(Clone, Copy)]
pub struct Watched<'a> {
    pub clients: &'a Clients,
    pub stream: &'a Stream,
    pub guard: &'a Guard,
}

/// Partitions of a stream, its monitor, or who follows a topic of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Partitions(Option<Partition>),
    Monitor,
    /// The client monitor.
    Clients,
    /// Who joins requests and answers.
    Answers,
}

const LANE_KEYS: [&[u8]; 2] = [LANE_KEY, CRASH_LOOP_KEY];

impl<'a> Watched<'a> {
    /// Everything that is remembered.
    ///
    /// # Errors
    /// If the cluster does not answer.
    pub fn look(self) -> Result<Sight, StateError> {
        let workers = self.group(What::Partitions(None))?;
        let lanes = self.beginnings(&workers, What::Partitions(None))?;
        let scores = self.group(What::Monitor)?;
        let judged = self.beginnings(&scores, What::Monitor)?;
        let mut members = workers.members()?;
        members.extend(scores.members()?);
        let clients = self.look_at(What::Clients, &mut members)?;
        let answers = self.look_at(What::Answers, &mut members)?;
        let lanes = lanes.iter().map(|beginning| self.lane(beginning));
        let monitor = judged.first().expect("one partition was asked for");
        Ok(Sight {
            stream: self.stream.name.clone(),
            baseline: self.guard.baseline().to_owned(),
            group: workers.name().to_owned(),
            members,
            partitions: lanes.collect(),
            monitor: self.monitor(monitor),
            clients,
            answers,
        })
    }

    fn lane(self, beginning: &Beginning) -> Remembered<At> {
        let baseline = self.guard.baseline();
        let fit = begin_lane(beginning, baseline, self.stream, self.offsets_lag());
        let state = kept(beginning, 0).and_then(|b| LaneState::read(b, beginning.partition).ok());
        let crash_loop = kept(beginning, 1).and_then(|bytes| serde_json::from_slice(bytes).ok());
        Remembered {
            partition: beginning.partition,
            committed: beginning.committed,
            covered: state.as_ref().map(LaneState::next),
            oldest: beginning.log.extent.start,
            end: beginning.log.extent.end,
            problem: fit.err().map(|error| error.to_string()),
            baseline: state.as_ref().map(|state| state.baseline().to_owned()),
            crash_loop,
            kept: state.as_ref().map(|_| At {}),
        }
    }

    fn monitor(self, beginning: &Beginning) -> Remembered<MonitorMemory> {
        let fresh = monitor(self.stream, self.guard);
        let fit = begin_monitor(&fresh, beginning, self.offsets_lag());
        let state = kept(beginning, 0).and_then(|bytes| MonitorState::read(bytes).ok());
        let judged = |s: &MonitorState| MonitorMemory {
            windows: s.windows(),
            firing: s.incidents().cloned().collect(),
        };
        Remembered {
            partition: beginning.partition,
            committed: beginning.committed,
            covered: state.as_ref().map(MonitorState::next),
            oldest: beginning.log.extent.start,
            end: beginning.log.extent.end,
            problem: fit.err().map(|error| error.to_string()),
            baseline: state.as_ref().map(|state| state.baseline().to_owned()),
            crash_loop: None,
            kept: state.as_ref().map(judged),
        }
    }

    fn beginnings(self, group: &Group, what: What) -> Result<Vec<Beginning>, StateError> {
        let mut partitions = match what {
            What::Monitor | What::Clients | What::Answers => vec![EVIDENCE_PARTITION],
            What::Partitions(_) => group.partitions()?,
        };
        if let What::Partitions(Some(partition)) = what {
            let count = partitions.len();
            partitions.retain(|&known| known == partition);
            if partitions.is_empty() {
                let topic = self.stream.input.clone();
                return Err(StateError::NoPartition { topic, partition, count });
            }
        }
        Ok(group.beginnings(&partitions, self.kept(what))?)
    }

    fn group(self, what: What) -> Result<Group, SessionError> {
        Group::new(self.clients, &self.group_name(what), self.topic(what))
    }

    fn group_name(self, what: What) -> String {
        match what {
            What::Partitions(_) => self.clients.workers(&self.stream.name),
            What::Monitor => self.clients.monitors(&self.stream.name),
            What::Clients => self.clients.client_monitors(&self.stream.name),
            What::Answers => self.clients.joins(&self.stream.name),
        }
    }

    fn topic(self, what: What) -> &'a str {
        match what {
            What::Partitions(_) => &self.stream.input,
            What::Monitor => &self.stream.topics.evidence,
            What::Clients => ClientMonitor::topic(self.stream),
            What::Answers => Join::topic(self.stream),
        }
    }

    fn kept(self, what: What) -> Kept<'a> {
        let topic = &self.stream.topics.state;
        match what {
            What::Partitions(_) => Kept::in_same(topic, &LANE_KEYS, LaneState::log_of),
            What::Monitor => Kept::in_same(topic, &[MONITOR_KEY], MonitorState::log_of),
            What::Clients => Kept::in_same(topic, &[ClientMonitor::KEY], FollowerState::log_of),
            What::Answers => Kept::in_same(topic, &[Join::KEY], FollowerState::log_of),
        }
    }

    fn offsets_lag(self) -> bool {
        self.clients.kafka().delivery == Delivery::AtLeastOnce
    }
}

fn kept(beginning: &Beginning, key: usize) -> Option<&[u8]> {
    beginning.kept.get(key)?.as_deref()
}

#[cfg(test)]
mod tests;
