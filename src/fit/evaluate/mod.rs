//! A finished guard on rows whose nature is known: what it flags, and how well it tells attacks from
//! clean rows.
//!
//! Every row becomes a record and passes the stages that a stream's records pass: what is measured
//! is what runs. It cannot know which rows the bundle was fitted to: those flatter it. Scores of all
//! rows are held in memory, four bytes for each detector and row.
//!
//! [`labelled`] takes one table whose rows say what they are, [`suspects`] a clean file and others
//! beside it.

mod columns;
pub mod drift;
mod error;
mod first_look;
pub mod html;
pub mod labelled;
pub mod measure;
mod report;
mod record_path;
pub mod rows;
pub mod sample;
pub mod specimen;
pub mod suspects;

pub use error::EvaluateError;
pub use labelled::{Evaluation, Options, evaluate};
pub use rows::{Named, Rows};
pub use suspects::{Report, Trial, compare};
