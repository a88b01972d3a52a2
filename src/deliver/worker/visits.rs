//! Who sent a record, for the client monitor: by which name, from where, and what is odd about its rows.

use crate::clients::{RowVisit, origin};
use crate::config::StreamClients;
use crate::record::Record;
use crate::score::{Outcome, fault_visit};
use crate::watch::WindowStart;

/// The visits of a record that was counted in `window`, whose `rows` were marked; of one that could not be read, one. What
/// the guard passed unscored is told of by nobody. It allocates for the id and for fingerprints, only where clients are
/// watched: a header is lent for the time of a call, and fingerprints travel on to a message.
pub(super) fn visits<'a>(
    clients: &StreamClients,
    record: &Record<'_>,
    window: WindowStart,
    outcome: &Outcome,
    rows: &'a [RowVisit],
) -> impl Iterator<Item = RowVisit> + use<'a> {
    let names = clients.names.as_ref();
    let id = names.and_then(|names| Some((names, clients.id.of(record)?)));
    let client = id.map(|(names, id)| names.name(window, &id));
    let from = names.zip(clients.origin.as_ref());
    let from = from
        .and_then(|(names, header)| Some(names.origin(window, &origin(record.headers, header)?)));
    let offset = record.at.offset.0;
    let fault = outcome.judged.is_err().then(fault_visit);
    let whose = move |visit: RowVisit| RowVisit { offset, client, origin: from, ..visit };
    rows.iter().cloned().chain(fault).map(whose)
}
