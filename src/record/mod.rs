//! The nouns that every stage speaks.

mod extent;
mod fault;
mod position;
mod probability;
mod rows;
mod schema;
mod verdict;

pub use extent::Extent;
pub use fault::{Ambiguity, Fault};
pub use position::{Offset, Partition, Position, Stamp, Timestamp};
pub use probability::{BadProbability, Probability};
pub use rows::{Columns, MISSING, Rows};
pub use schema::{BadSchema, Feature, FeatureId, Schema};
pub use verdict::{Action, REASONS_MAX, Reason, Reasons, Verdict, Window};
