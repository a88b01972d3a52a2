//! The nouns that every stage speaks.

mod data_key;
mod extent;
mod fault;
mod headers;
mod oddity;
mod part;
mod position;
mod probability;
#[expect(clippy::module_inception, reason = "the noun of the folder")]
mod record;
mod rows;
mod schema;
mod seal;
mod unread;
mod verdict;

pub use data_key::{DataKeyAlgorithm, DataKeyId};
pub use extent::Extent;
pub use fault::{Ambiguity, Fault};
pub use headers::{Excess, HEADER_BYTES_MAX, HEADERS_MAX, Header, Headers, NO_HEADERS};
pub use oddity::{Manner, Oddity, shown};
pub use part::Part;
pub use position::{Offset, Partition, Position, Stamp, Timestamp, TopicPartition};
pub use probability::{BadProbability, Probability};
pub use record::{OwnedRecord, Record};
pub use rows::{Columns, MISSING, Rows};
pub use schema::{BadSchema, Feature, FeatureId, Schema};
pub use seal::SealFault;
pub use unread::{Missing, SchemaId, Unread};
pub use verdict::{Action, REASONS_MAX, Reason, Reasons, Rectangle, Verdict};
