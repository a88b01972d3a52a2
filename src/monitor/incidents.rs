//! The life of a stream's incidents: fires, grows, resolves, comes back.

mod exposure;
mod recurrence;
mod rules;

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use self::recurrence::came_back;
use crate::bundle::Digest;
use crate::decide::Mode;
use crate::monitor::incident::{ExposedSet, IncidentNotice, Past, most_are_lost};
use crate::monitor::{About, Alert, Cause, Finding, FiredWatch, Incident, Status};
use crate::record::{Partition, Timestamp};
use crate::watch::Counts;

/// Open incidents, and those of each cause that ended last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incidents {
    open: BTreeMap<Cause, Incident>,
    /// A new alarm within the hold opens them again.
    last: BTreeMap<Cause, Incident>,
    /// Builds before 2026-12-01 kept inhibited watches here. They are watched anew.
    #[serde(default, skip_serializing, rename = "orphans")]
    _orphans: IgnoredAny,
}

/// A watch that fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Fired {
    pub cause: Cause,
    pub watch: usize,
    pub since: Timestamp,
    pub finding: Finding,
}

/// Watches of one incident that are told one by one; those beyond are only counted.
const MEMBERS_MAX: usize = 64;

/// The number of a watch that is no more.
const GONE: usize = usize::MAX;

impl Incidents {
    pub fn open(&self) -> impl Iterator<Item = &Incident> {
        self.open.values()
    }

    pub fn is_open(&self, cause: Cause) -> bool {
        self.open.contains_key(&cause)
    }

    /// Counts a window into every open incident.
    pub fn count(&mut self, window: &Past) {
        self.open.values_mut().for_each(|incident| incident.count(window));
    }

    /// Tells again of incidents that do more harm, or have many more records, than when they were last told of: what a
    /// receiver shows would else stay as it was.
    pub fn keep_up(&mut self, about: &About, alerts: &mut Vec<Alert>) {
        for incident in self.open.values_mut().filter(|incident| !incident.members.is_empty()) {
            let worse = !incident.severe && incident.is_critical(about.policy);
            if worse || incident.has_grown() {
                alerts.push(tell(about, incident, Status::Updated, None));
            }
        }
    }

    /// Some watches fired together. If an incident of a parent cause is open, a watch joins that one. If an incident of its
    /// own cause is open, it joins this one. Otherwise an incident begins. `past` says what came since a time; its first
    /// flagged record is one of the partition, if they are judged one by one.
    pub fn fire(
        &mut self,
        about: &About,
        mut fired: Vec<Fired>,
        keep_firing_for_ms: i64,
        past: impl Fn(Timestamp, Option<Partition>) -> Past,
        alerts: &mut Vec<Alert>,
    ) {
        // Causes before what they bring along.
        fired.sort_by_key(|fired| (fired.cause, fired.watch, fired.finding.partition));
        let mut touched: BTreeMap<Cause, Status> = BTreeMap::new();
        let mut absorbed = vec![];
        let kinds: Vec<(Cause, Finding)> =
            fired.iter().map(|fired| (fired.cause, fired.finding.clone())).collect();
        for Fired { cause, watch, since, finding } in fired {
            let joins = |parent: &&Cause| {
                self.joins(cause, **parent, since, keep_firing_for_ms, about, &past)
            };
            let parent = cause.parents().iter().find(joins);
            let home = *parent.unwrap_or(&cause);
            let inhibited = parent.is_some();
            let member = FiredWatch { watch, cause, since, finding, inhibited, firing: true };
            if !self.open.contains_key(&home) {
                let partition = member.finding.partition;
                let past = |since| past(since, partition);
                let is_same = |last: &Incident| {
                    let of_home = kinds.iter().filter(|(cause, _)| *cause == home);
                    came_back(last, of_home.map(|(_, finding)| finding), &past(since))
                };
                let (mut incident, status) =
                    self.begin(about, home, since, keep_firing_for_ms, is_same, past);
                absorbed.extend(self.absorb(&mut incident, keep_firing_for_ms));
                self.open.insert(home, incident);
                touched.insert(home, status);
            }
            let incident = self.open.get_mut(&home).expect("it is there now");
            let members = &mut incident.members;
            match members.iter().position(|known| known.place() == member.place()) {
                Some(at) => members[at] = member,
                None if members.len() < MEMBERS_MAX => {
                    members.push(member);
                    // Whenever there are twice as many: what matters is told early, and not a
                    // hundred times.
                    let own = members.iter().filter(|member| !member.inhibited).count();
                    if !inhibited && own.is_power_of_two() {
                        touched.entry(home).or_insert(Status::Updated);
                    }
                }
                None => {}
            }
        }
        for (cause, status) in touched {
            let incident = self.open.get_mut(&cause).expect("it was touched");
            alerts.push(tell(about, incident, status, None));
        }
        for (child, note) in absorbed {
            self.end(about, child, Some(&note), alerts);
        }
    }

    /// Whether what fired comes with the open incident of `parent`. Broken records do only if they came with it and most
    /// others can be read: an outage must not hide behind an attack.
    fn joins(
        &self,
        cause: Cause,
        parent: Cause,
        since: Timestamp,
        keep_firing_for_ms: i64,
        about: &About,
        past: &impl Fn(Timestamp, Option<Partition>) -> Past,
    ) -> bool {
        let Some(open) = self.open.get(&parent) else { return false };
        let came_with_it = since.0.saturating_sub(open.since.0) < keep_firing_for_ms;
        let enforces = about.policy.mode == Mode::Enforce;
        let is_outage = || enforces && most_are_lost(&past(since, None).counts);
        cause != Cause::Quality || came_with_it && !is_outage()
    }

    /// What `incident` brings along was seen before it, and not long before: it is no incident of its
    /// own any more. Gives which those are, and what to say of them.
    fn absorb(&self, incident: &mut Incident, keep_firing_for_ms: i64) -> Vec<(Cause, String)> {
        let earliest = incident.since.0.saturating_sub(keep_firing_for_ms);
        let brought = |child: &&Incident| {
            let is_child = child.cause.parents().contains(&incident.cause);
            is_child && child.since.0 > earliest && !child.severe
        };
        let children: Vec<&Incident> = self.open.values().filter(brought).collect();
        for child in &children {
            let members = child.members.iter().filter(|member| member.firing).cloned();
            let inhibited = members.map(|member| FiredWatch { inhibited: true, ..member });
            let room = MEMBERS_MAX.saturating_sub(incident.members.len() + 1);
            incident.members.extend(inhibited.take(room));
        }
        let note =
            format!("it came with {} incident {}", incident.cause.name(), incident.dedup_key);
        children.into_iter().map(|child| (child.cause, note.clone())).collect()
    }

    /// What a watch saw, on a partition if they are judged one by one, is gone; an incident is over when
    /// that is so for all of its own watches. Gives the causes of those that are over, except incidents of single clients:
    /// what such a cause brings along is to be watched anew, because what was seen of it so far came from the incident.
    pub fn resolve(
        &mut self,
        about: &About,
        place: (Option<Partition>, usize),
        alerts: &mut Vec<Alert>,
    ) -> Vec<Cause> {
        let mut over = vec![];
        for (&cause, incident) in &mut self.open {
            let member = incident.members.iter_mut().find(|member| member.place() == place);
            member.into_iter().for_each(|member| member.firing = false);
            let still = |member: &FiredWatch| member.firing && !member.inhibited;
            if !incident.members.is_empty() && !incident.members.iter().any(still) {
                over.push(cause);
            }
        }
        let of_stream = |cause: &&Cause| !self.open[*cause].is_of_clients();
        let ended = over.iter().filter(of_stream).copied().collect();
        over.into_iter().for_each(|cause| self.end(about, cause, None, alerts));
        ended
    }

    /// Whether an open incident is about what this watch saw.
    pub fn is_about(&self, place: (Option<Partition>, usize)) -> bool {
        let members = self.open.values().flat_map(|incident| &incident.members);
        let mut own = members.filter(|member| member.firing && !member.inhibited);
        own.any(|member| member.place() == place)
    }

    /// The incident of this cause is over, for the reason that `note` gives.
    pub fn end(
        &mut self,
        about: &About,
        cause: Cause,
        note: Option<&str>,
        alerts: &mut Vec<Alert>,
    ) {
        if let Some(mut ended) = self.open.remove(&cause) {
            alerts.push(tell(about, &mut ended, Status::Resolved, note));
            self.last.insert(cause, ended);
        }
    }

    /// The features are other ones now.
    pub fn forget_oddities(&mut self) {
        for incident in self.open.values_mut().chain(self.last.values_mut()) {
            (incident.oddities, incident.exemplars) = Default::default();
        }
    }

    /// The watches are those of another bundle now. `goes_on` says where a watch that fired is among them, if what it saw
    /// is still watched. An incident of which nothing is watched any more is over, for the reason `note`; it opens again
    /// within the hold. Incidents without watches go on.
    pub fn under(
        &mut self,
        about: &About,
        goes_on: impl Fn(&FiredWatch) -> Option<usize>,
        note: &str,
        alerts: &mut Vec<Alert>,
    ) {
        let mut over = vec![];
        for (&cause, incident) in &mut self.open {
            if incident.members.is_empty() {
                continue;
            }
            let mut taken = vec![];
            for member in &mut incident.members {
                let place = goes_on(member).map(|watch| (member.finding.partition, watch));
                let place = place.filter(|place| !taken.contains(place));
                member.watch = place.map_or(GONE, |(_, watch)| watch);
                member.firing &= place.is_some();
                taken.extend(place);
            }
            if !incident.members.iter().any(|member| member.firing && !member.inhibited) {
                over.push(cause);
            }
        }
        over.into_iter().for_each(|cause| self.end(about, cause, Some(note), alerts));
    }

    /// An incident begins or, if the last one of its cause ended a moment ago and was about the same, goes on.
    fn begin(
        &self,
        about: &About,
        cause: Cause,
        since: Timestamp,
        keep_firing_for_ms: i64,
        is_same: impl Fn(&Incident) -> bool,
        past: impl Fn(Timestamp) -> Past,
    ) -> (Incident, Status) {
        let last = self.last.get(&cause);
        let is_recent =
            |last: &&Incident| since.0.saturating_sub(last.until.0) < keep_firing_for_ms;
        if let Some(last) = last.filter(is_recent).filter(|last| is_same(last)) {
            // The change may have begun before it was told that all was over.
            let past = past(since.max(last.until));
            let mut again = Incident { members: vec![], ..last.clone() };
            again.count(&past);
            (again.since, again.until) = (last.since.min(since), past.until);
            again.first = last.first.or(past.first);
            return (again, Status::Updated);
        }
        let past = past(since);
        let key_of = |salt: &str| {
            let About { stream, baseline, .. } = about;
            let name = format!("{stream}\0{baseline}\0{}\0{}{salt}", cause.name(), since.0);
            Digest(Sha256::digest(name).into()).to_string()[..32].to_owned()
        };
        let mut dedup_key = key_of("");
        if last.is_some_and(|last| last.dedup_key == dedup_key) {
            dedup_key = key_of("\0another");
        }
        let mut begun = Incident {
            cause,
            dedup_key,
            since,
            until: past.until,
            counts: Counts::default(),
            first: past.first,
            oddities: Default::default(),
            exemplars: Default::default(),
            severe: false,
            told: Default::default(),
            exposed: vec![],
            members: vec![],
        };
        begun.count(&past);
        (begun, Status::Firing)
    }

    /// What is said of incidents that nobody follows any more.
    pub fn abandon(&self, about: &About, note: &str) -> Vec<Alert> {
        let say = |incident| Alert::new(about, incident, Status::Resolved, Some(note));
        self.open.values().map(say).collect()
    }
}

/// The message about an incident, which remembers what it told.
fn tell(about: &About, incident: &mut Incident, status: Status, note: Option<&str>) -> Alert {
    incident.severe |= incident.is_critical(about.policy);
    incident.told = IncidentNotice { records: incident.harmed(), until: incident.until };
    Alert::new(about, incident, status, note)
}

#[cfg(test)]
mod tests;
