//! The incident of cause privacy: rows point to people.

use super::{About, Alert, Cause, ExposedSet, Incidents, Past, Status, Timestamp, tell};

impl Incidents {
    /// What the days `since..until` came to: an incident without watches begins, hears of another set, or is over.
    pub fn expose(
        &mut self,
        about: &About,
        (since, until): (Timestamp, Timestamp),
        exposed: Vec<ExposedSet>,
        keep_firing_for_ms: i64,
        alerts: &mut Vec<Alert>,
    ) {
        let open = self.open.get_mut(&Cause::Privacy);
        if exposed.is_empty() {
            if let Some(open) = open {
                open.until = open.until.max(until);
                self.end(about, Cause::Privacy, None, alerts);
            }
            return;
        }
        if let Some(open) = open {
            let is_new =
                |set: &ExposedSet| !open.exposed.iter().any(|k| k.features == set.features);
            let has_new = exposed.iter().any(is_new);
            (open.exposed, open.until) = (exposed, open.until.max(until));
            if has_new {
                alerts.push(tell(about, open, Status::Updated, None));
            }
            return;
        }
        // Other days are another incident.
        let another = |_: &_| false;
        let past = |_| Past::nothing(until);
        let (begun, status) =
            self.begin(about, Cause::Privacy, since, keep_firing_for_ms, another, past);
        let mut incident = super::Incident { exposed, ..begun };
        alerts.push(tell(about, &mut incident, status, None));
        self.open.insert(Cause::Privacy, incident);
    }
}
