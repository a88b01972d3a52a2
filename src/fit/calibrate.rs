//! Third step of `fit`: from scores to a decision, on rows that nothing was learned from.
//!
//! Ranks, merged score and test have a part each. The tables of these parts live only here.

use ndarray::Axis;

use super::data::options::Options;
use super::data::reference::Attacks;
use super::error::FitError;
use super::guard::clustering;
use super::guard::columns::Table;
use super::guard::correction::{self, Attacked, Clean};
use super::guard::detectors::{self, Detectors, Weighed};
use super::guard::measured::{Measured, Parts};
use super::guard::signals;
use super::learn::{Filler, Knowledge};
use super::load::Sources;
use super::progress::Watch;
use super::report::Accuracy;
use super::seed::{Use, stream};
use super::train::material::Weighing;
use crate::bundle::{Correction, Member, Tensors};
use crate::clients::Prints;
use crate::decide::{Decider, Version};
use crate::detect::Pairs;
use crate::model::ModelError;
use crate::record::Rows;

/// What calibration adds to what was learned.
pub struct Calibrated {
    pub decider: Decider,
    /// The detectors that the bundle keeps.
    pub members: Vec<Member>,
    /// What detectors, decider and watches need at run time.
    pub tensors: Tensors,
    pub measured: Measured,
    pub accuracy: Option<Accuracy>,
    /// What correcting does to answers, if there is a protected model.
    pub correction: Option<Correction>,
    /// For how many independent rows a row counts, if rows come in groups.
    pub clustering: Option<f64>,
}

/// Calibrates the detectors of `knowledge`, and measures what came out.
///
/// # Errors
/// If a network fails, or the rows are too few for the budget.
pub fn calibrate(
    options: &Options,
    sources: &Sources,
    knowledge: &mut Knowledge,
    watch: &mut dyn Watch,
) -> Result<Calibrated, FitError> {
    watch.stage("calibrating");
    let (x, split) = (&sources.reference.x, &sources.reference.split);
    let by_queries = knowledge.no_gradient.is_some();
    let Knowledge { detectors, labels, weighing, filler, .. } = knowledge;
    let test = filler.fill(x, &split.test)?;
    let (ranks, merged) = (filler.fill(x, &split.ranks)?, filler.fill(x, &split.merged)?);
    let validation = filler.fill(x, &split.validation)?;
    let weighed =
        weighing.as_ref().map(|weighing| weighed(weighing, by_queries, filler)).transpose()?;
    let attacked = match &sources.reference.attacks {
        Some(Attacks { x, labels, .. }) if !labels.is_empty() => Some(filler.fill_all(x)?),
        _ => None,
    };

    let decider = detectors.calibrate(&ranks, &merged, &test, options.budget, weighed.as_ref())?;
    let parts =
        Parts { validation: &validation, ranks: &ranks, test: &test, attacks: attacked.as_ref() };
    let mut measured = detectors.measure(&decider, parts);
    if let Some((weighing, weighed)) = weighing.as_ref().zip(weighed.as_ref()) {
        measured.own = detectors.own(&decider, &test, weighing, weighed);
    }
    let accuracy = accuracy_of(sources, detectors, &decider, &test);

    let labelled = |table, part: &[usize]| {
        let y = sources.reference.y.as_ref();
        Clean { table, labels: y.map(|y| part.iter().map(|&i| y[i]).collect()) }
    };
    let clean = [
        labelled(&ranks, &split.ranks),
        labelled(&merged, &split.merged),
        labelled(&test, &split.test),
    ];
    let own = weighing.as_ref().zip(weighed.as_ref());
    let own: Vec<Attacked<'_>> = own.map_or(vec![], |(weighing, weighed)| {
        let pairs = weighing.attacks.iter().zip(&weighed.attacks);
        pairs.map(|(own, (table, _))| Attacked { table, labels: &own.labels }).collect()
    });
    let loss_max = options.correction_loss_max;
    let correction = correction::measure((&*detectors, &decider), &clean, &own, loss_max);

    let clustering = sources.reference.groups.as_ref().map(|groups| {
        let scores = [&merged, &test].map(|table| detectors.merged(&decider, table)).concat();
        let rows = split.merged.iter().chain(&split.test);
        clustering::effect(&scores, &rows.map(|&i| groups[i]).collect::<Vec<_>>())
    });

    let mut tensors = Tensors::default();
    let members = detectors.save(&decider, &mut tensors);
    decider.save(&mut tensors);
    let kept = (&sources.reference.schema, members.as_slice(), *labels);
    let train = x.select(Axis(0), &split.train);
    if let Some(pairs) = Pairs::learn(train.view(), &sources.reference.schema) {
        pairs.save(&mut tensors);
    }
    let held = [&split.ranks[..], &split.merged, &split.test].concat();
    let (held, rng) = (x.select(Axis(0), &held), &mut stream(options.seed, Use::Prints));
    if let Some(prints) = Prints::learn(&sources.reference.schema, train.view(), held.view(), rng) {
        prints.save(&mut tensors);
    }
    signals::learn(kept, (&*detectors, &decider), &ranks, &[&merged, &test]).save(&mut tensors);
    Ok(Calibrated { decider, members, tensors, measured, accuracy, correction, clustering })
}

/// What weighs the detectors, its columns filled.
fn weighed(
    weighing: &Weighing,
    by_queries: bool,
    filler: &mut Filler,
) -> Result<Weighed, ModelError> {
    let mut attacks = vec![];
    for own in &weighing.attacks {
        attacks.push((filler.fill_all(&own.x)?, own.weight));
    }
    let (clean, harmless) =
        (filler.fill_all(&weighing.clean)?, filler.fill_all(&weighing.harmless)?);
    Ok(Weighed { clean, harmless, attacks, by_queries })
}

/// The protected model's accuracy on the test part, if there is a model and the rows have labels.
fn accuracy_of(
    sources: &Sources,
    detectors: &Detectors,
    decider: &Decider,
    test: &Table,
) -> Option<Accuracy> {
    let y = sources.reference.y.as_ref().filter(|_| sources.protected.is_some())?;
    let versions = detectors.versions(decider, test);
    Some(accuracy(&test.rows(), &versions, &sources.reference.split.test, y))
}

/// How often the protected model gives row `part[i]` its label `y[part[i]]`; corrected in `versions[i]`.
fn accuracy(rows: &Rows<'_>, versions: &[Version], part: &[usize], y: &[i64]) -> Accuracy {
    let right = |label: &dyn Fn(usize) -> usize| {
        (0..part.len()).filter(|&i| label(i) as i64 == y[part[i]]).count()
    };
    Accuracy {
        rows: part.len(),
        right: right(&|i| rows.label(i)),
        right_corrected: right(&|i| detectors::label_of(rows, versions[i], i)),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn accuracy_counts_the_answers_that_are_the_label() {
        let (x, answer) = (array![[0.0], [0.0]], array![[0.0_f32, -1.0], [-1.0, 0.0]]);
        let twin_answer = array![[-1.0_f32, 0.0], [-1.0, 0.0]];
        let rows =
            Rows { answer: answer.view(), twin_answer: twin_answer.view(), ..Rows::only(x.view()) };
        let expected = Accuracy { rows: 2, right: 2, right_corrected: 1 };
        assert_eq!(accuracy(&rows, &[Version::Twin; 2], &[5, 3], &[9, 9, 9, 1, 9, 0]), expected);
    }
}
