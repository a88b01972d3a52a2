//! An incident's life and the alert that tells of it.

mod alert;
mod event;

pub use alert::{About, Alert, Budget, Incident, Samples, Status};
pub use event::{Event, id};
