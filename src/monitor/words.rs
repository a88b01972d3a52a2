//! An incident in words: who, what, how many, what was already done, what to do next.

use jiff::Timestamp as Instant;

use super::finding::percent;
use super::incident::{CoarserSet, ExposedSet};
use super::{About, Cause, Finding, Incident, Status};
use crate::decide::{Mode, OnFlagged};
use crate::record::Timestamp;
use crate::watch::Counts;

/// Why an incident of clients is over.
const QUIET_CLIENTS: &str = "no client, cell or stream was noticed again";
/// Findings that the first sentence names.
const NAMED: usize = 3;

/// What a pager shows.
pub fn summary(
    about: &About,
    incident: &Incident,
    status: Status,
    share: f64,
    note: Option<&str>,
) -> String {
    let stream = &about.stream;
    if status == Status::Resolved {
        return format!("{stream}: {}", over(about, incident, share, note));
    }
    format!("{stream}: {} {}", what(about, incident, share), done(about, incident))
}

/// That an incident is over, and why.
fn over(about: &About, incident: &Incident, share: f64, note: Option<&str>) -> String {
    let Counts { rows, flagged, faults, .. } = incident.counts;
    let (since, until) = (utc(incident.since), utc(incident.until));
    if incident.is_of_clients() {
        return format!("over at {until}: {}. It began at {since}.", note.unwrap_or(QUIET_CLIENTS));
    }
    let why = note.unwrap_or(match incident.cause {
        Cause::Attack => "the share of suspicious records is back near what is usual",
        Cause::Quality => "records are sound again",
        Cause::Tampering => "the deployed model answers as the bundle's own model does",
        Cause::Drift => "inputs and answers are as they were",
        Cause::NoData => "records come again",
        Cause::Stall => "every partition goes on",
        Cause::DataLoss => "every partition is read on, and nothing more was lost",
        Cause::Access => "no client does what it should not",
        Cause::Privacy => "no set of features points to more rows than its limit allows",
    });
    match incident.cause {
        Cause::Stall | Cause::DataLoss | Cause::Privacy | Cause::Tampering => {
            format!("over at {until}: {why}. It began at {since}.")
        }
        Cause::Quality => {
            let (all, done) = (rows + faults, done(about, incident));
            format!(
                "over at {until}: {why}. {faults} of {all} records could not be read since {since}. {done}"
            )
        }
        _ => {
            let (share, done) = (percent(share), done(about, incident));
            format!(
                "over at {until}: {why}. {flagged} of {rows} records ({share}) were flagged since {since}. {done}"
            )
        }
    }
}

/// What is wrong, how often, and since when.
fn what(about: &About, incident: &Incident, share: f64) -> String {
    let Counts { rows, flagged, .. } = incident.counts;
    let since = utc(incident.since);
    match incident.cause {
        Cause::Attack | Cause::Access if incident.is_of_clients() => {
            format!("{} Since {since}.", others(incident, "").trim_start())
        }
        Cause::Access => format!("clients do what they should not since {since}."),
        Cause::Attack => {
            let (budget, share) = (about.budget, percent(share));
            let found = others(incident, "flagged-share");
            format!(
                "{flagged} of {rows} records look attacked ({share}; {budget} is the budget) since {since}.{}{found}",
                mostly(about, incident)
            )
        }
        Cause::Tampering => {
            let found = others(incident, "");
            format!("the deployed model is not the one that the bundle knows since {since}.{found}")
        }
        Cause::Quality => quality(incident),
        Cause::Drift => {
            let features = incident.members.len();
            let changed = if features == 1 { "one thing" } else { &format!("{features} things") };
            format!("{changed} changed in {rows} records since {since}.{}", others(incident, ""))
        }
        Cause::NoData => format!("no records since {since}."),
        Cause::Stall => {
            let at = incident.first.map(|(partition, offset)| {
                format!("partition {partition} makes no progress at offset {offset}")
            });
            let at = at.unwrap_or_else(|| "a partition makes no progress".to_owned());
            format!("{at} although records wait, told at {since}.")
        }
        Cause::DataLoss => data_loss(incident),
        Cause::Privacy => exposed(incident),
    }
}

/// Which records cannot be read, or are not what they were.
fn quality(incident: &Incident) -> String {
    let Counts { rows, faults, .. } = incident.counts;
    let all = rows + faults;
    let missing = |finding: &Finding| finding.watch == "missing-answers";
    let what = match faults {
        0 if incident.members.iter().all(|member| missing(&member.finding)) => {
            "records and answers of the deployed model do not meet".to_owned()
        }
        0 => format!("{rows} records are not what they were"),
        _ => {
            let share = percent(faults as f64 / all as f64);
            format!("{faults} of {all} records cannot be read ({share})")
        }
    };
    format!("{what} since {}.{}", utc(incident.since), others(incident, ""))
}

/// What Kafka lost, and where first.
fn data_loss(incident: &Incident) -> String {
    let first = incident.first;
    let at =
        first.map(|(partition, offset)| format!(" at offset {offset} of partition {partition}"));
    let at = at.unwrap_or_default();
    let Counts { lost, outputs_lost, other_logs, .. } = incident.counts;
    let mut parts = vec![];
    if lost > 0 {
        parts.push(format!("{lost} records of the input are gone that nobody read"));
    }
    if outputs_lost > 0 {
        parts.push(format!("{outputs_lost} records that had left are gone from outputs"));
    }
    if other_logs > 0 {
        parts.push(format!("the input became another log, {other_logs} times in its partitions"));
    }
    format!("{}; first{at}, told at {}.", parts.join("; "), utc(incident.since))
}

/// Which features point to how many rows, and what would help.
fn exposed(incident: &Incident) -> String {
    let since = utc(incident.since);
    let one = |set: &ExposedSet| {
        let ExposedSet { features, k, limit, rows, small, unique, .. } = set;
        let helps = match &set.coarser {
            Some(CoarserSet { how, small, is_enough: true }) => {
                format!(" {how}: {}.", percent(*small))
            }
            Some(CoarserSet { how, small, .. }) => {
                format!(" {how} is not enough: {}.", percent(*small))
            }
            None => String::new(),
        };
        format!(
            "{} of {rows} rows since {since} share their {} with fewer than {k} subjects ({} is the limit; {} are \
             the only ones).{helps}",
            percent(*small),
            features.join(", "),
            percent(*limit),
            percent(*unique)
        )
    };
    let mut words: Vec<String> = incident.exposed.iter().take(NAMED).map(one).collect();
    if incident.exposed.len() > NAMED {
        words.push(format!("{} more sets.", incident.exposed.len() - NAMED));
    }
    words.join(" ")
}

/// Why most of the flagged records were flagged.
fn mostly(about: &About, incident: &Incident) -> String {
    let reasons = incident.reasons(NAMED);
    let each = reasons.iter().map(|(oddity, n)| format!("{} ({n})", oddity.words(&about.schema)));
    let each: Vec<String> = each.collect();
    if each.is_empty() { String::new() } else { format!(" Why: {}.", each.join("; ")) }
}

/// What the watches found, but for the one that the sentence before has told; where it was, that one
/// did not say.
fn others(incident: &Incident, told: &str) -> String {
    let members = incident.members.iter().filter(|member| !member.inhibited);
    let is_told = |finding: &Finding| finding.watch == told && finding.partition.is_none();
    let findings: Vec<_> =
        members.map(|member| &member.finding).filter(|finding| !is_told(finding)).collect();
    let mut text: String =
        findings.iter().take(NAMED).map(|finding| format!(" {}.", finding.words())).collect();
    if findings.len() > NAMED {
        text += &format!(" {} more.", findings.len() - NAMED);
    }
    text
}

fn done(about: &About, incident: &Incident) -> String {
    let Counts { corrected, quarantined, faults, .. } = incident.counts;
    if incident.is_of_clients() {
        return "Such rows are counted and not refused, so that nobody learns which are noticed; the gateway can \
                limit who sends them."
            .to_owned();
    }
    let done = match (incident.cause, about.policy.mode, about.policy.on_flagged) {
        (Cause::Access, ..) => String::new(),
        (Cause::NoData, ..) => "Nobody sends, or nobody reads.".to_owned(),
        (Cause::Tampering, ..) => {
            return "Its answers go to those who asked: nothing here holds an answer back."
                .to_owned();
        }
        (Cause::Stall, ..) => {
            return "Its records wait in the input topic; /ready of its worker says why."
                .to_owned();
        }
        (Cause::DataLoss, ..) => {
            return "/ready of its worker says whether the partition is read on, and its log what to do again."
                .to_owned();
        }
        (Cause::Privacy, ..) => return "No record was held back for it.".to_owned(),
        (_, Mode::Observe, _) => "Nothing was held back: the stream is in observe mode.".to_owned(),
        (Cause::Quality, Mode::Enforce, _) => match faults {
            0 => "What is odd about them stops none of them.".to_owned(),
            _ => format!("They were held back in {}.", about.dead_letter),
        },
        (_, Mode::Enforce, OnFlagged::Quarantine) => {
            format!("{quarantined} were held back in {}.", about.quarantine)
        }
        (_, Mode::Enforce, OnFlagged::Correct) => format!(
            "{corrected} were corrected and are in {}; {quarantined} were held back in {}.",
            about.sanitized, about.quarantine
        ),
    };
    match (faults, about.policy.mode) {
        (0, _) => done,
        _ if incident.cause == Cause::Quality => done,
        (n, Mode::Enforce) => {
            format!("{done} {n} more could not be read and are in {}.", about.dead_letter)
        }
        (n, Mode::Observe) => format!("{done} {n} more could not be read."),
    }
}

/// RFC 3339, to the second.
pub fn utc(at: Timestamp) -> String {
    let instant = Instant::from_millisecond(at.0).unwrap_or(Instant::UNIX_EPOCH);
    format!("{instant:.0}")
}

#[cfg(test)]
mod tests;
