//! `tripline run`: starts the threads of all roles of all streams, and waits for them.

mod frame;
mod overview;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tracing::{error, info};

pub use self::frame::{frame, guard, monitor};
pub use self::overview::{ClientInbox, Inboxes, JoinInbox, Overview};
use super::bundle::BundleDirError;
use super::clients;
use super::dumps;
use super::kafka::{Clients, Session};
use super::memory_limit::{Memory, Shape};
use super::preview::Preview;
use super::registry::data_keys::{DataKeys, DataKeysError};
use super::registry::{Registry, RegistryError};
use super::scorer::{Next, StreamScorer};
use super::thread::{Around, Thread};
pub use super::thread::{Role, Wrap};
use super::trial::{Trial, TrialError};
use super::vault::{KeyAway, VaultError, Vaults};
use super::watchdog;
use crate::answers::Join;
use crate::config::{self, Config, Delivery, Kafka, Stream};
use crate::deliver::Timing;
use crate::model::{ModelError, Networks, Runtime, RuntimeError};
use crate::monitor::Frame;
use crate::record::{OwnedRecord, Position, Probability};
use crate::score::{Guard, GuardError};

/// Why the process ends before it is told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("stream {stream}: bundle: {error}")]
    Bundle { stream: String, error: BundleDirError },
    #[error("stream {stream}: bundle {path}: {error}", path = path.display())]
    Guard { stream: String, path: PathBuf, error: GuardError },
    #[error("stream {stream}: bundle {path}: {error}", path = path.display())]
    Trial { stream: String, path: PathBuf, error: TrialError },
    #[error("stream {stream}: bundle {path}: {error}", path = path.display())]
    Model { stream: String, path: PathBuf, error: ModelError },
    #[error(
        "stream {stream}: bundle {path}: its rows depend on those before them, and one in {slot_ms} ms is \
         ranked: set window_ms in [stream.alerts] to {slot_ms} or more",
        path = path.display()
    )]
    Window { stream: String, path: PathBuf, slot_ms: u64 },
    #[error(
        "stream {stream}: bundle {path}: correcting every clean row would take the right answer from {lost:.1} % \
         of them, and {loss_max} may lose it: set on_flagged = \"quarantine\", or fit with a larger \
         --correction-loss-max",
        path = path.display()
    )]
    Correction { stream: String, path: PathBuf, lost: f64, loss_max: Probability },
    #[error(
        "stream {stream}: bundle {path}: it has no model of its own: there is nothing to compare answers with; fit with \
         --protected-model, or leave out [stream.answers]",
        path = path.display()
    )]
    NoOwnAnswers { stream: String, path: PathBuf },
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("stream {stream}: {error}")]
    Vault { stream: String, error: VaultError },
    #[error("stream {stream}: {error}")]
    DataKeys { stream: String, error: DataKeysError },
    #[error("a thread panicked; its stream was left at its last commit")]
    Panicked,
}

/// One stream, ready to run: its bundle loaded, checked and tried.
pub struct Prepared {
    pub stream: Arc<Stream>,
    pub guard: Arc<Guard>,
    registry: Option<Arc<Registry>>,
    vaults: Option<Arc<Vaults>>,
    data_keys: Option<Arc<DataKeys>>,
    networks: Vec<Networks>,
    /// Of the networks' files, and of what was learned beside them.
    bundle_bytes: (u64, u64),
}

impl Prepared {
    /// Loads the bundle, as `trial` has tried it, one set of networks per worker. Nothing is asked of
    /// the registry yet. Every file is read once: what was checked and tried is what is used.
    ///
    /// # Errors
    /// If the bundle cannot be read, is not what its manifest says, does not pass its trial, or cannot
    /// keep the budget; if the registry's certificates cannot be read.
    pub fn new(
        runtime: &Runtime,
        trial: &Trial,
        stream: &Stream,
        registry: Option<&config::Registry>,
    ) -> Result<Self, RunError> {
        let name = || stream.name.clone();
        let path = || stream.bundle.clone();
        let (bundle, guard) = guard(stream)?;
        if stream.decrypt.is_some() {
            dumps::forbid();
        }
        let slot_ms = guard.dependence().map_or(0, |dependence| dependence.slot_ms);
        if u128::from(slot_ms) > stream.alerts.window.as_millis() {
            return Err(RunError::Window { stream: name(), path: path(), slot_ms });
        }
        let data_keys = registry.filter(|_| !stream.wrapping_keys.is_empty());
        let data_keys = data_keys.map(|registry| DataKeys::new(registry, stream)).transpose();
        let data_keys = data_keys.map_err(|error| RunError::DataKeys { stream: name(), error })?;
        let data_keys = data_keys.map(Arc::new);
        let registry = registry.map(Registry::new).transpose()?.map(Arc::new);
        let vaults = (!stream.vault_keys.is_empty()).then(|| Vaults::new(&stream.vault_keys));
        let vaults = vaults.transpose().map(|vaults| vaults.map(Arc::new));
        let vaults = vaults.map_err(|error| RunError::Vault { stream: name(), error })?;
        trial
            .run(runtime, &bundle, stream.rows_max, stream.guard_timeout)
            .map_err(|error| RunError::Trial { stream: name(), path: path(), error })?;
        let networks = (0..stream.workers)
            .map(|_| {
                let networks = Networks::load(runtime, &bundle)?;
                networks.limited_to(stream.guard_timeout)
            })
            .collect::<Result<_, _>>()
            .map_err(|error| RunError::Model { stream: name(), path: path(), error })?;
        let models: usize = bundle.networks.values().map(Vec::len).sum();
        let bundle_bytes = (models as u64, bundle.tensors.bytes() as u64);
        let (stream, guard) = (Arc::new(stream.clone()), Arc::new(guard));
        Ok(Self { stream, guard, registry, vaults, data_keys, networks, bundle_bytes })
    }

    /// One worker's scoring, and the monitor's frame.
    pub fn into_scorer(self) -> (StreamScorer, Frame) {
        let Self { stream, guard, registry, vaults, data_keys, networks, .. } = self;
        let frame = frame(&stream, &guard);
        let networks = networks.into_iter().next().expect("a stream has a worker");
        (StreamScorer::new(Next { stream, guard, registry, vaults, data_keys, networks }).0, frame)
    }

    /// Hands the revision to the stream's threads; each adopts it between two transactions.
    pub fn post(self, inboxes: &Inboxes) {
        let Self { stream, guard, registry, vaults, data_keys, networks, .. } = self;
        for (inbox, networks) in inboxes.workers.iter().zip(networks) {
            let (stream, guard) = (stream.clone(), guard.clone());
            let (registry, vaults) = (registry.clone(), vaults.clone());
            let data_keys = data_keys.clone();
            inbox.post(Next { stream, guard, registry, vaults, data_keys, networks });
        }
        if let Some((inbox, monitor)) =
            inboxes.clients.as_ref().zip(clients::monitor(&stream, &guard))
        {
            inbox.post((stream.clone(), monitor));
        }
        if let (Some(inbox), Some(answers)) = (&inboxes.join, &stream.answers) {
            let join = Join::new(answers.joining(stream.alerts.window));
            inbox.post((stream.clone(), join));
        }
        if let Some(inbox) = &inboxes.answers {
            inbox.post(stream.clone());
        }
        let monitor = monitor(&stream, &guard);
        inboxes.monitor.post((stream, monitor));
    }

    /// Asks for the keys that are kept elsewhere, if there are any: why one is not given.
    pub fn fetch_keys(&self) -> Option<Result<(), KeyAway>> {
        self.vaults.as_ref().map(|vaults| vaults.fetch(&self.guard))
    }

    /// Asks for the data keys of the stream's subject, if it opens values with them: how many there are, or why one is not given.
    pub fn check_data_keys(&self) -> Option<Result<u32, KeyAway>> {
        self.data_keys.as_ref().map(|keys| keys.check())
    }

    /// What would become of `records`.
    pub fn preview(&mut self, records: &[(Position, OwnedRecord)]) -> Preview {
        Preview::of(&self.guard, &self.stream, self.networks.first_mut(), records)
    }

    /// What this stream may take in this process.
    pub fn memory(&self, kafka: &Kafka) -> Memory {
        let networks = self.networks.first();
        let (wide, answers) = networks.map_or((2, 2), Networks::columns);
        let labels = networks.map_or(1, Networks::labels);
        let (width, cells) = (self.guard.schema().width(), self.guard.signals().cells());
        let shape = Shape { width, labels, wide, answers, cells };
        Memory::of(&self.stream, shape, self.bundle_bytes, kafka)
    }
}

/// Loads everything that `config` names: nothing is joined unless all of it is sound.
///
/// # Errors
/// The first stream that cannot be protected.
pub fn prepare(config: &Config, trial: &Trial) -> Result<Vec<Prepared>, RunError> {
    let runtime = Runtime::load(config.onnxruntime.as_deref())?;
    let registry = config.registry.as_ref();
    let prepared = |stream| Prepared::new(&runtime, trial, stream, registry);
    config.streams.iter().map(prepared).collect()
}

/// Puts nothing between the threads and Kafka.
pub struct Plain;

impl Wrap for Plain {
    type Session = Session;
    fn wrap(&self, _: Role, session: Session) -> Session {
        session
    }
}

/// A partition that makes no progress for so long, although there are records, is reported. So an incident is told within a
/// minute.
const STALLED: Duration = Duration::from_secs(30);

/// The transaction of a worker that died may take three transaction timeouts to end. A stall must last longer than those by this
/// time.
const BEYOND_TIMEOUTS: Duration = Duration::from_secs(5);

/// Runs until `stop`, whatever the brokers do. If a thread panics, all others drain too. If a thread hangs, the watchdog ends
/// the process. Its supervisor starts it again.
///
/// # Errors
/// If a thread panicked.
pub fn run(
    clients: &Clients,
    streams: Vec<Prepared>,
    overview: &Overview,
    stop: &AtomicBool,
) -> Result<(), RunError> {
    run_with(&Plain, clients, streams, overview, stop)
}

/// Like [`run`], with `wrap` between the threads and Kafka. Chaos tests use it to kill a process at a chosen step.
///
/// # Errors
/// As [`run`].
pub fn run_with<W: Wrap>(
    wrap: &W,
    clients: &Clients,
    streams: Vec<Prepared>,
    overview: &Overview,
    stop: &AtomicBool,
) -> Result<(), RunError> {
    let kafka = clients.kafka();
    let timing = Timing {
        commit_interval: kafka.commit_interval,
        state_agrees_after: 3 * kafka.transaction_timeout,
        stalled: STALLED.max(3 * kafka.transaction_timeout + BEYOND_TIMEOUTS),
        offsets_lag: kafka.delivery == Delivery::AtLeastOnce,
    };
    let mut progress = overview.threads.iter().cloned();
    let mut next = || progress.next().expect("one per thread");
    let all_ended = AtomicBool::new(false);
    let spans = overview.spans.as_ref();
    let around = Around { wrap, clients, timing, stop, spans };
    let mut panicked = false;
    thread::scope(|scope| {
        let _ended = SetOnDrop(&all_ended);
        let mut threads = vec![];
        for (prepared, inboxes) in streams.into_iter().zip(&overview.inboxes) {
            let stream = prepared.stream.clone();
            prepared.post(inboxes);
            let mut new_thread = |role| {
                let (stream, progress) = (stream.clone(), next());
                Thread { around: &around, stream, role, progress }
            };
            for (number, inbox) in inboxes.workers.iter().cloned().enumerate() {
                let thread = new_thread(Role::Worker(number));
                threads.push(scope.spawn(move || {
                    let _tell = SetOnDrop(stop);
                    thread.work(inbox);
                }));
            }
            let thread = new_thread(Role::Monitor);
            threads.push(scope.spawn(move || {
                let _tell = SetOnDrop(stop);
                thread.monitor(&inboxes.monitor);
            }));
            if let Some(inbox) = &inboxes.clients {
                let thread = new_thread(Role::Clients);
                threads.push(scope.spawn(move || {
                    let _tell = SetOnDrop(stop);
                    thread.follow(inbox);
                }));
            }
            if let Some(inbox) = inboxes.answers.clone() {
                let thread = new_thread(Role::Answers);
                threads.push(scope.spawn(move || {
                    let _tell = SetOnDrop(stop);
                    thread.read_answers(&inbox);
                }));
            }
            if let Some(inbox) = inboxes.join.clone() {
                let thread = new_thread(Role::Join);
                threads.push(scope.spawn(move || {
                    let _tell = SetOnDrop(stop);
                    thread.follow(&inbox);
                }));
            }
        }
        scope.spawn(|| {
            watchdog::watch(&overview.threads, timing.state_agrees_after, stop, &all_ended)
        });
        for thread in threads {
            panicked |= thread.join().is_err();
        }
    });
    if panicked {
        error!("a thread panicked: stopped");
        return Err(RunError::Panicked);
    }
    info!("stopped");
    Ok(())
}

/// Sets the flag when it is dropped, also after a panic. Then all threads stop.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
