//! A cell as a number or a word.

use crate::codec::Scalar;

/// The cell as its feature will want it: in a file without types, a word that is a JSON number is
/// that number, so that `7` and `7.0` are one value here as they are on the record path, and `007`
/// stays a word.
pub fn spelled(cell: Scalar<'_>, typed: bool) -> Scalar<'_> {
    match cell {
        Scalar::Text(word) if !typed => json_number(word).map_or(cell, Scalar::Number),
        _ => cell,
    }
}

/// The number in the cell, if it is one; infinite or NaN if the cell says so.
pub fn number(cell: Scalar<'_>, typed: bool) -> Option<f64> {
    match cell {
        Scalar::Number(x) => Some(x),
        Scalar::Bool(x) => Some(f64::from(u8::from(x))),
        Scalar::Text(word) if !typed => word.trim().parse().ok(),
        Scalar::Text(_) | Scalar::Null => None,
    }
}

/// The one word for a value, however its file writes it; none for what is missing.
pub fn word(cell: Scalar<'_>, typed: bool) -> Option<String> {
    match spelled(cell, typed) {
        Scalar::Number(x) => Some(x.to_string()),
        Scalar::Text(word) => Some(word.to_owned()),
        Scalar::Bool(x) => Some(x.to_string()),
        Scalar::Null => None,
    }
}

/// What `word` is as a number of JSON, if it is written as one.
fn json_number(word: &str) -> Option<f64> {
    let begins = word.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    begins.then(|| serde_json::from_str(word).ok()).flatten()
}
