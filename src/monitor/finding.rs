//! Which watch saw what: what was usual, what is seen now, and how far apart they are.

mod clients;

pub use clients::cause as client_cause;
use serde::{Deserialize, Serialize};

use crate::alarm::at_bound;
use crate::record::{Offset, Partition, Schema};
use crate::watch::{Beyond, Bins, Hypothesis, Keying, Of, Signals, Source, answers};

/// What one watch found since the change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// `input-drift`, `flagged-share`, …
    pub watch: String,
    /// The feature, label or place.
    pub feature: String,
    /// What `typical` and `seen` are: `median` of the feature, in its unit, or `share` of rows; `now`, a median of which nobody
    /// said what is usual.
    pub measure: String,
    pub typical: f64,
    pub seen: f64,
    /// Population stability index of what is seen against the reference.
    pub psi: f64,
    /// χ² per degree of freedom, of the same counts.
    pub chi2: f64,
    /// Rows since the change.
    pub rows: u64,
    /// Where partitions are judged one by one: of which these rows are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// They are of that partition and of all with a larger number: those share a panel.
    #[serde(default, skip_serializing_if = "is_false")]
    pub and_above: bool,
    /// What is known of the client, the cell or the stream that it is about.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientEvidence>,
}

/// Whose rows they are, and which. No id is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientEvidence {
    pub keying: Keying,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pseudonym: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
    /// What is odd about the rows that were marked.
    pub mark: String,
    pub marked: u64,
    /// At most this share of clean rows is marked.
    pub clean_share: f64,
    /// Techniques of MITRE ATLAS.
    pub atlas: Vec<String>,
    /// One of the marked rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<RowPlace>,
}

/// Where a record stands in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowPlace {
    pub partition: Partition,
    pub offset: Offset,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Finding {
    /// What was found against a hypothesis in the counts `seen` by bin; of a watch on events, in the one that happened.
    pub fn new(
        hypothesis: &Hypothesis,
        seen: &[u64],
        beyond: Option<Beyond>,
        signals: &Signals,
        schema: &Schema,
    ) -> Self {
        let event = beyond.map(|beyond| beyond.event);
        let (clean, feature) = match &hypothesis.source {
            Source::Signal { index, .. } => {
                let signal = &signals.list()[*index];
                let name = match (&signal.of, event) {
                    (Of::Place, Some(bin)) => signal.bin_name(bin, schema),
                    _ => hypothesis.feature.clone(),
                };
                (signals.clean(*index).bins().to_vec(), name)
            }
            Source::Bin { index, bin, .. } => {
                let clean = signals.clean(*index);
                let inside = clean.bins()[*bin];
                (vec![clean.rows() - inside, inside], signals.list()[*index].bin_name(*bin, schema))
            }
            Source::Others => {
                let usual = beyond.map_or_else(|| hypothesis.game.usual(), |b| at_bound(b.bound));
                (usual, hypothesis.feature.clone())
            }
            Source::Flagged
            | Source::Faults
            | Source::Imputed
            | Source::Misdated
            | Source::Pairs { .. } => (hypothesis.game.usual(), hypothesis.feature.clone()),
        };
        let (measure, typical, now) = match (&hypothesis.source, event) {
            (Source::Signal { index, .. }, None) => match &signals.list()[*index].bins {
                Bins::Edges(edges) => ("median", median(&clean, edges), median(seen, edges)),
                Bins::Numbered(_) => ("share", 0.0, 0.0),
            },
            (Source::Signal { index, .. }, Some(event)) => match &signals.list()[*index].bins {
                Bins::Edges(edges) => ("median", median(&clean, edges), median(seen, edges)),
                Bins::Numbered(_) => ("share", share(&clean, event), share(seen, event)),
            },
            // What was usual of these, only the stream has shown.
            (Source::Pairs { cells }, None) if clean.len() > 2 => {
                ("now", 0.0, answers::lower_edge(cells, middle(seen)))
            }
            _ => ("share", share(&clean, 1), share(seen, 1)),
        };
        let (psi, chi2) = distance(&clean, seen);
        Self {
            watch: hypothesis.watch.name().into(),
            feature,
            measure: measure.into(),
            typical: short(typical),
            seen: short(now),
            psi: short(psi),
            chi2: short(chi2),
            rows: seen.iter().sum(),
            partition: None,
            and_above: false,
            client: None,
        }
    }

    /// This finding on one partition, or with `and_above` on it and the partitions after it.
    pub fn on(self, partition: Option<Partition>, and_above: bool) -> Self {
        Self { partition, and_above, ..self }
    }

    /// `amount: median 31.2, usually 12.5`, or `amount on partition 3: …`.
    pub fn words(&self) -> String {
        let Self { feature, typical, seen, .. } = self;
        if let Some(client) = &self.client {
            return clients::words(self, client);
        }
        let at = match (self.partition, self.and_above) {
            (None, _) => String::new(),
            (Some(partition), false) => format!(" on partition {partition}"),
            (Some(partition), true) => format!(" on partition {partition} or above"),
        };
        match self.measure.as_str() {
            "median" => format!("{feature}{at}: median {seen}, usually {typical}"),
            "now" => format!("{feature}{at}: now {seen}"),
            _ => format!("{feature}{at}: {}, usually {}", percent(*seen), percent(*typical)),
        }
    }
}

/// A share as a person reads it.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0%".into(),
        small if small < 0.1 => format!("{small:.3}%"),
        share => format!("{share:.1}%"),
    }
}

fn share(counts: &[u64], bin: usize) -> f64 {
    counts[bin] as f64 / counts.iter().sum::<u64>().max(1) as f64
}

/// The bin of the middle row.
fn middle(counts: &[u64]) -> usize {
    let half = counts.iter().sum::<u64>() / 2;
    let mut below = 0;
    let bin = counts.iter().position(|&count| {
        below += count;
        below > half
    });
    bin.unwrap_or(0)
}

/// The edge nearest to the middle row.
fn median(counts: &[u64], edges: &[f32]) -> f64 {
    let bin = middle(counts);
    let (low, high) = (edges[bin.saturating_sub(1)], edges[bin.min(edges.len() - 1)]);
    f64::midpoint(low.into(), high.into())
}

/// PSI and χ² per degree of freedom, over at most 16 groups of bins that lie side by side.
fn distance(clean: &[u64], seen: &[u64]) -> (f64, f64) {
    let group = clean.len().div_ceil(16).max(1);
    let sums = |counts: &[u64]| -> Vec<f64> {
        counts.chunks(group).map(|bins| bins.iter().sum::<u64>() as f64).collect()
    };
    let (clean, seen) = (sums(clean), sums(seen));
    let totals =
        [&clean, &seen].map(|counts| counts.iter().sum::<f64>() + clean.len() as f64 / 2.0);
    let (mut psi, mut chi2) = (0.0, 0.0);
    for (&a, &b) in clean.iter().zip(&seen) {
        let (p, q) = ((a + 0.5) / totals[0], (b + 0.5) / totals[1]);
        psi += (q - p) * (q / p).ln();
        chi2 += (q - p) * (q - p) / p * totals[1];
    }
    (psi, chi2 / (clean.len() as f64 - 1.0).max(1.0))
}

/// Three digits: more would be noise, and differ from machine to machine.
fn short(x: f64) -> f64 {
    format!("{x:.2e}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_laws_are_at_no_distance_and_others_further_the_more_they_differ() {
        let clean = [100, 200, 400, 200, 100];
        let (none, _) = distance(&clean, &[10, 20, 40, 20, 10]);
        let (some, _) = distance(&clean, &[5, 15, 40, 25, 15]);
        let (much, chi2) = distance(&clean, &[0, 5, 15, 30, 50]);
        assert!(none < 0.02 && none < some && some < much && chi2 > 10.0, "{none} {some} {much}");
    }

    #[test]
    fn a_median_lies_between_the_edges_of_its_bin() {
        assert_eq!(median(&[1, 1, 10, 1], &[0.0, 1.0, 2.0]), 1.5);
        assert_eq!(median(&[0, 0, 0, 9], &[0.0, 1.0, 2.0]), 2.0);
    }
}
