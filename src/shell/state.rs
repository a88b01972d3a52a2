//! What a stream's partitions and its monitor remember, looked at and reset from outside.
//!
//! Looking changes nothing and joins nothing. A reset takes the partitions over as a worker would, as
//! the only member of their group, so nobody works on them meanwhile; state and offset are then
//! written in one transaction. It cannot bring back what it forgets.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::kafka::{Clients, Group, Session};
use super::run::monitor;
use crate::config::{Delivery, Stream};
use crate::deliver::{
    BOOT_KEY, Beginning, Boot, Change, EVIDENCE_PARTITION, Kept, LANE_KEY, MONITOR_KEY, Output,
    Outputs, Progress, Session as _, SessionError, begin_lane, begin_monitor,
};
use crate::monitor::MonitorState;
use crate::monitor::{Alert, Event, Incident};
use crate::record::{Extent, Offset, Partition};
use crate::score::{Guard, Lane, LaneState};

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
    pub boot: Option<Boot>,
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

/// Partitions of a stream, or its monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Partitions(Option<Partition>),
    Monitor,
}

/// A reset that was thought through and not done.
#[derive(Debug)]
pub struct Plan {
    what: What,
    beginnings: Vec<Beginning>,
    /// Where each partition goes on.
    next: Vec<(Partition, Offset)>,
    /// What it means, a line each.
    pub lines: Vec<String>,
}

const LANE_KEYS: [&[u8]; 2] = [LANE_KEY, BOOT_KEY];

/// Beside a session's timeout, how long joining a group may take.
const JOINING: Duration = Duration::from_secs(30);

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
        let lanes = lanes.iter().map(|beginning| self.lane(beginning));
        let monitor = judged.first().expect("one partition was asked for");
        Ok(Sight {
            stream: self.stream.name.clone(),
            baseline: self.guard.baseline().to_owned(),
            group: workers.name().to_owned(),
            members,
            partitions: lanes.collect(),
            monitor: self.monitor(monitor),
        })
    }

    /// What a reset would do, `from` an offset or where the partitions stand. Nobody may be at work.
    ///
    /// # Errors
    /// If somebody is, or the cluster does not answer.
    pub fn plan(self, what: What, from: Option<Offset>) -> Result<Plan, StateError> {
        let group = self.group(what)?;
        let members = group.members()?;
        if !members.is_empty() {
            return Err(StateError::Active { group: group.name().to_owned(), members });
        }
        let beginnings = self.beginnings(&group, what)?;
        let (mut next, mut lines) = (vec![], vec![]);
        for beginning in &beginnings {
            let partition = beginning.partition;
            let (at, why) = match what {
                What::Monitor => {
                    let state = kept(beginning, 0).and_then(|b| MonitorState::read(b).ok());
                    goes_on(beginning, state.as_ref().map(|state| (state.next(), state.log())))
                }
                What::Partitions(_) => {
                    let state = kept(beginning, 0).and_then(|b| LaneState::read(b, partition).ok());
                    goes_on(beginning, state.as_ref().map(|state| (state.next(), state.log())))
                }
            };
            let log = &beginning.log.extent;
            let (at, why) = match from {
                Some(from) if !(log.start..=log.end).contains(&from) => {
                    let (start, end) = (log.start, log.end);
                    return Err(StateError::NoOffset { partition, from, start, end });
                }
                Some(from) => (from, "as you say".to_owned()),
                None => (at, why),
            };
            next.push((partition, at));
            let name = &self.stream.name;
            let (who, forgets) = match what {
                What::Monitor => {
                    let seen = self.monitor(beginning);
                    (format!("stream {name}, monitor"), forgets_of_monitor(&seen))
                }
                What::Partitions(_) => {
                    let seen = self.lane(beginning);
                    (format!("stream {name}, partition {partition}"), forgets_of_lane(&seen, at))
                }
            };
            lines.push(format!("{who}: goes on at offset {at}, {why}"));
            lines.extend(forgets.into_iter().map(|line| format!("    {line}")));
        }
        Ok(Plan { what, beginnings, next, lines })
    }

    /// Does what `plan` says, in one transaction, or nothing.
    ///
    /// # Errors
    /// If somebody joined meanwhile, anything moved, or the transaction failed.
    pub fn reset(self, plan: &Plan) -> Result<(), StateError> {
        let Self { clients, stream, guard } = self;
        let group = self.group_name(plan.what);
        let (role, progress) = (format!("{}.state", stream.name), Arc::<Progress>::default());
        let session = {
            let (place, outputs) = ((&*group, self.topic(plan.what)), Outputs::of_monitor(stream));
            Session::join(clients, &role, place, &outputs, progress)?
        };
        let wanted = plan.next.iter().map(|&(partition, _)| partition).collect();
        take_over(&session, &group, wanted, clients.kafka().session_timeout + JOINING)?;
        // Ours now: whatever happened since the plan was made is visible and over.
        let partitions: Vec<Partition> =
            plan.next.iter().map(|&(partition, _)| partition).collect();
        let state = &stream.topics.state;
        let now = session.beginnings(&partitions, self.kept(plan.what))?;
        let moved = |(now, then): &(&Beginning, &Beginning)| now != then;
        if let Some((now, _)) = now.iter().zip(&plan.beginnings).find(moved) {
            return Err(StateError::Moved(now.partition));
        }
        let send = |partition, key, value: &[u8]| {
            let headers = &[];
            session.send(Output { topic: state, partition: Some(partition), key, value, headers })
        };
        for (beginning, &(partition, next)) in plan.beginnings.iter().zip(&plan.next) {
            match plan.what {
                What::Partitions(_) => {
                    let window_ms = stream.alerts.window.as_millis() as u64;
                    let log = beginning.log.extent.clone();
                    let lane = Lane::new(guard.baseline(), partition, next, window_ms).of_log(log);
                    send(partition, LANE_KEY, &lane.to_bytes())?;
                    send(partition, BOOT_KEY, &Boot::take_over(None, next, 0).to_bytes())?;
                }
                What::Monitor => {
                    for alert in self.ended(beginning) {
                        let value = alert.to_bytes();
                        session.send(Output {
                            topic: &stream.alerts.topic,
                            partition: None,
                            key: alert.dedup_key.as_bytes(),
                            value: &value,
                            headers: &Event::new(&alert, &value).headers(),
                        })?;
                    }
                    let fresh = monitor(stream, guard)
                        .starting_at(next)
                        .of_log(beginning.log.extent.clone());
                    send(partition, MONITOR_KEY, &fresh.to_bytes())?;
                }
            }
        }
        session.barrier()?;
        session.offsets(&plan.next)?;
        Ok(session.commit()?)
    }

    /// What is said of an incident that a reset of the monitor forgets.
    fn ended(self, beginning: &Beginning) -> Vec<Alert> {
        let state = kept(beginning, 0).and_then(|bytes| MonitorState::read(bytes).ok());
        let end =
            |state| monitor(self.stream, self.guard).end(&state, "the monitor's state was reset");
        state.map(end).unwrap_or_default()
    }

    fn lane(self, beginning: &Beginning) -> Remembered<At> {
        let baseline = self.guard.baseline();
        let fit = begin_lane(beginning, baseline, self.stream, self.offsets_lag());
        let state = kept(beginning, 0).and_then(|b| LaneState::read(b, beginning.partition).ok());
        let boot = kept(beginning, 1).and_then(|bytes| serde_json::from_slice(bytes).ok());
        Remembered {
            partition: beginning.partition,
            committed: beginning.committed,
            covered: state.as_ref().map(LaneState::next),
            oldest: beginning.log.extent.start,
            end: beginning.log.extent.end,
            problem: fit.err().map(|error| error.to_string()),
            baseline: state.as_ref().map(|state| state.baseline().to_owned()),
            boot,
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
            boot: None,
            kept: state.as_ref().map(judged),
        }
    }

    fn beginnings(self, group: &Group, what: What) -> Result<Vec<Beginning>, StateError> {
        let mut partitions = match what {
            What::Monitor => vec![EVIDENCE_PARTITION],
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
        }
    }

    fn topic(self, what: What) -> &'a str {
        match what {
            What::Partitions(_) => &self.stream.input,
            What::Monitor => &self.stream.topics.evidence,
        }
    }

    fn kept(self, what: What) -> Kept<'a> {
        let topic = &self.stream.topics.state;
        match what {
            What::Partitions(_) => Kept { topic, keys: &LANE_KEYS, extent: LaneState::log_of },
            What::Monitor => Kept { topic, keys: &[MONITOR_KEY], extent: MonitorState::log_of },
        }
    }

    fn offsets_lag(self) -> bool {
        self.clients.kafka().delivery == Delivery::AtLeastOnce
    }
}

/// Waits until the group gives us `wanted`. What is ours then stays ours until we give it back or
/// our session times out, and then the group takes no offsets from us.
fn take_over(
    session: &Session,
    group: &str,
    mut wanted: BTreeSet<Partition>,
    patience: Duration,
) -> Result<(), StateError> {
    let deadline = Instant::now() + patience;
    while !wanted.is_empty() {
        if Instant::now() >= deadline {
            let (group, missing) = (group.to_owned(), wanted.len());
            return Err(StateError::NotOurs { group, missing, waited: patience });
        }
        session.poll(Duration::from_millis(100))?;
        while let Some(change) = session.change() {
            match change {
                Change::Assigned(partitions) => {
                    let from: Vec<_> = partitions.iter().map(|&p| (p, Offset(0))).collect();
                    session.assign(&from)?;
                    session.pause(&partitions)?;
                    wanted.retain(|partition| !partitions.contains(partition));
                }
                Change::Revoked(partitions) | Change::Lost(partitions) => {
                    session.unassign(&partitions)?;
                    wanted.extend(partitions);
                }
            }
        }
    }
    Ok(())
}

/// Where a partition goes on after a reset, and why: where the group stands, as far as there is such a place in
/// the log that is there now.
fn goes_on(beginning: &Beginning, state: Option<(Offset, Option<&Extent>)>) -> (Offset, String) {
    let log = &beginning.log.extent;
    let stands = state.map(|(covered, _)| covered).or(beginning.committed);
    let known = state.and_then(|(_, known)| known);
    let gone = stands.and_then(|next| beginning.log.since(known, next));
    match (gone, beginning.committed) {
        (Some(gone), _) if gone.ambiguous => (gone.next, gone.to_string()),
        (_, None) => (log.start, "the oldest there is: the group committed nothing".into()),
        (_, Some(committed)) if committed < log.start => (
            log.start,
            format!("the oldest there is: the group committed {committed}, which is deleted"),
        ),
        (_, Some(committed)) if committed <= log.end => {
            (committed, "which the group committed".into())
        }
        (_, Some(committed)) => (
            log.start,
            format!(
                "the oldest there is: the group committed {committed}, but the topic ends at {}, so it was \
                 made anew",
                log.end
            ),
        ),
    }
}

fn forgets_of_lane(seen: &Remembered<At>, at: Offset) -> Vec<String> {
    let mut lines = vec![];
    match (&seen.kept, &seen.problem) {
        (Some(At {}), _) => {
            lines.push("forgets where it stands; what the monitor heard of it stays".into());
        }
        (None, Some(problem)) => {
            lines.push(format!("nothing is known of what it forgets: {problem}"))
        }
        (None, None) => lines.push("there is nothing to forget".into()),
    }
    match seen.covered {
        Some(covered) if covered < at => lines.push(format!(
            "records from {covered} up to {at} are done, as the group says, and are not done again: if somebody \
             moved its offset by hand, nobody works on them"
        )),
        Some(covered) if covered > at => lines.push(format!(
            "records from {at} up to {covered} were worked on before: they leave again and are \
             counted again"
        )),
        _ => {}
    }
    lines
}

fn forgets_of_monitor(seen: &Remembered<MonitorMemory>) -> Vec<String> {
    let mut lines = vec![match (&seen.kept, &seen.problem) {
        (Some(MonitorMemory { windows, .. }), _) => {
            format!("forgets {windows} windows and how near to an alarm they are")
        }
        (None, Some(problem)) => format!(
            "nothing is known of what it forgets, an incident that is firing included: {problem}"
        ),
        (None, None) => "there is nothing to forget".into(),
    }];
    for incident in seen.kept.iter().flat_map(|kept| &kept.firing) {
        lines.push(format!(
            "incident {} is firing: an alert says that it is over, because of this reset",
            incident.dedup_key
        ));
    }
    lines
}

fn kept(beginning: &Beginning, key: usize) -> Option<&[u8]> {
    beginning.kept.get(key)?.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Survey;

    fn beginning(committed: Option<i64>) -> Beginning {
        let (partition, oldest) = (Partition(0), Offset(5));
        let (committed, end) = (committed.map(Offset), Offset(9));
        let extent = Extent { topic: None, start: oldest, end, leader_epoch: None };
        let log = Survey { extent, parted: None };
        Beginning { partition, committed, log, kept: vec![] }
    }

    #[test]
    fn a_reset_goes_on_where_the_group_stands_unless_there_is_no_such_place() {
        for (committed, next) in
            [(Some(7), 7), (Some(9), 9), (Some(10), 5), (Some(4), 5), (None, 5)]
        {
            assert_eq!(goes_on(&beginning(committed), None).0, Offset(next), "{committed:?}");
        }
    }

    #[test]
    fn a_reset_goes_on_where_the_log_is_another() {
        let anew = |topic: &str| Extent { topic: Some(topic.into()), ..beginning(None).log.extent };
        for (topic, parted, next) in [("a", None, 8), ("b", None, 5), ("a", Some(6), 6)] {
            let mut now = beginning(Some(8));
            now.log = Survey { extent: anew(topic), parted: parted.map(Offset) };
            let was = anew("a");
            assert_eq!(
                goes_on(&now, Some((Offset(8), Some(&was)))).0,
                Offset(next),
                "{topic} {parted:?}"
            );
        }
    }

    #[test]
    fn what_a_reset_forgets_is_said_before_it_is_forgotten() {
        let seen = |covered: Option<i64>, problem: Option<&str>| Remembered {
            partition: Partition(0),
            committed: Some(Offset(9)),
            covered: covered.map(Offset),
            oldest: Offset(0),
            end: Offset(20),
            problem: problem.map(str::to_owned),
            baseline: None,
            boot: None,
            kept: covered.map(|_| At {}),
        };
        let say = |covered, problem| forgets_of_lane(&seen(covered, problem), Offset(9)).join("\n");
        insta::assert_snapshot!(
            [
                say(Some(9), None),
                say(Some(8), Some("it does not fit")),
                say(Some(12), Some("it does not fit")),
                say(None, Some("it cannot be read")),
                say(None, None),
            ]
            .join("\n"),
            @r"
        forgets where it stands; what the monitor heard of it stays
        forgets where it stands; what the monitor heard of it stays
        records from 8 up to 9 are done, as the group says, and are not done again: if somebody moved its offset by hand, nobody works on them
        forgets where it stands; what the monitor heard of it stays
        records from 9 up to 12 were worked on before: they leave again and are counted again
        nothing is known of what it forgets: it cannot be read
        there is nothing to forget
        "
        );
    }
}
