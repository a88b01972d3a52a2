//! Who sent a record, for the client monitor: by which name, from where, and what is odd about its rows.

use crate::clients::{Visit, origin};
use crate::config::Clients;
use crate::record::Record;
use crate::score::{Outcome, fault_visit};
use crate::watch::WindowStart;

/// The visits of a record that was settled in `window`, whose `rows` were marked; of one that could not be read, one. What
/// the guard passed unscored is told of by nobody.
pub(super) fn visits<'a>(
    clients: &Clients,
    record: &Record<'_>,
    window: WindowStart,
    outcome: &Outcome,
    rows: &'a [Visit],
) -> impl Iterator<Item = Visit> + use<'a> {
    let names = clients.names.as_ref();
    let id = names.and_then(|names| Some((names, clients.id.of(record)?)));
    let client = id.map(|(names, id)| names.name(window, &id));
    let from = names.zip(clients.origin.as_ref());
    let from = from
        .and_then(|(names, header)| Some(names.origin(window, &origin(record.headers, header)?)));
    let offset = record.at.offset.0;
    let fault = outcome.judged.is_err().then(fault_visit);
    let whose = move |visit: Visit| Visit { offset, client, origin: from, ..visit };
    rows.iter().cloned().chain(fault).map(whose)
}
