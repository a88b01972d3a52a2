//! Confluent's client-side field level encryption (CSFLE): values of a registry's schema, of which some fields, or all that
//! is behind the frame, are encrypted with data keys that the registry keeps wrapped.
//!
//! The schema's rules say which fields, by tags, and which key wraps. Only strings and bytes are encrypted. Nothing beside a
//! text is authenticated: whoever may write to the topic can move a ciphertext to another field or record, and
//! nothing here can see it.

mod cipher;
mod fields;
mod lock;
mod opener;
mod ring;
mod rules;
#[cfg(test)]
mod tests;

pub use cipher::{BadDataKey, DataKey};
pub use lock::CsfleLock;
pub use opener::{CsfleOpener, CsfleSpec};
pub use ring::KEYS_MAX;

/// Why values of a schema cannot be opened by its rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnusableRule(String);
