//! A stream's guard and monitor, made from its configuration and its bundle.

use std::sync::Arc;

use tracing::warn;

use super::RunError;
use crate::bundle::Bundle;
use crate::clients::HUNDREDTHS;
use crate::config::Stream;
use crate::decide::OnFlagged;
use crate::monitor::{About, Frame, Monitor};
use crate::score::Guard;
use crate::shell::{bundle, clients, lineage};
use crate::watch::answers::{answer_hypotheses, beside_answers};
use crate::watch::{Terms, Times, Watch, hypotheses};

/// The bundle of `stream`, and what it knows.
///
/// # Errors
/// If it cannot be read, is not what its manifest says, cannot keep the budget, or corrects at a price that
/// `fit` was told not to pay.
pub fn guard(stream: &Stream) -> Result<(Bundle, Guard), RunError> {
    let name = || stream.name.clone();
    for path in bundle::writable_by_all(&stream.bundle) {
        let path = path.display();
        warn!(stream = stream.name, %path, "everybody on this machine may write to a bundle: chmod o-w");
    }
    let bundle = match &stream.bundle_key {
        Some(key) => bundle::read_signed(&stream.bundle, key),
        None => bundle::read(&stream.bundle),
    };
    let bundle = bundle.map_err(|error| RunError::Bundle { stream: name(), error })?;
    let guard = Guard::new(&bundle, stream.budget, stream.policy, &stream.codec)
        .and_then(|guard| guard.with_outputs(&stream.outputs, &stream.codec))
        .and_then(|guard| guard.with_opener(stream.decrypt.as_ref()))
        .and_then(|guard| guard.counting(stream.privacy.as_ref()))
        .map_err(|error| RunError::Guard { stream: name(), path: stream.bundle.clone(), error })?;
    let guard = clients::marking(guard, stream, &bundle).map_err(|error| RunError::Guard {
        stream: name(),
        path: stream.bundle.clone(),
        error,
    })?;
    let guard = match stream.reason_values {
        true => guard.telling_values(&stream.codec),
        false => guard,
    };
    let guard = match stream.answers {
        Some(_) => guard.telling_answers(),
        None => guard,
    };
    if stream.answers.is_some() && !guard.tells_answers() {
        return Err(RunError::NoOwnAnswers { stream: name(), path: stream.bundle.clone() });
    }
    if let Some(correction) = guard.correction().filter(|correction| !correction.is_bearable())
        && stream.policy.on_flagged == OnFlagged::Correct
    {
        let (lost, loss_max) = (100.0 * correction.lost, correction.loss_max);
        let (stream, path) = (name(), stream.bundle.clone());
        return Err(RunError::Correction { stream, path, lost, loss_max });
    }
    Ok((bundle, guard))
}

/// A monitor of `stream` that has heard nothing.
pub fn monitor(stream: &Stream, guard: &Guard) -> Monitor {
    Monitor::new(Arc::new(frame(stream, guard)))
}

/// What the monitor of `stream` is told.
pub fn frame(stream: &Stream, guard: &Guard) -> Frame {
    let clean = guard.clean();
    let budget = clean.budget;
    let false_page_ms = stream.alerts.period.as_millis() as u64;
    let about = About {
        stream: stream.name.clone(),
        input: stream.input.clone(),
        sanitized: stream.topics.sanitized.clone(),
        quarantine: stream.topics.quarantine.clone(),
        dead_letter: stream.topics.dead_letter.clone(),
        baseline: guard.baseline().to_owned(),
        bundle: guard.digest().to_string(),
        policy: guard.policy(),
        budget,
        false_page_ms,
        schema: guard.schema().clone(),
        brokers: stream.brokers.clone(),
        file: stream.file.display().to_string(),
    };
    let times = Times {
        window_ms: stream.alerts.window.as_millis() as u64,
        false_page_ms,
        keep_firing_for_ms: stream.alerts.keep_firing_for.as_millis() as u64,
    };
    let signals = guard.signals().clone();
    // Ranks bound false alarms only for stationary rows. A bound with a tolerance holds for all.
    let moves = guard.dependence().is_some_and(|dependence| !dependence.stationary);
    let wanted = |watch: &dyn Watch| !(moves && watch.needs_stationary_rows());
    let mut of_records = hypotheses(&signals, clean, wanted);
    let depends = guard.dependence().is_some_and(|dependence| dependence.slot_ms > 0);
    let answers = stream.answers.as_ref().map(|answers| {
        beside_answers(&mut of_records);
        let of_pairs = answer_hypotheses(answers.differ_max, moves || depends);
        Terms::new(guard.baseline(), &stream.name, of_pairs, times)
    });
    let mut terms = Terms::new(guard.baseline(), &stream.name, of_records, times);
    if depends {
        terms.draws_max = 1;
    }
    if stream.clients.is_some() {
        terms = terms.leaving(HUNDREDTHS);
    }
    let no_data_ms = stream.alerts.no_data.map(|after| after.as_millis() as u64);
    let (schema, per_partition) = (guard.schema().clone(), stream.alerts.per_partition);
    let quasi = guard.quasi().cloned();
    let lineage = lineage::facts(stream, guard, &terms).map(Arc::new);
    Frame { about, terms, answers, signals, schema, no_data_ms, per_partition, quasi, lineage }
}
