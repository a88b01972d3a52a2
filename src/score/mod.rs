//! A batch of records, scored, and a lane, the memory of one partition. ARCHITECTURE.md lists the stages and their files in
//! order. No I/O.

mod guard;

mod batch;
mod columns;
mod correct;
mod histogram_cells;
mod counterfactual;
mod departure;
mod destination;
mod explain;
mod failure;
mod lane;
mod leave;
mod client_marks;
mod outcome;
mod read;
mod trace;
mod unseal;
mod verdict;
mod witness;

pub use batch::{Batch, PART_NUMBERS_MAX};
pub use client_marks::{Marker, fault_visit};
pub use counterfactual::{PartSwap, counterfactual};
pub use departure::{Departure, NewKey};
pub use destination::{Destination, destination};
pub use explain::Explanation;
pub use failure::{GuardFailure, Unscorable};
pub use guard::{Guard, GuardError};
pub use histogram_cells::{Counted, values as signal_values};
pub use lane::{Clock, Dated, Discontinuity, Lane, LaneError, State as LaneState, Survey};
pub use outcome::Outcome;
