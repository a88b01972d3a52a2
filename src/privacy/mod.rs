//! How re-identifiable rows are: features that are harmless one by one and point to one person together.
//!
//! A *group* is all rows with the same values in a set of features. A row in a group of fewer than k subjects can be
//! linked with another list that has these features. What is kept of values are keyed hashes, never the values.
//!
//! It measures the rows it is shown, not the population they come from, and it cannot know which lists others have.

mod exposure;
mod rounding;
mod set;
mod shape;

pub use exposure::Exposure;
pub use rounding::step_of;
pub use set::{
    BadSet, Occurrence, QuasiPlan, QuasiSpec, RowSubject, SUBJECTS_K_MAX, SampleName, WAYS_MAX,
};
pub use shape::{TextShape, shape_of};
