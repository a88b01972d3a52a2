//! The row as it is: `width` 32-bit floats, little-endian, nothing else.
//!
//! The cheapest format and the only one in which a correction is exact to the bit. It cannot see
//! a wrong byte order or wrong units: such values are numbers too, and only the schema's bounds
//! stand in their way.

use super::Codec;
use crate::record::{Fault, Schema};

/// `application/x-f32-le`
#[derive(Debug)]
pub struct F32Le {
    width: usize,
}

const BYTES: usize = size_of::<f32>();

impl F32Le {
    pub fn new(schema: &Schema) -> Self {
        Self { width: schema.width() }
    }
}

impl Codec for F32Le {
    fn decode(&self, value: &[u8], rows: &mut Vec<f32>) -> Result<(), Fault> {
        let (numbers, rest) = value.as_chunks::<BYTES>();
        if !rest.is_empty() {
            return Err(Fault::Unreadable { at: value.len() - rest.len() });
        }
        if numbers.len() != self.width {
            return Err(Fault::WrongArity { got: numbers.len(), expected: self.width });
        }
        // Written into a slice, the loop becomes a plain copy; `extend` goes number by number.
        let start = rows.len();
        rows.resize(start + self.width, 0.0);
        for (x, &bytes) in rows[start..].iter_mut().zip(numbers) {
            *x = f32::from_le_bytes(bytes);
        }
        Ok(())
    }

    fn encode(&self, original: &[u8], row: &[f32], out: &mut Vec<u8>) {
        assert_eq!(original.len(), self.width * BYTES, "the original is not a row");
        assert_eq!(row.len(), self.width, "the row has another width");
        assert!(row.iter().all(|x| x.is_finite()), "the row is not finite");
        out.extend(row.iter().flat_map(|x| x.to_le_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::num::f32;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::conformance::{check_decode, encode};

    #[test]
    fn a_torn_number_is_unreadable_and_a_missing_one_is_wrong_arity() {
        let codec = F32Le { width: 2 };
        let read = |value: &[u8]| codec.decode(value, &mut Vec::new());
        assert_eq!(read(&[0; 7]), Err(Fault::Unreadable { at: 4 }));
        assert_eq!(read(&[0; 4]), Err(Fault::WrongArity { got: 1, expected: 2 }));
        assert_eq!(read(&[0; 12]), Err(Fault::WrongArity { got: 3, expected: 2 }));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(value in vec(any::<u8>(), 0..20)) {
            check_decode(&F32Le { width: 3 }, 3, &value);
        }

        #[test]
        fn a_row_survives_to_the_bit(
            row in vec(f32::NORMAL | f32::SUBNORMAL | f32::ZERO, 3),
            original in any::<[u8; 12]>(),
        ) {
            let codec = F32Le { width: 3 };
            let bytes = encode(&codec, &original, &row);
            let read = check_decode(&codec, 3, &bytes).unwrap();
            let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&read), bits(&row));
        }
    }
}
