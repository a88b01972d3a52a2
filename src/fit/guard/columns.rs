//! The columns of one part of the rows, filled once and kept.
//!
//! The record path fills the columns of a batch and forgets them; learning wants those of a whole
//! part together. Memory: every column of every row, 2 · d + 2 · k numbers each.

use ndarray::{Array2, Axis};

use crate::fit::train::protected::BATCH_ROWS;
use crate::model::{Filled, ModelError, Networks};
use crate::record::{Columns, Rows};

/// Filled columns of `n` rows. A column nobody asked for is `[n, 0]`.
#[derive(Debug)]
pub struct Table {
    x: Array2<f32>,
    twin: Array2<f32>,
    answer: Array2<f32>,
    twin_answer: Array2<f32>,
    restored: Array2<f32>,
    restored_answer: Array2<f32>,
    surprisal: Array2<f32>,
    layers: Array2<f32>,
    pixel_odds: Array2<f32>,
    layer_odds: Array2<f32>,
    copy_answers: Array2<f32>,
}

impl Table {
    /// Fills `needs` for the rows `which` of `x` [·, d].
    ///
    /// # Errors
    /// If a network fails.
    pub fn fill(
        networks: &mut Networks,
        needs: Columns,
        x: &Array2<f32>,
        which: &[usize],
    ) -> Result<Self, ModelError> {
        let mut filled = Filled::default();
        let (mut twin, mut answer, mut twin_answer) = (vec![], vec![], vec![]);
        let (mut restored, mut restored_answer, mut surprisal) = (vec![], vec![], vec![]);
        let (mut layers, mut pixel_odds, mut layer_odds) = (vec![], vec![], vec![]);
        let mut copy_answers = vec![];
        let mut all = Vec::with_capacity(which.len() * x.ncols());
        for batch in which.chunks(BATCH_ROWS) {
            let start = all.len();
            batch.iter().for_each(|&i| all.extend(x.row(i)));
            let values = &all[start..];
            networks.fill(needs, values, &mut filled)?;
            let rows = filled.rows(values);
            twin.extend(rows.twin);
            answer.extend(rows.answer);
            twin_answer.extend(rows.twin_answer);
            restored.extend(rows.restored);
            restored_answer.extend(rows.restored_answer);
            surprisal.extend(rows.surprisal);
            layers.extend(rows.layers);
            pixel_odds.extend(rows.pixel_odds);
            layer_odds.extend(rows.layer_odds);
            copy_answers.extend(rows.copy_answers);
        }
        let matrix = |values: Vec<f32>| {
            let width = values.len().checked_div(which.len()).unwrap_or(0);
            Array2::from_shape_vec((which.len(), width), values).expect("whole rows")
        };
        Ok(Self {
            x: matrix(all),
            twin: matrix(twin),
            answer: matrix(answer),
            twin_answer: matrix(twin_answer),
            restored: matrix(restored),
            restored_answer: matrix(restored_answer),
            surprisal: matrix(surprisal),
            layers: matrix(layers),
            pixel_odds: matrix(pixel_odds),
            layer_odds: matrix(layer_odds),
            copy_answers: matrix(copy_answers),
        })
    }

    /// Only the rows `which` of `x` [·, d] themselves.
    pub fn of(x: &Array2<f32>, which: &[usize]) -> Self {
        let none = || Array2::zeros((which.len(), 0));
        Self {
            x: x.select(Axis(0), which),
            twin: none(),
            answer: none(),
            twin_answer: none(),
            restored: none(),
            restored_answer: none(),
            surprisal: none(),
            layers: none(),
            pixel_odds: none(),
            layer_odds: none(),
            copy_answers: none(),
        }
    }

    pub fn rows(&self) -> Rows<'_> {
        Rows {
            x: self.x.view(),
            twin: self.twin.view(),
            answer: self.answer.view(),
            twin_answer: self.twin_answer.view(),
            restored: self.restored.view(),
            restored_answer: self.restored_answer.view(),
            surprisal: self.surprisal.view(),
            layers: self.layers.view(),
            pixel_odds: self.pixel_odds.view(),
            layer_odds: self.layer_odds.view(),
            copy_answers: self.copy_answers.view(),
        }
    }
}
