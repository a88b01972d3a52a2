//! The numbers and categories of a row on one scale: what table detectors measure distances in.
//!
//! Pixels are left out: distances between images say little, and other detectors see them better.

use ndarray::{Array1, ArrayView1};

use crate::bundle::{TensorError, Tensors};
use crate::record::{Feature, Schema};

/// Largest standardized number: a million deviations are as far as anyone needs, and their squares
/// add up to something finite over the widest row.
const FAR: f32 = 1e6;

/// Standardizes numbers; a category's columns stay 0 and 1, or a rare value would be as far from
/// the others as its rareness makes it, which is not what a distance is for.
pub(super) struct Tabular {
    /// Which columns of a row are a number's or a category's.
    columns: Vec<usize>,
    /// In the columns' own units, one per column of these.
    mean: Array1<f32>,
    /// 1 / deviation.
    scale: Array1<f32>,
}

/// Whether `schema` has a number or a category.
pub(super) fn suits(schema: &Schema) -> bool {
    width(schema) > 0
}

/// The voice of a detector that scores a table less well than the nearest prototype does, and other
/// rows as well as any.
pub(super) fn minor(schema: &Schema) -> f32 {
    let image = schema.features.iter().any(|f| matches!(f, Feature::Image { .. }));
    if image { 1.0 } else { 0.5 }
}

/// How many columns are a number's or a category's.
pub(super) fn width(schema: &Schema) -> usize {
    columns(schema).count()
}

fn columns(schema: &Schema) -> impl Iterator<Item = usize> {
    let tabular = |f: &&Feature| matches!(f, Feature::Number { .. } | Feature::Category { .. });
    schema.columns().filter(move |(f, _)| tabular(f)).flat_map(|(_, columns)| columns)
}

impl Tabular {
    /// Unitless distances from the mean, into `z` `[width]`; each within ±1e6.
    pub(super) fn standardize(&self, row: ArrayView1<'_, f32>, z: &mut [f32]) {
        let learned = self.mean.iter().zip(&self.scale);
        for ((z, &at), (mean, scale)) in z.iter_mut().zip(&self.columns).zip(learned) {
            *z = ((row[at] - mean) * scale).clamp(-FAR, FAR);
        }
    }

    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Puts `z` back into the columns of a row that it stands for, in their own units.
    pub(super) fn restore(&self, z: impl Iterator<Item = f32>, row: &mut [f32]) {
        let learned = self.mean.iter().zip(&self.scale);
        for ((z, &at), (mean, scale)) in z.zip(&self.columns).zip(learned) {
            row[at] = mean + z / scale;
        }
    }

    /// `parts`, one per number or one-hot column, where these stand in a row of `d` columns.
    pub(super) fn spread(&self, parts: &[f32], d: usize) -> Vec<f32> {
        let mut row = vec![0.0; d];
        self.columns.iter().zip(parts).for_each(|(&at, part)| row[at] = *part);
        row
    }

    pub(super) fn load(
        tensors: &Tensors,
        detector: &str,
        schema: &Schema,
    ) -> Result<Self, TensorError> {
        let columns: Vec<usize> = columns(schema).collect();
        let mean = tensors.vector(&format!("{detector}.mean"), Some(columns.len()))?;
        let scale = tensors.vector(&format!("{detector}.scale"), Some(columns.len()))?;
        Ok(Self { columns, mean, scale })
    }

    pub(super) fn save(&self, tensors: &mut Tensors, detector: &str) {
        let d = [self.width()];
        tensors.put(format!("{detector}.mean"), &d, self.mean.to_vec());
        tensors.put(format!("{detector}.scale"), &d, self.scale.to_vec());
    }
}

/// A standardized number as it is up to three deviations, beyond that growing with its logarithm:
/// where the reference may hold attacks, one number of theirs must not outweigh all the others.
pub(super) fn compress(z: &mut [f32]) {
    const LINEAR: f32 = 3.0;
    for z in z.iter_mut().filter(|z| z.abs() > LINEAR) {
        *z = z.signum() * (LINEAR + LINEAR * (z.abs() / LINEAR).ln());
    }
}

#[cfg(feature = "fit")]
pub(super) use learn::unit;

#[cfg(feature = "fit")]
mod learn {
    use ndarray::{Array2, ArrayView2};

    use super::*;
    use crate::math::Moments;
    use crate::record::Rows;

    /// What differences of a number are measured in: its deviation. One that never changes has 1 or
    /// a thousandth of its size instead, for no row says how far away another value is. Positive,
    /// and so is its reciprocal.
    pub(in crate::detect) fn unit(mean: f32, deviation: f32) -> f32 {
        // Less than `f32` resolves is the same number.
        let varies = deviation > 1e-6 * mean.abs();
        let unit = if varies { deviation } else { (mean.abs() / 1e3).max(1.0) };
        unit.clamp(1e-30, 1e30)
    }

    /// Deviations of a normal distribution between its quartiles.
    const NORMAL_MIDDLE: f32 = 1.35;

    impl Tabular {
        /// The mean and deviation of every number.
        pub(in crate::detect) fn learn(rows: &Rows<'_>, schema: &Schema) -> Self {
            Self::of(rows.x, schema)
        }

        fn of(x: ArrayView2<'_, f32>, schema: &Schema) -> Self {
            let mut moments = Moments::new(x.ncols());
            x.rows().into_iter().for_each(|row| moments.add(row));
            let (mean, deviation) = (moments.mean(), moments.deviation());
            let mut learned = Self {
                columns: columns(schema).collect(),
                mean: Array1::zeros(width(schema)),
                scale: Array1::ones(width(schema)),
            };
            let mut own = 0;
            for (feature, columns) in schema.columns() {
                match feature {
                    Feature::Number { .. } => {
                        let (mean, deviation) = (mean[columns.start], deviation[columns.start]);
                        learned.mean[own] = mean;
                        learned.scale[own] = unit(mean, deviation).recip();
                        own += 1;
                    }
                    Feature::Category { .. } => own += columns.len(),
                    Feature::Image { .. } | Feature::Id { .. } => {}
                }
            }
            learned
        }

        /// The median of every number, and the deviation that its middle half would have if it
        /// were normal: a quarter of the rows on either side has no say. Where the middle half hardly
        /// varies, a fifth of the deviation at least, or one of few values would be a world away.
        pub(in crate::detect) fn robust(x: ArrayView2<'_, f32>, schema: &Schema) -> Self {
            let mut learned = Self::of(x, schema);
            let numbers = schema.columns().filter_map(|(feature, columns)| match feature {
                Feature::Number { .. } => Some(columns.start),
                _ => None,
            });
            let mut values = vec![];
            for at in numbers {
                let own = learned.columns.binary_search(&at).expect("a number is tabular");
                let deviation = learned.scale[own].recip();
                values.clear();
                values.extend(x.column(at));
                values.sort_unstable_by(f32::total_cmp);
                let quantile =
                    |share: f32| values[(share * (values.len() - 1) as f32).round() as usize];
                let middle = (quantile(0.75) - quantile(0.25)) / NORMAL_MIDDLE;
                let varies = middle > 0.05 * deviation;
                let unit = if varies { middle.max(0.2 * deviation) } else { deviation };
                learned.mean[own] = quantile(0.5);
                learned.scale[own] = unit.recip();
            }
            learned
        }

        /// All rows standardized, `[n, width]`.
        pub(in crate::detect) fn matrix(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
            let mut matrix = Array2::zeros((x.nrows(), self.width()));
            for (row, mut z) in x.rows().into_iter().zip(matrix.rows_mut()) {
                self.standardize(row, z.as_slice_mut().expect("a row of its own"));
            }
            matrix
        }
    }
}

/// Whether what is learned from 950 rows around 0 and 50 close together, three deviations away in
/// each of four numbers, scores those 50 above 95 of 100 of the others.
#[cfg(all(test, feature = "fit"))]
pub(super) fn outnumbered(learn: super::Learn) {
    use ndarray::{Array1, Array2};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use crate::record::Rows;

    let number = |j| Feature::number(format!("x{j}"), -1e3, 1e3);
    let schema = Schema { features: (0..4).map(number).collect() };
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    // The sum of twelve uniform numbers less its mean: nearly normal, deviation 1.
    let mut normal = || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
    let x = Array2::from_shape_fn((1000, 4), |(i, _)| match i {
        0..950 => normal(),
        _ => 3.0 + 0.01 * normal(),
    });
    let rows = Rows::only(x.view());
    let setting = super::Setting { schema: &schema, labels: 1, last_inputs: 0 };
    let detector = learn(&rows, setting, &mut ChaCha8Rng::seed_from_u64(0));
    let mut scores = Array1::zeros(1000);
    detector.score(&rows, scores.view_mut());
    let (mut clean, attacks) = (scores.to_vec(), scores.to_vec().split_off(950));
    clean.truncate(950);
    clean.sort_unstable_by(f32::total_cmp);
    let above = attacks.iter().filter(|score| **score > clean[902]).count();
    assert!(above >= 45, "{above} of 50");
}

#[cfg(all(test, feature = "fit"))]
mod tests {
    use ndarray::Array2;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quarter_of_wild_numbers_leaves_the_robust_unit_as_it_is() {
        let schema = Schema { features: vec![Feature::number("x", -1e6, 1e6)] };
        let unit = |wild: f32| {
            // NumPy: median 50 and quartiles 25 and 75 of 0..=100, method "nearest".
            let x = Array2::from_shape_fn((101, 1), |(i, _)| match i {
                0..90 => i as f32,
                _ => i as f32 * wild,
            });
            let learned = Tabular::robust(x.view(), &schema);
            let mut z = [f32::NAN];
            learned.standardize(ndarray::aview1(&[75.0]), &mut z);
            z[0]
        };
        // (75 − 50) / ((75 − 25) / 1.35)
        assert!((unit(1.0) - 0.675).abs() < 1e-6, "{}", unit(1.0));
        assert_eq!(unit(1.0), unit(1.5));
    }

    #[test]
    fn a_number_whose_middle_half_never_varies_is_measured_by_its_deviation() {
        let schema = Schema { features: vec![Feature::number("x", -1e6, 1e6)] };
        let x = Array2::from_shape_fn((100, 1), |(i, _)| f32::from(u8::from(i % 10 == 0)));
        let mut z = [f32::NAN];
        Tabular::robust(x.view(), &schema).standardize(ndarray::aview1(&[1.0]), &mut z);
        // The deviation of one in ten is .3, the median 0.
        assert!((z[0] - 1.0 / 0.3).abs() < 1e-5, "{}", z[0]);
    }

    #[test]
    fn beyond_three_a_number_grows_with_its_logarithm() {
        let mut z = [3.0, -3.0, 3.0 * std::f32::consts::E, -3.0 * std::f32::consts::E];
        compress(&mut z);
        assert_eq!(z.map(|z| (z * 1e4).round() / 1e4), [3.0, -3.0, 6.0, -6.0]);
    }

    proptest! {
        #[test]
        fn compressed_numbers_keep_their_order(a in -1e6_f32..1e6, b in -1e6_f32..1e6) {
            let mut z = [a.min(b), a.max(b)];
            compress(&mut z);
            prop_assert!(z[0] <= z[1]);
        }
    }
}
