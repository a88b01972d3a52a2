//! The classifier we protect, as `fit` first meets it: a file and the rows it should understand.

use crate::bundle::{AnswerKind, Digest, Manifest};
use crate::model::{ModelError, Network, Runtime};

/// Rows per run of the networks: bounds what they hold in between, changes no bit.
pub const BATCH_ROWS: usize = 256;

/// A protected model that takes our rows.
pub struct Protected {
    pub onnx: Vec<u8>,
    /// Of the file as it was exported.
    pub digest: Digest,
    pub kind: AnswerKind,
    /// How many labels it knows.
    pub labels: usize,
    /// What its inputs and outputs were taken for; empty if nobody looked.
    pub found: String,
}

/// Why a model cannot be protected.
#[derive(Debug, thiserror::Error)]
pub enum ProtectedError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("the protected model gives {labels} numbers per row; protected are classifiers of 2 to {max}",
        max = Manifest::LABELS_MAX)]
    Labels { labels: usize },
}

impl Protected {
    /// Loads the model, runs it on `sample`, rows `[n · width]` in model units, and tells from its
    /// answers what they are: if every row is made of numbers in [0, 1] that sum to 1,
    /// probabilities; else logits. (Logits that look like that on every row are a model that we
    /// would read wrongly; no one has seen one.)
    ///
    /// # Errors
    /// If ONNX Runtime refuses the model, it takes other rows, or is no classifier.
    pub fn read(
        runtime: &Runtime,
        onnx: Vec<u8>,
        sample: &[f32],
        width: usize,
    ) -> Result<Self, ProtectedError> {
        let mut network = Network::load(runtime, "the protected model", &onnx, width)?;
        let labels = network.outputs();
        if !(2..=Manifest::LABELS_MAX).contains(&labels) {
            return Err(ProtectedError::Labels { labels });
        }
        let (mut kind, mut out) = (AnswerKind::Probabilities, Vec::new());
        for batch in sample.chunks(BATCH_ROWS * width) {
            network.run(batch, &mut out)?;
            if !out.chunks(labels).all(are_probabilities) {
                kind = AnswerKind::Logits;
            }
        }
        Ok(Self { digest: Digest::of(&onnx), onnx, kind, labels, found: String::new() })
    }
}

fn are_probabilities(row: &[f32]) -> bool {
    let sum: f32 = row.iter().sum();
    row.iter().all(|p| (0.0..=1.0).contains(p)) && (sum - 1.0).abs() < 1e-3
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::fit::graph::export::onnx;
    use crate::fit::graph::layers::{Activation, Layer};

    /// A model of one layer, two labels: `[x, b]`.
    fn read(b: f32, activation: Activation) -> AnswerKind {
        let runtime = Runtime::load(None).unwrap();
        let layer = Layer { w: array![[1.0], [-1.0]], b: vec![0.0, b], activation };
        Protected::read(&runtime, onnx(None, &[layer]).unwrap(), &[0.0, 0.25, 1.0], 1).unwrap().kind
    }

    #[test]
    fn answers_that_sum_to_one_are_probabilities_and_others_are_logits() {
        assert_eq!(read(1.0, Activation::Linear), AnswerKind::Probabilities);
        assert_eq!(read(2.0, Activation::Linear), AnswerKind::Logits);
        assert_eq!(read(0.5, Activation::Relu), AnswerKind::Logits);
    }

    #[test]
    fn a_model_with_one_output_is_no_classifier() {
        let runtime = Runtime::load(None).unwrap();
        let layer = Layer { w: array![[1.0]], b: vec![0.0], activation: Activation::Linear };
        let got = Protected::read(&runtime, onnx(None, &[layer]).unwrap(), &[0.0], 1);
        assert!(matches!(got, Err(ProtectedError::Labels { labels: 1 })));
    }
}
