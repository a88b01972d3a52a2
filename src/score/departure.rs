//! As what a record leaves by its output.

use std::ops::Range;

use crate::sanitize::ValueForm;

/// As what a record leaves, if its output has a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Departure {
    pub content: ValueForm,
    pub key: NewKey,
}

/// The key that a record leaves with.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum NewKey {
    /// Its own, or none if it has none.
    #[default]
    Own,
    Gone,
    /// Where in [`super::Batch::corrected`] it is.
    At(Range<usize>),
}
