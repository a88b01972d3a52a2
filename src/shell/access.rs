//! Who came to a stream, read from its topic of visits: no group notices.

use std::time::Duration;

use super::kafka::Clients;
use super::sample::{Limits, SampleError, sample};
use crate::clients::{AccessTable, VisitMessage};
use crate::config::Stream;
use crate::record::Timestamp;

/// More messages than a topic holds.
const RECORDS_MAX: usize = 1 << 40;
/// How long reading a week of visits may take.
const TIME: Duration = Duration::from_secs(600);

/// Clients in windows from `since` on, and whether the topic was read to its end.
///
/// # Errors
/// If the topic is not there or Kafka does not answer.
pub fn access(
    clients: &Clients,
    stream: &Stream,
    since: Timestamp,
) -> Result<(AccessTable, bool), SampleError> {
    let limits = Limits { records: RECORDS_MAX, bytes: usize::MAX, time: TIME, committed: true };
    let mut table = AccessTable::default();
    let sampled = sample(clients, &stream.topics.visits, limits, |record| {
        // What another version wrote is passed over, as the client monitor does.
        if let Some(Ok(VisitMessage::Visits(visits))) = record.value.map(VisitMessage::from_bytes) {
            table.add(&visits, since);
        }
        true
    })?;
    Ok((table, !sampled.cut_short))
}
