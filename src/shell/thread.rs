//! One thread of a stream, for as long as the process lives: it joins, works, and joins again.
//!
//! Nothing that the world does ends it, nor another thread. Brokers that do not answer are asked again. Where
//! another process of our name is seen to have its transactional id, it stands back: it leaves the group,
//! says so, and looks again, the longer the more often it had to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::clock;
use super::kafka::{Clients, Session, part_with};
use super::scorer::{Next, StreamScorer};
use crate::config::Stream;
use crate::deliver::{
    self, AnswerDriver, Backoff, Follower, FollowerDriver, Inbox, MonitorDriver, Outputs, Progress,
    QUANTILES, Resting, SessionError, SpanQueue, Timing, Values,
};
use crate::monitor::Monitor;

/// What every thread of a process is given.
pub struct Around<'a, W> {
    pub wrap: &'a W,
    pub clients: &'a Clients,
    pub timing: Timing,
    pub stop: &'a AtomicBool,
    /// Who is told of batches, if anybody is.
    pub spans: Option<&'a SpanQueue>,
}

/// One thread of a stream.
pub struct Thread<'a, W> {
    pub around: &'a Around<'a, W>,
    pub stream: Arc<Stream>,
    pub role: Role,
    pub progress: Arc<Progress>,
}

/// Between two tries to join.
const JOIN_AGAIN: Backoff =
    Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(5) };
/// Between two looks for the process that took the id over.
const LOOK_AGAIN: Backoff =
    Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(60) };
/// Whoever worked for so long stands back for the first time.
const WORKED: Duration = Duration::from_secs(300);
/// The first revision comes the same way as any other.
const POSTED: &str = "a revision was posted before the thread began";
/// A sign of life while waiting.
const BEAT: Duration = Duration::from_millis(200);

/// Which thread of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Worker(usize),
    Monitor,
    /// The client monitor.
    Clients,
    /// Who reads the deployed model's answers.
    Answers,
    /// Who joins them with what was sent on.
    Join,
}

/// What stands between the threads of a process and Kafka.
pub trait Wrap: Sync {
    type Session: deliver::Session + Send + 'static;
    fn wrap(&self, role: Role, session: Session) -> Self::Session;
}

/// Part of the transactional id: the same after a restart.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(number) => write!(f, "worker-{number}"),
            Self::Monitor => f.write_str("monitor"),
            Self::Clients => f.write_str("clients"),
            Self::Answers => f.write_str("answers"),
            Self::Join => f.write_str("join"),
        }
    }
}

impl<W: Wrap> Thread<'_, W> {
    /// Works on records until told to stop, then drains.
    pub fn work(&self, inbox: Arc<Inbox<Next>>) {
        let (scorer, stream) = StreamScorer::new(inbox.take().expect(POSTED));
        let (timing, progress) = (self.around.timing, self.progress.clone());
        let mut resting = Resting::new(scorer, inbox, stream, timing, progress);
        if let Some(spans) = self.around.spans {
            resting = resting.telling(spans.clone(), self.group());
        }
        let mut pause = GrowingPause::new(LOOK_AGAIN);
        while let Some(session) = self.join() {
            let mut worker = resting.join(session);
            let began = Instant::now();
            let error = loop {
                if self.is_told_to_stop() {
                    worker.finish();
                    return self.drained();
                }
                if let Err(error) = worker.turn() {
                    break error;
                }
            };
            let session;
            (session, resting) = worker.rest();
            part_with(session);
            self.stand_back(&error, began, &mut pause);
        }
    }

    /// Monitors until told to stop.
    pub fn monitor(&self, inbox: &Arc<Inbox<(Arc<Stream>, Monitor)>>) {
        let (mut stream, mut fresh) = inbox.take().expect(POSTED);
        let mut pause = GrowingPause::new(LOOK_AGAIN);
        while let Some(session) = self.join() {
            let (timing, progress) = (self.around.timing, self.progress.clone());
            let inbox = inbox.clone();
            let mut monitoring =
                MonitorDriver::new(session, stream, fresh, inbox, timing, progress);
            let began = Instant::now();
            let error = loop {
                if self.is_told_to_stop() {
                    return;
                }
                if let Err(error) = monitoring.turn() {
                    break error;
                }
            };
            let session;
            (session, stream, fresh) = monitoring.rest();
            part_with(session);
            self.stand_back(&error, began, &mut pause);
        }
    }

    /// Reads answers until told to stop, then drains.
    pub fn read_answers(&self, inbox: &Arc<Inbox<Arc<Stream>>>) {
        let mut stream = inbox.take().expect(POSTED);
        let mut pause = GrowingPause::new(LOOK_AGAIN);
        while let Some(session) = self.join() {
            let (timing, progress) = (self.around.timing, self.progress.clone());
            let mut reading = AnswerDriver::new(session, stream, inbox.clone(), timing, progress);
            let began = Instant::now();
            let error = loop {
                if self.is_told_to_stop() {
                    return reading.finish();
                }
                if let Err(error) = reading.turn() {
                    break error;
                }
            };
            let session;
            (session, stream) = reading.rest();
            part_with(session);
            self.stand_back(&error, began, &mut pause);
        }
    }

    /// Reads a topic of ours until told to stop.
    pub fn follow<F: Follower>(&self, inbox: &Arc<Inbox<(Arc<Stream>, F)>>) {
        let (mut stream, mut fresh) = inbox.take().expect(POSTED);
        let mut pause = GrowingPause::new(LOOK_AGAIN);
        while let Some(session) = self.join() {
            let (timing, progress) = (self.around.timing, self.progress.clone());
            let inbox = inbox.clone();
            let mut following =
                FollowerDriver::new(session, stream, fresh, inbox, timing, progress);
            let began = Instant::now();
            let error = loop {
                if self.is_told_to_stop() {
                    return;
                }
                if let Err(error) = following.turn() {
                    break error;
                }
            };
            let session;
            (session, stream, fresh) = following.rest();
            part_with(session);
            self.stand_back(&error, began, &mut pause);
        }
    }

    /// The consumer group of threads like this one.
    fn group(&self) -> String {
        let (clients, name) = (self.around.clients, &self.stream.name);
        match self.role {
            Role::Worker(_) => clients.workers(name),
            Role::Monitor => clients.monitors(name),
            Role::Clients => clients.client_monitors(name),
            Role::Answers => clients.answers(name),
            Role::Join => clients.joins(name),
        }
    }

    /// A session, as soon as the brokers let us have one; none if told to stop before.
    fn join(&self) -> Option<W::Session> {
        let Self { around, stream, role, progress } = self;
        let clients = around.clients;
        let (group, topics) = (self.group(), &stream.topics);
        let none = String::new();
        let answers = stream.answers.as_ref();
        let (answered, joined) =
            answers.map_or((&none, &none), |answers| (&answers.topic, &answers.join_topic));
        let (topic, outputs) = match role {
            Role::Worker(_) => (&stream.input, Outputs::of_worker(stream)),
            Role::Monitor => (&topics.evidence, Outputs::of_monitor(stream)),
            Role::Clients => (&topics.visits, Outputs::of_follower(stream, &topics.visits)),
            Role::Answers => (answered, Outputs::of_follower(stream, joined)),
            Role::Join => (joined, Outputs::of_follower(stream, joined)),
        };
        let name = self.name();
        let mut pause = GrowingPause::new(JOIN_AGAIN);
        while !self.is_told_to_stop() {
            progress.beat(clock::now());
            match Session::join(clients, &name, (&group, topic), &outputs, progress.clone()) {
                Ok(session) => {
                    progress.stand_ready();
                    return Some(around.wrap.wrap(*role, session));
                }
                Err(error) => {
                    warn!(stream = stream.name, thread = %role, %error, "joining again");
                    progress.wait_to_join(&error.to_string());
                    self.wait(pause.next());
                }
            }
        }
        None
    }

    /// Until the process that has our id is gone, or we are told to stop. Then, or if nobody can say, it is
    /// tried again: whoever is fenced then stands back for longer.
    fn stand_back(&self, error: &SessionError, began: Instant, pause: &mut GrowingPause) {
        let Self { around, stream, role, progress } = self;
        if began.elapsed() >= WORKED {
            *pause = GrowingPause::new(LOOK_AGAIN);
        }
        progress.stand_back(clock::now(), &error.to_string());
        error!(stream = stream.name, thread = %role, %error, "standing back until it is gone");
        let group = self.group();
        while !self.is_told_to_stop() {
            self.wait(pause.next());
            match around.clients.rival(&group, &self.name()) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    info!(stream = stream.name, thread = %role, "no other process is seen; joining again");
                    return;
                }
                Err(error) => {
                    warn!(stream = stream.name, thread = %role, %error, "whether it is gone, is not known");
                    return;
                }
            }
        }
    }

    fn wait(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.is_told_to_stop() {
            self.progress.beat(clock::now());
            sleep(BEAT.min(until.saturating_duration_since(Instant::now())));
        }
    }

    fn is_told_to_stop(&self) -> bool {
        self.around.stop.load(Ordering::Relaxed)
    }

    /// Part of the transactional id and of the client id.
    fn name(&self) -> String {
        format!("{}.{}", self.stream.name, self.role)
    }

    fn drained(&self) {
        let (progress, count) = (&self.progress, Progress::get);
        let ms = |values: Values| {
            QUANTILES.map(|share| values.quantile(share).map(|micros| micros as f64 / 1e3))
        };
        let batch = ms(progress.batch_durations.values());
        let commit = ms(progress.commit_durations.values());
        info!(
            records = count(&progress.records),
            sanitized = count(&progress.sanitized),
            quarantined = count(&progress.quarantined),
            dead_lettered = count(&progress.dead_lettered),
            commits = count(&progress.commits),
            batch_p50_ms = batch[0],
            batch_p99_ms = batch[1],
            batch_p999_ms = batch[2],
            commit_p50_ms = commit[0],
            commit_p99_ms = commit[1],
            commit_p999_ms = commit[2],
            given_up = count(&progress.failures),
            "drained"
        );
    }
}

/// Longer each time, and some more or less, so that two do not take turns.
struct GrowingPause {
    backoff: Backoff,
    times: u32,
}

impl GrowingPause {
    fn new(backoff: Backoff) -> Self {
        Self { backoff, times: 0 }
    }

    fn next(&mut self) -> Duration {
        self.times = self.times.saturating_add(1);
        self.backoff.after(self.times).mul_f64(rand::random_range(0.75..1.25))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_their_limit() {
        let mut pause = GrowingPause::new(Backoff {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(5),
        });
        for seconds in [1.0, 2.0, 4.0, 5.0, 5.0] {
            let took = pause.next().as_secs_f64();
            assert!((0.75 * seconds..=1.25 * seconds).contains(&took), "{took} for {seconds}");
        }
    }
}
