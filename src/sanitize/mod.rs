//! Transformations that take the attack out of a row. One step so far.

use std::ops::Range;

use crate::record::{Feature, Schema};

/// Replaces a row by its autoencoder's version, kept inside the schema: numbers within their
/// bounds, categories at the value the autoencoder gives most weight.
///
/// Removes what the autoencoder cannot express: small perturbations and most triggers. It also
/// removes detail: a clean image corrected this way may be classified differently.
#[derive(Clone, Debug)]
pub struct Reconstruct {
    bounds: Vec<(f32, f32)>,
    categories: Vec<Range<usize>>,
}

impl Reconstruct {
    pub fn new(schema: &Schema) -> Self {
        let category = |(feature, columns)| match feature {
            &Feature::Category { .. } => Some(columns),
            _ => None,
        };
        let categories = schema.columns().filter_map(category).collect();
        Self { bounds: schema.bounds(), categories }
    }

    /// Appends the sanitized row to `out`. Shape: `twin` `[d]`.
    pub fn apply(&self, twin: &[f32], out: &mut Vec<f32>) {
        let start = out.len();
        out.extend(twin.iter().zip(&self.bounds).map(|(&v, &(min, max))| v.clamp(min, max)));
        for columns in &self.categories {
            let most = columns.clone().rev().max_by(|&a, &b| twin[a].total_cmp(&twin[b]));
            for column in columns.clone() {
                out[start + column] = f32::from(u8::from(Some(column) == most));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_within_bounds_and_a_category_has_exactly_one_value() {
        let values = ["a", "b", "c"].map(String::from).to_vec();
        let features = vec![
            Feature::Category { name: "c".into(), values, impute: None },
            Feature::number("x", 0.0, 1.0),
        ];
        let mut out = vec![7.0];
        let step = Reconstruct::new(&Schema { features });
        step.apply(&[0.1, 0.4, 0.4, 2.0], &mut out);
        assert_eq!(out, [7.0, 0.0, 1.0, 0.0, 1.0]);
    }
}
