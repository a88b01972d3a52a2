//! How an answer is written: one file per format. This file holds the trait and the list.
//!
//! A format says which rows were answered, and the id if the body holds one. No bytes panic, and what is built from a body is
//! bounded by its size.

mod kserve_v1;
mod number;
mod oip_json;
mod oip_protobuf;
mod seldon;

use std::fmt;

use super::half::push_row;

/// Reads the body of an answer.
pub trait AnswerFormat: fmt::Debug + Send + Sync {
    /// What the configuration calls it.
    fn name(&self) -> &'static str;

    /// Whether the body looks like one of this format: asked where the configuration leaves it open.
    fn fits(&self, body: &AnswerBody<'_>) -> bool;

    /// The id that stands in the body, and its rows in order.
    ///
    /// # Errors
    /// If it is no answer of this format.
    fn read(
        &self,
        body: &AnswerBody<'_>,
        settings: &BodySettings,
    ) -> Result<(Option<String>, Vec<BodyRow>), BadAnswer>;
}

/// Every format there is, in the order in which they are tried.
pub const FORMATS: [&dyn AnswerFormat; 4] = [
    &kserve_v1::KserveV1Answer,
    &oip_json::OipJsonAnswer,
    &seldon::SeldonAnswer,
    &oip_protobuf::OipProtobufAnswer,
];

/// The bytes of an answer, and what they are if they are JSON.
#[derive(Debug)]
pub struct AnswerBody<'a> {
    pub bytes: &'a [u8],
    pub json: Option<serde_json::Value>,
}

/// What a body does not say of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BodySettings {
    /// The output that holds the answer, where there are several; else the first that fits.
    pub output: Option<String>,
    /// Names of labels, where the model answers with names.
    pub labels: Vec<String>,
    /// Scores are logits: a softmax makes probabilities of them.
    pub logits: bool,
}

/// A row as it was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct BodyRow {
    pub label: u16,
    /// By label; empty if only the label was answered, or scores that are no probabilities.
    pub probabilities: Vec<f32>,
}

/// A body that is no answer which we can compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAnswer(pub &'static str);

impl<'a> AnswerBody<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, json: serde_json::from_slice(bytes).ok() }
    }

    fn member(&self, name: &str) -> Option<&serde_json::Value> {
        self.json.as_ref()?.get(name)
    }
}

impl BodyRow {
    /// Appends it to the rows of a half that begin at `start`.
    pub fn push(&self, start: usize, out: &mut Vec<u8>) {
        let each = self.probabilities.iter().enumerate();
        let each = each.filter_map(|(label, &p)| Some((u16::try_from(label).ok()?, p)));
        push_row(self.label, each, start, out);
    }

    /// The row with these scores, one for each label.
    fn of_scores(scores: &[f64], settings: &BodySettings) -> Result<Self, BadAnswer> {
        if scores.len() > usize::from(u16::MAX) || scores.iter().any(|score| !score.is_finite()) {
            return Err(BadAnswer("scores that are no numbers, or too many"));
        }
        let mut best = (0, f64::NEG_INFINITY);
        for (label, &score) in scores.iter().enumerate() {
            if score > best.1 {
                best = (label, score);
            }
        }
        let label = u16::try_from(best.0).map_err(|_| BadAnswer("too many labels"))?;
        let sum: f64 = scores.iter().sum();
        let are_shares = scores.iter().all(|p| (0.0..=1.0).contains(p)) && (sum - 1.0).abs() < 0.01;
        let probabilities = if settings.logits {
            let each: Vec<f64> = scores.iter().map(|score| (score - best.1).exp()).collect();
            let sum: f64 = each.iter().sum();
            each.into_iter().map(|e| (e / sum) as f32).collect()
        } else if are_shares {
            scores.iter().map(|&p| p as f32).collect()
        } else {
            vec![]
        };
        Ok(Self { label, probabilities })
    }

    /// The row with this label.
    fn of_label(label: f64) -> Result<Self, BadAnswer> {
        let is_label = label.fract() == 0.0 && (0.0..f64::from(u16::MAX)).contains(&label);
        let label =
            is_label.then_some(label as u16).ok_or(BadAnswer("a label that is no label"))?;
        Ok(Self { label, probabilities: vec![] })
    }

    /// The row with the label of this name.
    fn of_name(name: &str, settings: &BodySettings) -> Result<Self, BadAnswer> {
        let label = settings.labels.iter().position(|known| known == name);
        let label = label.and_then(|label| u16::try_from(label).ok());
        let label = label.ok_or(BadAnswer("a label that `labels` does not name"))?;
        Ok(Self { label, probabilities: vec![] })
    }
}

#[cfg(test)]
mod tests;
