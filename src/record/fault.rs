//! What can be wrong with a record: an expected outcome, not an error of ours.

use std::fmt;

use super::FeatureId;

/// Why a record has no row. Travels to the dead-letter topic; never logged per record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The record has no value (a tombstone).
    NullValue,
    /// The value is larger than the stream allows.
    TooLarge { bytes: usize, bytes_max: usize },
    /// The `content-type` header names no codec we have.
    UnknownFormat,
    /// The bytes are not what the codec reads; `at` is the byte where it gave up.
    Unreadable { at: usize },
    /// The number of values differs from the schema's width.
    WrongArity { got: usize, expected: usize },
    /// A feature is NaN or infinite.
    NotFinite { feature: FeatureId },
    /// A feature lies outside the schema's bounds.
    OutOfBounds { feature: FeatureId, value: f32 },
}

impl Fault {
    /// Every name a fault can have, in the order of the variants.
    pub const NAMES: [&'static str; 7] = [
        "null-value",
        "too-large",
        "unknown-format",
        "unreadable",
        "wrong-arity",
        "not-finite",
        "out-of-bounds",
    ];

    /// Short name, stable across versions: headers, metrics and alerts carry it.
    pub fn name(&self) -> &'static str {
        let at = match self {
            Self::NullValue => 0,
            Self::TooLarge { .. } => 1,
            Self::UnknownFormat => 2,
            Self::Unreadable { .. } => 3,
            Self::WrongArity { .. } => 4,
            Self::NotFinite { .. } => 5,
            Self::OutOfBounds { .. } => 6,
        };
        Self::NAMES[at]
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match *self {
            Self::NullValue => write!(f, "{name}: the record has no value"),
            Self::TooLarge { bytes, bytes_max } => {
                write!(f, "{name}: {bytes} bytes; the stream allows {bytes_max}")
            }
            Self::UnknownFormat => write!(f, "{name}: no codec for this content-type"),
            Self::Unreadable { at } => write!(f, "{name}: cannot read the value past byte {at}"),
            Self::WrongArity { got, expected } => {
                write!(f, "{name}: {got} values; the schema has {expected}")
            }
            Self::NotFinite { feature } => write!(f, "{name}: feature {feature} is not a number"),
            Self::OutOfBounds { feature, value } => {
                write!(f, "{name}: feature {feature} is {value}, outside its bounds")
            }
        }
    }
}
