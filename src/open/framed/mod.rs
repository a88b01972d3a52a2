//! Confluent's framing: the bytes in front of a payload that say which schema of a registry it was written with, and what
//! a registry says of a schema.

mod bytes;
mod frame;
mod protobuf;
mod text;

pub use bytes::{Bytes, put_zigzag};
pub use frame::Frame;
pub use protobuf::compile_protobuf;
pub use text::{Language, SchemaRule, SchemaRules, SchemaText};
