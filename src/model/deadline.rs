//! A run that takes too long is ended.
//!
//! Networks without loops take the same time whatever they are asked; one that does not come back
//! is broken, or the machine is. ONNX Runtime looks between two nodes whether it shall end, so a
//! single node that never returns is not ended by this: the process's own watchdog is for that.

#![expect(
    clippy::disallowed_methods,
    reason = "how long a network has run is what this file is about"
)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use ort::session::RunOptions;

use super::ModelError;

/// Ends runs that take longer than a limit. One thread looks at the clock; a run costs two locks
/// that nobody else wants.
#[derive(Clone)]
pub struct Deadline {
    shared: Arc<Shared>,
}

struct Shared {
    options: RunOptions,
    limit: Duration,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    since: Option<Instant>,
    ended: bool,
}

/// How many times within the limit the clock is looked at.
const LOOKS: u32 = 8;

impl Deadline {
    /// # Errors
    /// If ONNX Runtime or the system refuses.
    pub fn new(limit: Duration) -> Result<Self, ModelError> {
        let failed = |reason: String| ModelError::Load { network: "a time limit", reason };
        let options = RunOptions::new().map_err(|error| failed(error.to_string()))?;
        let running = Mutex::default();
        let shared = Arc::new(Shared { options, limit, running });
        let watched = Arc::downgrade(&shared);
        let watch = thread::Builder::new().name("deadline".into());
        watch.spawn(move || watch_over(&watched)).map_err(|error| failed(error.to_string()))?;
        Ok(Self { shared })
    }

    /// The options that a run must be given.
    pub fn options(&self) -> &RunOptions {
        &self.shared.options
    }

    /// A run begins.
    pub fn begin(&self) {
        self.shared.lock().since = Some(Instant::now());
    }

    /// It is over; says whether it was ended for taking longer than the limit.
    pub fn end(&self) -> Option<Duration> {
        let mut running = self.shared.lock();
        running.since = None;
        let ended = std::mem::take(&mut running.ended);
        if ended && let Err(error) = self.shared.options.unterminate() {
            tracing::error!(%error, "a time limit cannot be lifted: every run will fail");
        }
        ended.then_some(self.shared.limit)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until nobody needs it any more.
fn watch_over(watched: &Weak<Shared>) {
    while let Some(shared) = watched.upgrade() {
        {
            let mut running = shared.lock();
            let late = running.since.is_some_and(|since| since.elapsed() >= shared.limit);
            if late && !running.ended && shared.options.terminate().is_ok() {
                running.ended = true;
            }
        }
        let pause = shared.limit / LOOKS;
        drop(shared);
        thread::sleep(pause);
    }
}
