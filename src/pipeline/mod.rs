//! Stages composed: a batch of records through the road, a lane's memory, the judge.

mod batch;
mod count;
mod guard;
mod incidents;
mod judge;
mod lane;
mod look;
mod scored;

pub use batch::{Batch, GuardFailure, Outcome, PART_NUMBERS_MAX, Route, Unscorable};
pub use count::{Counted, values as signal_values};
pub use guard::{Guard, GuardError};
pub use judge::{Frame, Judge, JudgeError, State as JudgeState};
pub use lane::{Clock, Dated, Discontinuity, Lane, LaneError, State as LaneState, Survey};
pub use look::Look;
