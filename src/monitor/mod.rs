//! Evidence → incidents → alerts: which watches fire, what incident that is, and the words in which people hear of it.

mod alert;
mod cause;
mod event;
mod finding;
mod incident;
mod incidents;
mod lineage;
#[expect(clippy::module_inception, reason = "the monitor itself; the others are its parts")]
mod monitor;
mod next_steps;
mod words;

pub use alert::{Alert, Budget, TypicalRecord, WhyFlagged};
pub use cause::Cause;
pub use event::{Event, EventAttributes, id};
pub use finding::{ClientEvidence, Finding, RowPlace};
pub use incident::{About, CoarserSet, ExposedSet, FiredWatch, Incident, Samples, Status};
pub use lineage::{
    LineageChange, LineageEvent, LineageFacts, LineageField, LineageOutput, LineageState,
};
pub use monitor::{Frame, Monitor, MonitorError, State as MonitorState};
pub use words::utc;
