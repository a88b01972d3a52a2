//! The datatypes of the Open Inference Protocol (V2): what an element's number says of a cell, and
//! which number says best what a cell should hold.
//!
//! Integers of image cells are divided by the schema's scale, if the operator says that servers do so too; else they are
//! faults. Floats are model units already. A
//! float that holds 0 to 255 is not seen as a pixel: only the schema's bounds stand in its way.

use half::{bf16, f16};

use super::{Cell, Scalar};
use crate::record::{Ambiguity, Fault};

/// What the elements of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "UPPERCASE")]
pub(super) enum Datatype {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    Bytes,
}

impl Datatype {
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// What the protocol calls it.
    pub fn name(self) -> &'static str {
        self.into()
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|datatype| datatype.name() == name)
    }

    /// Bytes of an element in binary form; nothing if they differ.
    pub fn size(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Int8 | Self::Uint8 => Some(1),
            Self::Int16 | Self::Uint16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Int32 | Self::Uint32 | Self::Fp32 => Some(4),
            Self::Int64 | Self::Uint64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }

    /// The smallest and largest number of an integer type, as far as an `f64` can say them.
    fn range(self) -> Option<(f64, f64)> {
        match self {
            Self::Int8 => Some((i8::MIN.into(), i8::MAX.into())),
            Self::Int16 => Some((i16::MIN.into(), i16::MAX.into())),
            Self::Int32 => Some((i32::MIN.into(), i32::MAX.into())),
            Self::Int64 => Some((i64::MIN as f64, i64::MAX as f64)),
            Self::Uint8 => Some((0.0, u8::MAX.into())),
            Self::Uint16 => Some((0.0, u16::MAX.into())),
            Self::Uint32 => Some((0.0, u32::MAX.into())),
            Self::Uint64 => Some((0.0, u64::MAX as f64)),
            _ => None,
        }
    }

    pub fn is_integer(self) -> bool {
        self.range().is_some()
    }

    /// What a number of this type says of a cell whose integers are divided by `scale`.
    ///
    /// # Errors
    /// `Ambiguous` for a number that the type cannot hold: a reader cuts 45.9 to an `INT32`'s 45, and
    /// lets 297 run over to an `INT8`'s 41.
    pub fn scalar(self, number: f64, scale: f32) -> Result<Scalar<'static>, Fault> {
        let holds = match (self, self.range()) {
            (Self::Bool, _) => number == 0.0 || number == 1.0,
            (_, Some((min, max))) => (min..=max).contains(&number) && number.fract() == 0.0,
            // Some readers round it, some read it as it stands.
            (Self::Fp16, _) => f16::from_f64(number).to_f32() == number as f32 || number.is_nan(),
            (Self::Bf16, _) => bf16::from_f64(number).to_f32() == number as f32 || number.is_nan(),
            _ => true,
        };
        if !holds {
            return Err(Fault::Ambiguous(Ambiguity::Number));
        }
        Ok(match self {
            Self::Bool => Scalar::Bool(number != 0.0),
            _ if self.range().is_some() => Scalar::Number(number / f64::from(scale)),
            _ => Scalar::Number(number),
        })
    }

    /// The number of this type that says `cell` best, rounded and clamped; nothing if none does,
    /// because a word cannot be said nearly.
    pub fn number(self, cell: Cell<'_>, scale: f32) -> Option<f64> {
        match cell {
            Cell::Number(x) => {
                let x = f64::from(x);
                Some(match (self, self.range()) {
                    (Self::Bytes, _) => return None,
                    (Self::Bool, _) => f64::from(u8::from(x >= 0.5)),
                    (_, Some((min, max))) => (x * f64::from(scale)).round().clamp(min, max),
                    (Self::Fp16, None) => x.clamp(f16::MIN.into(), f16::MAX.into()),
                    (Self::Bf16, None) => x.clamp(bf16::MIN.into(), bf16::MAX.into()),
                    (_, None) => x,
                })
            }
            Cell::Word(word) => {
                let number = match (self, word) {
                    (Self::Bytes, _) => return None,
                    (Self::Bool, "true") => 1.0,
                    (Self::Bool, "false") => 0.0,
                    (Self::Bool, _) => return None,
                    _ => word.parse().ok()?,
                };
                let mut bytes = vec![];
                self.write(number, &mut bytes);
                let same = self == Self::Bool || self.read(&bytes).to_string() == word;
                same.then_some(number)
            }
        }
    }

    /// The number that these little-endian bytes are.
    ///
    /// # Panics
    /// If they are not as many as an element has: that is our bug, not the record's.
    pub fn read(self, bytes: &[u8]) -> f64 {
        const SIZE: &str = "the bytes of one element";
        match self {
            // Of a truth value only 0 and 1 are read alike by all.
            Self::Bool | Self::Uint8 => bytes[0].into(),
            Self::Int8 => i8::from_le_bytes(bytes.try_into().expect(SIZE)).into(),
            Self::Int16 => i16::from_le_bytes(bytes.try_into().expect(SIZE)).into(),
            Self::Int32 => i32::from_le_bytes(bytes.try_into().expect(SIZE)).into(),
            Self::Int64 => i64::from_le_bytes(bytes.try_into().expect(SIZE)) as f64,
            Self::Uint16 => u16::from_le_bytes(bytes.try_into().expect(SIZE)).into(),
            Self::Uint32 => u32::from_le_bytes(bytes.try_into().expect(SIZE)).into(),
            Self::Uint64 => u64::from_le_bytes(bytes.try_into().expect(SIZE)) as f64,
            Self::Fp16 => f16::from_le_bytes(bytes.try_into().expect(SIZE)).into(),
            Self::Bf16 => bf16::from_le_bytes(bytes.try_into().expect(SIZE)).into(),
            Self::Fp32 => f32::from_le_bytes(bytes.try_into().expect(SIZE)).into(),
            Self::Fp64 => f64::from_le_bytes(bytes.try_into().expect(SIZE)),
            Self::Bytes => panic!("BYTES are not numbers"),
        }
    }

    /// Appends `number`, which [`Datatype::number`] made, as little-endian bytes.
    pub fn write(self, number: f64, out: &mut Vec<u8>) {
        match self {
            Self::Bool | Self::Uint8 => out.push(number as u8),
            Self::Int8 => out.extend((number as i8).to_le_bytes()),
            Self::Int16 => out.extend((number as i16).to_le_bytes()),
            Self::Int32 => out.extend((number as i32).to_le_bytes()),
            Self::Int64 => out.extend((number as i64).to_le_bytes()),
            Self::Uint16 => out.extend((number as u16).to_le_bytes()),
            Self::Uint32 => out.extend((number as u32).to_le_bytes()),
            Self::Uint64 => out.extend((number as u64).to_le_bytes()),
            Self::Fp16 => out.extend(f16::from_f64(number).to_le_bytes()),
            Self::Bf16 => out.extend(bf16::from_f64(number).to_le_bytes()),
            Self::Fp32 => out.extend((number as f32).to_le_bytes()),
            Self::Fp64 => out.extend(number.to_le_bytes()),
            Self::Bytes => panic!("BYTES are not numbers"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_datatype_has_one_name_and_only_that() {
        for &datatype in Datatype::ALL {
            assert_eq!(Datatype::of_name(datatype.name()), Some(datatype));
            assert_eq!(Datatype::of_name(&datatype.name().to_lowercase()), None);
        }
    }

    #[test]
    fn a_number_is_rounded_and_clamped_to_what_its_type_can_say() {
        let check = |datatype: Datatype, x: f32, scale: f32, expected: f64| {
            let number = datatype.number(Cell::Number(x), scale).unwrap();
            let mut bytes = vec![];
            datatype.write(number, &mut bytes);
            assert_eq!(Some(bytes.len()), datatype.size());
            assert_eq!(datatype.read(&bytes), expected, "{datatype:?} {x}");
        };
        check(Datatype::Uint8, 0.5, 255.0, 128.0);
        check(Datatype::Uint8, 7.0, 255.0, 255.0);
        check(Datatype::Int8, -1e9, 1.0, -128.0);
        check(Datatype::Uint64, -1.0, 1.0, 0.0);
        check(Datatype::Int64, 1e30, 1.0, i64::MAX as f64);
        check(Datatype::Fp16, 1e9, 255.0, 65504.0);
        check(Datatype::Fp32, 0.1, 255.0, 0.1_f32.into());
        check(Datatype::Bool, 0.7, 1.0, 1.0);
    }

    #[test]
    fn a_number_that_its_type_cannot_hold_is_a_fault() {
        let check = |datatype: Datatype, number: f64, expected: Option<f64>| {
            let scalar = expected.map(Scalar::Number).ok_or(Fault::Ambiguous(Ambiguity::Number));
            assert_eq!(datatype.scalar(number, 1.0), scalar, "{datatype:?} {number}");
        };
        check(Datatype::Int32, 45.9, None);
        check(Datatype::Int32, 45.0, Some(45.0));
        check(Datatype::Int8, 297.0, None);
        check(Datatype::Int8, -128.0, Some(-128.0));
        check(Datatype::Uint8, -1.0, None);
        check(Datatype::Uint8, 255.0, Some(255.0));
        check(Datatype::Int64, 2_f64.powi(64), None);
        check(Datatype::Int64, -(2_f64.powi(63)), Some(-(2_f64.powi(63))));
        check(Datatype::Uint64, -1.0, None);
        check(Datatype::Int16, f64::NAN, None);
        check(Datatype::Fp16, 0.1, None);
        check(Datatype::Fp16, 1e6, None);
        check(Datatype::Fp16, -0.25, Some(-0.25));
        check(Datatype::Bf16, 0.1, None);
        assert!(Datatype::Fp16.scalar(f64::NAN, 1.0).is_ok());
        check(Datatype::Fp64, 0.1, Some(0.1));
        assert!(Datatype::Bool.scalar(2.0, 1.0).is_err());
    }

    #[test]
    fn a_word_is_said_exactly_or_not_at_all() {
        let number = |datatype: Datatype, word| datatype.number(Cell::Word(word), 1.0);
        assert_eq!(number(Datatype::Int8, "7"), Some(7.0));
        assert_eq!(number(Datatype::Int8, "200"), None);
        assert_eq!(number(Datatype::Int32, "7.5"), None);
        assert_eq!(number(Datatype::Fp32, "7.5"), Some(7.5));
        assert_eq!(number(Datatype::Fp32, "0.1"), None);
        assert_eq!(number(Datatype::Fp64, "0.1"), Some(0.1));
        assert_eq!(number(Datatype::Int64, "tcp"), None);
        assert_eq!(number(Datatype::Bool, "true"), Some(1.0));
        assert_eq!(number(Datatype::Bool, "7"), None);
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_as_the_same_bytes(
            bytes in any::<[u8; 8]>(),
            which in 0..Datatype::ALL.len() - 1,
        ) {
            let datatype = Datatype::ALL[which];
            let bytes = &bytes[..datatype.size().unwrap()];
            let number = datatype.read(bytes);
            let mut written = vec![];
            datatype.write(number, &mut written);
            if number.is_nan() {
                prop_assert!(datatype.read(&written).is_nan());
            } else if datatype == Datatype::Bool || number.abs() >= 2_f64.powi(53) {
                prop_assert_eq!(datatype.read(&written), number);
            } else {
                prop_assert_eq!(&written[..], bytes);
            }
        }
    }
}
