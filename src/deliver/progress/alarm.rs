//! How well a monitor can monitor: whether it has the seat, up to when it judged, and by whom it is told.
//!
//! One thread writes. It cannot see the monitors of other processes: whether anybody monitors a stream is a question for
//! whoever scrapes them all.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::{Progress, lock};
use crate::record::Timestamp;

/// Facts of the monitor of one stream in this process.
#[derive(Debug, Default)]
pub struct Alarm {
    /// Whether this process monitors the stream. If not, it stands by, or its state does not fit.
    seated: AtomicBool,
    /// Everything that was heard before this time is judged; 0 is not known.
    judged_until_ms: AtomicI64,
    /// Counts that it took in, of its own bundle and of others.
    own: AtomicU64,
    others: AtomicU64,
    /// The share of others lately, in millionths.
    others_lately: AtomicU64,
    /// Messages that it could not read.
    pub unreadable: AtomicU64,
    /// Why its last transaction failed, if that was given up.
    trouble: Mutex<Option<String>>,
}

const MILLION: u64 = 1_000_000;
/// Of so many messages the last ones are "lately".
const LATELY: u64 = 64;
/// A share of counts by another bundle that is worth a line: more than a worker that is late to leave tells.
const OTHERS_WORTH_TELLING: u64 = MILLION / 100;

impl Alarm {
    /// Notes whether this process monitors the stream. A process that begins to is late from now on; one that begins again is as
    /// late as it was.
    pub fn sit(&self, seated: bool, now: Timestamp) {
        if self.seated.swap(seated, Ordering::Relaxed) != seated {
            self.judged_until_ms.store(if seated { now.0 } else { 0 }, Ordering::Relaxed);
        }
    }

    pub fn is_seated(&self) -> bool {
        self.seated.load(Ordering::Relaxed)
    }

    /// Everything that was heard before `until` is judged; a monitor that never heard the clock does not know.
    pub fn judged(&self, until: Timestamp) {
        if until.0 > 0 {
            self.judged_until_ms.store(until.0, Ordering::Relaxed);
        }
    }

    /// For how long nothing was judged, if it is ours to monitor.
    pub fn behind(&self, now: Timestamp) -> Option<Duration> {
        let until = self.judged_until_ms.load(Ordering::Relaxed);
        let age = || Duration::from_millis(u64::try_from(now.0 - until).unwrap_or(0));
        (self.is_seated() && until > 0).then(age)
    }

    /// Notes that counts were read: of the own bundle, or of another.
    pub fn heard(&self, own: bool) {
        Progress::add(if own { &self.own } else { &self.others }, 1);
        let before = self.others_lately.load(Ordering::Relaxed);
        let now = if own { 0 } else { MILLION };
        let lately = (before * (LATELY - 1) + now) / LATELY;
        self.others_lately.store(lately, Ordering::Relaxed);
    }

    /// Counts of its own bundle, and of others.
    pub fn counts(&self) -> (u64, u64) {
        (Progress::get(&self.own), Progress::get(&self.others))
    }

    /// The share of counts by other bundles lately, if it is worth telling.
    pub fn others_share(&self) -> Option<f64> {
        let lately = self.others_lately.load(Ordering::Relaxed);
        let tells = self.is_seated() && lately >= OTHERS_WORTH_TELLING;
        tells.then_some(lately as f64 / MILLION as f64)
    }

    /// A transaction of the monitor was given up for this reason; none is that one went through.
    pub fn trouble(&self, why: Option<&str>) {
        let mut trouble = lock(&self.trouble);
        if why.is_some() || trouble.is_some() {
            *trouble = why.map(|why| super::short(why).to_owned());
        }
    }

    pub fn get_trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_without_the_seat_is_not_late_and_one_that_never_heard_the_clock_is() {
        let alarm = Alarm::default();
        assert_eq!(alarm.behind(Timestamp(9000)), None);
        alarm.sit(true, Timestamp(1000));
        alarm.judged(Timestamp(0));
        assert_eq!(alarm.behind(Timestamp(9000)), Some(Duration::from_secs(8)));
        alarm.judged(Timestamp(5000));
        assert_eq!(alarm.behind(Timestamp(9000)), Some(Duration::from_secs(4)));
        assert_eq!(alarm.behind(Timestamp(2000)), Some(Duration::ZERO), "the clock was set back");
        alarm.sit(false, Timestamp(9000));
        assert_eq!(alarm.behind(Timestamp(9000)), None);
    }

    #[test]
    fn the_share_of_another_bundle_is_that_of_the_last_messages() {
        let alarm = Alarm::default();
        alarm.sit(true, Timestamp(1));
        (0..1000).for_each(|_| alarm.heard(true));
        assert_eq!(alarm.others_share(), None);
        (0..1000).for_each(|n| alarm.heard(n % 2 == 0));
        let share = alarm.others_share().unwrap();
        assert!((0.45..0.55).contains(&share), "{share}");
        (0..1000).for_each(|_| alarm.heard(true));
        assert_eq!((alarm.others_share(), alarm.counts()), (None, (2500, 500)));
    }
}
