//! What a person reads of an evaluation.

use std::fmt;

use super::{Evaluation, Group};

/// What to do about faults that are the file's rather than the rows'.
const WAYS: [(&str, &str); 2] = [
    ("wrong-type", "a word where the bundle has a number; say --missing or --decimal as for fit"),
    ("missing", "no row of the fit lacked it; fit with --impute on rows that have such gaps"),
];

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bundle, digest, data, budget, clean, clean_expected: (low, high), .. } = self;
        writeln!(f, "{} through {bundle} ({})", data.display(), &digest[..16])?;
        write!(
            f,
            "  clean      {} of {} rows flagged at {budget}; {low} to {high} in 99 of 100 fits",
            clean.flagged,
            clean.scored()
        )?;
        if !clean.refused.is_empty() {
            write!(
                f,
                "\n  refused    {} of {} clean rows: {}",
                clean.rows - clean.scored(),
                clean.rows,
                faults(clean)
            )?;
            for (fault, advice) in
                WAYS.iter().filter(|(fault, _)| clean.refused.contains_key(fault))
            {
                write!(f, "\n             {fault}: {advice}")?;
            }
        }
        if clean.flagged > *high {
            let why = "these rows are not like those of the calibration";
            write!(f, "\n             MORE THAN CHANCE EXPLAINS: {why}")?;
        }
        if clean.flagged < *low {
            let why = "on these rows the guard is milder than its budget";
            write!(f, "\n             FEWER THAN CHANCE EXPLAINS: {why}")?;
        }
        if !self.unread.is_empty() {
            write!(f, "\n  not read   {}", self.unread.join(", "))?;
        }
        if self.attacks.rows == 0 {
            return Ok(());
        }
        let width = self.by_label.iter().map(|g| g.label.chars().count()).fold(7, usize::max);
        write!(f, "\n\n  {:width$}      rows  caught  refused  AUROC", "label")?;
        let many = self.by_label.len() > 1;
        for group in self.by_label.iter().chain(many.then_some(&self.attacks)) {
            line(f, group, width)?;
        }
        let width = self.detectors.iter().map(|d| d.kind.len()).fold(8, usize::max);
        write!(f, "\n\n  {:width$}    weight  AUROC", "detector")?;
        for detector in &self.detectors {
            let (kind, weight) = (&detector.kind, detector.weight);
            write!(f, "\n  {kind:width$}  {weight:>8.4}  {}", number(detector.auroc))?;
        }
        Ok(())
    }
}

/// Caught is what does not reach the model: flagged or refused.
fn line(f: &mut fmt::Formatter<'_>, group: &Group, width: usize) -> fmt::Result {
    let refused = group.rows - group.scored();
    let caught = 100.0 * (group.flagged + refused) as f64 / group.rows.max(1) as f64;
    let (label, rows, auroc) = (&group.label, group.rows, number(group.auroc));
    write!(f, "\n  {label:width$}  {rows:>8}  {caught:>5.1}%  {refused:>7}  {auroc}")
}

fn number(auroc: Option<f64>) -> String {
    auroc.map_or("    -".into(), |auroc| format!("{auroc:.3}"))
}

fn faults(group: &Group) -> String {
    let each = group.refused.iter().map(|(fault, count)| format!("{count} {fault}"));
    each.collect::<Vec<_>>().join(", ")
}
