//! Reload: adopts a new configuration or bundle while records flow.
//!
//! Every few seconds this thread compares the contents of the configuration file and of the bundles' folders with the last
//! ones. (It compares contents because a mounted `ConfigMap` changes by a link.) SIGHUP and `POST /-/reload` start a comparison at
//! once.
//!
//! New contents are read, checked and tried on this thread, as at the start of the process. Then each other thread adopts them between
//! two of its transactions. A revision that fails a check changes nothing. The failure is reported until a sound revision
//! comes.
//!
//! Blind spot: a bundle that scores badly. The trial shows that networks give numbers, not that the numbers are right.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tracing::{error, info};

use super::audit::Auditor;
use super::features;
use super::memory_limit::{self, Memory};
use super::run::{Inboxes, Prepared, RunError};
use super::scorer::hexadecimal;
use super::trial::Trial;
use super::{cgroup, clock};
use crate::audit_log::{DeedKind, DeedOutcome};
use crate::bundle::Digest;
use crate::config::{Config, Stream};
use crate::model::Runtime;
use crate::record::{Schema, Timestamp};

/// What is known of reloads: for `/ready`, `/metrics` and whoever asks for one.
#[derive(Debug, Default)]
pub struct Reloads {
    /// Somebody wants one now.
    asked: Arc<AtomicBool>,
    adopted: AtomicU64,
    refused: AtomicU64,
    trouble: Mutex<Option<(Timestamp, String)>>,
}

/// What scores a stream now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// SHA-256 of the bundle, in hexadecimal.
    pub bundle: String,
    /// Of bundle and budget: what evidence and alerts name.
    pub baseline: String,
    /// Of all that changes a verdict: what trace headers name.
    pub revision: String,
}

/// One stream, as it runs.
pub struct Running {
    pub inboxes: Inboxes,
    pub present: Arc<Mutex<Present>>,
    /// Of the bundle that scores now.
    pub schema: Schema,
}

/// Looks for what is new.
pub struct Reloader {
    /// Reads the configuration as the process did when it began.
    pub read: Box<dyn Fn() -> Result<Config, String> + Send>,
    pub file: PathBuf,
    pub trial: Trial,
    pub config: Config,
    pub streams: Vec<Running>,
    pub reloads: Arc<Reloads>,
    pub auditor: Arc<Auditor>,
}

/// Between two looks. Something is tried when two looks found the same: a copy may still be under way.
const LOOK: Duration = Duration::from_secs(5);
/// How soon somebody who asks is heard, and the end is seen.
const BEAT: Duration = Duration::from_millis(100);

impl Reloads {
    /// Looks at once.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Set by a signal handler: as [`Reloads::ask`].
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.asked.clone()
    }

    /// How many candidates were adopted, and how many refused.
    pub fn counts(&self) -> (u64, u64) {
        (self.adopted.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// What was refused last and still lies there, and since when.
    pub fn trouble(&self) -> Option<(Timestamp, String)> {
        lock(&self.trouble).clone()
    }
}

impl Reloader {
    /// Looks until told to stop.
    pub fn run(mut self, stop: &AtomicBool) {
        let mut tried = self.fingerprint();
        let (mut seen, mut looked) = (tried, Instant::now());
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(BEAT);
            let asked = self.reloads.asked.swap(false, Ordering::Relaxed);
            if !asked && looked.elapsed() < LOOK {
                continue;
            }
            looked = Instant::now();
            let now = self.fingerprint();
            let is_new = now != tried && std::mem::replace(&mut seen, now) == now;
            if asked || is_new {
                tried = now;
                self.reload();
            }
        }
    }

    /// Adopts what is there now, or says why not.
    fn reload(&mut self) {
        let began = Instant::now();
        match self.candidate() {
            Ok((config, candidates)) => {
                let streams: Vec<&str> =
                    candidates.iter().map(|(at, _)| &*self.config.streams[*at].name).collect();
                if !streams.is_empty() {
                    info!(?streams, took = ?began.elapsed(), "another revision");
                    self.reloads.adopted.fetch_add(1, Ordering::Relaxed);
                }
                for (at, prepared) in candidates {
                    let running = &mut self.streams[at];
                    let (next, now) = (Present::of(&prepared), lock(&running.present).clone());
                    let name = &self.config.streams[at].name;
                    let what = match next.bundle == now.bundle {
                        true => DeedKind::Config,
                        false => DeedKind::Bundle,
                    };
                    let details = [
                        (
                            "before".to_owned(),
                            format!("bundle {}, revision {}", now.bundle, now.revision),
                        ),
                        (
                            "now".to_owned(),
                            format!("bundle {}, revision {}", next.bundle, next.revision),
                        ),
                    ];
                    self.auditor.note(what, name, DeedOutcome::Done, details);
                    *lock(&running.present) = next;
                    self.auditor.count_keys(name, &prepared.guard);
                    running.schema = prepared.guard.schema().clone();
                    prepared.post(&running.inboxes);
                }
                self.config = config;
                *lock(&self.reloads.trouble) = None;
            }
            Err(why) => {
                error!("the new configuration is refused, and nothing changes: {why}");
                self.reloads.refused.fetch_add(1, Ordering::Relaxed);
                let (file, why_not) =
                    (self.file.display().to_string(), [("why".to_owned(), why.clone())]);
                self.auditor.note(DeedKind::Config, &file, DeedOutcome::Refused, why_not);
                let mut trouble = lock(&self.reloads.trouble);
                let since = trouble.as_ref().map_or_else(clock::now, |(since, _)| *since);
                *trouble = Some((since, why));
            }
        }
    }

    /// The configuration that is there now, and every stream whose revision it changes, tried.
    fn candidate(&self) -> Result<(Config, Vec<(usize, Prepared)>), String> {
        let config = (self.read)()?;
        let fixed = self.config.needs_restart(&config);
        if !fixed.is_empty() {
            return Err(format!("only a restart changes {}", fixed.join(", ")));
        }
        let said = |error: RunError| error.to_string();
        let runtime =
            Runtime::load(config.onnxruntime.as_deref()).map_err(|error| error.to_string())?;
        let (mut candidates, mut memory) = (vec![], vec![]);
        for (at, stream) in config.streams.iter().enumerate() {
            let running = &self.streams[at];
            let registry = config.registry.as_ref();
            let prepared = Prepared::new(&runtime, &self.trial, stream, registry).map_err(said)?;
            memory.push(prepared.memory(&config.kafka));
            let same = *stream == self.config.streams[at]
                && Present::of(&prepared) == *lock(&running.present);
            if same {
                continue;
            }
            if let Some(problem) = lacking(stream, &running.schema, prepared.guard.schema()) {
                return Err(problem);
            }
            candidates.push((at, prepared));
        }
        let memory = memory.into_iter().sum::<Memory>() + Memory::beside_streams(&config);
        memory_limit::fits(&memory, cgroup::limit()).map_err(|error| error.to_string())?;
        Ok((config, candidates))
    }

    /// Changes whenever a file does that a revision is read from: those of the bundles that score now, and of those that the
    /// file names. No file of a bundle is read here: whoever filled the folder may be hostile, and written anew with the same
    /// bytes is found to be the same later.
    fn fingerprint(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(fs::read(&self.file).unwrap_or_default());
        let named = (self.read)().map(|config| config.streams).unwrap_or_default();
        for stream in self.config.streams.iter().chain(&named) {
            let mut files: Vec<PathBuf> = fs::read_dir(&stream.bundle)
                .map(|files| files.flatten().map(|file| file.path()).collect())
                .unwrap_or_default();
            files.push(super::bundle::signature_of(&stream.bundle));
            files.extend(stream.bundle_key.clone());
            files.sort();
            for path in files {
                use std::os::unix::fs::MetadataExt as _;
                let Ok(about) = fs::metadata(&path) else { continue };
                if about.is_file() {
                    hash.update(path.as_os_str().as_encoded_bytes());
                    let numbers =
                        [about.ino() as i64, about.len() as i64, about.mtime(), about.mtime_nsec()];
                    numbers.iter().for_each(|number| hash.update(number.to_le_bytes()));
                }
            }
        }
        Digest(hash.finalize().into())
    }
}

impl Present {
    pub fn of(prepared: &Prepared) -> Self {
        let guard = &prepared.guard;
        Self {
            bundle: guard.digest().to_string(),
            baseline: guard.baseline().to_owned(),
            revision: hexadecimal(guard.revision()),
        }
    }
}

/// Features that the next bundle lacks, unless the operator accepts that.
fn lacking(stream: &Stream, now: &Schema, next: &Schema) -> Option<String> {
    let names: Vec<String> = now.features.iter().map(|feature| feature.name().to_owned()).collect();
    match stream.accept_fewer_features {
        true => None,
        false => features::fewer(&stream.name, &names, next),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
