//! A thread per route: reads the alerts topics as a group of its own, tells, commits.
//!
//! Of a fleet one process has an alerts partition, so each incident has one sender; when that goes,
//! another begins where it was heard last. A receiver that is down stops nothing but its own route:
//! records are protected, `/ready` is true, and the log and `/metrics` say who does not answer.
//!
//! A route that is new begins with what fires now: the past is not told. What it tells may be told
//! twice, after a crash between the receiver's answer and the commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::desk::{Desk, Task};
use super::open::Open;
use super::received::Received;
use super::{Counters, Receiver, Refusal, receiver};
use crate::config::{Config, To};
use crate::deliver::SessionError;
use crate::record::{Offset, Position, Record, TopicPartition};
use crate::shell::clock;
use crate::shell::http::CaFileError;
use crate::shell::kafka::{Clients, Feed, Turn};

/// Why a route cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    #[error("route {route}: {error}")]
    CaFile { route: String, error: CaFileError },
    #[error("route {route}: no thread: {error}")]
    Thread { route: String, error: std::io::Error },
}

/// All routes of a configuration.
pub struct Routes {
    senders: Vec<Sender>,
}

/// Routes at work.
pub struct Running {
    threads: Vec<(String, JoinHandle<()>)>,
}

struct Sender {
    counters: Arc<Counters>,
    receiver: Box<dyn Receiver>,
    topics: Vec<String>,
    desk: Desk,
    /// Where partitions go on that the group did not take yet.
    owed: BTreeMap<TopicPartition, Offset>,
    owed_at: Option<Instant>,
}

/// A partition of which we do not know yet where it goes on is looked at so often.
const AGAIN: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(100);
/// Records taken in at a time, before something is told.
const RECORDS_MAX: usize = 100;

impl Routes {
    /// Makes every route; nothing is asked of anybody yet.
    ///
    /// # Errors
    /// If certificates cannot be read.
    pub fn new(config: &Config) -> Result<Self, RouteError> {
        let mut senders = vec![];
        for route in &config.routes {
            let named = |error| RouteError::CaFile { route: route.name.clone(), error };
            let (kind, receiver) = receiver(route).map_err(named)?;
            let told = |name: &String| route.streams.as_ref().is_none_or(|all| all.contains(name));
            let streams = config.streams.iter().filter(|stream| told(&stream.name));
            // Events of lineage say whose they are in another place: their receiver looks.
            let (mut topics, only): (Vec<String>, _) = match route.to {
                To::OpenLineage { .. } => (
                    streams.filter_map(|s| Some(s.lineage.as_ref()?.topic.clone())).collect(),
                    None,
                ),
                _ => (streams.map(|s| s.alerts.topic.clone()).collect(), route.streams.clone()),
            };
            topics.sort();
            topics.dedup();
            senders.push(Sender {
                counters: Arc::new(Counters::new(&route.name, kind)),
                desk: Desk::new(only, receiver.resend()),
                receiver,
                topics,
                owed: BTreeMap::new(),
                owed_at: None,
            });
        }
        Ok(Self { senders })
    }

    /// The counters of each.
    pub fn counters(&self) -> Vec<Arc<Counters>> {
        self.senders.iter().map(|sender| sender.counters.clone()).collect()
    }

    /// Starts a thread for each, until `stop`.
    ///
    /// # Errors
    /// If there are no more threads.
    pub fn start(self, clients: &Clients, stop: &Arc<AtomicBool>) -> Result<Running, RouteError> {
        let mut threads = vec![];
        for mut sender in self.senders {
            let (clients, stop) = (clients.clone(), stop.clone());
            let route = sender.counters.name.clone();
            let thread = thread::Builder::new().name(format!("route-{route}"));
            let started = thread.spawn(move || sender.run(&clients, &stop));
            match started {
                Ok(thread) => threads.push((route, thread)),
                Err(error) => return Err(RouteError::Thread { route, error }),
            }
        }
        Ok(Running { threads })
    }
}

impl Running {
    /// Waits until all have left their groups, but not longer than `patience`: what a receiver is
    /// being told at that moment is told again by whoever comes next.
    pub fn end(self, patience: Duration) {
        let deadline = Instant::now() + patience;
        for (route, thread) in self.threads {
            while !thread.is_finished() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(20));
            }
            if !thread.is_finished() {
                warn!(route, "left in the middle of a request; it is told again");
            }
        }
    }
}

impl Sender {
    fn run(&mut self, clients: &Clients, stop: &AtomicBool) {
        let _fallen = Fallen(self.counters.clone());
        while !stop.load(Ordering::Relaxed) {
            let Err(error) = self.read(clients, stop) else { break };
            warn!(route = self.counters.name, %error, "joining its group again");
            self.counters.fails();
            self.desk.theirs_all();
            self.owed.clear();
            let until = Instant::now() + AGAIN;
            while Instant::now() < until && !stop.load(Ordering::Relaxed) {
                thread::sleep(POLL);
            }
        }
    }

    /// Reads and tells until `stop`.
    fn read(&mut self, clients: &Clients, stop: &AtomicBool) -> Result<(), SessionError> {
        let name = self.counters.name.clone();
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        let feed = Feed::join(clients, &format!("route.{name}"), &clients.route(&name), &topics)?;
        let (mut ours, mut waiting): (Vec<TopicPartition>, Vec<TopicPartition>) = (vec![], vec![]);
        let (mut look_at, mut paused) = (Instant::now(), false);
        while !stop.load(Ordering::Relaxed) {
            while let Some(turn) = feed.turn()? {
                match turn {
                    Turn::Ours(places) => waiting.extend(places),
                    Turn::Theirs(places) => {
                        for place in &places {
                            self.desk.theirs(place);
                            self.owed.remove(place);
                        }
                        ours.retain(|place| !places.contains(place));
                        waiting.retain(|place| !places.contains(place));
                    }
                }
            }
            if !waiting.is_empty() && Instant::now() >= look_at {
                look_at = Instant::now() + AGAIN;
                while let Some(place) = waiting.pop() {
                    if let Err(error) = self.begin(&feed, &place) {
                        warn!(route = name, %error, "where it goes on is not known yet");
                        waiting.push(place);
                        break;
                    }
                    ours.push(place);
                    // What begins is fetched.
                    paused = false;
                }
            }
            if !paused && self.desk.is_full() {
                feed.pause(&ours)?;
                paused = true;
            } else if paused && self.desk.has_room() {
                feed.resume(&ours)?;
                paused = false;
            }
            let idle = self.desk.next(Instant::now()).is_none();
            let mut patience = if idle { POLL } else { Duration::ZERO };
            for _ in 0..RECORDS_MAX {
                let take = |place, record: Record<'_>| {
                    if ours.contains(&place) {
                        self.take(place, record);
                    }
                };
                if !feed.poll(patience, take)? {
                    break;
                }
                patience = Duration::ZERO;
            }
            self.work();
            self.commit(&feed);
            let Self { counters, desk, .. } = &*self;
            Counters::set(&counters.pending, desk.pending());
            Counters::set(&counters.open, desk.open());
            Counters::set(&counters.partitions, ours.len());
        }
        Ok(())
    }

    /// Finds out where `place` goes on, and what was told of it.
    fn begin(&mut self, feed: &Feed, place: &TopicPartition) -> Result<(), SessionError> {
        let committed = feed.committed(std::slice::from_ref(place))?[0];
        let mut open = Open::default();
        let next = match committed {
            Some(next) if !self.desk.remembers() => next,
            Some(next) => {
                feed.replay(place, Some(next), |record| self.hear(&mut open, record))?;
                next
            }
            None => {
                let end = feed.replay(place, None, |record| self.hear(&mut open, record))?;
                let next = open.oldest().unwrap_or(end);
                // Nothing was told yet. From now on nothing is passed over.
                open = Open::default();
                feed.commit(place, next)?;
                next
            }
        };
        feed.begin(place, next)?;
        info!(
            route = self.counters.name,
            topic = &*place.topic,
            partition = %place.partition,
            %next,
            new = committed.is_none(),
            open = open.incidents().len(),
            "telling incidents"
        );
        self.desk.ours(place, open, Instant::now());
        Ok(())
    }

    fn hear(&self, open: &mut Open, record: Record<'_>) {
        let key = record.key;
        match record.value {
            None => open.hear_gone(key.unwrap_or_default()),
            Some(value) => match Received::read(key, value, record.stamp.at) {
                Ok(alert) if self.desk.wants(&alert) => open.hear(record.at.offset, alert),
                // It was passed over before, or will be.
                Ok(_) | Err(_) => {}
            },
        }
    }

    fn take(&mut self, place: TopicPartition, record: Record<'_>) {
        let Position { partition, offset } = record.at;
        if let Err(error) = self.desk.take(place, record) {
            Counters::add(&self.counters.unreadable);
            let route = &self.counters.name;
            error!(route, %error, %partition, %offset, "an alert cannot be read; it is passed over");
        }
    }

    /// Does what is to be done now, one thing.
    fn work(&mut self) {
        let (started, now) = (Instant::now(), clock::now());
        let (counters, failures) = (&self.counters, self.desk.failures());
        let goes_on = match self.desk.next(started) {
            None => return,
            Some(Task::Pass) => self.desk.passed(started),
            Some(Task::Tell { news, before }) => {
                let told = self.receiver.tell(news, before, now);
                match &told {
                    Ok(()) => Counters::add(&counters.sent),
                    Err(Refusal::Later { .. }) => {}
                    Err(Refusal::Never { reason }) => {
                        Counters::add(&counters.refused);
                        error!(
                            route = counters.name,
                            incident = news.dedup_key,
                            status = news.status,
                            reason,
                            "an alert is refused for good and passed over: {}",
                            news.summary
                        );
                    }
                }
                self.answered(&told);
                self.desk.told(&told, Instant::now(), rand::random())
            }
            Some(Task::Remind(firing)) => {
                let told = self.receiver.remind(&firing, now);
                match &told {
                    Ok(()) => Counters::add(&counters.resent),
                    Err(Refusal::Later { .. }) => {}
                    Err(Refusal::Never { reason }) => {
                        let route = &counters.name;
                        error!(route, reason, "what still fires cannot be said again");
                    }
                }
                self.answered(&told);
                self.desk.reminded(&told, Instant::now(), rand::random());
                None
            }
        };
        self.owed.extend(goes_on);
        let failed = self.desk.failures();
        if failures > 0 && failed == 0 {
            info!(route = self.counters.name, failures, "the receiver answers again");
        }
    }

    /// Counts an answer, and says so if there was none.
    fn answered(&self, told: &Result<(), Refusal>) {
        let counters = &self.counters;
        let Err(refusal) = told else {
            counters.succeeded(clock::now());
            return;
        };
        Counters::add(&counters.failed);
        match refusal {
            Refusal::Never { .. } => {}
            Refusal::Later { reason, .. } => {
                counters.fails();
                warn!(
                    route = counters.name,
                    reason,
                    failures = self.desk.failures() + 1,
                    pending = self.desk.pending(),
                    "the receiver takes nothing; what it misses is kept and tried again"
                );
            }
        }
    }

    /// Commits where partitions go on. What is not taken is tried again; until then a successor would
    /// tell it twice.
    fn commit(&mut self, feed: &Feed) {
        if self.owed.is_empty() || self.owed_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.owed_at = None;
        while let Some((place, next)) = self.owed.pop_first() {
            if let Err(error) = feed.commit(&place, next) {
                warn!(route = self.counters.name, %error, "its place is not committed yet");
                self.owed.insert(place, next);
                self.owed_at = Some(Instant::now() + AGAIN);
                return;
            }
        }
    }
}

/// A thread that panics leaves a route that fails, for everybody to see.
struct Fallen(Arc<Counters>);

impl Drop for Fallen {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fails();
            error!(route = self.0.name, "this route fell: nothing is told until a restart");
        }
    }
}
