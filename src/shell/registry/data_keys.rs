//! Data keys that are missing, asked of the registry and unwrapped by a key management service.
//!
//! A data key is wanted as a schema is: before a turn, by one worker at a time, for all of them. What the record chose
//! and surely is wrong becomes a fault: a version that the registry does not have. That is believed for a minute. What the
//! configuration or the registry chose is the world's doing ([`KeyAway`]): a registry or a service that is away, forbids or
//! does not know the key, and a data key that the service does not unwrap. Records wait then, or pass unscored, as
//! `on_guard_failure` says.
//!
//! A sender who makes up versions makes us ask for each: each partition may name so many that do not exist, as with
//! schemas. An unwrapped key lives for `cache`, then it is overwritten; in the last quarter of its life it is unwrapped
//! again, so that a service that is away for a while is not noticed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::allowance::Allowance;
use super::copies::subjects;
use super::dek::DekPlace;
use super::{
    ABSENT_MAX, ABSENT_PER_SECOND, LOOKUPS, LOOKUPS_PER_SECOND, Registry, RegistryError,
    UNASKED_FOR, WAIT,
};
use crate::config::{Registry as Config, Stream, WrappingKey};
use crate::open::{CsfleOpener, DataKey, OpenerSpec};
use crate::record::{DataKeyAlgorithm, DataKeyId, Missing, Partition, Record};
use crate::score::Guard;
use crate::shell::http::CaFileError;
use crate::shell::kms::KeyService;
use crate::shell::vault::KeyAway;

/// One stream's way to its data keys, shared by its workers.
pub struct DataKeys {
    registry: Registry,
    subject: String,
    /// What the readers of our outputs file data keys under.
    outputs: Vec<String>,
    keys: Vec<(WrappingKey, KeyService)>,
    memory: Mutex<KeyMemory>,
}

/// Why data keys cannot be asked for at all.
#[derive(Debug, thiserror::Error)]
pub enum DataKeysError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("key {name}: {error}")]
    Key { name: String, error: CaFileError },
}

struct KeyMemory {
    /// When each key was unwrapped.
    learned: BTreeMap<DataKeyId, Instant>,
    /// Keys that the registry does not have, the oldest first, and those that were not asked for.
    absent: VecDeque<(Instant, DataKeyId)>,
    unasked: VecDeque<(Instant, DataKeyId)>,
    partitions: BTreeMap<Partition, Allowance>,
    lookups: Allowance,
    /// One for each key that wraps.
    tries: Vec<Tries>,
    swept: Instant,
}

/// What became of asking with one key.
#[derive(Clone, Debug)]
struct Tries {
    /// When the registry said last what the key is, and whether it unwraps itself.
    known: Option<(Instant, bool)>,
    failures: u32,
    retry_at: Instant,
}

/// How long we believe that a data key does not exist.
const NO_KEY_FOR: Duration = Duration::from_secs(60);
/// How often the ages of keys are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Data keys that one record may need: a schema has no more rules, and one for its payload.
const RECORD_KEYS_MAX: usize = 17;

impl DataKeys {
    /// # Errors
    /// If certificates cannot be read.
    pub fn new(registry: &Config, stream: &Stream) -> Result<Self, DataKeysError> {
        let csfle = stream.decrypt.as_ref().and_then(OpenerSpec::csfle);
        let subject = csfle.map(|csfle| csfle.subject.clone()).unwrap_or_default();
        let keys = &stream.wrapping_keys;
        let service = |key: &WrappingKey| {
            let service = KeyService::new(&key.kms);
            let service =
                service.map_err(|error| DataKeysError::Key { name: key.name.clone(), error })?;
            Ok::<_, DataKeysError>((key.clone(), service))
        };
        let now = Instant::now();
        let tries = Tries { known: None, failures: 0, retry_at: now };
        Ok(Self {
            registry: Registry::new(registry)?,
            subject,
            outputs: subjects(stream),
            keys: keys.iter().map(service).collect::<Result<_, _>>()?,
            memory: Mutex::new(KeyMemory {
                learned: BTreeMap::new(),
                absent: VecDeque::new(),
                unasked: VecDeque::new(),
                partitions: BTreeMap::new(),
                lookups: Allowance::full(LOOKUPS, LOOKUPS_PER_SECOND, now),
                tries: vec![tries; keys.len()],
                swept: now,
            }),
        })
    }

    /// Fetches every data key that `records` miss.
    ///
    /// # Errors
    /// At the first that cannot be had; it stays missing, and so do those behind it.
    pub fn fetch(&self, guard: &Guard, records: &[Record<'_>]) -> Result<(), KeyAway> {
        let Some(csfle) = guard.csfle() else { return Ok(()) };
        self.sweep(&mut self.memory(), csfle, Instant::now());
        for record in records {
            for _ in 0..RECORD_KEYS_MAX {
                let Some(Missing::DataKey(id)) = guard.missing(record) else { break };
                let mut memory = self.memory();
                // Another worker may have fetched it while we waited.
                if !csfle.ring().knows(id) {
                    self.provide(&mut memory, csfle, id, record.at.partition)?;
                }
            }
        }
        Ok(())
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, KeyMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn away(&self, id: DataKeyId, reason: impl Into<String>, retry_at: Instant) -> KeyAway {
        let name = self.keys[usize::from(id.wrapped_by)].0.name.clone();
        KeyAway { name, reason: reason.into(), retry_at }
    }

    fn provide(
        &self,
        memory: &mut KeyMemory,
        csfle: &CsfleOpener,
        id: DataKeyId,
        partition: Partition,
    ) -> Result<(), KeyAway> {
        let now = Instant::now();
        if !memory.allowance(partition, now).is_left(now) {
            memory.unasked.push_back((now, id));
            csfle.ring().learn(id, None);
            return Ok(());
        }
        let retry_at = memory.tries[usize::from(id.wrapped_by)].retry_at;
        if now < retry_at {
            return Err(self.away(id, "there was no answer a moment ago", retry_at));
        }
        if !memory.lookups.is_left(now) {
            let retry_at = now + memory.lookups.wait();
            return Err(self.away(id, "too many data keys were asked for", retry_at));
        }
        memory.lookups.left -= 1.0;
        match self.look_up(memory, id)? {
            Some(key) => {
                info!(subject = self.subject, %id, "data key unwrapped");
                csfle.ring().learn(id, Some(key));
                memory.learned.insert(id, Instant::now());
                self.look_for_copies(id);
            }
            None => {
                info!(subject = self.subject, %id, "the registry has no such data key; its records are dead-lettered");
                csfle.ring().learn(id, None);
                memory.absent.push_back((now, id));
                memory.allowance(partition, now).left -= 1.0;
            }
        }
        Ok(())
    }

    /// Asks for a key; a failure is remembered.
    fn look_up(&self, memory: &mut KeyMemory, id: DataKeyId) -> Result<Option<DataKey>, KeyAway> {
        let tries = &mut memory.tries[usize::from(id.wrapped_by)];
        let found = self.ask(tries, id);
        match found {
            Ok(found) => {
                tries.failures = 0;
                Ok(found)
            }
            Err(reason) => {
                tries.failures = tries.failures.saturating_add(1);
                tries.retry_at = Instant::now() + WAIT.after(tries.failures);
                let (failures, retry_at) = (tries.failures, tries.retry_at);
                let key = &self.keys[usize::from(id.wrapped_by)].0.name;
                warn!(key, subject = self.subject, reason, failures, "a data key cannot be had");
                Err(self.away(id, reason, retry_at))
            }
        }
    }

    fn ask(&self, tries: &mut Tries, id: DataKeyId) -> Result<Option<DataKey>, String> {
        let (key, service) = &self.keys[usize::from(id.wrapped_by)];
        let shared = match tries.known {
            Some((at, shared)) if at.elapsed() < key.cache => shared,
            _ => {
                let shared = self.kek(key)?;
                tries.known = Some((Instant::now(), shared));
                shared
            }
        };
        let place = DekPlace { kek: &key.name, subject: &self.subject, algorithm: id.algorithm };
        let Some(dek) = self.registry.dek(place, Some(id.version))? else { return Ok(None) };
        let decoded = |text: &Option<String>| {
            let text = text.as_deref().filter(|text| !text.is_empty());
            text.map(|text| STANDARD.decode(text).map(Zeroizing::new)).transpose()
        };
        let none = |_| "the registry's data key is no base64";
        let clear = decoded(&dek.clear).map_err(none)?.filter(|_| shared);
        let material = match clear {
            Some(clear) => clear,
            None => {
                let wrapped = decoded(&dek.wrapped).map_err(none)?;
                let wrapped = wrapped.ok_or("the registry's data key has no material")?;
                service.unwrap(&wrapped)?
            }
        };
        DataKey::of_tink(id.algorithm, &material).map(Some).map_err(|why| why.to_string())
    }

    /// Says which readers of our outputs cannot open what is sealed with a data key: of a rotation nobody tells us.
    fn look_for_copies(&self, id: DataKeyId) {
        let kek = &self.keys[usize::from(id.wrapped_by)].0.name;
        for subject in &self.outputs {
            let place = DekPlace { kek, subject, algorithm: id.algorithm };
            if matches!(self.registry.dek(place, Some(id.version)), Ok(None)) {
                warn!(subject, %id, "readers of this output lack a data key: run `tripline topics --apply`");
            }
        }
    }

    /// Whether the registry unwraps data keys of this key itself.
    fn kek(&self, key: &WrappingKey) -> Result<bool, String> {
        let known = self.registry.kek(&key.name)?;
        let known = known.ok_or_else(|| format!("the registry has no key {:?}", key.name))?;
        let (kms, own) = (known.kms, key.kms.kind());
        match kms == own || known.shared {
            true => Ok(known.shared),
            false => {
                Err(format!("the registry says its kind is {kms:?}, the configuration {own:?}"))
            }
        }
    }

    /// Lets go of what is too old, and unwraps again what soon will be.
    fn sweep(&self, memory: &mut KeyMemory, csfle: &CsfleOpener, now: Instant) {
        if now.saturating_duration_since(memory.swept) < SWEEP_EVERY {
            return;
        }
        memory.swept = now;
        let ring = csfle.ring();
        for (known, long) in [(&mut memory.absent, NO_KEY_FOR), (&mut memory.unasked, UNASKED_FOR)]
        {
            while let Some(&(at, id)) = known.front()
                && now.saturating_duration_since(at) >= long
            {
                ring.forget(id);
                known.pop_front();
            }
        }
        let cache = |id: &DataKeyId| self.keys[usize::from(id.wrapped_by)].0.cache;
        let age = |at: &Instant| now.saturating_duration_since(*at);
        memory.learned.retain(|id, at| {
            let keep = age(at) < cache(id) && ring.knows(*id);
            if !keep {
                ring.forget(*id);
            }
            keep
        });
        let old = |(id, at): &(&DataKeyId, &Instant)| age(at) >= cache(id) / 4 * 3;
        let Some(id) = memory.learned.iter().find(old).map(|(&id, _)| id) else { return };
        if now < memory.tries[usize::from(id.wrapped_by)].retry_at {
            return;
        }
        // A version never changes: what is unwrapped again is the same key, if we still may.
        if let Ok(Some(key)) = self.look_up(memory, id) {
            ring.learn(id, Some(key));
            memory.learned.insert(id, Instant::now());
        }
    }

    /// How many data keys of the stream's subject there are; the newest of each kind is unwrapped.
    ///
    /// # Errors
    /// Why one cannot be had; and if there are none, but another KEK than the stream's wraps some.
    pub fn check(&self) -> Result<u32, KeyAway> {
        let mut found = 0;
        for at in 0..self.keys.len() {
            for algorithm in DataKeyAlgorithm::ALL {
                let key = &self.keys[at].0;
                let place = DekPlace { kek: &key.name, subject: &self.subject, algorithm };
                let mut id = DataKeyId { wrapped_by: at as u16, algorithm, version: 1 };
                let newest = self.registry.dek(place, None);
                let away = |reason: String| self.away(id, reason, Instant::now());
                if let Some(newest) = newest.map_err(away)? {
                    id.version = newest.version;
                    self.look_up(&mut self.memory(), id)?;
                    found += newest.version;
                }
            }
        }
        let known: Vec<&str> = self.keys.iter().map(|(key, _)| key.name.as_str()).collect();
        let asked = (found == 0).then(|| self.registry.other_kek(&self.subject, &known));
        match asked.flatten() {
            Some(other) => {
                let reason = format!(
                    "it wraps no data key of subject {}, but KEK {other:?} does: `name` of `[[key]]` is the KEK's name in the \
                     registry",
                    self.subject
                );
                Err(KeyAway { name: known.join(", "), reason, retry_at: Instant::now() })
            }
            None => Ok(found),
        }
    }
}

impl KeyMemory {
    fn allowance(&mut self, partition: Partition, now: Instant) -> &mut Allowance {
        let full = || Allowance::full(ABSENT_MAX, ABSENT_PER_SECOND, now);
        self.partitions.entry(partition).or_insert_with(full)
    }
}

#[cfg(test)]
mod tests;
