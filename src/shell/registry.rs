//! The schema registry, asked over HTTP for schemas that are missing.
//!
//! `GET /schemas/ids/{id}` or `/schemas/guids/{guid}`, and `/subjects/{subject}/versions/{version}`
//! for what a schema refers to: the API of Confluent's registry, which others speak too. One worker
//! asks at a time; what it learns is everybody's.
//!
//! We believe that a schema does not exist only if the registry says so in its own words, and for
//! `ABSENT_FOR`. A wrong address answers 404 to everything; dead-lettering a stream for that would be
//! our fault. Any other failure is the world's ([`Unavailable`]), and after it nobody asks for a while.
//!
//! A sender who makes up ids makes us ask for each. The log does not say who sends a record; the
//! partition is the nearest that it says. So each partition may name `ABSENT_MAX` schemas that the
//! registry does not have. After that, an unknown id of this partition counts as absent, and its record is
//! dead-lettered without a question. The other partitions go on asking. `LOOKUPS` bounds how often the
//! registry is asked in all. A record beyond that bound waits, or passes unscored, as if the registry did
//! not answer.
//!
//! What it cannot see: who of one partition's senders makes up ids. A schema that is new while another
//! sender of its partition floods it with invented ones may be taken for one of those.

mod allowance;
pub mod copies;
pub mod data_keys;
mod dek;
mod lookup;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};
use ureq::Agent;

use self::allowance::Allowance;
use self::lookup::{Found, Lookup};
use super::http::{self, CaFileError};
use crate::codec::Confluent;
use crate::config::{Hidden, Registry as Config};
use crate::deliver::Backoff;
use crate::record::{Missing, Partition, Record, SchemaId};
use crate::score::Guard;

/// One stream's way to its schemas, shared by its workers.
pub struct Registry {
    agent: Agent,
    url: String,
    /// The value of the `Authorization` header.
    login: Option<Hidden<String>>,
    timeout: Duration,
    memory: Mutex<Memory>,
}

/// The registry gave no answer that could be one; nobody asks again before `retry_at`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("schema {id}: {reason}")]
pub struct Unavailable {
    id: SchemaId,
    reason: String,
    pub retry_at: Instant,
}

/// Why a registry cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("registry.{0}")]
    CaFile(#[from] CaFileError),
}

/// What is known besides the schemas.
struct Memory {
    /// Schemas that the registry did not have, the oldest first.
    absent: VecDeque<(Instant, SchemaId)>,
    /// Schemas that were not asked for, because their partition named too many that it did not have.
    unasked: VecDeque<(Instant, SchemaId)>,
    /// How many more of those each partition may name.
    partitions: BTreeMap<Partition, Allowance>,
    /// Attempts in a row without an answer, and when the next may be made.
    failures: u32,
    retry_at: Instant,
    /// Lookups that may be made now.
    lookups: Allowance,
}

/// Lookups that may be made at once, and how many come back each second: enough for all schemas of
/// a topic at the start, and no load to any registry.
const LOOKUPS: f64 = 200.0;
const LOOKUPS_PER_SECOND: f64 = 20.0;

/// Schemas that the registry does not have, and that one partition's records may name: at once, and
/// how many come back each second. An honest sender registers a schema before it writes by it.
const ABSENT_MAX: f64 = 20.0;
const ABSENT_PER_SECOND: f64 = 1.0;

/// How long we believe that a schema does not exist: whoever guesses the next id must not keep out for
/// long those who will register it.
const ABSENT_FOR: Duration = Duration::from_secs(5);
/// How long a schema that was not asked for counts as one that does not exist: as long as a batch takes.
const UNASKED_FOR: Duration = Duration::from_secs(1);

/// After an attempt without an answer.
const WAIT: Backoff =
    Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(10) };

impl Registry {
    /// # Errors
    /// If the certificates cannot be read.
    pub fn new(config: &Config) -> Result<Self, RegistryError> {
        let now = Instant::now();
        Ok(Self {
            agent: http::agent(config.ca_file.as_deref())?,
            url: config.url.clone(),
            login: http::authorization(&config.login),
            timeout: config.timeout,
            memory: Mutex::new(Memory {
                absent: VecDeque::new(),
                unasked: VecDeque::new(),
                partitions: BTreeMap::new(),
                failures: 0,
                retry_at: now,
                lookups: Allowance::full(LOOKUPS, LOOKUPS_PER_SECOND, now),
            }),
        })
    }

    /// Whether it answers as a registry does, to whoever we are: asks for a schema that no registry
    /// has, for they count from 1.
    ///
    /// # Errors
    /// What is wrong, with the address.
    pub fn answers(&self) -> Result<(), String> {
        let lookup = Lookup { registry: self, deadline: Instant::now() + self.timeout };
        lookup.schema(SchemaId::Number(0)).map(|_| ())
    }

    /// Fetches every schema that `records` miss.
    ///
    /// # Errors
    /// At the first that cannot be asked for; it stays missing, and so do those behind it.
    pub fn fetch(&self, guard: &Guard, records: &[Record<'_>]) -> Result<(), Unavailable> {
        let Some(schemas) = guard.confluent() else { return Ok(()) };
        for record in records {
            if let Some(Missing::Schema(id)) = guard.missing(record) {
                let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
                memory.forget(schemas, Instant::now());
                // Another worker may have fetched it while we waited.
                if guard.missing(record).is_some() {
                    self.provide(&mut memory, schemas, id, record.at.partition)?;
                }
            }
        }
        Ok(())
    }

    fn provide(
        &self,
        memory: &mut Memory,
        schemas: &Confluent,
        id: SchemaId,
        partition: Partition,
    ) -> Result<(), Unavailable> {
        let now = Instant::now();
        if !memory.allowance(partition, now).is_left(now) {
            memory.unasked.push_back((now, id));
            schemas.learn(id, None).expect("that there is nothing cannot be misread");
            return Ok(());
        }
        let unavailable =
            |reason: &str, retry_at| Unavailable { id, reason: reason.into(), retry_at };
        if now < memory.retry_at {
            let reason = "the registry did not answer a moment ago";
            return Err(unavailable(reason, memory.retry_at));
        }
        if !memory.lookups.is_left(now) {
            let retry_at = now + memory.lookups.wait();
            return Err(unavailable("too many schemas were asked for", retry_at));
        }
        memory.lookups.left -= 1.0;
        let lookup = Lookup { registry: self, deadline: now + self.timeout };
        let useless = |reason: &dyn Display| {
            error!(%id, %reason, "schema cannot be read by; its records are dead-lettered");
        };
        match lookup.schema(id) {
            Ok(Found::Schema(schema)) => match schemas.learn(id, Some(&schema)) {
                Ok(()) => info!(%id, language = ?schema.language, "schema learned"),
                Err(error) => useless(&error),
            },
            Ok(Found::Nothing) => {
                memory.absent.push_back((now, id));
                memory.allowance(partition, now).left -= 1.0;
                let learned = schemas.learn(id, None);
                learned.expect("that there is nothing cannot be misread");
                info!(%id, "the registry has no such schema; its records are dead-lettered");
            }
            Ok(Found::Useless(reason)) => {
                schemas.refuse(id);
                useless(&reason);
            }
            Err(reason) => {
                memory.failures = memory.failures.saturating_add(1);
                memory.retry_at = Instant::now() + WAIT.after(memory.failures);
                warn!(%id, reason, failures = memory.failures, "the registry does not answer");
                return Err(unavailable(&reason, memory.retry_at));
            }
        }
        memory.failures = 0;
        Ok(())
    }
}

impl Memory {
    /// Schemas that were looked for a while ago may exist by now.
    fn forget(&mut self, schemas: &Confluent, now: Instant) {
        for (known, long) in [(&mut self.absent, ABSENT_FOR), (&mut self.unasked, UNASKED_FOR)] {
            while let Some(&(at, id)) = known.front()
                && now.saturating_duration_since(at) >= long
            {
                schemas.forget(id);
                known.pop_front();
            }
        }
    }

    fn allowance(&mut self, partition: Partition, now: Instant) -> &mut Allowance {
        let full = || Allowance::full(ABSENT_MAX, ABSENT_PER_SECOND, now);
        self.partitions.entry(partition).or_insert_with(full)
    }
}

#[cfg(test)]
mod tests;
