//! The form of a record in its output: its value and its key.

use std::ops::Range;

use crate::sanitize::ValueForm;

/// The form of a record in its output, if the output has a table.
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
    /// None: it was dropped.
    Gone,
    /// Where in [`super::Batch::corrected`] it is.
    At(Range<usize>),
}
