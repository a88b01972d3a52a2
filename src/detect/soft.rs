//! A detector's score as something with a gradient: what an attacker who holds the bundle climbs.
//!
//! Only `redteam` asks. The same columns, filled by networks that candle differentiates; labels are
//! taken as they are, for they have no slope.

use candle_core::{D, Result, Tensor};
use ndarray::Array2;

/// Columns of `n` rows; one that nobody asked for has no columns.
#[derive(Clone, Debug)]
pub struct Soft {
    /// `[n, d]`
    pub x: Tensor,
    pub twin: Tensor,
    pub restored: Tensor,
    pub surprisal: Tensor,
    /// `[n, t]`
    pub layers: Tensor,
    /// `[n, 1]`
    pub pixel_odds: Tensor,
    pub layer_odds: Tensor,
    /// Log-probabilities, `[n, k]`.
    pub answer: Tensor,
    pub twin_answer: Tensor,
    pub restored_answer: Tensor,
}

impl Soft {
    /// KL of two rows of log-probabilities, in nats, `[n]`.
    pub(super) fn kl(p: &Tensor, q: &Tensor) -> Result<Tensor> {
        p.exp()?.mul(&p.sub(q)?)?.sum(D::Minus1)
    }

    /// The row of `learned` `[labels, d]` that is each row's label's, `[n, d]`.
    pub(super) fn of_label(&self, learned: &Array2<f32>) -> Result<Tensor> {
        let (k, d) = learned.dim();
        let values: Vec<f32> = learned.iter().copied().collect();
        let learned = Tensor::from_vec(values, (k, d), self.x.device())?;
        if k == 1 {
            return learned.broadcast_as(self.x.shape());
        }
        learned.index_select(&self.answer.argmax(D::Minus1)?, 0)
    }
}
