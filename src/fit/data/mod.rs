//! Rows, whatever their format, on their way into one matrix in model units: read, checked, split.
//!
//! Nothing here trains or scores.

pub mod array;
pub mod budget;
mod column;
pub mod dataset;
pub mod hints;
pub mod infer;
pub mod memory;
mod moment;
mod nothing;
pub mod options;
pub mod record;
pub mod reference;
pub mod learned_schema;
pub mod split;
pub mod table;
pub mod units;
mod unmeasured;
