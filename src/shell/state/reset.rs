//! Resets what a stream's partitions or its monitor remember: thought through first, then done in one transaction.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::followers::{follower_state, forgets_of_follower};
use super::{At, MonitorMemory, Remembered, StateError, Watched, What, kept};
use crate::deliver::{
    Beginning, CRASH_LOOP_KEY, Change, CrashLoopGuard, LANE_KEY, MONITOR_KEY, Output, Outputs,
    Progress, Session as _,
};
use crate::monitor::{Alert, Event, MonitorState};
use crate::record::{Extent, Offset, Partition};
use crate::score::{Lane, LaneState};
use crate::shell::kafka::Session;
use crate::shell::run::monitor;

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

/// Beside a session's timeout, how long joining a group may take.
const JOINING: Duration = Duration::from_secs(30);

impl Watched<'_> {
    /// What a reset would do, `from` an offset or where the partitions stand. Nobody may be at work.
    ///
    /// # Errors
    /// If somebody is, or the cluster does not answer.
    pub fn plan(self, what: What, from: Option<Offset>) -> Result<Plan, StateError> {
        self.is_watched(what)?;
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
                What::Clients | What::Answers => {
                    let state = follower_state(beginning);
                    goes_on(beginning, state.as_ref().map(|state| (state.span().0, state.log())))
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
                What::Clients | What::Answers => {
                    let seen = self.follower(what, beginning);
                    let who =
                        if what == What::Clients { "client monitor" } else { "join of answers" };
                    (format!("stream {name}, {who}"), forgets_of_follower(what, &seen))
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
            let topic = self.topic(plan.what);
            let outputs = match plan.what {
                What::Partitions(_) | What::Monitor => Outputs::of_monitor(stream),
                What::Clients | What::Answers => Outputs::of_follower(stream, topic),
            };
            let place = (&*group, topic);
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
                    send(
                        partition,
                        CRASH_LOOP_KEY,
                        &CrashLoopGuard::take_over(None, next, 0).to_bytes(),
                    )?;
                }
                What::Clients | What::Answers => {
                    let log = &beginning.log.extent;
                    let (key, state) =
                        self.fresh_state(plan.what, next, log).expect("it is watched");
                    send(partition, key, &state)?;
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
pub(super) fn goes_on(
    beginning: &Beginning,
    state: Option<(Offset, Option<&Extent>)>,
) -> (Offset, String) {
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

pub(super) fn forgets_of_lane(seen: &Remembered<At>, at: Offset) -> Vec<String> {
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
