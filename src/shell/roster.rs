//! Whose counters are whose: what `/metrics` labels and `/ready` names.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::kafka::Reach;
use super::memory_limit::Memory;
use super::reload::{Present, Reloads};
use super::routes::Counters;
use super::run::{Overview, Prepared};
use crate::config::Kafka;
use crate::deliver::{Progress, SpanCounts, Standing};
use crate::record::Timestamp;

/// Every stream of this process, with its threads.
#[derive(Clone, Debug)]
pub struct Roster {
    pub streams: Vec<Stream>,
    /// Who tells incidents.
    pub routes: Vec<Arc<Counters>>,
    /// Spans of batches, if a collector is told.
    pub spans: Option<Arc<SpanCounts>>,
    /// What all of it may take.
    pub memory: Memory,
    /// What the brokers say.
    pub reach: Arc<Reach>,
    pub reloads: Arc<Reloads>,
    /// A thread that did not come around for this long hangs: restart it.
    pub patience: Duration,
}

/// Name of the thread that reads the deployed model's answers.
const READER_OF_ANSWERS: &str = "answers";
/// The least of that.
const PATIENCE_MIN: Duration = Duration::from_secs(120);

/// One stream, as this process serves it.
#[derive(Clone, Debug)]
pub struct Stream {
    pub name: String,
    /// What scores it now.
    pub present: Arc<Mutex<Present>>,
    pub workers: Vec<Arc<Progress>>,
    pub monitor: Arc<Progress>,
    /// Who reads topics of ours: the client monitor, who reads answers and who joins them. By their names, where they are
    /// wanted.
    pub followers: Vec<(&'static str, Arc<Progress>)>,
    /// What the monitor scores at a time.
    pub window: Duration,
}

/// A monitor closes a window when every partition is a window further on, or four behind, or was not heard of for a
/// minute; it ticks twice in one. Later than this it is late.
const MONITOR_WINDOWS: u32 = 8;
const MONITOR_PATIENCE: Duration = Duration::from_secs(120);

impl Roster {
    /// The counters of `overview`, which has them in the order of `streams`: workers, then monitor, then client monitor.
    pub fn new(streams: &[Prepared], overview: &Overview, kafka: &Kafka) -> Self {
        let mut threads = overview.threads.iter().cloned();
        let memory: Memory = streams.iter().map(|prepared| prepared.memory(kafka)).sum();
        let spans = overview.spans.as_ref().map(|queue| queue.counts().clone());
        let workers = streams.iter().map(|prepared| prepared.stream.workers).sum();
        let memory = memory + Memory::of_spans(spans.as_ref().map(|_| workers));
        let routes = vec![];
        let streams = streams.iter().map(|prepared| Stream {
            name: prepared.stream.name.clone(),
            present: Arc::new(Mutex::new(Present::of(prepared))),
            workers: threads.by_ref().take(prepared.stream.workers).collect(),
            monitor: threads.next().expect("one per thread"),
            followers: {
                let stream = &prepared.stream;
                let clients = stream.clients.as_ref().map(|_| "clients");
                let answers =
                    stream.answers.as_ref().map_or(&[][..], |_| &[READER_OF_ANSWERS, "join"]);
                let names = clients.into_iter().chain(answers.iter().copied());
                names.zip(threads.by_ref()).collect()
            },
            window: prepared.stream.alerts.window,
        });
        let streams = streams.collect();
        // One step may wait for three transaction timeouts; the watchdog waits for two of these.
        let patience = PATIENCE_MIN.max(7 * kafka.transaction_timeout);
        let (reach, reloads) = Default::default();
        Self { streams, routes, spans, memory, reach, reloads, patience }
    }

    /// This roster with `routes`.
    pub fn telling(self, routes: Vec<Arc<Counters>>) -> Self {
        let memory = self.memory + Memory::of_routes(routes.len());
        Self { routes, memory, ..self }
    }

    /// This roster with what the brokers say.
    pub fn reaching(self, reach: Arc<Reach>) -> Self {
        Self { reach, ..self }
    }

    /// The threads of each stream, by its name.
    pub fn by_stream(&self) -> Vec<(String, Vec<Arc<Progress>>)> {
        let threads = |s: &Stream| {
            let followers = s.followers.iter().map(|(_, thread)| thread);
            s.workers.iter().chain([&s.monitor]).chain(followers).cloned().collect()
        };
        self.streams.iter().map(|stream| (stream.name.clone(), threads(stream))).collect()
    }

    /// What keeps this process from being called alive: a line per thread that hangs.
    pub fn stuck(&self, now: Timestamp, patience: Duration) -> Vec<String> {
        self.lines(|thread| match thread.beat_age(now) {
            Some(age) if age <= patience => None,
            Some(age) => Some(format!(
                "did not come around for {} s; it may take {} s",
                age.as_secs(),
                patience.as_secs()
            )),
            None => Some("has not begun".into()),
        })
    }

    /// What keeps it from being called ready: brokers that do not answer, and a line per thread that hangs,
    /// has not joined or stands back.
    pub fn unready(&self, now: Timestamp, patience: Duration) -> Vec<String> {
        let unreached = self.reach.unreached(now).map(|(age, why)| {
            let seconds = age.as_secs();
            format!(
                "no broker has answered for {seconds} s: {why}; they are asked again until one does"
            )
        });
        let mut lines: Vec<String> = unreached.into_iter().collect();
        lines.extend(self.stuck(now, patience));
        lines.extend(self.lines(|thread| {
            if !thread.is_alive(now, patience) {
                return None;
            }
            match thread.standing() {
                Standing::Back { since, why } => {
                    let seconds = (now.0 - since.0).max(0) / 1000;
                    Some(format!("stands back for {seconds} s: {why}; it looks again by itself"))
                }
                Standing::Joining { why } => Some(format!("has not joined its group yet: {why}")),
                Standing::Ready if thread.has_joined() => None,
                Standing::Ready => Some("has not joined its group yet".into()),
            }
        }));
        lines
    }

    /// What was refused of a new configuration: the one before goes on.
    pub fn refused(&self, now: Timestamp) -> Option<String> {
        self.reloads.trouble().map(|(since, why)| {
            let seconds = (now.0 - since.0).max(0) / 1000;
            format!("for {seconds} s, and the revision before goes on: {why}")
        })
    }

    /// Rights that we lack on the cluster: the rest goes on.
    pub fn missing_rights(&self) -> Vec<String> {
        self.reach.missing()
    }

    /// Workers that have joined and have nothing to do, and whether that is right.
    pub fn without_partition(&self) -> Vec<String> {
        let mut lines = vec![];
        for stream in &self.streams {
            for (number, worker) in stream.workers.iter().enumerate() {
                if worker.has_joined() && Progress::get(&worker.partitions) == 0 {
                    let (name, why) =
                        (&stream.name, self.reach.why_without_partition(&stream.name));
                    lines.push(format!("stream {name}: worker-{number} has no partition: {why}"));
                }
            }
        }
        lines
    }

    /// Partitions that are held still, and why: the others go on, so this is no reason to restart
    /// or to wait.
    pub fn held(&self) -> Vec<String> {
        let mut lines = vec![];
        for stream in &self.streams {
            let (mut told, mut held) = (0, 0);
            for thread in &stream.workers {
                for (partition, why) in thread.reasons() {
                    let name = &stream.name;
                    lines.push(format!("stream {name}: partition {partition}: {why}"));
                    told += 1;
                }
                held += Progress::get(&thread.stopped_partitions);
            }
            if held > told {
                let more = held - told;
                let name = &stream.name;
                lines.push(format!("stream {name}: {more} partitions more; the log says why"));
            }
        }
        lines
    }

    /// Why the alarm of a stream does not see what it should: no reason to restart, because records go on.
    pub fn blind(&self, now: Timestamp) -> Vec<String> {
        let mut lines = vec![];
        for Stream { name, monitor, window, followers, .. } in &self.streams {
            lines.extend(
                monitor.reasons().into_iter().map(|(_, why)| format!("stream {name}: {why}")),
            );
            for (follower, thread) in followers {
                let why = thread.reasons().into_iter();
                lines.extend(why.map(|(_, why)| format!("stream {name}: {follower}: {why}")));
            }
            let most = MONITOR_PATIENCE + *window * MONITOR_WINDOWS;
            if let Some(age) = monitor.alarm.behind(now).filter(|age| *age > most) {
                let why = match monitor.alarm.get_trouble() {
                    Some(why) => why,
                    None => "the evidence topic tells nothing, or a partition is far behind".into(),
                };
                let age = age.as_secs();
                lines.push(format!("stream {name}: nothing was judged for {age} s: {why}"));
            }
            if let Some(share) = monitor.alarm.others_share() {
                lines.push(format!(
                    "stream {name}: {:.0} % of the evidence is told by workers of another bundle or budget: of their \
                     records it watches how many are flagged and unreadable, not what is in them",
                    share * 100.0
                ));
            }
        }
        lines
    }

    /// Partitions that make no progress although there are records, and for how long: no reason to
    /// restart either, for what is in the log will still be there.
    pub fn stalled(&self, now: Timestamp) -> Vec<String> {
        let mut lines = vec![];
        for stream in &self.streams {
            for (partition, age, _) in
                stream.workers.iter().flat_map(|w| w.stalled(now)).filter(|(.., stalled)| *stalled)
            {
                let (name, age) = (&stream.name, age.as_secs());
                lines.push(format!(
                    "stream {name}: partition {partition}: no progress for {age} s although records wait"
                ));
            }
        }
        lines
    }

    /// What `say` has to say of each thread, with the thread's name before it.
    fn lines(&self, say: impl Fn(&Progress) -> Option<String>) -> Vec<String> {
        let mut lines = vec![];
        for stream in &self.streams {
            for (name, thread) in stream.threads() {
                if let Some(said) = say(thread) {
                    lines.push(format!("stream {}: {name} {said}", stream.name));
                }
            }
        }
        lines
    }
}

impl Stream {
    /// What scores it now.
    pub fn present(&self) -> Present {
        self.present.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Threads that have begun, and have not adopted that yet.
    pub fn behind(&self) -> usize {
        let Present { baseline, revision, .. } = self.present();
        let workers = self.workers.iter().map(|worker| (worker, &revision));
        // A monitor knows its baseline only.
        let threads = workers.chain([(&self.monitor, &baseline)]);
        let is_behind = |(thread, newest): &(&Arc<Progress>, &String)| {
            let own = thread.revision();
            !own.is_empty() && own != **newest
        };
        threads.filter(is_behind).count()
    }

    /// Those who remember what they read: the client monitor, and who joins answers. Who reads answers knows only how far.
    pub fn followers(&self) -> impl Iterator<Item = (&'static str, &Progress)> {
        let all = self.followers.iter().filter(|(name, _)| *name != READER_OF_ANSWERS);
        all.map(|(name, thread)| (*name, &**thread))
    }

    /// Who reads the deployed model's answers, where that is asked for.
    pub fn reader_of_answers(&self) -> Option<&Progress> {
        let mut all = self.followers.iter();
        all.find(|(name, _)| *name == READER_OF_ANSWERS).map(|(_, thread)| &**thread)
    }

    /// Each thread under its name.
    pub fn threads(&self) -> impl Iterator<Item = (String, &Progress)> {
        let workers = self.workers.iter().enumerate();
        let workers = workers.map(|(number, thread)| (format!("worker-{number}"), &**thread));
        let followers = self.followers.iter().map(|(name, thread)| ((*name).to_owned(), &**thread));
        workers.chain([("monitor".to_owned(), &*self.monitor)]).chain(followers)
    }
}

#[cfg(test)]
pub mod tests;
