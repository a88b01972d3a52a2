//! Tests of one program run side by side; of those with brokers, two at a time.
//!
//! Such a test mostly waits. More brokers than cores would fight for the cores until time limits mean nothing.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many may run beside each other.
const PLACES: usize = 2;

/// Who has a place.
#[derive(Default)]
struct Running {
    places: usize,
    /// How many of each group run; they have their places together.
    groups: Vec<(&'static str, usize)>,
}

/// As long as it lives, it is somebody's turn.
pub struct Turn {
    group: Option<&'static str>,
    since: Instant,
}

impl Running {
    fn take(&mut self, turn: &Turn) -> bool {
        let of_it = self.groups.iter_mut().find(|(name, _)| Some(*name) == turn.group);
        if let Some((_, n)) = of_it {
            *n += 1;
            return true;
        }
        if self.places == PLACES {
            return false;
        }
        self.places += 1;
        self.groups.extend(turn.group.map(|name| (name, 1)));
        true
    }

    fn give_back(&mut self, turn: &Turn) {
        let of_it = self.groups.iter_mut().find(|(name, _)| Some(*name) == turn.group);
        if let Some((_, n)) = of_it {
            *n -= 1;
            if *n > 0 {
                return;
            }
        }
        self.groups.retain(|(_, n)| *n > 0);
        self.places -= 1;
    }
}

static RUNNING: Mutex<Running> = Mutex::new(Running { places: 0, groups: Vec::new() });
static CHANGED: Condvar = Condvar::new();

/// A turn, beside others as far as there are `PLACES`.
pub fn turn() -> Turn {
    take(None)
}

/// A turn together with the others of a group, which mostly wait: they have one place.
pub fn turn_of(group: &'static str) -> Turn {
    take(Some(group))
}

fn take(group: Option<&'static str>) -> Turn {
    let mut turn = Turn { group, since: Instant::now() };
    let mut now = running();
    while !now.take(&turn) {
        now = CHANGED.wait(now).unwrap_or_else(PoisonError::into_inner);
    }
    turn.since = Instant::now();
    turn
}

impl Drop for Turn {
    fn drop(&mut self) {
        running().give_back(self);
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        println!("{test} took {:.0} s", self.since.elapsed().as_secs_f64());
        CHANGED.notify_all();
    }
}

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
