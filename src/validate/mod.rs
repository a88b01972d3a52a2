//! Is this row one the schema allows? The last check before a row is scored.
//!
//! It sees numbers that are missing, not finite or outside the schema's closed bounds, and fills in
//! what the schema says may be missing. It cannot see numbers that are each allowed but impossible
//! together: that is what detectors are for. An imputed number is the most ordinary one there is, so
//! leaving out a feature hides it: impute only what honest senders leave out.

use crate::record::{Fault, Feature, FeatureId, MISSING, Schema};

/// The closed bounds of every number of a row, and what stands in for a missing one.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// `[width]`, finite.
    min: Vec<f32>,
    /// `[width]`, finite.
    max: Vec<f32>,
    /// `[width]`, NaN where a number must be there.
    impute: Vec<f32>,
}

impl Bounds {
    pub fn new(schema: &Schema) -> Self {
        // Finite bounds (a checked schema has no others) let the fast path ask one question only.
        let finite = |(min, max): (f32, f32)| (min.max(f32::MIN), max.min(f32::MAX));
        let (min, max) = schema.bounds().into_iter().map(finite).unzip();
        let mut impute = Vec::with_capacity(schema.width());
        for (feature, columns) in schema.columns() {
            match feature {
                Feature::Number { impute: Some(number), .. } => impute.push(*number),
                Feature::Category { values, impute: Some(word), .. } => {
                    impute.extend(values.iter().map(|value| f32::from(u8::from(value == word))));
                }
                _ => impute.extend(columns.map(|_| f32::NAN)),
            }
        }
        Self { min, max, impute }
    }

    /// Imputes what may be missing, then holds the row to its bounds.
    ///
    /// # Errors
    /// `NotFinite` or `Missing` for the first number that is none, or else `OutOfBounds` for the
    /// first outside its bounds: what is not a number explains more than what is too large.
    ///
    /// # Panics
    /// If `row` is not as wide as the schema: that is our bug, not the record's.
    pub fn check_row(&self, row: &mut [f32]) -> Result<(), Fault> {
        assert_eq!(row.len(), self.min.len(), "the row has another width");
        match all_within(row, &self.min, &self.max) {
            true => Ok(()),
            false => self.mend(row),
        }
    }

    /// As `check_row`, for a row of which we know that something is missing or wrong.
    #[cold]
    fn mend(&self, row: &mut [f32]) -> Result<(), Fault> {
        let gaps =
            row.iter_mut().zip(&self.impute).filter(|(x, impute)| x.is_nan() && !impute.is_nan());
        gaps.for_each(|(x, impute)| *x = *impute);
        let feature = |i: usize| FeatureId(i as u32);
        if let Some(i) = row.iter().position(|x| !x.is_finite()) {
            let feature = feature(i);
            let missing = row[i].to_bits() == MISSING.to_bits();
            return Err(if missing {
                Fault::Missing { feature }
            } else {
                Fault::NotFinite { feature }
            });
        }
        let outside = |i: &usize| !(self.min[*i]..=self.max[*i]).contains(&row[*i]);
        match (0..row.len()).find(outside) {
            Some(i) => Err(Fault::OutOfBounds { feature: feature(i), value: row[i] }),
            None => Ok(()),
        }
    }
}

/// Whether `min <= x <= max` everywhere. All `[d]`; `min` and `max` are finite, so NaN and
/// infinities are outside. O(d) without a branch per number, so that it compiles to vectors.
fn all_within(x: &[f32], min: &[f32], max: &[f32]) -> bool {
    let outside = |((x, min), max): ((&f32, &f32), &f32)| u32::from(!((x >= min) & (x <= max)));
    x.iter().zip(min).zip(max).map(outside).fold(0, |any, one| any | one) == 0
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::num::f32::ANY;
    use proptest::prelude::*;

    use super::*;
    use crate::record::Feature;

    fn schema(bounds: &[(f32, f32)]) -> Schema {
        let feature =
            |(i, &(min, max)): (usize, &(f32, f32))| Feature::number(format!("x{i}"), min, max);
        Schema { features: bounds.iter().enumerate().map(feature).collect() }
    }

    fn check(row: &[f32], expected: Result<(), Fault>) {
        let bounds = Bounds::new(&schema(&[(0.0, 1.0), (-2.0, -2.0), (f32::MIN, f32::MAX)]));
        assert_eq!(bounds.check_row(&mut row.to_vec()), expected);
    }

    #[test]
    fn the_bounds_themselves_are_allowed() {
        check(&[0.0, -2.0, f32::MIN], Ok(()));
        check(&[1.0, -2.0, f32::MAX], Ok(()));
        check(&[-0.0, -2.0, 0.0], Ok(()));
    }

    #[test]
    fn what_is_not_finite_wins_over_what_is_out_of_bounds() {
        let feature = FeatureId(2);
        check(&[9.0, 9.0, f32::NAN], Err(Fault::NotFinite { feature }));
        check(&[9.0, 9.0, f32::INFINITY], Err(Fault::NotFinite { feature }));
        check(&[0.5, -2.5, 0.0], Err(Fault::OutOfBounds { feature: FeatureId(1), value: -2.5 }));
    }

    #[test]
    fn what_may_be_missing_is_imputed_and_what_may_not_is_a_fault() {
        let values = vec!["a".to_owned(), "b".to_owned()];
        let features = vec![
            Feature::Number { name: "x".into(), min: 0.0, max: 9.0, impute: Some(3.0) },
            Feature::Category { name: "c".into(), values, impute: Some("b".into()) },
            Feature::number("y", 0.0, 9.0),
        ];
        let bounds = Bounds::new(&Schema { features });
        let mut row = [f32::NAN, MISSING, MISSING, 1.0];
        assert_eq!(bounds.check_row(&mut row), Ok(()));
        assert_eq!(row, [3.0, 0.0, 1.0, 1.0]);
        row[3] = MISSING;
        assert_eq!(bounds.check_row(&mut row), Err(Fault::Missing { feature: FeatureId(3) }));
        row[3] = f32::NAN;
        assert_eq!(bounds.check_row(&mut row), Err(Fault::NotFinite { feature: FeatureId(3) }));
    }

    /// The rule of `check_row`, one number at a time.
    fn naive(schema: &Schema, row: &[f32]) -> Result<(), Fault> {
        for (i, x) in row.iter().enumerate() {
            if x.is_nan() || x.is_infinite() {
                return Err(Fault::NotFinite { feature: FeatureId(i as u32) });
            }
        }
        for (i, (&x, (min, max))) in row.iter().zip(schema.bounds()).enumerate() {
            if x < min || x > max {
                return Err(Fault::OutOfBounds { feature: FeatureId(i as u32), value: x });
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn every_row_gets_the_fault_that_the_rule_gives_it(
            rows in vec((ANY, -1.5..1.5_f32, 0..40_u8), 1..80),
        ) {
            // Now and then a hostile number, mostly a good one, so that whole rows are good too.
            let pick = |&(wild, tame, dice): &(f32, f32, u8)| match dice {
                0 => wild,
                1 => tame,
                _ => tame.clamp(-1.0, 1.0),
            };
            let row: Vec<f32> = rows.iter().map(pick).collect();
            let schema = schema(&vec![(-1.0, 1.0); row.len()]);
            prop_assert_eq!(Bounds::new(&schema).check_row(&mut row.clone()), naive(&schema, &row));
        }

        #[test]
        fn odd_bounds_get_the_same_answer_as_the_rule(
            cells in vec((any::<f32>(), any::<f32>(), ANY), 1..20),
        ) {
            let bounds: Vec<_> = cells.iter().map(|c| (c.0.min(c.1), c.0.max(c.1))).collect();
            let schema = schema(&bounds);
            let row: Vec<f32> = cells.iter().map(|c| c.2).collect();
            prop_assert_eq!(Bounds::new(&schema).check_row(&mut row.clone()), naive(&schema, &row));
        }
    }
}
