//! How long to wait before something that failed is tried again.
//!
//! A backoff reads no clock and draws no random number. The caller says since when it waits, and spreads the waits of
//! several that failed together.

use std::time::Duration;

/// The first wait, doubled with every failure in a row up to the longest.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    /// The wait after so many failures in a row; none after none.
    pub fn after(self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_however_often_it_fails() {
        let backoff =
            Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(1) };
        let waits = [0, 1, 2, 3, 4, 33, u32::MAX].map(|n| backoff.after(n).as_millis());
        assert_eq!(waits, [0, 250, 500, 1000, 1000, 1000, 1000]);
    }
}
