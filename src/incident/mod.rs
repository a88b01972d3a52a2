//! An incident's life and the alert that tells of it.

mod alert;

pub use alert::{About, Alert, Budget, Incident, Samples, Status};
