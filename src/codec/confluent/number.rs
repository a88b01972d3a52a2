//! What a cell says to a type that can only say numbers.

use crate::codec::Cell;

/// The number that a cell is or spells.
pub fn number(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Number(x) => Some(x.into()),
        Cell::Word(word) => word.parse().ok().filter(|x: &f64| x.is_finite()),
    }
}

/// What a boolean should say: numbers by the nearer of 0 and 1.
pub fn truth(cell: Cell<'_>) -> Option<bool> {
    match cell {
        Cell::Number(x) => Some(x >= 0.5),
        Cell::Word("true") => Some(true),
        Cell::Word("false") => Some(false),
        Cell::Word(_) => None,
    }
}
