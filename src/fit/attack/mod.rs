//! Attacks of our own making: what the restorer learns to undo and the merge learns to hear.
//!
//! All but those of `query` follow the gradient of the protected model. All stay where an attacker has to stay:
//! inside the schema's bounds, at the resolution of the record, and, every second time, on the
//! row's *support* (features that are not at their usual value): an attack that dirties an exactly
//! black background is easy to see, and a defence learned from such attacks alone sees nothing else.
//!
//! A guard that is good against these can still be blind to others. None of them looks at the
//! guard itself: `redteam` has attacks that do.

mod answers;
mod carlini;
mod climb;
mod ddn;
mod families;
mod harmless;
mod jpeg;
mod paint;
mod pool;
mod query;
mod slope;
mod space;
mod views;
mod wide;

pub use answers::{TOGETHER, answers, labels};
pub use carlini::{Carlini, carlini};
pub use climb::{Climb, Goal, Norm, climb};
pub use families::{Family, colour_families, families};
pub use harmless::{harmless, normal};
pub use paint::Image;
pub use pool::pool;
pub use query::{Oracle, QUERIES, Query, Starts, Terrain};
pub use space::Space;
pub use views::{augment, disturb, elsewhere};
pub use wide::{PAINTED, Victim, Wide, wide};

#[cfg(test)]
mod tests;
