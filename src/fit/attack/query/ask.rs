//! What the model says of rows, and nothing else of the model.

use crate::model::{ModelError, Network};

/// Rows of a run at most.
const TOGETHER: usize = 1024;

/// A model that can only be asked.
pub struct Oracle<'a> {
    network: &'a mut Network,
    /// Rows that it was asked about.
    asked: usize,
}

impl<'a> Oracle<'a> {
    pub fn new(network: &'a mut Network) -> Self {
        Self { network, asked: 0 }
    }

    /// How many rows it was asked about.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// How many labels there are.
    pub fn width(&self) -> usize {
        self.network.outputs()
    }

    /// What the model gives for each row of `x` [n · d]: `[n · k]`, logits or probabilities.
    ///
    /// # Errors
    /// If the model fails.
    pub fn answers(&mut self, x: &[f32]) -> Result<Vec<f32>, ModelError> {
        let (mut all, mut part) = (vec![], vec![]);
        self.asked += x.len() / self.network.inputs();
        for x in x.chunks(TOGETHER * self.network.inputs()) {
            self.network.run(x, &mut part)?;
            all.extend_from_slice(&part);
        }
        Ok(all)
    }

    /// The label of each row of `x` [n · d]: the largest answer, the first of equals.
    ///
    /// # Errors
    /// If the model fails.
    pub fn labels(&mut self, x: &[f32]) -> Result<Vec<u32>, ModelError> {
        let k = self.width();
        Ok(self.answers(x)?.chunks(k).map(largest).collect())
    }
}

/// Where the largest is; the first of equals.
fn largest(answers: &[f32]) -> u32 {
    let first = |best: usize, at: usize| if answers[at] > answers[best] { at } else { best };
    (1..answers.len()).fold(0, first) as u32
}
