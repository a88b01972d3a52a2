//! Incidents of plain rules: no data, a partition that stands still, records that are lost.

use super::{Incidents, tell};
use crate::monitor::incident::Past;
use crate::monitor::{About, Alert, Cause, Incident, Status};
use crate::record::{Offset, Partition, Timestamp};
use crate::watch::{Loss, LossCause};

impl Incidents {
    /// An incident without watches: nobody sends.
    pub fn no_data(
        &mut self,
        about: &About,
        since: Timestamp,
        keep_firing_for_ms: i64,
        alerts: &mut Vec<Alert>,
    ) {
        let (mut incident, status) =
            self.begin(about, Cause::NoData, since, keep_firing_for_ms, |_| true, Past::nothing);
        alerts.push(tell(about, &mut incident, status, None));
        self.open.insert(Cause::NoData, incident);
    }

    /// An incident without watches: a partition stands still at an offset.
    pub fn stall(
        &mut self,
        about: &About,
        since: Timestamp,
        at: (Partition, Offset),
        keep_firing_for_ms: i64,
        alerts: &mut Vec<Alert>,
    ) {
        // Another partition stands still for a reason of its own.
        let is_same = |last: &Incident| last.first.is_some_and(|(partition, _)| partition == at.0);
        let (begun, status) =
            self.begin(about, Cause::Stall, since, keep_firing_for_ms, is_same, Past::nothing);
        let mut incident = Incident { first: Some(at), ..begun };
        alerts.push(tell(about, &mut incident, status, None));
        self.open.insert(Cause::Stall, incident);
    }

    /// An incident without watches: records of the input are gone. Another loss joins the one that is open.
    pub fn lose(
        &mut self,
        about: &About,
        at: Timestamp,
        loss: &Loss,
        keep_firing_for_ms: i64,
        alerts: &mut Vec<Alert>,
    ) {
        // What is lost now was not lost then.
        let another = |_: &Incident| false;
        let begin =
            || self.begin(about, Cause::DataLoss, at, keep_firing_for_ms, another, Past::nothing);
        let open = self.open.get(&Cause::DataLoss).cloned();
        let (mut incident, status) = open.map_or_else(begin, |open| (open, Status::Updated));
        match loss.cause {
            LossCause::Output => incident.counts.outputs_lost += loss.unread,
            LossCause::Retention => incident.counts.lost += loss.unread,
            LossCause::Truncation | LossCause::Anew => {
                incident.counts.lost += loss.unread;
                incident.counts.other_logs += 1;
            }
        }
        incident.until = incident.until.max(at);
        incident.first.get_or_insert((loss.partition, loss.from));
        alerts.push(tell(about, &mut incident, status, None));
        self.open.insert(Cause::DataLoss, incident);
    }

    /// No partition stands still any more.
    pub fn go_on(&mut self, about: &About, at: Timestamp, alerts: &mut Vec<Alert>) {
        if let Some(incident) = self.open.get_mut(&Cause::Stall) {
            incident.until = incident.until.max(at);
        }
        self.end(about, Cause::Stall, None, alerts);
    }
}
