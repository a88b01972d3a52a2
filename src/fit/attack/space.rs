//! Where an attacker can move a row, and how far a step is.

use ndarray::ArrayView2;

use crate::fit::graph::layers::Standard;
use crate::record::{Feature, Schema};

/// One entry per column of a row, `[d]`.
#[derive(Clone, Debug)]
pub struct Space {
    /// What a strength of 1 is: the whole range of a pixel, three deviations of a number, nothing
    /// for a category (nobody changes a word by a little).
    pub unit: Vec<f32>,
    pub low: Vec<f32>,
    pub high: Vec<f32>,
    /// The value that most rows have, where one value is that usual.
    pub usual: Vec<Option<f32>>,
    /// Steps that a record can say: 1/255 of a pixel, 1 of a column that has whole numbers only; 0 is any
    /// number.
    pub step: Vec<f32>,
}

/// Share of the rows that must have the same value for it to be the usual one.
const USUAL_SHARE: f64 = 0.2;

impl Space {
    /// From the schema and the rows `which` of `x` [·, d].
    pub fn of(schema: &Schema, x: ArrayView2<'_, f32>, which: &[usize]) -> Self {
        let d = x.ncols();
        let (low, high) = schema.bounds().into_iter().unzip();
        let mut space =
            Self { unit: vec![0.0; d], low, high, usual: vec![None; d], step: vec![0.0; d] };
        let standard = Standard::of(x, which, &[]);
        for (feature, columns) in schema.columns() {
            for j in columns {
                match feature {
                    Feature::Image { scale, .. } => {
                        space.unit[j] = 1.0;
                        space.step[j] = 1.0 / scale;
                    }
                    Feature::Number { .. } => space.unit[j] = 3.0 * standard.deviation[j] as f32,
                    Feature::Category { .. } | Feature::Id { .. } => {}
                }
            }
        }
        let mut column = vec![];
        for j in (0..d).filter(|&j| space.unit[j] > 0.0) {
            column.clear();
            column.extend(which.iter().map(|&i| x[[i, j]]));
            if space.step[j] == 0.0 && column.iter().all(|value| value.fract() == 0.0) {
                space.step[j] = 1.0;
            }
            space.usual[j] = usual(&mut column);
        }
        space
    }

    pub fn width(&self) -> usize {
        self.unit.len()
    }

    /// Whether column `j` is part of the row's support at this value.
    pub fn supports(&self, j: usize, value: f32) -> bool {
        self.usual[j] != Some(value)
    }

    /// The nearest value of column `j` that a record can have.
    pub fn nearest(&self, j: usize, value: f32) -> f32 {
        let value = match self.step[j] {
            0.0 => value,
            step => {
                let steps = step.recip().round();
                (value * steps).round() / steps
            }
        };
        value.clamp(self.low[j], self.high[j])
    }
}

/// The most frequent value, if it is frequent. Reorders `column`.
fn usual(column: &mut [f32]) -> Option<f32> {
    column.sort_unstable_by(f32::total_cmp);
    let longest = column.chunk_by(|a, b| a == b).max_by_key(|run| run.len())?;
    (longest.len() as f64 >= USUAL_SHARE * column.len() as f64).then(|| longest[0])
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_usual_value_of_a_column_is_one_that_many_rows_have() {
        assert_eq!(usual(&mut [0.0, 3.0, 0.0, 1.0, 2.0]), Some(0.0));
        let mut all_different: Vec<f32> = (0..10).map(|i| i as f32).collect();
        assert_eq!(usual(&mut all_different), None);
    }

    #[test]
    fn a_column_of_whole_numbers_stays_one() {
        let schema = Schema {
            features: vec![Feature::number("whole", -9.0, 9.0), Feature::number("any", -9.0, 9.0)],
        };
        let x = array![[1.0, 1.0], [4.0, 2.5]];
        let space = Space::of(&schema, x.view(), &[0, 1]);
        assert_eq!((space.nearest(0, 2.7), space.nearest(1, 2.7)), (3.0, 2.7));
    }

    #[test]
    fn a_settled_value_is_one_that_the_record_can_say_and_a_category_is_never_moved() {
        let image =
            Feature::Image { name: "i".into(), channels: 1, height: 1, width: 1, scale: 255.0 };
        let values = vec!["a".to_owned()];
        let category = Feature::Category { name: "c".into(), values, impute: None };
        let schema = Schema { features: vec![image, category, Feature::number("n", -1.0, 1.0)] };
        let x = array![[0.5, 1.0, 0.25], [0.5, 0.0, 0.75]];
        let space = Space::of(&schema, x.view(), &[0, 1]);
        assert_eq!(space.nearest(0, 0.5), 128.0 / 255.0);
        assert_eq!(space.nearest(0, 1.7), 1.0);
        assert_eq!((space.nearest(2, 0.3), space.nearest(2, 7.0)), (0.3, 1.0));
        assert_eq!(space.unit[1], 0.0);
        assert!(space.unit[2] > 0.0);
    }
}
