//! What a person reads of a comparison, in 100 columns.

use std::fmt::{self, Formatter};

use super::first_look::FirstLook;
use super::sample::{Accuracy, Sample};
use super::suspects::{Clean, Report, Suspect};

/// Columns of a terminal that is not wide.
const WIDTH: usize = 100;

/// Most of a suspect's name that is shown.
const NAME_MAX: usize = 28;

/// Width of a column of numbers.
const NUMBER: usize = 12;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}) at a budget of {}\n", self.bundle, &self.digest[..16], self.budget)?;
        clean(f, &self.clean)?;
        if self.suspects.is_empty() {
            return Ok(());
        }
        let longest = self.suspects.iter().map(|s| s.name.chars().count()).max().unwrap_or(0);
        let width = longest.clamp("if all corrected".len(), NAME_MAX);
        told_apart(f, &self.suspects, width)?;
        reaches_the_model(f, self, width)?;
        alone(f, &self.suspects, width)?;
        first_look(f, &self.suspects, width)
    }
}

fn clean(f: &mut Formatter<'_>, clean: &Clean) -> fmt::Result {
    let Clean { sample, flagged_expected: (low, high), unread, .. } = clean;
    let (flagged, n) = (sample.flagged, sample.scored());
    let share = percent(sample.flagged_share);
    writeln!(f, "clean      {}", sample.rows)?;
    writeln!(
        f,
        "           {flagged} of {n} rows flagged ({share}), {low} to {high} in 99 of 100 fits"
    )?;
    if flagged > *high {
        let why = "these rows are not like those of the calibration";
        writeln!(f, "           MORE THAN CHANCE EXPLAINS: {why}")?;
    }
    if flagged < *low {
        let why = "on these rows the guard is milder than its budget";
        writeln!(f, "           FEWER THAN CHANCE EXPLAINS: {why}")?;
    }
    refused(f, "", sample)?;
    if !unread.is_empty() {
        writeln!(f, "not read   {}", unread.join(", "))?;
    }
    Ok(())
}

fn refused(f: &mut Formatter<'_>, who: &str, sample: &Sample) -> fmt::Result {
    if sample.refused.is_empty() {
        return Ok(());
    }
    let each = sample.refused.iter().map(|(fault, count)| format!("{count} {fault}"));
    let each = each.collect::<Vec<_>>().join(", ");
    let (refused, n) = (sample.n - sample.scored(), sample.n);
    writeln!(f, "{who:<11}{refused} of {n} rows refused: {each}")
}

/// Merged score and verdicts, with their intervals below.
fn told_apart(f: &mut Formatter<'_>, suspects: &[Suspect], width: usize) -> fmt::Result {
    head(f, width, "suspect", &["rows", "flagged", "AUROC", "AP", "TPR at 1%", "TPR at .1%"])?;
    for suspect in suspects {
        let Suspect { sample, merged, .. } = suspect;
        let numbers = [
            sample.n.to_string(),
            percent(sample.flagged_share),
            area(merged.auroc),
            area(merged.ap),
            percent(merged.tpr_at_1pct),
            percent(merged.tpr_at_01pct),
        ];
        line(f, width, &suspect.name, &numbers)?;
        let intervals = [
            String::new(),
            percents(sample.flagged_interval),
            areas(merged.auroc_interval),
            areas(merged.ap_interval),
            percents(merged.tpr_at_1pct_interval),
            percents(merged.tpr_at_01pct_interval),
        ];
        line(f, width, "", &intervals)?;
    }
    for suspect in suspects {
        refused(f, &cut(&suspect.name, 10), &suspect.sample)?;
    }
    Ok(())
}

/// How often the protected model is right, if that is known of anything.
fn reaches_the_model(f: &mut Formatter<'_>, report: &Report, width: usize) -> fmt::Result {
    let clean = ("clean", &report.clean.sample);
    let suspects = report.suspects.iter().map(|suspect| (suspect.name.as_str(), &suspect.sample));
    let all: Vec<_> = std::iter::once(clean).chain(suspects).collect();
    if !report.knows_answers() {
        return Ok(());
    }
    head(f, width, "model right", &["before", "corrected", "delivered", "held back"])?;
    for (name, sample) in all {
        let Accuracy { before, if_all_corrected, delivered } = sample.accuracy;
        let known = |share: Option<f64>| share.map_or("-".to_owned(), percent);
        let numbers = [
            known(before),
            known(if_all_corrected),
            known(delivered),
            percent(sample.held_back_share),
        ];
        line(f, width, name, &numbers)?;
    }
    Ok(())
}

/// Every detector by itself: as many beside each other as there is room for.
fn alone(f: &mut Formatter<'_>, suspects: &[Suspect], width: usize) -> fmt::Result {
    const COLUMN: usize = 20;
    let kinds: Vec<&str> = suspects[0].detectors.iter().map(|(kind, _)| kind.as_str()).collect();
    let most = ((WIDTH - width) / COLUMN).max(1);
    for first in (0..kinds.len()).step_by(most) {
        let columns = first..(first + most).min(kinds.len());
        write!(f, "\n{:width$}", "AUROC, TPR at 1%")?;
        kinds[columns.clone()].iter().try_for_each(|kind| write!(f, "{kind:>COLUMN$}"))?;
        writeln!(f)?;
        for suspect in suspects {
            write!(f, "{:width$}", cut(&suspect.name, width))?;
            for (_, measure) in &suspect.detectors[columns.clone()] {
                let both = format!("{} {:>6}", area(measure.auroc), percent(measure.tpr_at_1pct));
                write!(f, "{both:>COLUMN$}")?;
            }
            writeln!(f)?;
        }
    }
    Ok(())
}

/// What a cheap first look would keep, if the bundle has learned detectors.
fn first_look(f: &mut Formatter<'_>, suspects: &[Suspect], width: usize) -> fmt::Result {
    if suspects.iter().all(|suspect| suspect.first_look.is_none()) {
        return Ok(());
    }
    head(f, width, "flagged, kept", &["10% go on", "20% go on", "30% go on"])?;
    for Suspect { name, first_look, .. } in suspects {
        let share = |share: Option<f64>| share.map_or("-".to_owned(), percent);
        let Some(FirstLook { kept_at_10pct, kept_at_20pct, kept_at_30pct }) = *first_look else {
            continue;
        };
        line(f, width, name, &[kept_at_10pct, kept_at_20pct, kept_at_30pct].map(share))?;
    }
    Ok(())
}

fn head(f: &mut Formatter<'_>, width: usize, name: &str, columns: &[&str]) -> fmt::Result {
    write!(f, "\n{name:width$}")?;
    columns.iter().try_for_each(|column| write!(f, "{column:>NUMBER$}"))?;
    writeln!(f)
}

fn line(f: &mut Formatter<'_>, width: usize, name: &str, numbers: &[String]) -> fmt::Result {
    write!(f, "{:width$}", cut(name, width))?;
    numbers.iter().try_for_each(|number| write!(f, "{number:>NUMBER$}"))?;
    writeln!(f)
}

/// The name, if it is not too long; what a terminal would obey is shown instead of done.
fn cut(name: &str, most: usize) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    match name.chars().count() > most {
        true => name.chars().take(most - 1).map(shown).chain(['…']).collect(),
        false => name.chars().map(shown).collect(),
    }
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

pub(super) fn area(area: f64) -> String {
    format!("{area:.4}")
}

pub(super) fn percents((low, high): (f64, f64)) -> String {
    format!("{:.1}–{:.1}", 100.0 * low, 100.0 * high)
}

pub(super) fn areas((low, high): (f64, f64)) -> String {
    format!("{low:.3}–{high:.3}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::measure::Measure;
    use super::*;
    use crate::record::Schema;

    fn sample(rows: &str, n: usize, flagged: usize, accuracy: Accuracy) -> Sample {
        let Ok(rows) = rows.parse();
        let (corrected, flagged_share) = (flagged / 2, flagged as f64 / n as f64);
        Sample {
            rows,
            n,
            refused: BTreeMap::new(),
            flagged,
            corrected,
            flagged_share,
            flagged_interval: crate::math::wilson(flagged_share, n),
            held_back_share: (flagged - corrected) as f64 / n as f64,
            accuracy,
        }
    }

    fn suspect(name: &str, shift: f32, accuracy: Accuracy) -> Suspect {
        let clean: Vec<f32> = (0..1000).map(|i| (i * 37 % 1000) as f32).collect();
        let scores = |by: f32| -> Vec<f32> { (0..200).map(|i| (i * 7) as f32 * by).collect() };
        let measure = |by| Measure::of(&clean, &scores(by));
        let kinds = ["reconstruction", "local-residual", "prediction-match", "range", "rarity"];
        Suspect {
            name: name.into(),
            sample: sample("pgd.npz#success", 200, 120, accuracy),
            first_look: None,
            merged: measure(shift),
            scores: vec![],
            lowest: vec![],
            highest: vec![],
            detectors: kinds
                .iter()
                .map(|k| ((*k).into(), measure(shift / k.len() as f32)))
                .collect(),
        }
    }

    fn report() -> Report {
        let accuracy = |before, delivered| Accuracy {
            before: Some(before),
            if_all_corrected: Some(0.86),
            delivered: Some(delivered),
        };
        let mut odd = suspect(
            "one\u{1b}[31m with a name that does not end where it should",
            9.0,
            Accuracy::default(),
        );
        odd.sample.refused = BTreeMap::from([("out-of-bounds", 3)]);
        Report {
            bundle: "fashion-mnist".into(),
            digest: "5".repeat(64),
            budget: "1%".parse().unwrap(),
            clean: Clean {
                sample: sample("t10k.gz@5000..10000", 5000, 56, accuracy(0.901, 0.899)),
                flagged_expected: (31, 72),
                unread: vec![],
                scores: vec![],
                highest: vec![],
            },
            threshold: 7.5,
            schema: Schema { features: vec![] },
            kinds: vec![],
            suspects: vec![suspect("pgd .10", 1.0, accuracy(0.0, 0.76)), odd],
        }
    }

    #[test]
    fn a_report_fits_into_a_hundred_columns() {
        let text = report().to_string();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn clean_rows_that_are_flagged_too_often_are_told_first_and_without_suspects_alone() {
        let mut report = report();
        report.clean.flagged_expected = (31, 55);
        report.clean.unread = vec!["difficulty".into()];
        report.suspects.clear();
        insta::assert_snapshot!(report.to_string());
    }

    #[test]
    fn the_json_has_the_keys_that_others_read() {
        let json = serde_json::to_value(report()).unwrap();
        let at = |path: &str| json.pointer(path).unwrap_or_else(|| panic!("{path} of {json:#}"));
        for path in ["/clean/n", "/clean/flagged_share", "/clean/accuracy_before"] {
            at(path);
        }
        for key in [
            "n",
            "flagged_share",
            "accuracy_before",
            "accuracy_if_all_corrected",
            "accuracy_delivered",
            "merged/auroc",
            "merged/ap",
            "merged/tpr_at_1pct",
            "merged/tpr_at_01pct",
            "detectors/local-residual/auroc",
            "detectors/local-residual/tpr_at_1pct",
        ] {
            at(&format!("/suspects/pgd .10/{key}"));
        }
        assert_eq!(at("/clean/file"), "t10k.gz@5000..10000");
    }
}
