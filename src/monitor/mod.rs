//! Evidence → incidents → alerts: which watches fire, what incident that is, and the words in which people hear of it.

mod alert;
mod cause;
mod event;
mod finding;
mod incidents;
mod judge;
mod words;

pub use alert::{About, Alert, Budget, Incident, Member, Samples, Status};
pub use cause::Cause;
pub use event::{Event, id};
pub use finding::Finding;
pub use judge::{Frame, Judge, JudgeError, State as JudgeState};
