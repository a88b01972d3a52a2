//! How often a stream's own clients leave their habits: counted in its second week, then frozen.
//!
//! Before nothing is bet on it. Blind to what was going on in that week already: then it is usual.

use serde::{Deserialize, Serialize};

use super::client::{HABITS, Habit, HabitTrials};
use crate::alarm::WindowStart;
use crate::math::poisson_upper;
use crate::record::Timestamp;

/// What was counted, and what was frozen of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HabitShares {
    /// The first window with a client.
    began: WindowStart,
    trials: [u64; HABITS],
    marked: [u64; HABITS],
    /// At most this part of a billion trials is marked; 0 is not known yet.
    frozen: [u64; HABITS],
}

/// Fewer trials say too little: it is counted on.
const TRIALS_MIN: u64 = 200;
/// The limit is too small in one of so many streams.
const MISS: f64 = 0.01;
/// A mark that more trials than this have is of no use.
const SHARE_MAX: f64 = 0.5;
const BILLION: f64 = 1e9;

impl HabitShares {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is frozen when `window` closes is frozen before its rows are looked at.
    pub fn begin(&mut self, window: WindowStart, week_ms: i64) {
        if self.began == Timestamp(0) {
            self.began = window;
        }
        if window.0 - self.began.0 < 2 * week_ms {
            return;
        }
        for habit in 0..HABITS {
            if self.frozen[habit] == 0 && self.trials[habit] >= TRIALS_MIN {
                let most = poisson_upper(self.marked[habit], MISS);
                let share = (most / self.trials[habit] as f64).clamp(1e-6, 1.0);
                self.frozen[habit] = (share * BILLION) as u64;
            }
        }
    }

    /// Whether the stream's first week is over. In it clients are new that have been there for long.
    pub fn has_met_its_clients(&self, window: WindowStart, week_ms: i64) -> bool {
        self.began != Timestamp(0) && window.0 - self.began.0 >= week_ms
    }

    /// Counts the trials of `window`, from the second week on.
    pub fn count(&mut self, window: WindowStart, week_ms: i64, found: &HabitTrials) {
        if !self.has_met_its_clients(window, week_ms) {
            return;
        }
        for habit in 0..HABITS {
            if self.frozen[habit] == 0 {
                self.trials[habit] += found.trials[habit];
                self.marked[habit] += found.marked[habit];
            }
        }
    }

    /// At most this share of trials is marked, once that is known; none if it is of no use.
    pub fn share(&self, habit: Habit) -> Option<f64> {
        let share = self.frozen[habit as usize] as f64 / BILLION;
        (share > 0.0 && share < SHARE_MAX).then_some(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK_MS: i64 = 7 * 24 * 3_600_000;

    #[test]
    fn the_second_week_says_what_is_usual_and_nothing_after_it_does() {
        let mut shares = HabitShares::default();
        let found = |marked| HabitTrials { trials: [1000; 3], marked: [marked; 3], fresh: vec![] };
        let mut week = |at: i64, marked: u64| {
            let window = Timestamp(1 + at * WEEK_MS);
            shares.begin(window, WEEK_MS);
            shares.count(window, WEEK_MS, &found(marked));
            shares.share(Habit::Travel)
        };
        assert_eq!((week(0, 900), week(1, 0)), (None, None));
        let share = week(2, 900).expect("it is frozen");
        assert!((0.0046..0.00461).contains(&share), "{share}");
        assert_eq!(week(3, 900), Some(share));
    }

    #[test]
    fn what_half_of_the_trials_have_is_no_mark_and_few_trials_say_nothing() {
        let mut shares = HabitShares::default();
        shares.begin(Timestamp(1), WEEK_MS);
        let found = HabitTrials { trials: [199, 200, 200], marked: [0, 100, 40], fresh: vec![] };
        shares.count(Timestamp(1 + WEEK_MS), WEEK_MS, &found);
        shares.begin(Timestamp(1 + 2 * WEEK_MS), WEEK_MS);
        assert_eq!(shares.share(Habit::Origin), None);
        assert_eq!(shares.share(Habit::Hour), None);
        assert!(shares.share(Habit::Travel).is_some_and(|share| share > 0.2));
    }
}
