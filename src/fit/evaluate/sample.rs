//! What became of the rows of one file, and what the protected model answers to them.
//!
//! Accuracy is that of the protected model, not of the guard. It counts rows that reach the model: a
//! refused row has no answer, and one that is held back is not delivered.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::error::EvaluateError;
use super::record_path::{SEEN, Turned};
use super::rows::Rows;
use crate::math::wilson;
use crate::model::{Filled, Networks};
use crate::record::{Action, Columns};
use crate::score::Batch;

/// Counts of one file's rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    #[serde(rename = "file", serialize_with = "as_text")]
    pub rows: Rows,
    pub n: usize,
    /// No row of the schema, by fault: as records they are dead letters and reach no model.
    pub refused: BTreeMap<&'static str, usize>,
    /// Scored, and flagged.
    pub flagged: usize,
    /// Flagged, and delivered in a corrected version.
    pub corrected: usize,
    /// As shares of the rows that were scored; the first with its 95 % interval (Wilson).
    pub flagged_share: f64,
    pub flagged_interval: (f64, f64),
    pub held_back_share: f64,
    #[serde(flatten)]
    pub accuracy: Accuracy,
}

/// Shares of rows that the protected model answers as they are labelled; `None` without a protected
/// model or labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Accuracy {
    /// On the rows as they came.
    #[serde(rename = "accuracy_before")]
    pub before: Option<f64>,
    /// If every row were corrected, flagged or not.
    #[serde(rename = "accuracy_if_all_corrected")]
    pub if_all_corrected: Option<f64>,
    /// On what is delivered: passed or corrected; the rest is held back.
    #[serde(rename = "accuracy_delivered")]
    pub delivered: Option<f64>,
}

fn as_text<S: Serializer>(rows: &Rows, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(rows)
}

/// The protected model's answers to the rows of a batch as they came, and corrected; `None` of a row
/// that was refused.
pub(super) type Answers = Vec<Option<(usize, usize)>>;

/// A sample that is still growing.
#[derive(Default)]
pub(super) struct Counting {
    n: usize,
    refused: BTreeMap<&'static str, usize>,
    flagged: usize,
    corrected: usize,
    /// Rows whose answer is known to be right or wrong.
    judged: usize,
    right_before: usize,
    right_corrected: usize,
    delivered: usize,
    right_delivered: usize,
    filled: Filled,
}

impl Counting {
    /// Asks the protected model about every row.
    pub fn answers<T>(&mut self, turned: &mut Turned<'_, T>) -> Result<Answers, EvaluateError> {
        let Turned { guard, networks, batch, .. } = turned;
        let (mut x, mut corrected) = (vec![], vec![]);
        for (i, _) in batch.outcomes().iter().enumerate().filter(|(_, o)| o.judged.is_ok()) {
            let look = batch.explain(guard, i).expect(SEEN);
            x.extend_from_slice(look.x());
            look.corrected(&mut corrected);
        }
        let before = self.labels(networks, &x)?;
        let after = self.labels(networks, &corrected)?;
        let mut pairs = before.into_iter().zip(after);
        let outcomes = batch.outcomes().iter();
        Ok(outcomes.map(|outcome| outcome.judged.ok().and_then(|_| pairs.next())).collect())
    }

    fn labels(&mut self, networks: &mut Networks, x: &[f32]) -> Result<Vec<usize>, EvaluateError> {
        networks.fill(Columns::ANSWER, x, &mut self.filled)?;
        let rows = self.filled.rows(x);
        Ok((0..rows.len()).map(|i| rows.label(i)).collect())
    }

    /// Counts one batch; `known` has the true label and the answers of each row, as far as they are.
    pub fn count(
        &mut self,
        batch: &Batch,
        known: impl Iterator<Item = (Option<i64>, Option<(usize, usize)>)>,
    ) {
        for (outcome, known) in batch.outcomes().iter().zip(known) {
            self.n += 1;
            let action = match outcome.judged {
                Ok(verdict) => verdict.action,
                Err(fault) => {
                    *self.refused.entry(fault.name()).or_default() += 1;
                    continue;
                }
            };
            self.flagged += usize::from(action != Action::Pass);
            self.corrected += usize::from(action == Action::Correct);
            let (Some(truth), Some((before, after))) = known else { continue };
            let right = |answer: usize| usize::from(answer as i64 == truth);
            self.judged += 1;
            self.right_before += right(before);
            self.right_corrected += right(after);
            let delivered = match action {
                Action::Pass => before,
                Action::Correct => after,
                Action::Quarantine => continue,
            };
            self.delivered += 1;
            self.right_delivered += right(delivered);
        }
    }

    pub fn finish(self, rows: Rows) -> Sample {
        let scored = self.n - self.refused.values().sum::<usize>();
        let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
        let known = |count, of| (of > 0).then(|| share(count, of));
        let flagged_share = share(self.flagged, scored);
        Sample {
            rows,
            n: self.n,
            refused: self.refused,
            flagged: self.flagged,
            corrected: self.corrected,
            flagged_share,
            flagged_interval: wilson(flagged_share, scored),
            held_back_share: share(self.flagged - self.corrected, scored),
            accuracy: Accuracy {
                before: known(self.right_before, self.judged),
                if_all_corrected: known(self.right_corrected, self.judged),
                delivered: known(self.right_delivered, self.delivered),
            },
        }
    }
}

impl Sample {
    /// Rows that have a score.
    pub fn scored(&self) -> usize {
        self.n - self.refused.values().sum::<usize>()
    }
}
