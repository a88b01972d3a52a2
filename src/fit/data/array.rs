//! Arrays as `.npy` and IDX files hold them: a header that makes promises, then numbers.
//!
//! The header is believed only as far as the bytes behind it reach: nothing is allocated because a
//! header says so. Reads booleans, integers and floats of 1 to 8 bytes in either byte order; not
//! complex numbers, records or Python objects.

use ndarray::{ArrayD, IxDyn, ShapeBuilder};

/// An array whose header has been checked against its bytes. Borrows them.
#[derive(Clone, Debug)]
pub struct Raw<'a> {
    pub shape: Vec<usize>,
    pub kind: Kind,
    big_endian: bool,
    /// Column-major: the first index moves fastest.
    fortran: bool,
    bytes: &'a [u8],
}

/// What one number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    F32,
    F64,
}

/// First bytes of a `.npy` file.
pub const NPY_MAGIC: &[u8] = b"\x93NUMPY";

/// Numbers in one array: 2³⁰ are 4 GiB of `f32`, more than `fit` can learn from in its time.
pub const VALUES_MAX: usize = 1 << 30;

/// Bytes of a `.npy` header. NumPy itself refuses more than 10 000.
const HEADER_MAX: usize = 10_000;

/// Most dimensions an array can have; NumPy's own limit.
const DIMENSIONS_MAX: usize = 32;

impl<'a> Raw<'a> {
    /// Reads a `.npy` file, versions 1 to 3.
    ///
    /// # Errors
    /// What was found where something else is accepted, in words.
    pub fn npy(bytes: &'a [u8]) -> Result<Self, String> {
        let rest = bytes.strip_prefix(NPY_MAGIC).ok_or("no NumPy magic")?;
        let (version, rest) = rest.split_first_chunk::<2>().ok_or("a cut .npy header")?;
        let (len, rest) = match (version[0], rest) {
            (1, &[a, b, ref rest @ ..]) => (usize::from(u16::from_le_bytes([a, b])), rest),
            (2 | 3, &[a, b, c, d, ref rest @ ..]) => {
                (u32::from_le_bytes([a, b, c, d]) as usize, rest)
            }
            (1..=3, _) => return Err("a cut .npy header".into()),
            (other, _) => return Err(format!(".npy version {other}")),
        };
        if len > HEADER_MAX {
            return Err(format!("a .npy header of {len} bytes"));
        }
        let (header, body) = rest.split_at_checked(len).ok_or("a cut .npy header")?;
        let header = str::from_utf8(header).map_err(|_| "a .npy header that is not text")?;

        let descr = after_key(header, "descr").ok_or("a .npy without a type")?;
        let descr = quoted(descr)
            .ok_or("records of several fields: write each field as a column of a CSV")?;
        let order = after_key(header, "fortran_order").ok_or("a .npy without an order")?;
        let shape = after_key(header, "shape").and_then(tuple).ok_or("a .npy without a shape")?;
        let (big_endian, kind) = match descr.split_at_checked(1) {
            Some((">", name)) => (true, Kind::of_npy(name)),
            Some(("<" | "|" | "=", name)) => (false, Kind::of_npy(name)),
            _ => (false, None),
        };
        let kind = kind.ok_or_else(|| format!("numbers of type {descr:?}"))?;
        Self { shape, kind, big_endian, fortran: order.starts_with("True"), bytes: body }.checked()
    }

    /// Reads an IDX file, the format of MNIST: two zero bytes, a type, the number of dimensions,
    /// the dimensions, the numbers; all big-endian.
    ///
    /// # Errors
    /// As [`Raw::npy`].
    ///
    /// # Source
    /// Y. LeCun, "The MNIST database", section "The IDX file format".
    pub fn idx(bytes: &'a [u8]) -> Result<Self, String> {
        let (&[zero, one, code, dimensions], rest) =
            bytes.split_first_chunk::<4>().ok_or("fewer bytes than an IDX header")?;
        if (zero, one) != (0, 0) {
            return Err("no IDX magic".into());
        }
        let kind = match code {
            0x08 => Kind::U8,
            0x09 => Kind::I8,
            0x0b => Kind::I16,
            0x0c => Kind::I32,
            0x0d => Kind::F32,
            0x0e => Kind::F64,
            _ => return Err(format!("IDX type {code:#04x}")),
        };
        let (header, body) =
            rest.split_at_checked(4 * usize::from(dimensions)).ok_or("a cut IDX header")?;
        let (sizes, _) = header.as_chunks::<4>();
        let shape = sizes.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
        Self { shape, kind, big_endian: true, fortran: false, bytes: body }.checked()
    }

    /// How many numbers it holds.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.kind.width()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The numbers, row-major in the array's own shape. An `i64` or `f64` keeps the 24 leading
    /// bits of its value; an `f64` beyond the range of `f32` becomes infinite.
    pub fn to_f32(&self) -> ArrayD<f32> {
        // Casting is the point here: one narrow place where every kind becomes `f32`.
        macro_rules! narrow {
            ($type:ty) => {
                self.each(|bytes| <$type>::from_le_bytes(bytes) as f32)
            };
        }
        match self.kind {
            Kind::Bool | Kind::U8 => narrow!(u8),
            Kind::U16 => narrow!(u16),
            Kind::U32 => narrow!(u32),
            Kind::U64 => narrow!(u64),
            Kind::I8 => narrow!(i8),
            Kind::I16 => narrow!(i16),
            Kind::I32 => narrow!(i32),
            Kind::I64 => narrow!(i64),
            Kind::F16 => self.each(|bytes| half::f16::from_le_bytes(bytes).to_f32()),
            Kind::F32 => narrow!(f32),
            Kind::F64 => narrow!(f64),
        }
    }

    /// The numbers as labels, row-major; the first that is no whole number in the range of `i64`
    /// is the error.
    ///
    /// # Errors
    /// That number, in words.
    pub fn to_i64(&self) -> Result<Vec<i64>, String> {
        macro_rules! whole {
            ($type:ty) => {
                self.each(|bytes| i64::from(<$type>::from_le_bytes(bytes)))
            };
        }
        let bad = |value: &dyn std::fmt::Display| format!("the label {value}");
        let values = match self.kind {
            Kind::Bool | Kind::U8 => whole!(u8),
            Kind::U16 => whole!(u16),
            Kind::U32 => whole!(u32),
            Kind::I8 => whole!(i8),
            Kind::I16 => whole!(i16),
            Kind::I32 => whole!(i32),
            Kind::I64 => whole!(i64),
            Kind::U64 => {
                let values = self.each(u64::from_le_bytes);
                if let Some(large) = values.iter().find(|&&v| i64::try_from(v).is_err()) {
                    return Err(bad(large));
                }
                values.mapv(|v| v as i64)
            }
            Kind::F16 | Kind::F32 | Kind::F64 => {
                let values = match self.kind {
                    Kind::F16 => self.each(|bytes| half::f16::from_le_bytes(bytes).to_f64()),
                    Kind::F32 => self.each(|bytes| f64::from(f32::from_le_bytes(bytes))),
                    _ => self.each(f64::from_le_bytes),
                };
                // 2⁵³: beyond it an `f64` no longer holds every whole number.
                let whole = |v: f64| v.fract() == 0.0 && v.abs() <= 9_007_199_254_740_992.0;
                if let Some(odd) = values.iter().find(|&&v| !whole(v)) {
                    return Err(bad(odd));
                }
                values.mapv(|v| v as i64)
            }
        };
        Ok(values.into_iter().collect())
    }

    /// Every number through `read`, which is given its bytes in little-endian order.
    fn each<const W: usize, T: Clone>(&self, read: impl Fn([u8; W]) -> T) -> ArrayD<T> {
        let (chunks, _) = self.bytes.as_chunks::<W>();
        let turned = |&chunk: &[u8; W]| {
            let mut chunk = chunk;
            if self.big_endian {
                chunk.reverse();
            }
            read(chunk)
        };
        let values = chunks.iter().map(turned).collect();
        let shape = IxDyn(&self.shape).set_f(self.fortran);
        let array = ArrayD::from_shape_vec(shape, values).expect("the length was checked");
        if self.fortran { array.as_standard_layout().into_owned() } else { array }
    }

    /// Holds the header to its word: exactly the bytes it promises, within our bounds.
    fn checked(self) -> Result<Self, String> {
        let shape = &self.shape;
        if shape.len() > DIMENSIONS_MAX {
            return Err(format!("{} dimensions", shape.len()));
        }
        // A zero anywhere makes the product zero, so the largest product without the zeros is
        // what must not overflow: ndarray asks the same.
        let mut values = shape.iter().filter(|&&size| size > 0);
        let values = values.try_fold(1_usize, |n, &size| n.checked_mul(size));
        let values = values.filter(|&n| n <= VALUES_MAX);
        let values =
            values.ok_or_else(|| format!("the shape {shape:?}, over {VALUES_MAX} values"))?;
        let values = if shape.contains(&0) { 0 } else { values };
        let (expected, got) = (values * self.kind.width(), self.bytes.len());
        if expected != got {
            return Err(format!("{got} bytes of numbers where {shape:?} needs {expected}"));
        }
        Ok(self)
    }
}

impl Kind {
    pub fn is_integer(self) -> bool {
        !matches!(self, Self::F16 | Self::F32 | Self::F64)
    }

    /// Bytes of one number.
    fn width(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    fn of_npy(name: &str) -> Option<Self> {
        Some(match name {
            "b1" => Self::Bool,
            "u1" => Self::U8,
            "u2" => Self::U16,
            "u4" => Self::U32,
            "u8" => Self::U64,
            "i1" => Self::I8,
            "i2" => Self::I16,
            "i4" => Self::I32,
            "i8" => Self::I64,
            "f2" => Self::F16,
            "f4" => Self::F32,
            "f8" => Self::F64,
            _ => return None,
        })
    }
}

/// What follows `'key':` in the Python dictionary that a `.npy` header is.
fn after_key<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{key}'"))?;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

fn quoted(text: &str) -> Option<&str> {
    Some(text.strip_prefix('\'')?.split_once('\'')?.0)
}

fn tuple(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let parts = inside.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `.npy` version 1 file, as `numpy.save` writes it.
    fn npy(descr: &str, fortran: &str, shape: &str, body: &[u8]) -> Vec<u8> {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend(body);
        file
    }

    #[test]
    fn byte_order_and_memory_order_do_not_change_the_numbers() {
        let expected = ndarray::arr2(&[[1.0_f32, 2.0, 3.0], [4.0, 5.0, -6.0]]).into_dyn();
        let rows = [1_i16, 2, 3, 4, 5, -6];
        let columns = [1_i16, 4, 2, 5, 3, -6];
        let little: Vec<u8> = rows.iter().flat_map(|v| v.to_le_bytes()).collect();
        let big: Vec<u8> = columns.iter().flat_map(|v| v.to_be_bytes()).collect();
        for file in [npy("<i2", "False", "(2, 3)", &little), npy(">i2", "True", "(2, 3)", &big)] {
            assert_eq!(Raw::npy(&file).unwrap().to_f32(), expected);
        }
    }

    #[test]
    fn a_header_that_promises_more_than_the_file_holds_is_refused_before_anything_is_allocated() {
        for shape in ["(4,)", "(1099511627776,)", "(0, 9223372036854775807, 9)", "(2, 1,)"] {
            let file = npy("|u1", "False", shape, &[1, 2, 3]);
            assert!(Raw::npy(&file).is_err(), "{shape} was accepted");
        }
        let idx = [0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        assert!(Raw::idx(&idx).is_err());
    }

    #[test]
    fn types_that_are_not_numbers_are_refused_by_name() {
        for descr in ["|O", "<U8", "<c8", ""] {
            let refusal = Raw::npy(&npy(descr, "False", "(1,)", &[0; 8])).unwrap_err();
            assert!(refusal.contains(&format!("{descr:?}")), "{refusal}");
        }
    }

    #[test]
    fn a_label_must_be_a_whole_number() {
        let halves: Vec<u8> = [1.0_f64, 2.5].iter().flat_map(|v| v.to_le_bytes()).collect();
        let file = npy("<f8", "False", "(2,)", &halves);
        assert_eq!(Raw::npy(&file).unwrap().to_i64(), Err("the label 2.5".into()));
        let file = npy("<u8", "False", "(1,)", &u64::MAX.to_le_bytes());
        assert!(Raw::npy(&file).unwrap().to_i64().is_err());
        let file = npy("<f8", "False", "(1,)", &3.0_f64.to_le_bytes());
        assert_eq!(Raw::npy(&file).unwrap().to_i64(), Ok(vec![3]));
    }
}
