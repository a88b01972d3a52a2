//! What may be done so often, and no more often.

use std::time::{Duration, Instant};

/// What may be done so often, and comes back as time goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub left: f64,
    pub counted: Instant,
    most: f64,
    per_second: f64,
}

impl Allowance {
    pub fn full(most: f64, per_second: f64, now: Instant) -> Self {
        Self { left: most, counted: now, most, per_second }
    }

    /// Whether it may be done once more now.
    pub fn is_left(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.counted).as_secs_f64() * self.per_second;
        self.left = (self.left + earned).min(self.most);
        self.counted = now;
        self.left >= 1.0
    }

    /// How long until it may.
    pub fn wait(&self) -> Duration {
        Duration::from_secs_f64((1.0 - self.left).max(0.0) / self.per_second)
    }
}
