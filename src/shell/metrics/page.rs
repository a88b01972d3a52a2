//! The text that Prometheus scrapes, as it grows by a line per sample.

use std::fmt::{Display, Write as _};

use crate::deliver::{Durations, QUANTILES, Values};

/// Text that grows by a line per sample.
#[derive(Default)]
pub(super) struct Page {
    pub(super) text: String,
}

/// Durations are counted in these, of a second.
const MICROS: f64 = 1e6;

/// Waits of answers in these.
pub(super) const MILLIS: f64 = 1e3;

impl Page {
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (i, (label, text)) in labels.iter().enumerate() {
            let open = if i == 0 { '{' } else { ',' };
            let text = text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = write!(self.text, "{open}{label}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }

    /// Values in units of which `per` make one of the metric's.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        up_to: impl Iterator<Item = (u64, u64)>,
        values: &Values,
        per: f64,
    ) {
        self.buckets(name, labels, up_to, (values.count(), values.sum()), per);
    }

    /// A histogram of how many values there are up to each bound, and how many in all with their sum.
    pub(super) fn buckets(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        up_to: impl Iterator<Item = (u64, u64)>,
        (count, sum): (u64, u64),
        per: f64,
    ) {
        let bucket = format!("{name}_bucket");
        for (bound, up_to) in up_to {
            let bound = (bound as f64 / per).to_string();
            self.sample(&bucket, &[labels, &[("le", &bound)]].concat(), up_to);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), count);
        self.sample(&format!("{name}_sum"), labels, sum as f64 / per);
        self.sample(&format!("{name}_count"), labels, count);
    }

    pub(super) fn durations(&mut self, name: &str, labels: &[(&str, &str)], took: &Values) {
        self.histogram(name, labels, Durations::up_to(took), took, MICROS);
    }

    pub(super) fn quantiles(&mut self, name: &str, labels: &[(&str, &str)], took: &Values) {
        for share in QUANTILES {
            if let Some(micros) = took.quantile(share) {
                let share = share.to_string();
                let labels = [labels, &[("share", &share)]].concat();
                self.sample(name, &labels, micros as f64 / MICROS);
            }
        }
    }
}
