//! Rows as they are: 32-bit floats, little-endian, row by row, nothing else.
//!
//! The cheapest format and the only one in which a correction is exact to the bit. NaN is a missing
//! number. It cannot see a wrong byte order or wrong units: such values are numbers too, and only
//! the schema's bounds stand in their way. It has no words and no ids.

use std::sync::Arc;

use super::{Codec, ContentHeaders, Layout, dense};
use crate::record::Unread;

/// `application/x-f32-le`
#[derive(Debug)]
pub struct F32Le {
    layout: Arc<Layout>,
}

impl F32Le {
    pub fn new(layout: Arc<Layout>) -> Self {
        Self { layout }
    }
}

impl Codec for F32Le {
    fn decode(
        &self,
        value: &[u8],
        _: &ContentHeaders<'_>,
        rows: &mut Vec<f32>,
    ) -> Result<usize, Unread> {
        let numbers = dense::numbers(value)?;
        let read = |&bytes: &[u8; 4], _| f32::from_le_bytes(bytes).into();
        Ok(dense::decode(&self.layout, numbers, read, rows)?)
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
        let write = |x: f64, _| (x as f32).to_le_bytes();
        dense::encode(&self.layout, (original, &before), rows, write, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::num::f32;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::conformance::{check_decode, encode};
    use crate::record::{Fault, Feature, Schema};

    fn codec(width: usize) -> F32Le {
        let features = (0..width).map(|i| Feature::number(format!("x{i}"), -1e30, 1e30)).collect();
        F32Le::new(Arc::new(Layout::new(&Schema { features }, 1000)))
    }

    #[test]
    fn a_torn_number_is_unreadable_and_a_missing_one_is_wrong_arity() {
        let codec = codec(2);
        let read = |value: &[u8]| codec.decode(value, &ContentHeaders::default(), &mut Vec::new());
        assert_eq!(read(&[0; 7]), Err(Fault::Unreadable { at: 4 }.into()));
        assert_eq!(read(&[]), Err(Fault::WrongArity { got: 0, expected: 2 }.into()));
        assert_eq!(read(&[0; 4]), Err(Fault::WrongArity { got: 1, expected: 2 }.into()));
        assert_eq!(read(&[0; 12]), Err(Fault::WrongArity { got: 3, expected: 2 }.into()));
        assert_eq!(read(&[0; 16]), Ok(2));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(value in vec(any::<u8>(), 0..20)) {
            check_decode(&codec(3), 3, &value);
        }

        #[test]
        fn a_row_survives_to_the_bit(
            row in vec(f32::NORMAL | f32::SUBNORMAL | f32::ZERO, 3),
            original in vec(f32::NORMAL | f32::ZERO, 3),
        ) {
            let original: Vec<u8> = original.iter().flat_map(|x| x.to_le_bytes()).collect();
            let codec = codec(3);
            let bytes = encode(&codec, &original, &row);
            let read = check_decode(&codec, 3, &bytes).unwrap();
            let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&read), bits(&row));
        }
    }
}
