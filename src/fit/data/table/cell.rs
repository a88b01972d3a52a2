//! A cell as a number or a word, by the same rules as on the record path ([`crate::codec::word`]).

use crate::codec::Scalar;
use crate::codec::word::{self, Meaning};

/// Whether the cell says nothing.
pub fn is_nothing(cell: Scalar<'_>) -> bool {
    match cell {
        Scalar::Null => true,
        Scalar::Number(x) => x.is_nan(),
        Scalar::Text(word) => word::meaning(word) == Meaning::Nothing,
        Scalar::Bool(_) => false,
    }
}

/// The number in the cell, if it is one; infinite if the cell says so.
pub fn number(cell: Scalar<'_>) -> Option<f64> {
    match cell {
        Scalar::Number(x) => Some(x).filter(|x| !x.is_nan()),
        Scalar::Bool(x) => Some(f64::from(u8::from(x))),
        Scalar::Text(word) => match word::meaning(word) {
            Meaning::Number(x) => Some(x),
            Meaning::Truth(x) => Some(f64::from(u8::from(x))),
            Meaning::Nothing | Meaning::Word => None,
        },
        Scalar::Null => None,
    }
}

/// The one word for a value, however its file writes it; none for what is missing.
pub fn word(cell: Scalar<'_>) -> Option<String> {
    match cell {
        Scalar::Number(x) => Some(x).filter(|x| !x.is_nan()).map(|x| x.to_string()),
        Scalar::Text(word) => word::canonical(word).map(|one| one.into_owned()),
        Scalar::Bool(x) => Some(x.to_string()),
        Scalar::Null => None,
    }
}
