//! The audit log: what people and processes did to Tripline, in an order that nobody can change unseen.
//!
//! Each entry is a CloudEvent that names the SHA-256 of the entry before it. After every [`CHECKPOINT_EVERY`] entries a
//! checkpoint follows: a signed note (C2SP, Ed25519) that names how many entries there are and the SHA-256 of the last one.
//! [`verify`] finds every entry that was changed, moved, added or taken out below the last checkpoint, and all but a change of
//! the last entry above it.
//!
//! It cannot see what was cut off behind the last checkpoint that somebody kept elsewhere, nor what somebody writes who
//! holds the signing key.

mod chain;
mod checkpoint;
mod digest;
mod entry;
#[cfg(test)]
mod tests;
mod verify;

pub use chain::{Chain, ChainBreak};
pub use checkpoint::{AuditSigner, AuditVerifier, Checkpoint, CheckpointError};
pub use entry::{AuditEntry, DETAILS_MAX, Deed, DeedActor, DeedKind, DeedOutcome, ENTRY_BYTES_MAX};
pub use verify::{AuditFinding, AuditReport, FINDINGS_MAX, Stored, verify};

/// So many entries stand between two checkpoints.
pub const CHECKPOINT_EVERY: u64 = 1000;

/// The key of a record that holds an entry.
pub const ENTRY_KEY: &[u8] = b"entry";

/// The key of a record that holds a checkpoint.
pub const CHECKPOINT_KEY: &[u8] = b"checkpoint";
