//! Protobuf's scalar types: a cell from their bytes and back.

use prost::encoding::encode_varint;

use super::super::number::{number, truth};
use super::{EIGHT, FOUR, LENGTH, VARINT};
use crate::codec::{Cell, Scalar};
use crate::open::framed::{Bytes, put_zigzag};
use crate::record::Fault;

/// How a field's value is written.
#[derive(Clone, Debug)]
pub enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    /// Numbers and names, in the order of the file: of several names the first is the number's.
    Enum(Vec<(i32, String)>),
    /// A message whose fields are not wanted one by one.
    Opaque,
}

/// Stands for what is neither a number nor a word.
const OPAQUE: Scalar<'static> = Scalar::Text("\u{fffd}");

impl Kind {
    pub fn wire(&self) -> u8 {
        match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => EIGHT,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => FOUR,
            Self::String | Self::Bytes | Self::Opaque => LENGTH,
            Self::Int32 | Self::Int64 | Self::Uint32 | Self::Uint64 => VARINT,
            Self::Sint32 | Self::Sint64 | Self::Bool | Self::Enum(_) => VARINT,
        }
    }

    /// What a field without presence holds when it is not written.
    pub fn default(&self) -> Scalar<'_> {
        match self {
            Self::Bool => Scalar::Bool(false),
            Self::String | Self::Bytes => Scalar::Text(""),
            Self::Enum(names) => self::name(names, 0),
            Self::Opaque => OPAQUE,
            _ => Scalar::Number(0.0),
        }
    }

    pub fn read<'v>(&'v self, bytes: &mut Bytes<'v>) -> Result<Scalar<'v>, Fault> {
        // Of a number too large for its type the lowest bits count, as with every other reader.
        Ok(Scalar::Number(match self {
            Self::Double => f64::from_le_bytes(bytes.array()?),
            Self::Float => f32::from_le_bytes(bytes.array()?).into(),
            Self::Int32 => (bytes.varint()? as i32).into(),
            Self::Int64 => bytes.varint()? as i64 as f64,
            Self::Uint32 => (bytes.varint()? as u32).into(),
            Self::Uint64 => bytes.varint()? as f64,
            Self::Sint32 => {
                let n = bytes.varint()? as u32;
                ((n >> 1) as i32 ^ -((n & 1) as i32)).into()
            }
            Self::Sint64 => bytes.zigzag()? as f64,
            Self::Fixed32 => u32::from_le_bytes(bytes.array()?).into(),
            Self::Fixed64 => u64::from_le_bytes(bytes.array()?) as f64,
            Self::Sfixed32 => i32::from_le_bytes(bytes.array()?).into(),
            Self::Sfixed64 => i64::from_le_bytes(bytes.array()?) as f64,
            Self::Bool => return Ok(Scalar::Bool(bytes.varint()? != 0)),
            Self::Enum(names) => return Ok(name(names, bytes.varint()? as i32)),
            Self::String => {
                let size = bytes.varint()?;
                return bytes.text(size).map(Scalar::Text);
            }
            Self::Bytes | Self::Opaque => {
                let size = bytes.varint()?;
                let text = std::str::from_utf8(bytes.sized(size)?);
                return Ok(match (self, text) {
                    (Self::Bytes, Ok(text)) => Scalar::Text(text),
                    _ => OPAQUE,
                });
            }
        }))
    }

    /// Appends `cell` as the type is written, whole numbers rounded and held within what it can
    /// say; false, and nothing that counts, if it cannot say it at all.
    pub fn write(&self, cell: Cell<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Bool => {
                let Some(yes) = truth(cell) else { return false };
                out.push(u8::from(yes));
            }
            Self::String | Self::Bytes => {
                let Cell::Word(word) = cell else { return false };
                encode_varint(word.len() as u64, out);
                out.extend(word.as_bytes());
            }
            Self::Enum(names) => {
                let named = |word: &str| names.iter().find(|(_, name)| name == word);
                let number = match cell {
                    Cell::Word(word) => named(word).map(|&(number, _)| number),
                    Cell::Number(_) => None,
                };
                let Some(number) = number else { return false };
                encode_varint(i64::from(number) as u64, out);
            }
            Self::Opaque => return false,
            numeric => {
                let Some(x) = number(cell) else { return false };
                numeric.write_number(x, out);
            }
        }
        true
    }

    fn write_number(&self, x: f64, out: &mut Vec<u8>) {
        let whole = x.round();
        match self {
            Self::Double => out.extend(x.to_le_bytes()),
            Self::Float => out.extend((x as f32).to_le_bytes()),
            Self::Int32 => encode_varint(i64::from(whole as i32) as u64, out),
            Self::Int64 => encode_varint(whole as i64 as u64, out),
            Self::Uint32 => encode_varint((whole as u32).into(), out),
            Self::Uint64 => encode_varint(whole as u64, out),
            Self::Sint32 => put_zigzag((whole as i32).into(), out),
            Self::Sint64 => put_zigzag(whole as i64, out),
            Self::Fixed32 => out.extend((whole as u32).to_le_bytes()),
            Self::Fixed64 => out.extend((whole as u64).to_le_bytes()),
            Self::Sfixed32 => out.extend((whole as i32).to_le_bytes()),
            Self::Sfixed64 => out.extend((whole as i64).to_le_bytes()),
            Self::Bool | Self::String | Self::Bytes | Self::Enum(_) | Self::Opaque => {
                unreachable!("they are no numbers")
            }
        }
    }
}

/// The name of an enum's number, or the number itself.
fn name(names: &[(i32, String)], number: i32) -> Scalar<'_> {
    let found = names.iter().find(|(n, _)| *n == number);
    found.map_or(Scalar::Number(number.into()), |(_, name)| Scalar::Text(name))
}
