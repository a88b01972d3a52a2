//! What no training row had: numbers outside their range, values of a category never seen.
//!
//! The cheapest way to evade a model is to send what it never learned. Nearly all clean rows score
//! 0, so whatever it says repeats no other detector and is heard in full. Blind to everything that
//! looks valid: each feature is looked at alone, and whatever lies inside its range, a little beyond
//! its edge, or was seen once, is ordinary; how rare it is, `rarity` knows. O(d) a row.

use ndarray::{Array1, ArrayView1, ArrayViewMut1};

use super::tabular::suits;
use super::{Detector, Kind, Setting};
use crate::bundle::{Role, TensorError, Tensors};
use crate::record::{Columns, Feature, Rows, Schema};

pub(super) const KIND: Kind = Kind {
    name: "range",
    needs: Columns::X,
    needs_protected_model: false,
    role: Role::Trigger,
    suits,
    contaminated_only: false,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |rows, setting, _| Box::new(Range::learn(rows, setting)),
    load: |tensors, setting| Ok(Box::new(Range::load(tensors, setting)?)),
};

/// Sum over features of what is strange about each, in nats: what none of n rows showed has a
/// probability of about 1 / (n + 1), −ln of that; a number adds ln(1 + deviations beyond the edge).
struct Range {
    /// Where a number stops being ordinary: beyond the least and largest seen by as much as those
    /// are from the tenth, `[width]`; 0 and 1 where it means nothing.
    low: Array1<f32>,
    high: Array1<f32>,
    /// 1 / deviation, `[width]`; 1 where it means nothing.
    scale: Array1<f32>,
    /// ln(n + 1).
    unseen: f32,
    parts: Vec<Part>,
}

/// A feature, as far as it is looked at.
enum Part {
    Number(usize),
    Category(std::ops::Range<usize>),
}

impl Range {
    fn load(tensors: &Tensors, setting: Setting<'_>) -> Result<Self, TensorError> {
        let d = setting.schema.width();
        let positive = (f32::MIN_POSITIVE, f32::MAX);
        Ok(Self {
            low: tensors.vector(LOW, Some(d))?,
            high: tensors.vector(HIGH, Some(d))?,
            scale: tensors.within(SCALE, d, positive, "positive numbers")?,
            unseen: tensors.within(UNSEEN, 1, (0.0, 100.0), "nats, from 0 to 100")?[0],
            parts: parts(setting.schema),
        })
    }

    /// How strange one feature of `x` is, in nats, and the column that says so: of a category never
    /// seen its first.
    fn strangeness(&self, part: &Part, x: ArrayView1<'_, f32>) -> (usize, f32) {
        match part {
            &Part::Number(at) => {
                let beyond = (self.low[at] - x[at]).max(x[at] - self.high[at]);
                let strange = self.unseen + (beyond * self.scale[at]).min(FAR).ln_1p();
                (at, if beyond > 0.0 { strange } else { 0.0 })
            }
            Part::Category(columns) => match columns.clone().find(|&at| x[at] > 0.5) {
                Some(at) => (at, 0.0),
                None => (columns.start, self.unseen),
            },
        }
    }
}

fn parts(schema: &Schema) -> Vec<Part> {
    let part = |(feature, columns): (&Feature, std::ops::Range<usize>)| match feature {
        Feature::Number { .. } => Some(Part::Number(columns.start)),
        Feature::Category { .. } => Some(Part::Category(columns)),
        Feature::Image { .. } | Feature::Id { .. } => None,
    };
    schema.columns().filter_map(part).collect()
}

/// Deviations beyond the edge that still count.
const FAR: f32 = 1e30;

impl Detector for Range {
    fn needs(&self) -> Columns {
        KIND.needs
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        for (x, score) in rows.x.rows().into_iter().zip(&mut scores) {
            *score = self.parts.iter().map(|part| self.strangeness(part, x).1).sum();
        }
    }

    /// The strange features; one never seen is named by its category's first value, which is not
    /// the one it had.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        let mut row = vec![0.0; self.low.len()];
        for part in &self.parts {
            let (at, strange) = self.strangeness(part, rows.x.row(i));
            row[at] = strange;
        }
        row
    }

    /// The nearest number that a training row had.
    fn typical(&self, rows: &Rows<'_>, i: usize, typical: &mut [f32]) {
        for part in &self.parts {
            if let &Part::Number(at) = part {
                typical[at] = rows.x[(i, at)].max(self.low[at]).min(self.high[at]);
            }
        }
    }

    fn save(&self, tensors: &mut Tensors) {
        let d = [self.low.len()];
        tensors.put(LOW, &d, self.low.to_vec());
        tensors.put(HIGH, &d, self.high.to_vec());
        tensors.put(SCALE, &d, self.scale.to_vec());
        tensors.put(UNSEEN, &[1], vec![self.unseen]);
    }
}

const LOW: &str = "range.low";
const HIGH: &str = "range.high";
const SCALE: &str = "range.scale";
const UNSEEN: &str = "range.unseen";

#[cfg(feature = "fit")]
mod learn {
    use super::super::tabular::unit;
    use super::*;
    use crate::math::Moments;

    /// The largest of n clean numbers is exceeded by the next with probability 1 / (n + 1), on either
    /// side of every number: of rows with ten numbers, trained on a thousand, one in fifty would be
    /// strange. If the tail falls off exponentially, its largest is 1 + 1/2 + … + 1/9 = 2.8 mean
    /// excesses above its tenth largest, and as much again is exceeded e^2.8 = 17 times less often.
    const EDGE: usize = 10;

    /// The numbers beyond which a column's are strange.
    fn edges(mut values: Vec<f32>) -> (f32, f32) {
        values.sort_unstable_by(f32::total_cmp);
        let (first, last) = (values[0], values[values.len() - 1]);
        let tenth = EDGE.min(values.len()) - 1;
        let low = 2.0 * first - values[tenth];
        let high = 2.0 * last - values[values.len() - 1 - tenth];
        (low.max(-f32::MAX), high.min(f32::MAX))
    }

    impl Range {
        pub(super) fn learn(rows: &Rows<'_>, setting: Setting<'_>) -> Self {
            let d = rows.x.ncols();
            let mut moments = Moments::new(d);
            rows.x.rows().into_iter().for_each(|row| moments.add(row));
            let parts = parts(setting.schema);
            let (mut low, mut high) = (Array1::zeros(d), Array1::ones(d));
            for part in &parts {
                if let &Part::Number(at) = part {
                    (low[at], high[at]) = edges(rows.x.column(at).to_vec());
                }
            }
            let (mean, deviation) = (moments.mean(), moments.deviation());
            let pairs = mean.iter().zip(deviation);
            let scale = pairs.map(|(mean, deviation)| unit(*mean, deviation).recip()).collect();
            let unseen = (rows.len() as f32 + 1.0).ln();
            Self { low, high, scale, unseen, parts }
        }
    }
}

#[cfg(all(test, feature = "fit"))]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    /// Score and first reason of a row, of 99 rows that learned numbers in 0..=98 and a category
    /// of two values.
    fn check(row: [f32; 3], score: f32, column: Option<u32>) {
        let values = ["often", "rare"].map(String::from).to_vec();
        let category = Feature::Category { name: "c".into(), values, impute: None };
        let schema = Schema { features: vec![Feature::number("n", -1e3, 1e3), category] };
        let x = Array2::from_shape_fn((99, 3), |(i, j)| match j {
            0 => i as f32,
            _ => f32::from(u8::from((j == 2) == (i % 11 == 0))),
        });
        let view = Rows::only;
        let range =
            Range::learn(&view(x.view()), Setting { schema: &schema, labels: 1, last_inputs: 0 });
        let (row, mut scores) = (array![row], array![f32::NAN]);
        range.score(&view(row.view()), scores.view_mut());
        assert!((scores[0] - score).abs() < 2e-3, "{row}: {scores}, not {score}");
        let reason = range.explain(&view(row.view()), 0).iter().next().map(|r| r.feature.0);
        assert_eq!(reason, column, "{row}");
    }

    #[test]
    fn what_no_row_showed_has_the_surprise_of_one_in_all_and_more() {
        check([98.0, 1.0, 0.0], 0.0, None);
        // The tenth largest of 0..=98 is 89: a number is ordinary up to 98 + 9.
        check([107.0, 1.0, 0.0], 0.0, None);
        check([-9.0, 1.0, 0.0], 0.0, None);
        check([0.0, 0.0, 1.0], 0.0, None);
        check([50.0, 0.0, 0.0], 100.0_f32.ln(), Some(1));
        // The deviation of 0..=98 is 28.58.
        check([107.0 + 28.58, 1.0, 0.0], 100.0_f32.ln() + 2.0_f32.ln(), Some(0));
        check([-9.0 - 28.58, 1.0, 0.0], 100.0_f32.ln() + 2.0_f32.ln(), Some(0));
    }
}
