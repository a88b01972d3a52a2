//! The client monitor of a stream, as its configuration and its bundle say.

use std::sync::Arc;

use crate::bundle::Bundle;
use crate::clients::{ClientMonitor, ClientTerms, MARKS};
use crate::config::Stream;
use crate::score::{Guard, GuardError};

/// `guard`, which marks rows if clients of `stream` are watched.
///
/// # Errors
/// If the bundle's fingerprints are not those of its rows.
pub fn marking(guard: Guard, stream: &Stream, bundle: &Bundle) -> Result<Guard, GuardError> {
    match &stream.clients {
        Some(clients) => guard.marking(bundle, &clients.print_key(), clients.settings.horizon_rows),
        None => Ok(guard),
    }
}

/// A client monitor that has read nothing; none if nobody asks.
pub fn monitor(stream: &Stream, guard: &Guard) -> Option<ClientMonitor> {
    let (clients, marks) = (stream.clients.as_ref()?, guard.marks()?);
    let alerts = &stream.alerts;
    let times = (alerts.window.as_millis() as u64, alerts.period.as_millis() as u64);
    let known = (&marks.clean, marks.threshold());
    let dependence = guard.dependence();
    let moves = dependence.is_some_and(|dependence| !dependence.stationary);
    let depends = dependence.is_some_and(|dependence| dependence.slot_ms > 0);
    let keep_firing_for_ms = alerts.keep_firing_for.as_millis() as u64;
    let terms = ClientTerms::new(guard.baseline(), times, known, clients.settings.clone())
        .watching(&stream.name, keep_firing_for_ms, (moves, depends));
    Some(ClientMonitor::new(Arc::new(terms)))
}

/// What `check` says: which marks are on, and why others are not.
pub fn said(stream: &Stream, guard: &Guard) -> Vec<String> {
    let (Some(clients), Some(marks)) = (&stream.clients, guard.marks()) else { return vec![] };
    let mut lines = vec![];
    let on = MARKS.iter().filter_map(|mark| {
        let share = mark.clean_share(&marks.clean)?;
        Some(format!("{} (at most {:.3}% of clean rows)", mark.name(), 100.0 * share))
    });
    lines.push(format!("clients are watched by {}", on.collect::<Vec<_>>().join(", ")));
    if marks.threshold() == 0 {
        lines.push(match marks.has_prints() {
            true => "the mark matched is off: clean rows of this bundle match each other too often".into(),
            false => {
                "the mark matched is off, and no cells are watched: the bundle has no fingerprints (images that \
                 this build fits have)"
                    .into()
            }
        });
    }
    if marks.clean.confidence.is_none() {
        lines.push("the mark low-margin is off: there is no protected model, or clean rows are all near a border".into());
    }
    if let Some(known) = clients.settings.known {
        let marks =
            if known.origins { "new-origin, odd-hour and travel are" } else { "odd-hour is" };
        lines.push(format!(
            "of clients that are known for a week, {marks} counted, and watched after two weeks of the stream"
        ));
        if !known.origins {
            lines.push("the marks new-origin and travel are off: `origin` names no header".into());
        }
    }
    if clients.names.is_none() {
        lines.push(
            "records are not asked who sent them: cells and the stream are watched, no client"
                .into(),
        );
    }
    lines
}
