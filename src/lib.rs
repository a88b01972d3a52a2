//! Tripline stands on the Kafka line between the world and a model: it scores every inference
//! input, corrects or holds back what looks attacked, and turns what an operator must know into
//! one alert.
//!
//! The modules below are listed in the order a record travels. **A module uses only those above
//! it**; `tests/core/layering.rs` reads the `use` lines and holds us to it. Everything down to
//! [`monitor`] computes and does no I/O; the outside world lives in [`shell`].

pub mod record;

pub mod math;

pub mod bundle;

pub mod model;

pub mod open;

pub mod codec;

pub mod validate;

pub mod detect;

pub mod decide;

pub mod sanitize;

pub mod emit;

pub mod privacy;

pub mod alarm;

pub mod watch;

pub mod clients;
pub mod answers;

pub mod score;

pub mod federate;

pub mod audit_log;

pub mod monitor;

pub mod config;

pub mod deliver;

pub mod sim;

#[macro_use]
pub mod shell;

#[cfg(feature = "fit")]
pub mod fit;

pub mod cli;
