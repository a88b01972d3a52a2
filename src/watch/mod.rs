//! Evidence over the stream: additive counts, and the bets that turn them into an alarm.

mod e_detector;
mod evidence;
mod flagged_share;
mod keyed;

pub use e_detector::EDetector;
pub use evidence::{Counts, Evidence, Message, Presence, Tick, WindowStart};
pub use flagged_share::{FlaggedShare, Terms, Transition, WindowCounts};
pub use keyed::Key;
