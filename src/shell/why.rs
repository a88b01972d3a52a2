//! One decision, made again from the record that it was about, and what can be said of it.
//!
//! The record is read where it came from and scored by the configuration as it is now. Then every bit of the trace
//! header must come out again; where one does not, that is said and nothing is explained: another bundle, another
//! configuration or another record decided.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::bundle::key_id;
use super::kafka::Clients;
use super::lineage::run_id;
use super::run::Prepared;
use super::sample::records_at;
use super::scorer::{StreamScorer, hexadecimal};
use super::trial::Trial;
use crate::config::{Config, Stream};
use crate::decide::Mode;
use crate::deliver::Scorer as _;
use crate::emit::{ReadTrace, TRACE};
use crate::model::Runtime;
use crate::record::{Action, OwnedRecord, Part, Position, Record};
use crate::score::{Explanation, Outcome};

/// Parts that are listed.
const LISTED: usize = 64;

/// A decision and its reasons.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecisionReport {
    /// The verdict header: `pass`, `quarantine`, …
    pub decision: &'static str,
    pub mode: &'static str,
    /// What is wrong with the record, if it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    pub stream: String,
    pub source: Source,
    pub bundle: BundleIdentity,
    /// Share of clean records that may be flagged.
    pub budget: f64,
    /// Share of clean records that are as suspicious, and the merged score; none of a record that was not scored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// Rows of the record, and the one that scores and reasons are about, from 0.
    pub rows: u32,
    pub row: u32,
    pub detectors: Vec<DetectorScore>,
    pub reasons: Vec<PartReason>,
    /// What a correction changed.
    pub changes: Vec<PartChange>,
    /// A small change with which it would have passed. `null`: none was found.
    pub would_pass_if: Option<Vec<PartValue>>,
    /// The run of OpenLineage whose events count the record, if one of them is still in the topic of `[stream.lineage]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Whether the trace of the record was compared bit for bit with this one; an input record has none.
    pub repeated: bool,
}

/// Where the record came from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Of its value.
    pub sha256: String,
}

/// What decided.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BundleIdentity {
    pub digest: String,
    pub revision: String,
    /// Clean rows that the budget was learned from.
    pub clean_rows: u64,
    /// The key that its signature was verified with: SHA-256 of its PEM. None if the stream has no `bundle_key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DetectorScore {
    pub name: &'static str,
    pub score: f32,
    /// Of the merged score, 0 to 1; none of a record that passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f32>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartReason {
    pub feature: String,
    /// Of what the leading detector found, 0 to 1.
    pub share: f32,
    pub seen: String,
    pub typical: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartChange {
    pub row: usize,
    pub feature: String,
    pub before: String,
    pub after: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartValue {
    pub row: usize,
    pub feature: String,
    pub from: String,
    pub to: String,
}

/// Why a decision cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum WhyError {
    #[error("{0}")]
    Other(String),
    /// The decision does not come out again.
    #[error("the decision does not come out again: {0}")]
    Differs(String),
}

fn other(error: impl ToString) -> WhyError {
    WhyError::Other(error.to_string())
}

/// Explains the record at `at` of `topic`, which is an output or the input of a stream of `config`.
///
/// # Errors
/// If no stream has the topic, the record is not there, the bundle cannot be used, or the decision does not come out
/// again.
pub fn why(config: &Config, topic: &str, at: Position) -> Result<DecisionReport, WhyError> {
    let (stream, is_input) = stream_of(config, topic)?;
    let clients = Clients::new(config.kafka.clone(), &config.instance);
    let found = record_at(&clients, topic, at)?;
    let runtime = Runtime::load(config.onnxruntime.as_deref()).map_err(other)?;
    let trial = Trial::by_this_program();
    let prepared = Prepared::new(&runtime, &trial, stream, config.registry.as_ref());
    let (mut scorer, _) = prepared.map_err(other)?.into_scorer();
    if is_input {
        return decision(stream, &mut scorer, (at, &found), None);
    }
    let header = found.header(TRACE).ok_or_else(|| {
        other(format!("the record has no header {TRACE}: Tripline did not write it, or was told to leave it out"))
    })?;
    let unread =
        || other(format!("its header {TRACE} is of a version that this build does not read"));
    let source = ReadTrace::unpack(header).ok_or_else(unread)?.source;
    let original = record_at(&clients, &stream.input, source)?;
    let report = decision(stream, &mut scorer, (source, &original), Some(&found))?;
    Ok(DecisionReport { run_id: run_id(&clients, stream, source), ..report })
}

fn record_at(clients: &Clients, topic: &str, at: Position) -> Result<OwnedRecord, WhyError> {
    let found = records_at(clients, topic, &[at]).map_err(other)?;
    let record = found.into_iter().find_map(|(_, record)| record);
    record.ok_or_else(|| {
        let Position { partition, offset } = at;
        other(format!(
            "partition {partition} of {topic} has no record at offset {offset}: retention or compaction removed it, it \
             was never committed, or it is the marker of a transaction"
        ))
    })
}

fn stream_of<'c>(config: &'c Config, topic: &str) -> Result<(&'c Stream, bool), WhyError> {
    let is_output = |stream: &&Stream| {
        let topics = &stream.topics;
        [&topics.sanitized, &topics.quarantine, &topics.dead_letter].contains(&&topic.to_owned())
    };
    if let Some(stream) = config.streams.iter().find(is_output) {
        return Ok((stream, false));
    }
    let input = config.streams.iter().find(|stream| stream.input == topic);
    input.map(|stream| (stream, true)).ok_or_else(|| {
        let of = |s: &Stream| {
            let t = &s.topics;
            format!("{}, {}, {}, {}", s.input, t.sanitized, t.quarantine, t.dead_letter)
        };
        let known: Vec<String> = config.streams.iter().map(of).collect();
        other(format!(
            "no stream of the configuration has topic {topic}; they have {}",
            known.join("; ")
        ))
    })
}

/// Decides on `record` again. `left` is the record as it left, if that is compared.
///
/// # Errors
/// If something is missing to read it, nothing can be scored, or the decision is another.
pub fn decision(
    stream: &Stream,
    scorer: &mut StreamScorer,
    (at, record): (Position, &OwnedRecord),
    left: Option<&OwnedRecord>,
) -> Result<DecisionReport, WhyError> {
    let record = record.at(at);
    scorer.fetch(&[record]);
    if scorer.misses(&record) {
        return Err(other("its schema cannot be fetched from the registry now: try again later"));
    }
    scorer.score(&[record]).map_err(other)?;
    let outcome = scorer.outcomes()[0].clone();
    let trace = scorer.traces()[outcome.trace.clone()].to_vec();
    if let Some(left) = left {
        let whole = stream.outputs.is_empty() && !scorer.guard().seals_anew();
        compare(scorer, (&record, &outcome), &trace, left, whole)?;
    }
    let trace = ReadTrace::unpack(&trace).expect("it was packed here");
    let verdict = outcome.judged.ok().filter(|_| !outcome.unscored);
    let flagged = verdict.is_some_and(|verdict| verdict.action != Action::Pass);
    let (reasons, changes) = match scorer.explain(0).filter(|_| flagged) {
        // What steps make poorer shows no correction.
        Some(explanation) if stream.outputs.is_empty() => {
            (reasons(scorer, &explanation), changes(scorer, &record, &outcome))
        }
        Some(explanation) => (reasons(scorer, &explanation), vec![]),
        None => (vec![], vec![]),
    };
    let detectors = scorer.explain(0).map_or_else(Vec::new, |explanation| {
        let shares = if flagged { explanation.shares() } else { vec![] };
        let scores = scorer.guard().detectors().iter().zip(explanation.scores()).enumerate();
        let detector = |(i, (&name, &score)): (usize, (&&'static str, &f32))| DetectorScore {
            name,
            score,
            share: shares.get(i).copied(),
        };
        scores.map(detector).collect()
    });
    let would_pass_if = match flagged {
        true => would_pass_if(scorer, &record)?,
        false => Some(vec![]),
    };
    let guard = scorer.guard();
    let mode = match guard.policy().mode {
        Mode::Observe => "observe",
        Mode::Enforce => "enforce",
    };
    let fault = outcome.judged.err().map(|fault| fault.told(guard.schema(), record.value, true));
    Ok(DecisionReport {
        decision: outcome.text,
        mode,
        would_pass_if: would_pass_if.filter(|_| fault.is_none()),
        fault,
        stream: stream.name.clone(),
        source: Source {
            topic: stream.input.clone(),
            partition: at.partition.0,
            offset: at.offset.0,
            timestamp_ms: record.stamp.at.0,
            sha256: hex(&Sha256::digest(record.value.unwrap_or_default())),
        },
        bundle: BundleIdentity {
            digest: guard.digest().to_string(),
            revision: hexadecimal(guard.revision()),
            clean_rows: guard.clean().rows,
            signed_by: stream.bundle_key.as_deref().map(key_id).transpose().map_err(other)?,
        },
        budget: guard.decider().budget().get(),
        p: verdict.map(|verdict| verdict.p),
        score: verdict.map(|verdict| verdict.score),
        rows: trace.rows,
        row: trace.row,
        detectors,
        reasons,
        changes,
        run_id: None,
        repeated: left.is_some(),
    })
}

/// `whole`: records leave as they are or corrected, without steps that make them poorer.
///
/// # Errors
/// The first thing that is not as it was.
fn compare(
    scorer: &StreamScorer,
    (record, outcome): (&Record<'_>, &Outcome),
    trace: &[u8],
    left: &OwnedRecord,
    whole: bool,
) -> Result<(), WhyError> {
    let header = left.header(TRACE).unwrap_or_default();
    let differs = |what: String| Err(WhyError::Differs(what));
    if header != trace {
        let unread = || other("a trace that cannot be read");
        let then = ReadTrace::unpack(header).ok_or_else(unread)?;
        let now = ReadTrace::unpack(trace).ok_or_else(unread)?;
        let said = |of: [u8; 8]| hexadecimal(of);
        if then.bundle != now.bundle {
            return differs(format!(
                "bundle {} decided, the configuration has {}: let `bundle` point at the one that decided",
                said(then.bundle),
                said(now.bundle)
            ));
        }
        if then.revision != now.revision {
            return differs(format!(
                "revision {} decided, the configuration makes {}: another budget, mode, `on_flagged` or reading of \
                 records was set",
                said(then.revision),
                said(now.revision)
            ));
        }
        return differs(format!(
            "p was {} and is {}, the score was {} and is {}: the record in the input topic is another one, or the \
             trace was changed",
            then.p, now.p, then.merged, now.merged
        ));
    }
    if let Some(range) = outcome.corrected.clone().filter(|_| whole)
        && !is_same(scorer, record, left.value.as_deref(), &scorer.corrected()[range])
    {
        return differs("the record that left has other bytes than its correction".to_owned());
    }
    Ok(())
}

/// Whether the corrected record that left and the one made now are the same: byte for byte, or if they are sealed, what was
/// sealed. `record` is the one that came.
fn is_same(scorer: &StreamScorer, record: &Record<'_>, left: Option<&[u8]>, made: &[u8]) -> bool {
    let inside = |value| scorer.guard().sealed_in(&Record { value, ..*record });
    match (inside(left), inside(Some(made))) {
        (None, None) => left == Some(made),
        (left, made) => left == made,
    }
}

fn reasons(scorer: &StreamScorer, explanation: &Explanation<'_>) -> Vec<PartReason> {
    let schema = scorer.guard().schema();
    let (seen, heat) = (explanation.x(), explanation.heat());
    let mut typical = vec![];
    explanation.reasons(&mut typical);
    let weight = |part: &Part| heat[part.columns.clone()].iter().sum::<f32>();
    let total: f32 = heat.iter().sum();
    let parts = schema.parts().into_iter();
    let differs = |part: &Part| seen[part.columns.clone()] != typical[part.columns.clone()];
    let mut parts: Vec<Part> = parts.filter(|part| weight(part) > 0.0 && differs(part)).collect();
    parts.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    let reason = |part: &Part| PartReason {
        feature: schema.part_name(part),
        share: weight(part) / total,
        seen: schema.part_text(part, seen),
        typical: schema.part_text(part, &typical),
    };
    parts.iter().take(LISTED).map(reason).collect()
}

fn changes(scorer: &StreamScorer, record: &Record<'_>, outcome: &Outcome) -> Vec<PartChange> {
    let guard = scorer.guard();
    let Some(range) = outcome.corrected.clone() else { return vec![] };
    let value = Some(&scorer.corrected()[range]);
    let (before, after) = (guard.rows(record), guard.rows(&Record { value, ..*record }));
    let (Some(before), Some(after)) = (before, after) else { return vec![] };
    let (schema, parts) = (guard.schema(), guard.schema().parts());
    let width = schema.width();
    let rows = before.chunks(width).zip(after.chunks(width)).enumerate();
    let all = rows.flat_map(|(row, (before, after))| {
        let differ = |part: &&Part| before[part.columns.clone()] != after[part.columns.clone()];
        parts.iter().filter(differ).map(move |part| PartChange {
            row,
            feature: schema.part_name(part),
            before: schema.part_text(part, before),
            after: schema.part_text(part, after),
        })
    });
    all.take(LISTED).collect()
}

fn would_pass_if(
    scorer: &mut StreamScorer,
    record: &Record<'_>,
) -> Result<Option<Vec<PartValue>>, WhyError> {
    let found = scorer.counterfactual(record).map_err(other)?;
    let schema = scorer.guard().schema();
    Ok(found.map(|changes| {
        let told = changes.into_iter().map(|change| PartValue {
            row: change.row,
            feature: schema.part_name(&change.part),
            from: change.seen,
            to: change.typical,
        });
        told.collect()
    }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
