//! How many rows one client may send: a plain rule, outside of the budget of false pages.

use super::ClientMonitor;
use crate::clients::RowVisit;
use crate::watch::{ClientFinding, Keying, WindowStart};

/// Clients whose rows are counted for a quota: the smallest counts are lost first.
const QUOTA_MAX: usize = 4096;

/// What a finding calls a client that sends more than it may.
pub const QUOTA: &str = "quota";

impl ClientMonitor {
    /// A plain rule: rows of one client in one span of time, by Misra and Gries: never more than there were.
    pub(super) fn count_quota(&mut self, window: WindowStart, visits: &[RowVisit]) {
        let Some((rows_max, per_ms)) = self.terms.settings.quota else { return };
        let span = window.0.div_euclid(per_ms as i64);
        if span > self.state.quota_span {
            self.state.quota_span = span;
            self.state.quota.clear();
        }
        for client in visits.iter().filter_map(|visit| visit.client) {
            let room = self.state.quota.len() < QUOTA_MAX;
            match self.state.quota.get_mut(&client.0) {
                Some(count) => *count += 1,
                None if room => drop(self.state.quota.insert(client.0, 1)),
                None => self.state.quota.retain(|_, count| {
                    *count -= 1;
                    *count > 0
                }),
            }
            let count = self.state.quota.get(&client.0).copied().unwrap_or(0);
            // Told when it goes beyond, once.
            if count == rows_max + 1 && !self.terms.is_accepted(client.0, window) {
                self.state.quota_findings.push(ClientFinding {
                    keying: Keying::Client,
                    key: client.to_string(),
                    mark: QUOTA.into(),
                    rows: count,
                    marked: count,
                    clean_share: 0.0,
                    allowed: rows_max,
                    since: window,
                    sample: None,
                });
            }
        }
    }
}
