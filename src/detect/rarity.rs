//! Values of a category that few training rows had.
//!
//! Attacks often use what honest traffic rarely does: an odd protocol, a forgotten service. On
//! NSL-KDD's official test file, by `tripline evaluate` with `models/nsl-kdd`, it alone told attacks
//! apart with AUROC .938; it is the one table with categories we measured. Blind to numbers, and to rare values that
//! belong together no more than others: each category is looked at alone. O(d) a row.

use ndarray::{Array1, ArrayView1, ArrayViewMut1};

use super::tabular::minor;
use super::{Detector, Kind, Setting};
use crate::bundle::{Role, TensorError, Tensors};
use crate::record::{Columns, Feature, Rows, Schema};

pub(super) const KIND: Kind = Kind {
    name: "rarity",
    needs: Columns::X,
    needs_protected_model: false,
    role: Role::Trigger,
    suits: |schema| categories(schema).next().is_some(),
    contaminated_only: false,
    voice: minor,
    #[cfg(feature = "fit")]
    learn: |rows, setting, _| Box::new(Rarity::learn(rows, setting)),
    load: |tensors, setting| Ok(Box::new(Rarity::load(tensors, setting)?)),
};

/// Sum over categories of by how much a value's −ln frequency exceeds the category's mean one, its
/// entropy, in nats: a category of a thousand values is not strange for having them. A value never
/// seen counts as one seen less than once.
struct Rarity {
    /// How strange each value is, `[width]`, ≥ 0; 0 where it means nothing.
    rareness: Array1<f32>,
    /// ln(n + 1).
    unseen: f32,
    categories: Vec<std::ops::Range<usize>>,
}

fn categories(schema: &Schema) -> impl Iterator<Item = std::ops::Range<usize>> {
    let category = |(feature, columns)| match feature {
        &Feature::Category { .. } => Some(columns),
        _ => None,
    };
    schema.columns().filter_map(category)
}

impl Rarity {
    fn load(tensors: &Tensors, setting: Setting<'_>) -> Result<Self, TensorError> {
        let nats = |name, d| tensors.within(name, d, (0.0, 100.0), "nats, from 0 to 100");
        Ok(Self {
            rareness: nats(RARENESS, setting.schema.width())?,
            unseen: nats(UNSEEN, 1)?[0],
            categories: categories(setting.schema).collect(),
        })
    }

    /// How strange a category's value in `x` is, and its column: of one never seen the first.
    fn strangeness(
        &self,
        columns: &std::ops::Range<usize>,
        x: ArrayView1<'_, f32>,
    ) -> (usize, f32) {
        match columns.clone().find(|&at| x[at] > 0.5) {
            Some(at) => (at, self.rareness[at]),
            None => (columns.start, self.unseen),
        }
    }
}

impl Detector for Rarity {
    fn needs(&self) -> Columns {
        KIND.needs
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        for (x, score) in rows.x.rows().into_iter().zip(&mut scores) {
            *score = self.categories.iter().map(|columns| self.strangeness(columns, x).1).sum();
        }
    }

    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        let mut row = vec![0.0; self.rareness.len()];
        for columns in &self.categories {
            let (at, strange) = self.strangeness(columns, rows.x.row(i));
            row[at] = strange;
        }
        row
    }

    /// The commonest value of each category.
    fn typical(&self, _: &Rows<'_>, _: usize, typical: &mut [f32]) {
        for columns in &self.categories {
            typical[columns.clone()].fill(0.0);
            let least = |&a: &usize, &b: &usize| self.rareness[a].total_cmp(&self.rareness[b]);
            if let Some(at) = columns.clone().min_by(least) {
                typical[at] = 1.0;
            }
        }
    }

    fn save(&self, tensors: &mut Tensors) {
        tensors.put(RARENESS, &[self.rareness.len()], self.rareness.to_vec());
        tensors.put(UNSEEN, &[1], vec![self.unseen]);
    }
}

const RARENESS: &str = "rarity.rareness";
const UNSEEN: &str = "rarity.unseen";

#[cfg(feature = "fit")]
mod learn {
    use super::*;
    use crate::math::Moments;

    impl Rarity {
        pub(super) fn learn(rows: &Rows<'_>, setting: Setting<'_>) -> Self {
            let mut moments = Moments::new(rows.x.ncols());
            rows.x.rows().into_iter().for_each(|row| moments.add(row));
            // The mean of a column of zeros and ones is its value's frequency.
            let (share, n) = (moments.mean(), rows.len() as f32);
            let nats = |at: usize| -((share[at] * n + 1.0) / (n + 1.0)).ln();
            let mut rareness = Array1::zeros(rows.x.ncols());
            let categories: Vec<_> = categories(setting.schema).collect();
            for columns in &categories {
                let entropy: f32 = columns.clone().map(|at| share[at] * nats(at)).sum();
                columns.clone().for_each(|at| rareness[at] = (nats(at) - entropy).max(0.0));
            }
            Self { rareness, unseen: (n + 1.0).ln(), categories }
        }
    }
}

#[cfg(all(test, feature = "fit"))]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    /// Score of a row, of 99 rows of which every eleventh has the category's second value.
    fn check(row: [f32; 3], score: f32) {
        let values = ["often", "rare"].map(String::from).to_vec();
        let category = Feature::Category { name: "c".into(), values, impute: None };
        let schema = Schema { features: vec![Feature::number("n", -1e3, 1e3), category] };
        let x = Array2::from_shape_fn((99, 3), |(i, j)| match j {
            0 => i as f32,
            _ => f32::from(u8::from((j == 2) == (i % 11 == 0))),
        });
        let view = Rows::only;
        let rarity =
            Rarity::learn(&view(x.view()), Setting { schema: &schema, labels: 1, last_inputs: 0 });
        let (row, mut scores) = (array![row], array![f32::NAN]);
        rarity.score(&view(row.view()), scores.view_mut());
        assert!((scores[0] - score).abs() < 2e-3, "{row}: {scores}, not {score}");
    }

    #[test]
    fn a_rare_value_is_strange_by_what_it_exceeds_the_mean() {
        check([50.0, 1.0, 0.0], 0.0);
        // −ln (10 / 100) less the mean (1 · 2.303 + 10 · .0943) / 11 = .295.
        check([1e3, 0.0, 1.0], 2.008);
        check([50.0, 0.0, 0.0], 100.0_f32.ln());
    }
}
