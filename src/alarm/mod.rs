//! The alarm: bets on counts, within a budget of false alarms. It knows nothing of what is counted.
//!
//! A *game* says what is bet on, *capital* what the bets have won. When all capital together reaches 1
//! the alarm rings: *onset* looks for the start of the change, and *firing* for its end.
//! Proofs and simulations are in `docs/evidence.md`.

mod bets;
mod capital;
mod change;
mod firing;
mod game;
mod onset;
mod ordering;
mod reference;
mod scaled_float;

pub use bets::Bets;
pub use capital::{Capital, ONE, credit};
pub use change::hits;
pub use firing::Firing;
pub use game::{Event, Game, Measure, STAKE_ONE, at_bound};
pub use onset::Onset;
pub use ordering::{Draws, Key, Order, WindowStart};
pub use reference::Reference;
pub use scaled_float::ScaledFloat;
