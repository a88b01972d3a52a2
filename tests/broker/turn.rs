//! Tests of one program run side by side; those with brokers take turns.
//!
//! Two brokers would fight for the cores, and time limits would mean nothing.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Who runs now: a group, and how many of it.
#[derive(Default)]
struct Running {
    group: Option<&'static str>,
    n: usize,
}

static RUNNING: Mutex<Running> = Mutex::new(Running { group: None, n: 0 });
static CHANGED: Condvar = Condvar::new();

/// As long as it lives, it is somebody's turn.
pub struct Turn(());

/// A turn of one's own.
pub fn turn() -> Turn {
    take(None)
}

/// A turn beside the others of a group: its tests mostly wait.
pub fn turn_of(group: &'static str) -> Turn {
    take(Some(group))
}

fn take(group: Option<&'static str>) -> Turn {
    let is_others = |now: &mut Running| now.n > 0 && (group.is_none() || now.group != group);
    let mut now = CHANGED.wait_while(running(), is_others).unwrap_or_else(PoisonError::into_inner);
    *now = Running { group, n: now.n + 1 };
    Turn(())
}

impl Drop for Turn {
    fn drop(&mut self) {
        running().n -= 1;
        CHANGED.notify_all();
    }
}

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
