//! A raw tensor: one byte per number, row by row, divided by the schema's scale.
//!
//! What cameras and image topics send. A correction is rounded to the nearest step, so the model
//! behind us sees a row that differs from the sanitized one by up to half a step (1/510 at the
//! scale of 8-bit images); that is the format's own resolution, not ours to improve.

use std::sync::Arc;

use super::{Codec, ContentHeaders, Layout, dense};
use crate::record::Unread;

/// `application/x-u8`
#[derive(Debug)]
pub struct RawU8 {
    layout: Arc<Layout>,
}

impl RawU8 {
    pub fn new(layout: Arc<Layout>) -> Self {
        Self { layout }
    }
}

impl Codec for RawU8 {
    fn decode(
        &self,
        value: &[u8],
        _: &ContentHeaders<'_>,
        rows: &mut Vec<f32>,
    ) -> Result<usize, Unread> {
        let read = |&byte: &u8, scale: f32| (f32::from(byte) / scale).into();
        Ok(dense::decode(&self.layout, value, read, rows)?)
    }

    fn encode(
        &self,
        original: &[u8],
        headers: &ContentHeaders<'_>,
        rows: &[f32],
        out: &mut Vec<u8>,
    ) {
        let mut before = vec![];
        self.decode(original, headers, &mut before).expect("the original is not rows");
        // `round` rounds half away from zero, and `as` stops at 0 and 255.
        let write = |x: f64, scale: f32| [(x as f32 * scale).round() as u8];
        dense::encode(&self.layout, (original, &before), rows, write, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::conformance::{check_decode, encode};
    use crate::record::{Feature, Schema};

    fn codec(scales: &[f32]) -> RawU8 {
        let image = |(i, &scale)| {
            let name = format!("i{i}");
            Feature::Image { name, channels: 1, height: 1, width: 1, scale }
        };
        let features = scales.iter().enumerate().map(image).collect();
        RawU8::new(Arc::new(Layout::new(&Schema { features }, 1000)))
    }

    const SCALES: [f32; 3] = [255.0, 1.0, 16.0];

    #[test]
    fn each_byte_is_divided_by_the_scale_of_its_own_column() {
        assert_eq!(check_decode(&codec(&SCALES), 3, &[255, 7, 8]), Some(vec![1.0, 7.0, 0.5]));
    }

    #[test]
    fn what_does_not_fit_a_byte_stops_at_its_ends_and_halves_round_away_from_zero() {
        let bytes = |row: &[f32]| encode(&codec(&SCALES), &[0; 3], row);
        assert_eq!(bytes(&[-1.0, 300.0, f32::MAX]), [0, 255, 255]);
        assert_eq!(bytes(&[0.5 / 255.0, 2.5, 2.49 / 16.0]), [1, 3, 2]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(value in vec(any::<u8>(), 0..6)) {
            check_decode(&codec(&SCALES), 3, &value);
        }

        #[test]
        fn a_row_that_came_from_bytes_goes_back_to_the_same_bytes(
            value in any::<[u8; 3]>(),
            scales in vec(1e-30_f32..1e30, 3),
        ) {
            let codec = codec(&scales);
            let row = check_decode(&codec, 3, &value).unwrap();
            prop_assert_eq!(encode(&codec, &[9; 3], &row), value);
        }

        #[test]
        fn a_row_within_range_comes_back_within_half_a_step(
            row in (0.0..=1.0_f32, 0.0..=255.0_f32, 0.0..=15.9375_f32),
        ) {
            let row = [row.0, row.1, row.2];
            let read = check_decode(&codec(&SCALES), 3, &encode(&codec(&SCALES), &[0; 3], &row)).unwrap();
            for ((x, y), scale) in row.iter().zip(&read).zip(&SCALES) {
                prop_assert!((x - y).abs() <= 0.5001 / scale, "{} became {}", x, y);
            }
        }
    }
}
