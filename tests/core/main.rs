//! Everything that needs no broker: `cargo test --test core`, of one file `cargo test --test core record_path::`.
//!
//! One program, because each that links the whole crate costs seconds and 60 MB.

#![allow(clippy::disallowed_methods, reason = "tests measure and wait")]

mod bundles;
mod compatibility;
mod configuration;
mod csfle;
mod dependencies;
mod determinism;
#[cfg(feature = "fit")]
mod evaluate;
mod examples;
mod federation;
mod fuzz;
#[path = "../harness/mod.rs"]
mod harness;
mod circles;
mod layering;
mod partitions;
mod pipes;
#[cfg(feature = "fit")]
mod readme;
#[cfg(feature = "fit")]
mod redteam;
mod replay;
#[cfg(feature = "fit")]
mod record_path;
mod sealed;
mod simulation;
#[cfg(feature = "fit")]
mod tables;
mod threats;
mod timestamps;
mod why;
mod words;
