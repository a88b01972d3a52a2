//! Tripline reads the Kafka topic of a model's inputs. It scores each record. It corrects or holds back records that look
//! attacked. It sends one alert per incident.
//!
//! **A module uses only modules that are listed earlier in this file**; `tests/core/layering.rs` checks
//! the `use` lines. A record passes most of them in about this order. Modules up to and including
//! [`sim`] do no I/O. [`shell`] has Kafka, HTTP, the clock and the threads; `fit` and [`cli`] also
//! read and write files. ARCHITECTURE.md says what each module is.

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
