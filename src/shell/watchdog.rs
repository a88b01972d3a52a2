//! Ends the process when one of its threads hangs: only a restart helps then.
//!
//! A record may keep a network or a parser busy for ever. Nobody can end such a thread; but nothing
//! is lost with the process, because nothing of it was committed. Brokers that are away are no
//! reason: each step that waits for them has a deadline (`kafka/deadline.rs`) and is a sign of life. It
//! counts rounds of its own, not the clock: a process that was stopped for a while and goes on has not
//! hung.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tracing::error;

use crate::deliver::Progress;

/// The least time without a sign of life.
const PATIENCE_MIN: Duration = Duration::from_secs(90);
/// Rounds to drain in: shorter than the half minute that a supervisor usually grants.
const DRAIN_ROUNDS_MAX: u32 = 25 * PER_SECOND;
const PER_SECOND: u32 = 4;
const ROUND: Duration = Duration::from_millis(1000 / PER_SECOND as u64);

/// `EX_SOFTWARE`.
const STATUS: i32 = 70;

/// Watches until `ended`. A thread may lawfully wait for `wait` in one call, and for twice that
/// before it is said to hang.
pub fn watch(threads: &[Arc<Progress>], wait: Duration, stop: &AtomicBool, ended: &AtomicBool) {
    let rounds_max = PATIENCE_MIN.max(2 * wait).as_millis() / ROUND.as_millis();
    let mut watches: Vec<Watch> = threads.iter().map(|_| Watch::default()).collect();
    let mut draining = 0;
    while !ended.load(Ordering::Relaxed) {
        thread::sleep(ROUND);
        for (watch, thread) in watches.iter_mut().zip(threads) {
            if u128::from(watch.round(thread.beats())) >= rounds_max {
                let last = thread.last_begun();
                leave(&format!("a thread has not come around for too long; it began: {last}"));
            }
        }
        draining += u32::from(stop.load(Ordering::Relaxed));
        if draining >= DRAIN_ROUNDS_MAX {
            leave("draining takes too long; what is not committed is done again");
        }
    }
}

/// Rounds in a row in which a thread gave no sign.
#[derive(Default)]
struct Watch {
    beats: u64,
    silent: u32,
}

impl Watch {
    fn round(&mut self, beats: u64) -> u32 {
        self.silent = if beats == self.beats && beats > 0 { self.silent + 1 } else { 0 };
        self.beats = beats;
        self.silent
    }
}

/// At once, without destructors: they would wait for the thread that hangs. The broker ends the
/// open transaction when the next process takes the id over, or when its timeout says so.
fn leave(why: &str) {
    error!("{why}: leaving, to be started again");
    signal_hook::low_level::exit(STATUS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_thread_that_has_begun_and_gives_no_sign_is_counted() {
        let mut watch = Watch::default();
        let rounds: Vec<u32> =
            [0, 0, 1, 2, 2, 2, 3].into_iter().map(|beats| watch.round(beats)).collect();
        assert_eq!(rounds, [0, 0, 0, 0, 1, 2, 0]);
    }
}
