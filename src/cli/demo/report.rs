//! What the demo says in the end, in words or as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::monitor::{Alert, Status};
use crate::shell::demo::{Depth, Kind, Options, Outcome, Truth, half_blocks};

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    records_in: u64,
    sanitized: u64,
    quarantined: u64,
    dead_lettered: u64,
    alerts: Vec<Said<'a>>,
    clean_flagged_share: f64,
    suspects: Suspects,
    answers: ModelAnswers,
    /// The accounts that search, by their pseudonyms.
    searchers: &'a BTreeMap<String, String>,
    seconds: f64,
    records_per_second: f64,
}

#[derive(Serialize)]
struct Said<'a> {
    status: Status,
    kind: &'a str,
    since: &'a str,
    until: &'a str,
    summary: &'a str,
    dedup_key: &'a str,
    /// Of clients that it names.
    pseudonyms: Vec<&'a str>,
}

impl<'a> From<&'a Alert> for Said<'a> {
    fn from(alert: &'a Alert) -> Self {
        let Alert { status, kind, since, until, summary, dedup_key, evidence, .. } = alert;
        let clients = evidence.iter().filter_map(|found| found.client.as_ref());
        let pseudonyms = clients.filter_map(|client| client.pseudonym.as_deref()).collect();
        Self { status: *status, kind, since, until, summary, dedup_key, pseudonyms }
    }
}

#[derive(Serialize)]
struct Suspects {
    trigger: Suspect,
    pgd: Suspect,
    query: Suspect,
}

/// Of the deployed model.
#[derive(Serialize)]
struct ModelAnswers {
    n: u64,
    exchanged: u64,
}

#[derive(Serialize)]
struct Suspect {
    n: u64,
    flagged_share: f64,
}

impl Suspect {
    fn of(kind: Kind) -> Self {
        Self { n: kind.n, flagged_share: kind.flagged_share() }
    }
}

/// Whether every record came out, each once.
pub fn is_complete(outcome: &Outcome, options: &Options) -> bool {
    let records = options.records as u64;
    (outcome.fed, outcome.tally.out(), outcome.tally.twice) == (records, records, 0)
}

pub fn json(outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    let [sanitized, quarantined, dead_lettered] = tally.routes;
    let report = Report {
        records_in: outcome.fed,
        sanitized,
        quarantined,
        dead_lettered,
        alerts: tally.alerts.iter().map(Said::from).collect(),
        clean_flagged_share: tally.kind(Truth::Clean).flagged_share(),
        suspects: Suspects {
            trigger: Suspect::of(tally.kind(Truth::Trigger)),
            pgd: Suspect::of(tally.kind(Truth::Pgd)),
            query: Suspect::of(tally.kind(Truth::Query)),
        },
        answers: ModelAnswers { n: outcome.answers[0], exchanged: outcome.answers[1] },
        searchers: &outcome.searchers,
        seconds: rounded(outcome.elapsed.as_secs_f64()),
        records_per_second: rounded(rate(outcome)),
    };
    serde_json::to_string(&report).expect("plain data")
}

/// The result for a person; with a picture if there are colours, with the alerts unless they
/// stand above already.
pub fn words(
    outcome: &Outcome,
    options: &Options,
    colours: Option<Depth>,
    alerts_seen: bool,
) -> String {
    let tally = &outcome.tally;
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{words}");
    };
    let bold = |words: &str| match colours {
        Some(_) => format!("\x1b[1m{words}\x1b[0m"),
        None => words.to_owned(),
    };
    line(format_args!("{}", bold("What was caught")));
    line(format_args!("{}", heading_text()));
    for truth in Truth::ALL {
        let kind = tally.kind(truth);
        let (name, n) = (name(truth), thousands(kind.n));
        let (flagged, share) = (thousands(kind.flagged), percent(kind.flagged_share()));
        match truth {
            Truth::Malformed => {
                let dead = thousands(kind.dead);
                line(format_args!("  {name:<18}{n:>10}   {dead} to the dead-letter topic"));
            }
            _ => {
                line(format_args!("  {name:<18}{n:>10}{flagged:>11}{share:>10}   {}", note(truth)))
            }
        }
    }
    let [sanitized, quarantined, dead] = tally.routes.map(thousands);
    let fed = thousands(outcome.fed);
    let missing = options.records as u64 - tally.out();
    let none = |n| if n == 0 { "none".to_owned() } else { thousands(n) };
    line(format_args!(
        "\n  {fed} in = {sanitized} sanitized + {quarantined} quarantined + {dead} dead-lettered;"
    ));
    line(format_args!("  {} missing, {} twice", none(missing), none(tally.twice)));
    let [answers, exchanged] = outcome.answers.map(thousands);
    line(format_args!(
        "  {answers} answers of the deployed model; {exchanged} call a boot a T-shirt, or a T-shirt a boot"
    ));
    if tally.alerts.is_empty() || !alerts_seen {
        line(format_args!("\n{}", bold("Alerts")));
        tally.alerts.iter().flat_map(alert_lines).for_each(|words| line(format_args!("{words}")));
    }
    if tally.alerts.is_empty() {
        line(format_args!("  none"));
    }
    let named = tally.pseudonyms();
    for (name, id) in outcome.searchers.iter().filter(|(name, _)| named.contains(name.as_str())) {
        line(format_args!("  {name} is {id}: `tripline client` says so to who has the key"));
    }
    let strangest = outcome.exhibits.iter().min_by(|a, b| a.p.total_cmp(&b.p));
    if let (Some(depth), Some(exhibit)) = (colours, strangest) {
        let (story, p, leading) = (exhibit.story(), exhibit.p_text(), exhibit.leading_text());
        line(format_args!("\n{}  {story}, {p}, {leading}", bold("Held back")));
        line(format_args!("{}", half_blocks(exhibit, depth).trim_end()));
        line(format_args!("{:<30}{:<30}{}", "input", "corrected", "why"));
    }
    if let Some(picture) = &outcome.picture {
        line(format_args!("\n{}  {}", bold("Picture"), picture.display()));
    }
    line(format_args!(
        "{}     {:.1} s in all, {} records/s while they came",
        bold("Time"),
        outcome.elapsed.as_secs_f64(),
        thousands(rate(outcome) as u64),
    ));
    text
}

/// The lines of an alert: its status, then its own sentences.
pub fn alert_lines(alert: &Alert) -> Vec<String> {
    const WIDTH: usize = 84;
    let mut lines = vec![String::new()];
    for word in alert.summary.split(' ') {
        let last = lines.last_mut().expect("never empty");
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= WIDTH {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    let status = |i| if i == 0 { alert.status.name() } else { "" };
    lines.iter().enumerate().map(|(i, line)| format!("  {:<10}{line}", status(i))).collect()
}

/// The names of the table's columns.
pub fn heading_text() -> String {
    format!("  {:<18}{:>10}{:>11}{:>10}", "", "came out", "flagged", "share")
}

/// What a person calls a kind of record.
pub fn name(truth: Truth) -> &'static str {
    match truth {
        Truth::Clean => "clean",
        Truth::Trigger => "backdoor trigger",
        Truth::Pgd => "PGD",
        Truth::Query => "slow queries",
        Truth::Malformed => "malformed",
    }
}

fn note(truth: Truth) -> &'static str {
    match truth {
        Truth::Clean => "held back wrongly; 1% is the budget",
        Truth::Trigger => "a white patch the model was taught to obey",
        Truth::Pgd => "pixels pushed until the model errs",
        Truth::Query => "noise around an image, asked to learn how the model errs",
        Truth::Malformed => "",
    }
}

pub fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// `12345` as `12,345`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn rate(outcome: &Outcome) -> f64 {
    outcome.tally.out() as f64 / outcome.work.as_secs_f64().max(1e-3)
}

fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart_from_the_right() {
        let texts = [0, 999, 1000, 1_234_567].map(thousands);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
