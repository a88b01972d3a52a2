//! Windows open, close when every partition has gone past them, and are never too many.

use super::state::Open;
use super::{AHEAD_WINDOWS, CELLS_MAX, Monitor, PAST_MAX, WINDOWS_MAX};
use crate::monitor::Alert;
use crate::record::Timestamp;
use crate::watch::{WindowStart, watermark};

impl Monitor {
    /// The window that closes next, whatever stamps say.
    pub(super) fn current(&self) -> WindowStart {
        let watermark = self.watermark().0.max(0);
        self.state.frontier.max(Timestamp(watermark - watermark % self.length()))
    }

    /// What is ahead of the clock counts in the current window, as misdated. It may be the stamps of most
    /// records of a partition; of fewer, the lane has seen to it.
    pub(super) fn fold_future(&mut self) {
        let latest = Timestamp(self.state.clock.0 + AHEAD_WINDOWS * self.length());
        let current = self.current();
        while let Some(last) = self.state.windows.last_entry() {
            if *last.key() <= latest {
                break;
            }
            let future = last.remove().misdated();
            self.state.windows.entry(current).or_default().join(future);
        }
    }

    /// Closes every window that all partitions with anything to say have gone past.
    pub(super) fn close_windows(&mut self, alerts: &mut Vec<Alert>) {
        let watermark = self.watermark();
        while let Some(window) = self.oldest_open() {
            if window.0 + self.length() > watermark.0 {
                break;
            }
            self.close(window, alerts);
        }
        let old = Timestamp(self.state.frontier.0 - PAST_MAX * self.length());
        self.state.past = self.state.past.split_off(&old);
        while self.is_full() {
            self.make_room(alerts);
        }
    }

    pub(super) fn oldest_open(&self) -> Option<WindowStart> {
        self.state.windows.first_key_value().map(|(&window, _)| window)
    }

    pub(super) fn close(&mut self, window: WindowStart, alerts: &mut Vec<Alert>) {
        let open = self.state.windows.remove(&window).expect("it is open");
        #[cfg(test)]
        super::tests::closed(&open.tally.counts);
        self.state.frontier = self.state.frontier.max(Timestamp(window.0 + self.length()));
        let said = self.play(window, &open);
        if let Some(closed) = &mut self.closed {
            closed.push((window, open.tally.clone()));
        }
        self.state.past.insert(window, open.closed());
        self.apply_results(window, said, alerts);
    }

    pub(super) fn is_full(&self) -> bool {
        let windows = &self.state.windows;
        let parts: usize = windows.values().map(|open| open.parts.len().max(1)).sum();
        let cells = || windows.values().map(Open::cells).sum::<usize>();
        windows.len() > 1 && (parts > WINDOWS_MAX || cells() > CELLS_MAX)
    }

    /// Makes one window of the last two if the clock is not there yet; else closes the oldest without waiting
    /// for partitions that are far behind: what they say later is late, not lost.
    pub(super) fn make_room(&mut self, alerts: &mut Vec<Alert>) {
        let first = self.oldest_open().expect("it is full");
        let (last, open) = self.state.windows.pop_last().expect("it is full");
        if last > self.state.clock {
            let mut before = self.state.windows.last_entry().expect("it has two");
            before.get_mut().join(open);
        } else {
            self.state.windows.insert(last, open);
            self.close(first, alerts);
        }
    }

    /// Everything before this is complete.
    pub(super) fn watermark(&self) -> Timestamp {
        watermark(self.state.partitions.values(), self.state.clock, self.length())
    }
}
