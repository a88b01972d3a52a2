//! `tripline why`

use std::fmt::Write as _;

use super::Exit;
use super::config::ConfigFile;
use crate::audit_log::{DeedKind, DeedOutcome};
use crate::record::{Offset, Partition, Position};
use crate::shell::audit::write_down;
use crate::shell::why::{DecisionReport, WhyError, why};

/// Explain one decision: made again from the record, compared bit for bit, and told in words
///
/// TOPIC is an output of a stream, or its input: then the record is decided on as it would be now. What it prints holds
/// values of the record: whoever may read the input topic may read them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// An output or the input of a stream
    topic: String,
    partition: i32,
    offset: i64,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Parts that people are shown.
const SHOWN: usize = 10;

impl Args {
    pub fn run(self) -> Exit {
        let Some(config) = self.config.read_for(&["kafka", "registry", "audit"]) else {
            return Exit::Config;
        };
        // Who sees values of a record is written down before.
        let place = format!("{}/{}/{}", self.topic, self.partition, self.offset);
        if let Err(error) = write_down(&config, DeedKind::Why, &place, DeedOutcome::Begun, []) {
            eprintln!("error: {error}");
            return Exit::Failed;
        }
        let at = Position { partition: Partition(self.partition), offset: Offset(self.offset) };
        match why(&config, &self.topic, at) {
            Ok(decision) if self.json => {
                println!("{}", serde_json::to_string_pretty(&decision).expect("it is plain data"));
                Exit::Ok
            }
            Ok(decision) => {
                print!("{}", text(&decision));
                Exit::Ok
            }
            Err(error @ WhyError::Differs(_)) => {
                eprintln!("error: {error}");
                Exit::Found
            }
            Err(error) => {
                eprintln!("error: {error}");
                Exit::Failed
            }
        }
    }
}

/// A decision for people.
fn text(decision: &DecisionReport) -> String {
    let DecisionReport { source, bundle, .. } = decision;
    let mut text =
        format!("{} ({} mode), stream {}\n", decision.decision, decision.mode, decision.stream);
    let mut line = |name: &str, said: String| {
        let _ = writeln!(text, "  {name:<14}{said}");
    };
    let at = jiff::Timestamp::from_millisecond(source.timestamp_ms).unwrap_or_default();
    let place =
        format!("{}, partition {}, offset {}", source.topic, source.partition, source.offset);
    line("source", format!("{place}, {at:.3}"));
    line("", format!("SHA-256 {}", source.sha256));
    line("bundle", format!("{}, revision {}", bundle.digest, bundle.revision));
    if let Some(key) = &bundle.signed_by {
        line("signed by", format!("the key with SHA-256 {key}"));
    }
    if let Some(run) = &decision.run_id {
        line("lineage", format!("run {run}"));
    }
    if let Some(fault) = &decision.fault {
        line("fault", fault.clone());
    }
    if let (Some(p), Some(score)) = (decision.p, decision.score) {
        let share =
            format!("{:.3} % of {} clean rows are as suspicious", 100.0 * p, bundle.clean_rows);
        line("p", format!("{p}: {share}; the budget is {} %", 100.0 * decision.budget));
        line("score", score.to_string());
        if decision.rows > 1 {
            line("row", format!("{} of {}, the most suspicious", decision.row + 1, decision.rows));
        }
    }
    for (i, detector) in decision.detectors.iter().enumerate() {
        let share =
            detector.share.map_or(String::new(), |share| format!(", {:.0} %", 100.0 * share));
        let name = if i == 0 { "detectors" } else { "" };
        line(name, format!("{} {}{share}", detector.name, detector.score));
    }
    let mut list = |name: &str, all: Vec<String>| {
        for (i, said) in all.iter().take(SHOWN).enumerate() {
            line(if i == 0 { name } else { "" }, said.clone());
        }
        if all.len() > SHOWN {
            line("", format!("and {} more: --json", all.len() - SHOWN));
        }
    };
    let reasons = decision.reasons.iter().map(|reason| {
        let (share, seen, typical) = (100.0 * reason.share, &reason.seen, &reason.typical);
        format!("{} is {seen}, typical is {typical} ({share:.0} %)", reason.feature)
    });
    list("reasons", reasons.collect());
    let changes = decision.changes.iter();
    let changes = changes
        .map(|change| format!("{}: {} became {}", change.feature, change.before, change.after));
    list("changed", changes.collect());
    match decision.would_pass_if.as_deref() {
        Some([]) => {}
        Some(changes) => {
            let said =
                changes.iter().map(|change| format!("{} were {}", change.feature, change.to));
            list("would pass if", said.collect());
        }
        None if decision.fault.is_none() => {
            line("would pass if", "no small change was found with which it would".to_owned());
        }
        None => {}
    }
    let repeated = match decision.repeated {
        true => "every bit of its trace comes out again",
        false => "not compared: an input record has no trace",
    };
    line("repeated", repeated.to_owned());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::why::{BundleIdentity, Source};

    #[test]
    fn who_signed_the_bundle_and_the_run_are_told_where_they_are_known() {
        let source = Source {
            topic: "in".into(),
            partition: 1,
            offset: 2,
            timestamp_ms: 0,
            sha256: "ab".into(),
        };
        let bundle = BundleIdentity {
            digest: "cd".into(),
            revision: "ef".into(),
            clean_rows: 10,
            signed_by: Some("0123".into()),
        };
        let mut report = DecisionReport {
            decision: "pass",
            mode: "observe",
            fault: None,
            stream: "s".into(),
            source,
            bundle,
            budget: 0.01,
            p: None,
            score: None,
            rows: 1,
            row: 0,
            detectors: vec![],
            reasons: vec![],
            changes: vec![],
            would_pass_if: Some(vec![]),
            run_id: Some("ad3c5a83-8d66-5848-bef9-683f91e6319b".into()),
            repeated: true,
        };
        let expected = "pass (observe mode), stream s\n\
            \x20 source        in, partition 1, offset 2, 1970-01-01T00:00:00.000Z\n\
            \x20               SHA-256 ab\n\
            \x20 bundle        cd, revision ef\n\
            \x20 signed by     the key with SHA-256 0123\n\
            \x20 lineage       run ad3c5a83-8d66-5848-bef9-683f91e6319b\n\
            \x20 repeated      every bit of its trace comes out again\n";
        assert_eq!(text(&report), expected);
        (report.bundle.signed_by, report.run_id) = (None, None);
        let without =
            expected.lines().filter(|line| !line.contains("signed") && !line.contains("run "));
        assert_eq!(text(&report).lines().collect::<Vec<_>>(), without.collect::<Vec<_>>());
        let json = serde_json::to_string(&report).unwrap();
        assert!(!json.contains("signed_by") && !json.contains("run_id"), "{json}");
    }
}
