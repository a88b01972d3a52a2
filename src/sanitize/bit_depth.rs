//! Every number keeps one of few levels between its bounds: a perturbation smaller than half a level goes, and
//! so does detail of that size. It removes no trigger, and nothing that is larger than a level.
//!
//! # Source
//! W. Xu, D. Evans, Y. Qi, "Feature Squeezing", NDSS 2018, §III-A (bit depth).

use super::{Kind, Step, Suspect};

pub const KIND: Kind =
    Kind { name: "bit-depth", make: |schema| Box::new(BitDepth(schema.bounds())) };

/// 4 bits, as the source has for colour images.
const LEVELS: f32 = 15.0;

/// `bit-depth`
#[derive(Debug)]
struct BitDepth(Vec<(f32, f32)>);

impl Step for BitDepth {
    fn apply(&self, _: &Suspect<'_>, row: &mut [f32]) {
        for (x, &(min, max)) in row.iter_mut().zip(&self.0).filter(|(_, (min, max))| max > min) {
            let level = ((*x - min) / (max - min) * LEVELS).round();
            *x = (min + level / LEVELS * (max - min)).clamp(min, max);
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::decide::Version;
    use crate::record::{Feature, Rows, Schema};

    #[test]
    fn a_perturbation_below_half_a_level_leaves_no_trace_and_a_larger_one_does() {
        let schema = Schema { features: vec![Feature::number("x", -15.0, 15.0)] };
        let x = array![[0.0]];
        let suspect = Suspect { rows: Rows::only(x.view()), row: 0, version: Version::Twin };
        let squeezed = |x: f32| {
            let mut row = [x];
            (KIND.make)(&schema).apply(&suspect, &mut row);
            row[0]
        };
        assert_eq!([5.0, 5.9, 4.1, 7.1].map(squeezed), [5.0, 5.0, 5.0, 7.0]);
        assert_eq!([-15.0, 15.0, 99.0].map(squeezed), [-15.0, 15.0, 15.0]);
        assert_eq!(squeezed(squeezed(3.3)), squeezed(3.3));
    }
}
