//! What no training row had: numbers outside their range, values of a category never seen.
//!
//! The cheapest way to evade a model is to send what it never learned. Blind to everything that
//! looks valid: each feature is looked at alone, and whatever lies inside its range is ordinary, so
//! most clean rows score 0. O(d) a row.

use ndarray::{Array1, ArrayView1, ArrayViewMut1};

use super::tabular::suits;
use super::{Detector, Kind, Setting};
use crate::bundle::{TensorError, Tensors};
use crate::record::{Columns, Feature, Reasons, Rows, Schema};

pub(super) const KIND: Kind = Kind {
    name: "range",
    needs: Columns::X,
    needs_guarded_model: false,
    suits,
    contaminated_only: false,
    #[cfg(feature = "fit")]
    learn: |rows, setting, _| Box::new(Range::learn(rows, setting)),
    load: |tensors, setting| Ok(Box::new(Range::load(tensors, setting)?)),
};

/// Sum over features of what is strange about each, in nats: a value outside what n rows showed
/// has a probability of about 1 / (n + 1), and a number adds ln(1 + deviations beyond the edge).
struct Range {
    /// Least and largest number seen, `[width]`; 0 and 1 where it means nothing.
    low: Array1<f32>,
    high: Array1<f32>,
    /// 1 / deviation, `[width]`; 1 where it means nothing.
    scale: Array1<f32>,
    /// ln(n + 1).
    unseen: f32,
    parts: Vec<Part>,
    width: usize,
}

/// A feature, as far as it is looked at.
enum Part {
    Number(usize),
    Category(std::ops::Range<usize>),
}

impl Range {
    fn load(tensors: &Tensors, setting: Setting<'_>) -> Result<Self, TensorError> {
        let d = Some(setting.schema.width());
        let unseen = tensors.vector(UNSEEN, Some(1))?[0];
        if !(0.0..=100.0).contains(&unseen) {
            let (name, expected) = (UNSEEN.into(), "the logarithm of how many rows there were");
            return Err(TensorError::Value { name, value: unseen, expected });
        }
        let vector = |name| tensors.vector(name, d);
        Ok(Self::new(vector(LOW)?, vector(HIGH)?, vector(SCALE)?, unseen, setting.schema))
    }

    fn new(
        low: Array1<f32>,
        high: Array1<f32>,
        scale: Array1<f32>,
        unseen: f32,
        schema: &Schema,
    ) -> Self {
        let part = |(feature, columns): (&Feature, std::ops::Range<usize>)| match feature {
            Feature::Number { .. } => Some(Part::Number(columns.start)),
            Feature::Category { .. } => Some(Part::Category(columns)),
            Feature::Image { .. } | Feature::Id { .. } => None,
        };
        let parts = schema.columns().filter_map(part).collect();
        Self { low, high, scale, unseen, parts, width: schema.width() }
    }

    /// How strange one feature of `x` is, in nats.
    fn strangeness(&self, part: &Part, x: ArrayView1<'_, f32>) -> f32 {
        match part {
            &Part::Number(at) => {
                let beyond = (self.low[at] - x[at]).max(x[at] - self.high[at]);
                match beyond > 0.0 {
                    true => self.unseen + (beyond * self.scale[at]).min(FAR).ln_1p(),
                    false => 0.0,
                }
            }
            Part::Category(columns) => match columns.clone().any(|at| x[at] > 0.5) {
                true => 0.0,
                false => self.unseen,
            },
        }
    }
}

/// Deviations beyond the edge that still count.
const FAR: f32 = 1e30;

impl Detector for Range {
    fn needs(&self) -> Columns {
        KIND.needs
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        for (x, score) in rows.x.rows().into_iter().zip(&mut scores) {
            *score = self.parts.iter().map(|part| self.strangeness(part, x)).sum();
        }
    }

    /// The features outside; a category is named by its first value, which is not the one it had.
    fn explain(&self, rows: &Rows<'_>, i: usize) -> Reasons {
        let mut row = vec![0.0; self.width];
        for part in &self.parts {
            let at = match part {
                Part::Number(at) => *at,
                Part::Category(columns) => columns.start,
            };
            row[at] = self.strangeness(part, rows.x.row(i));
        }
        Reasons::of_parts(row.into_iter())
    }

    fn save(&self, tensors: &mut Tensors) {
        let d = [self.width];
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

    impl Range {
        pub(super) fn learn(rows: &Rows<'_>, setting: Setting<'_>) -> Self {
            let d = rows.x.ncols();
            let mut moments = Moments::new(d);
            let mut low = Array1::from_elem(d, f32::INFINITY);
            let mut high = Array1::from_elem(d, f32::NEG_INFINITY);
            for row in rows.x.rows() {
                moments.add(row);
                low.zip_mut_with(&row, |low, v| *low = low.min(*v));
                high.zip_mut_with(&row, |high, v| *high = high.max(*v));
            }
            let (mean, deviation) = (moments.mean(), moments.deviation());
            let scale =
                mean.iter().zip(deviation).map(|(mean, deviation)| unit(*mean, deviation).recip());
            let unseen = ((rows.len() + 1) as f32).ln();
            Self::new(low, high, scale.collect(), unseen, setting.schema)
        }
    }
}
