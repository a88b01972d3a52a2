//! Whether the brokers answer, and whether we may do there what we must: asked every few seconds, beside
//! the threads that work.
//!
//! What a thread meets it tells as one failed step of many, hidden in a moment by the next one; this tells
//! the cause, for as long as it lasts. It cannot see what only some partitions suffer from, nor brokers that
//! answer questions and take no records.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use tracing::{error, info, warn};

use super::access::{self, Access};
use super::farewell::part_with;
use super::{Clients, native, words};
use crate::config::{Config, Delivery};
use crate::deliver::Progress;
use crate::record::Timestamp;
use crate::shell::clock;

/// What was last learned, for whoever asks.
#[derive(Debug, Default)]
pub struct Reach(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Since when no broker answers, and what was said.
    unreached: Option<(Timestamp, String)>,
    /// Rights that we lack, a line each.
    missing: Vec<String>,
    /// Of each stream that was asked about: members of its workers' group, partitions of its input.
    shares: BTreeMap<String, (usize, usize)>,
}

/// How long an answer may take: a broker that is merely slow is reached.
const ANSWER: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_secs(5);
const RIGHTS_EVERY: Duration = Duration::from_secs(15);

impl Reach {
    /// For how long no broker has answered, and what was said.
    pub fn unreached(&self, now: Timestamp) -> Option<(Duration, String)> {
        let known = self.known();
        let (since, why) = known.unreached.as_ref()?;
        let age = u64::try_from(now.0 - since.0).unwrap_or(0);
        Some((Duration::from_millis(age), why.clone()))
    }

    /// Rights that the brokers do not grant us: the operation, on what, what for.
    pub fn missing(&self) -> Vec<String> {
        self.known().missing.clone()
    }

    /// Why a worker of `stream` has no partition, as far as that can be seen.
    pub fn why_without_partition(&self, stream: &str) -> String {
        match self.known().shares.get(stream) {
            Some((members, partitions)) if members > partitions => format!(
                "{members} workers share {partitions} partitions; that is right, and it takes over when \
                 another goes"
            ),
            Some((members, partitions)) => format!(
                "its group has {members} members for {partitions} partitions, and is about to share them \
                 anew, or may not read the topic"
            ),
            None => "its group has given it none".to_owned(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) {
        if let Some((since, _)) = self.known().unreached.take() {
            let seconds = (clock::now().0 - since.0) / 1000;
            info!(seconds, "the brokers answer again");
        }
    }

    /// No broker answered a question that was asked at `since`.
    pub(in crate::shell) fn is_silent(&self, since: Timestamp, why: &str) {
        let mut known = self.known();
        if known.unreached.is_none() {
            warn!(why, "no broker answers; they are asked again until one does");
        }
        let since = known.unreached.as_ref().map_or(since, |(since, _)| *since);
        known.unreached = Some((since, why.to_owned()));
    }

    fn grants(&self, found: &Access) {
        let lines = found.missing.iter().map(|missing| format!("{missing}; {}", missing.grant));
        let lines: Vec<String> = lines.collect();
        let mut known = self.known();
        for line in lines.iter().filter(|line| !known.missing.contains(line)) {
            error!("a right is missing: {line}");
        }
        for line in known.missing.iter().filter(|line| !lines.contains(line)) {
            info!("granted again: {line}");
        }
        known.missing = lines;
    }
}

/// Asks on a thread of its own until the process ends. `threads` are those of the process, by stream:
/// one that failed, or has nothing, is a reason to ask for more.
///
/// # Errors
/// If there is no thread to be had.
pub fn watch(
    reach: &Arc<Reach>,
    clients: &Clients,
    config: &Config,
    threads: Vec<(String, Vec<Arc<Progress>>)>,
    stop: &Arc<AtomicBool>,
) -> Result<(), String> {
    let (clients, config) = (clients.clone(), config.clone());
    let asking =
        Asking { reach: reach.clone(), clients, config, threads, failures: 0, rights_at: None };
    let stop = stop.clone();
    let body = move || asking.run(&stop);
    let started = std::thread::Builder::new().name("reach".into()).spawn(body);
    started.map(drop).map_err(|error| format!("no thread to ask the brokers: {error}"))
}

struct Asking {
    reach: Arc<Reach>,
    clients: Clients,
    config: Config,
    threads: Vec<(String, Vec<Arc<Progress>>)>,
    /// Of all threads, when transactional ids were last tried.
    failures: u64,
    rights_at: Option<Instant>,
}

type Client = AdminClient<DefaultClientContext>;

impl Asking {
    fn run(mut self, stop: &AtomicBool) {
        let mut client = None;
        while !stop.load(Ordering::Relaxed) {
            let known = client.take().map_or_else(|| self.clients.common("reach").create(), Ok);
            match known {
                Ok(known) if self.look(&known) => client = Some(known),
                // It may have forgotten all brokers: `super::cut_off`.
                Ok(silent) => part_with(silent),
                Err(error) => self.reach.is_silent(clock::now(), &words::of(&error)),
            }
            sleep(EVERY);
        }
    }

    /// Asks everything that is due. Whether the client is still good: nothing remained without an answer.
    fn look(&mut self, client: &Client) -> bool {
        let since = clock::now();
        let first = self.config.streams.first().map(|stream| stream.input.as_str());
        if let Err(error) = client.inner().fetch_metadata(first, ANSWER) {
            self.reach.is_silent(since, &words::of(&error));
            return false;
        }
        self.reach.answers();
        let mut all = self.look_at_shares(client);
        if self.rights_at.is_none_or(|at| at.elapsed() >= RIGHTS_EVERY) {
            self.rights_at = Some(Instant::now());
            all &= self.look_at_rights(client);
        }
        all
    }

    /// What can be described is described. Transactional ids can only be tried, so that is done only while a
    /// thread fails.
    fn look_at_rights(&mut self, client: &Client) -> bool {
        let Ok(mut found) = access::described(client, &self.clients, &self.config) else {
            return false;
        };
        let threads = || self.threads.iter().flat_map(|(_, threads)| threads);
        let failures = threads().map(|thread| Progress::get(&thread.failures)).sum();
        let fails = failures != self.failures || threads().any(|thread| !thread.has_joined());
        self.failures = failures;
        if fails && self.config.kafka.delivery == Delivery::ExactlyOnce {
            found.probe_transactions(&self.clients, &self.config);
        }
        self.reach.grants(&found);
        true
    }

    fn look_at_shares(&self, client: &Client) -> bool {
        let mut all = true;
        let lacks =
            |thread: &Arc<Progress>| thread.has_joined() && Progress::get(&thread.partitions) == 0;
        for (name, threads) in &self.threads {
            if !threads.iter().any(lacks) {
                continue;
            }
            let Some(stream) = self.config.streams.iter().find(|stream| stream.name == *name)
            else {
                continue;
            };
            let group = self.clients.workers(name);
            let members = native::group_members(client.inner(), &group, ANSWER);
            all &= members.is_ok();
            let metadata = client.inner().fetch_metadata(Some(&stream.input), ANSWER);
            if let (Ok(members), Ok(metadata)) = (members, metadata) {
                let topic = metadata.topics().iter().find(|topic| topic.name() == stream.input);
                let partitions = topic.map_or(0, |topic| topic.partitions().len());
                self.reach.known().shares.insert(name.clone(), (members.len(), partitions));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_that_are_away_are_so_since_they_were_first_asked_in_vain() {
        let reach = Reach::default();
        assert_eq!(reach.unreached(Timestamp(9_000)), None);
        reach.is_silent(Timestamp(1_000), "no answer in time");
        reach.is_silent(Timestamp(5_000), "no broker can be reached");
        let said = (Duration::from_secs(8), "no broker can be reached".to_owned());
        assert_eq!(reach.unreached(Timestamp(9_000)), Some(said));
        reach.answers();
        assert_eq!(reach.unreached(Timestamp(9_000)), None);
    }

    #[test]
    fn more_workers_than_partitions_is_no_fault() {
        let reach = Reach::default();
        reach.known().shares.extend([("a".to_owned(), (3, 2)), ("b".to_owned(), (1, 2))]);
        assert!(reach.why_without_partition("a").contains("that is right"));
        assert!(!reach.why_without_partition("b").contains("that is right"));
        assert!(!reach.why_without_partition("c").contains("that is right"));
    }
}
