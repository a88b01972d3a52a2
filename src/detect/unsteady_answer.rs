//! How readily the protected model gives a row another label when the row is disturbed by a little.
//!
//! An attacker without a gradient asks the model until its label changes, and stops barely over the
//! boundary. The same disturbances, fixed when the bundle was made, then change the label back; of a
//! clean row they seldom do. Blind to a row that an attacker pushed well over the boundary, to a change
//! of a category, and to columns that one record can say in few values only: a disturbance seldom
//! reaches the next value. Every row costs [`COPIES_A_ROW`] runs of the model more.
//!
//! Source: the idea of S. Hu et al., "A new defense against adversarial images: turning a weakness into
//! a strength", arXiv:1910.07629: how far it is to another label. Departs: no gradient, so fixed
//! disturbances of four sizes instead of steps.

use ndarray::ArrayViewMut1;

use super::tabular::suits;
use super::{Detector, Kind};
use crate::bundle::{COPIES_A_ROW, Role, Tensors};
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: "unsteady-answer",
    needs: COLUMNS,
    needs_protected_model: true,
    role: Role::Attack,
    suits,
    contaminated_only: false,
    // Where no attacks of our own were made, there are no copies.
    voice: |_| 0.0,
    #[cfg(feature = "fit")]
    learn: |_, _, _| Box::new(UnsteadyAnswer),
    load: |_, _| Ok(Box::new(UnsteadyAnswer)),
};

const COLUMNS: Columns = Columns::X
    .and(Columns::TWIN)
    .and(Columns::ANSWER)
    .and(Columns::COPIES)
    .and(Columns::COPY_ANSWERS);

/// How large the disturbance of each copy is, in deviations of a column. Each size comes twice, with
/// opposite signs: one of the two leads back over a boundary that one column alone decides.
///
/// Chosen on attacks of our own on two tables and two kinds of trees: of those that stop at the boundary
/// the copies catch .890 at 1 % of clean rows in the worst case, twice as many .944 at twice the cost.
pub const SIZES: [f32; COPIES_A_ROW] = [0.001, 0.001, 0.004, 0.004, 0.016, 0.016, 0.064, 0.064];

/// Σ over the copies that have another label of 1 / √size. It learns nothing: what it needs to know is
/// in the network of copies.
struct UnsteadyAnswer;

impl Detector for UnsteadyAnswer {
    fn needs(&self) -> Columns {
        COLUMNS
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        let labels = rows.answer.ncols();
        for (i, score) in scores.iter_mut().enumerate() {
            let (label, answers) = (rows.label(i), rows.copy_answers.row(i));
            // The row's own label still leads: it need not be the first of equals.
            let has_another = |copy: usize| {
                let answer = |k: usize| answers[copy * labels + k];
                (0..labels).any(|k| answer(k) > answer(label))
            };
            let others = SIZES.iter().enumerate().filter(|&(copy, _)| has_another(copy));
            *score = others.map(|(_, size)| size.sqrt().recip()).sum();
        }
    }

    /// The features that the autoencoder changed: which of them the label hangs on would take more runs.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        let pairs = rows.x.row(i).into_iter().zip(rows.twin.row(i));
        let parts: Vec<f32> = pairs.map(|(x, twin)| (x - twin) * (x - twin)).collect();
        match parts.iter().any(|part| *part > 0.0) {
            true => parts,
            false => vec![1.0; parts.len()],
        }
    }

    fn save(&self, _: &mut Tensors) {}
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, array};

    use super::*;

    #[test]
    fn a_label_that_the_smallest_disturbance_changes_is_worth_more_than_one_that_the_largest_does()
    {
        let x = array![[0.0_f32], [0.0], [0.0]];
        let answer = array![[0.0_f32, -1.0], [0.0, -1.0], [0.0, -1.0]];
        let mut copies = Array2::from_shape_fn((3, 16), |(_, j)| answer[[0, j % 2]]);
        // The second row changes with the first copy, the third with the last.
        copies[[1, 1]] = 1.0;
        copies[[2, 15]] = 1.0;
        let rows = Rows {
            answer: answer.view(),
            copy_answers: copies.view(),
            twin: x.view(),
            ..Rows::only(x.view())
        };
        let mut scores = Array1::zeros(3);
        UnsteadyAnswer.score(&rows, scores.view_mut());
        assert_eq!(scores[0], 0.0);
        assert!(scores[1] > 7.0 * scores[2] && scores[2] > 3.0, "{scores}");
    }
}
