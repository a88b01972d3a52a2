//! Rows as they are: 64-bit floats, little-endian, row by row, nothing else: what numpy's `tobytes()`
//! makes of an array of its default type.
//!
//! A row has 32-bit numbers, so each number is read as the nearest of those. One that is finite here
//! and infinite there is not scored: validation refuses it. NaN is a missing number. What was not
//! corrected keeps its bytes, and with them the digits that a row does not have. It cannot see a wrong
//! byte order or wrong units, and not that a value is rows of `f32-le`, twice as many. It has no words
//! and no ids.

use std::sync::Arc;

use super::{Codec, ContentHeaders, Layout, dense};
use crate::record::Unread;

/// `application/x-f64-le`
#[derive(Debug)]
pub struct F64Le {
    layout: Arc<Layout>,
}

impl F64Le {
    pub fn new(layout: Arc<Layout>) -> Self {
        Self { layout }
    }
}

impl Codec for F64Le {
    fn decode(
        &self,
        value: &[u8],
        _: &ContentHeaders<'_>,
        rows: &mut Vec<f32>,
    ) -> Result<usize, Unread> {
        let numbers = dense::numbers(value)?;
        Ok(dense::decode(&self.layout, numbers, |&bytes, _| f64::from_le_bytes(bytes), rows)?)
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
        let write = |x: f64, _| x.to_le_bytes();
        dense::encode(&self.layout, (original, &before), rows, write, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::num::{f32, f64};
    use proptest::prelude::*;

    use super::*;
    use crate::codec::conformance::{check_decode, encode};
    use crate::record::{Fault, Feature, Schema};

    fn over(features: Vec<Feature>) -> F64Le {
        F64Le::new(Arc::new(Layout::new(&Schema { features }, 1000)))
    }

    fn codec(width: usize) -> F64Le {
        over((0..width).map(|i| Feature::number(format!("x{i}"), -1e30, 1e30)).collect())
    }

    fn bytes(numbers: &[f64]) -> Vec<u8> {
        numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    #[test]
    fn a_torn_number_is_unreadable_and_a_missing_one_is_wrong_arity() {
        let codec = codec(2);
        let read = |value: &[u8]| codec.decode(value, &ContentHeaders::default(), &mut Vec::new());
        assert_eq!(read(&[0; 15]), Err(Fault::Unreadable { at: 8 }.into()));
        assert_eq!(read(&[]), Err(Fault::WrongArity { got: 0, expected: 2 }.into()));
        assert_eq!(read(&[0; 8]), Err(Fault::WrongArity { got: 1, expected: 2 }.into()));
        assert_eq!(read(&[0; 24]), Err(Fault::WrongArity { got: 3, expected: 2 }.into()));
        assert_eq!(read(&[0; 32]), Ok(2));
    }

    /// Infinity passes no bounds: the record is a fault.
    #[test]
    fn a_number_beyond_f32_is_infinite_and_one_below_it_is_zero() {
        let read = check_decode(&codec(3), 3, &bytes(&[1e39, -f64::MAX, 1e-60])).unwrap();
        assert_eq!(read, [f32::INFINITY, f32::NEG_INFINITY, 0.0]);
        // The largest number that is nearer to the largest of f32 than to the next power of two.
        let largest = f64::from(f32::MAX) + 2_f64.powi(102);
        assert_eq!(check_decode(&codec(1), 1, &bytes(&[largest])), Some(vec![f32::MAX]));
    }

    /// As a 32-bit number 16777217 is 16777216, which is another word.
    #[test]
    fn a_category_of_numbers_is_read_and_written_with_all_digits() {
        let values = ["16777216", "16777217", "0.1"].map(String::from).to_vec();
        let codec = over(vec![Feature::Category { name: "c".into(), values, impute: None }]);
        let original = bytes(&[16_777_217.0]);
        assert_eq!(check_decode(&codec, 3, &original), Some(vec![0.0, 1.0, 0.0]));
        assert_eq!(encode(&codec, &original, &[0.0, 0.0, 1.0]), bytes(&[0.1]));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_rows_that_stay_keep_their_bytes(value in vec(any::<u8>(), 0..52)) {
            if let Some(rows) = check_decode(&codec(3), 3, &value) {
                prop_assert_eq!(encode(&codec(3), &value, &rows), value);
            }
        }

        #[test]
        fn what_is_corrected_is_written_as_f64_and_no_other_byte_changes(
            original in vec(f64::ANY, 3),
            row in vec(f32::NORMAL | f32::SUBNORMAL | f32::ZERO, 3),
            corrected in vec(any::<bool>(), 3),
        ) {
            let codec = codec(3);
            let mut rows = check_decode(&codec, 3, &bytes(&original)).unwrap();
            let mut expected = original.clone();
            for i in (0..3).filter(|&i| corrected[i] && !original[i].is_nan()) {
                let differs = rows[i].to_bits() != row[i].to_bits();
                rows[i] = row[i];
                expected[i] = if differs { row[i].into() } else { original[i] };
            }
            let written = encode(&codec, &bytes(&original), &rows);
            prop_assert_eq!(&written, &bytes(&expected));
            let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&check_decode(&codec, 3, &written).unwrap()), bits(&rows));
        }
    }
}
