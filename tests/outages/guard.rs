//! The guard of a stream, and who kills it now and then.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cluster::signal;
use crate::harness::Process;

/// `tripline run` of one configuration.
pub struct Guard {
    state: Arc<Mutex<State>>,
    killer: Option<Killer>,
}

struct State {
    config: PathBuf,
    log: PathBuf,
    process: Option<Process>,
    /// Nobody kills it now: it stands still, or must see something first.
    spared: bool,
    ended: Option<ExitStatus>,
    kills: u64,
}

struct Killer {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Guard {
    pub fn new(config: PathBuf, log: PathBuf) -> Self {
        let (process, spared, ended, kills) = (None, false, None, 0);
        let state = State { config, log, process, spared, ended, kills };
        Self { state: Arc::new(Mutex::new(state)), killer: None }
    }

    pub fn start(&self) {
        self.state().start();
    }

    /// Asks it to end, and waits.
    pub fn stop(&self) {
        let mut process = self.state().process.take().expect("it runs");
        process.terminate(Duration::from_secs(30));
    }

    /// It stands still, or goes on.
    pub fn freeze(&self, still: bool) {
        let mut state = self.state();
        state.spared = still;
        let process = state.process.as_ref().expect("it runs");
        signal(&process.child, if still { "STOP" } else { "CONT" });
    }

    /// Nobody kills it, until this is called again.
    pub fn spare(&self, spared: bool) {
        self.state().spared = spared;
    }

    /// How it ended, if it did so by itself.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.state().ended()
    }

    /// How often it was killed.
    pub fn kills(&self) -> u64 {
        self.state().kills
    }

    /// From now on it is killed at moments that `seed` draws, one to three times, and started again at once.
    pub fn kill_now_and_then(&mut self, seed: u64) {
        let (state, over) = (self.state.clone(), Arc::<AtomicBool>::default());
        let stop = over.clone();
        let thread = thread::spawn(move || {
            let mut dice = ChaCha8Rng::seed_from_u64(seed);
            for _ in 0..dice.random_range(1..=3) {
                let at = Instant::now() + Duration::from_millis(dice.random_range(300..12_000));
                while Instant::now() < at {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    thread::sleep(Duration::from_millis(20));
                }
                let mut state = state.lock().expect("no panic while held");
                state.kill();
            }
        });
        self.killer = Some(Killer { over, thread });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(Killer { over, thread }) = self.killer.take() {
            over.store(true, Ordering::Relaxed);
            let _ = thread.join();
        }
    }
}

impl State {
    fn start(&mut self) {
        let config = self.config.to_str().expect("UTF-8");
        self.process = Some(Process::tripline(&["run", "-c", config], &self.log));
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        let running = self.process.as_mut();
        let status = running.and_then(|it| it.child.try_wait().expect("a status"));
        self.ended = self.ended.or(status);
        self.ended
    }

    fn kill(&mut self) {
        self.ended();
        if self.spared {
            return;
        }
        if let Some(mut process) = self.process.take() {
            process.kill();
            self.kills += 1;
            self.start();
        }
    }
}
