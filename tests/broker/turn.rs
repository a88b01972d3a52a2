//! Tests of one program run side by side; those with brokers take turns.
//!
//! Two brokers would fight for the cores, and time limits would mean nothing. Such a test mostly waits; with two `PLACES`
//! all take 983 s instead of 1,238 s beside two builds, but not every one of them passes there.

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
    places: usize,
    since: Instant,
}

impl Running {
    fn take(&mut self, turn: &Turn) -> bool {
        let of_it = self.groups.iter_mut().find(|(name, _)| Some(*name) == turn.group);
        if let Some((_, n)) = of_it {
            *n += 1;
            return true;
        }
        if self.places + turn.places > PLACES {
            return false;
        }
        self.places += turn.places;
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
        self.places -= turn.places;
    }
}

static RUNNING: Mutex<Running> = Mutex::new(Running { places: 0, groups: Vec::new() });
static CHANGED: Condvar = Condvar::new();

/// A turn, beside others as far as there are `PLACES`.
pub fn turn() -> Turn {
    take(None, 1)
}

/// A turn beside nobody: what it shows depends on how fast a process is.
pub fn turn_alone() -> Turn {
    take(None, PLACES)
}

/// A turn beside the others of a group, which mostly wait, and nobody else.
pub fn turn_of(group: &'static str) -> Turn {
    take(Some(group), PLACES)
}

fn take(group: Option<&'static str>, places: usize) -> Turn {
    let mut turn = Turn { group, places, since: Instant::now() };
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
