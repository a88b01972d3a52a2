//! What an incident is, and the words in which people hear of it.

mod alert;
mod cause;
mod event;
mod finding;
mod words;

pub use alert::{About, Alert, Budget, Incident, Member, Samples, Status};
pub use cause::Cause;
pub use event::{Event, id};
pub use finding::Finding;
