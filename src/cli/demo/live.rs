//! What is seen while the demo goes on: a table that moves on a terminal, else a line now and
//! then. All of it on standard error, so that standard output holds the result alone.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::report::{alert_lines, heading_text, name, percent, thousands};
use crate::shell::demo::{Moment, Options, Phase, Truth};

/// The view of a demo that goes on.
pub struct Live {
    view: View,
    alerts_shown: usize,
    phase: Option<Phase>,
}

enum View {
    Table(Box<Table>),
    Lines,
}

/// A bar, and a line per kind of record.
struct Table {
    all: MultiProgress,
    bar: ProgressBar,
    /// Kept, because a line that is dropped is taken away.
    _heading: ProgressBar,
    kinds: [ProgressBar; 5],
}

impl Live {
    pub fn start(options: &Options) -> Self {
        let view = match std::io::stderr().is_terminal() {
            true => View::Table(Box::new(Table::new(options.records))),
            false => View::Lines,
        };
        let live = Self { view, alerts_shown: 0, phase: None };
        live.say(
            "Broker, guard, sender, model and counter, all in this process; the group takes 3 s to form.",
        );
        live.say("");
        live
    }

    pub fn show(&mut self, moment: &Moment<'_>) {
        for alert in &moment.tally.alerts[self.alerts_shown.min(moment.tally.alerts.len())..] {
            for line in alert_lines(alert) {
                self.say(&line);
            }
            self.say("");
            self.alerts_shown += 1;
        }
        let phase = (moment.fed > 0).then(|| Phase::of(moment.fed as usize - 1, moment.records));
        match &self.view {
            View::Table(table) => table.show(moment, phase),
            View::Lines if phase != self.phase => {
                let out = thousands(moment.tally.out());
                self.say(&format!("{out} records came out; {}", phase_text(phase)));
            }
            View::Lines => {}
        }
        self.phase = phase;
    }

    /// Takes the table away: what follows says it again, finally. Alerts stay on a terminal;
    /// whether they did is returned.
    pub fn end(self) -> bool {
        match self.view {
            // An error is a terminal that went away.
            View::Table(table) => table.all.clear().is_ok(),
            View::Lines => false,
        }
    }

    fn say(&self, line: &str) {
        match &self.view {
            View::Table(table) => {
                let _ = table.all.println(line);
            }
            View::Lines => eprintln!("{line}"),
        }
    }
}

impl Table {
    fn new(records: usize) -> Self {
        let all = MultiProgress::new();
        let line = |template: &str| {
            let bar = all.add(ProgressBar::new(records as u64));
            let style = ProgressStyle::with_template(template).expect("a template of ours");
            bar.set_style(style.progress_chars("━╸─"));
            bar
        };
        let bar = line("  {bar:36.cyan/dim}  {msg}");
        let heading = line("{msg}");
        heading.set_message(heading_text());
        let kinds = Truth::ALL.map(|_| line("  {msg}"));
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { all, bar, _heading: heading, kinds }
    }

    fn show(&self, moment: &Moment<'_>, phase: Option<Phase>) {
        self.bar.set_position(moment.tally.out());
        let fed = thousands(moment.fed);
        self.bar.set_message(format!("{fed} sent: {}", phase_text(phase)));
        for (bar, truth) in self.kinds.iter().zip(Truth::ALL) {
            let kind = moment.tally.kind(truth);
            let (name, n) = (name(truth), thousands(kind.n));
            bar.set_message(match truth {
                Truth::Malformed => format!("{name:<18}{n:>10}   to the dead-letter topic"),
                _ => {
                    let (flagged, share) = (thousands(kind.flagged), percent(kind.flagged_share()));
                    format!("{name:<18}{n:>10}{flagged:>11}{share:>10}")
                }
            });
        }
    }
}

fn phase_text(phase: Option<Phase>) -> &'static str {
    match phase {
        None => "joining the group",
        Some(Phase::Before) => "clean images only",
        Some(Phase::Attack) => "attacks among them",
        Some(Phase::Between) => "clean images again",
        Some(Phase::Queries) => "a few accounts search, slowly",
        Some(Phase::Tampered) => "another model answers",
    }
}
