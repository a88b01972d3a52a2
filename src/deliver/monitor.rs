//! Drives the monitor: reads evidence, and commits alerts, state and offsets in one transaction.

mod begin;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

pub use self::begin::begin_monitor;
use super::recovery::{GivenUp, Recovery};
use super::{Change, Fetched as _, Inbox, Kept, Output, Progress, Session, SessionError, Timing};
use crate::config::Stream;
use crate::monitor::{Alert, Event};
use crate::monitor::{Monitor, MonitorState};
use crate::record::{Extent, Offset, Partition, TopicPartition};
use crate::watch::{Message as WatchMessage, Tick};

/// Drives the monitor of one stream while the group assigns the evidence partition to this process.
pub struct MonitorDriver<S> {
    session: S,
    stream: Arc<Stream>,
    /// A monitor that has read no message.
    fresh: Monitor,
    /// The monitor of the next revision, if there is one.
    inbox: Arc<Inbox<(Arc<Stream>, Monitor)>>,
    seat: Seat,
    /// The next offset at the last commit.
    committed: Offset,
    ticked: Option<Instant>,
    recovery: Recovery,
    timing: Timing,
    progress: Arc<Progress>,
}

enum Seat {
    /// Another process has the partition.
    Empty,
    /// The partition is ours and the last state is looked for: since when, when the next attempt is due, and whether the log
    /// already says that it takes too long.
    Restoring {
        since: Instant,
        next: Instant,
        told: bool,
    },
    Taken(Box<Monitor>),
}

/// The evidence topic has one partition: one order, one monitor.
pub const EVIDENCE_PARTITION: Partition = Partition(0);

/// Key of the monitor's state, in partition 0 of the state topic.
pub const MONITOR_KEY: &[u8] = b"monitor";

const POLL: Duration = Duration::from_millis(100);
const MESSAGES_MAX: usize = 1000;
const SOON: Duration = Duration::from_millis(300);
const LATER: Duration = Duration::from_secs(5);

impl<S: Session> MonitorDriver<S> {
    /// `fresh` is a monitor that has read no message.
    pub fn new(
        session: S,
        stream: Arc<Stream>,
        fresh: Monitor,
        inbox: Arc<Inbox<(Arc<Stream>, Monitor)>>,
        timing: Timing,
        progress: Arc<Progress>,
    ) -> Self {
        progress.adopt(fresh.baseline());
        Self {
            session,
            stream,
            fresh,
            inbox,
            seat: Seat::Empty,
            committed: Offset(0),
            ticked: None,
            recovery: Recovery::default(),
            timing,
            progress,
        }
    }

    /// Returns the session and the fresh monitor of this revision. Commits nothing.
    pub fn rest(self) -> (S, Arc<Stream>, Monitor) {
        (self.session, self.stream, self.fresh)
    }

    /// Reads evidence, sends alerts, and writes a tick if one is due.
    ///
    /// # Errors
    /// Only [`SessionError::Fenced`]: leave, touch nothing.
    pub fn turn(&mut self) -> Result<(), SessionError> {
        self.progress.beat(self.session.wall());
        let step = match self.recovery.advance(&mut self.session) {
            Ok(true) => self.step(),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        step.or_else(|error| self.give_up(error))
    }

    /// The monitor, if the partition is ours and its state is restored.
    pub fn monitor(&self) -> Option<&Monitor> {
        match &self.seat {
            Seat::Taken(monitor) => Some(monitor),
            _ => None,
        }
    }

    fn step(&mut self) -> Result<(), SessionError> {
        self.adopt()?;
        self.rebalance()?;
        self.check_evidence()?;
        self.restore()?;
        let alerts = self.hear()?;
        if let Seat::Taken(monitor) = &self.seat {
            self.progress.alarm.judged(monitor.judged_until());
        }
        let now = self.session.now();
        // A tick per half window: a window closes at most that late.
        let every = (self.stream.alerts.window / 2).max(Duration::from_millis(100));
        let since = |at: Instant| now.saturating_duration_since(at);
        let due = self.ticked.is_none_or(|at| since(at) >= every);
        let tick = due && matches!(self.seat, Seat::Taken(_));
        if tick {
            self.ticked = Some(now);
        }
        self.say(&alerts, tick)
    }

    /// Switches to the next revision, if there is one. An incident goes on if the new revision has its watch.
    fn adopt(&mut self) -> Result<(), SessionError> {
        let Some((stream, fresh)) = self.inbox.take() else { return Ok(()) };
        (self.stream, self.fresh) = (stream, fresh);
        self.progress.adopt(self.fresh.baseline());
        let Seat::Taken(monitor) = &mut self.seat else { return Ok(()) };
        let (next, ended) = self.fresh.clone().succeeding(monitor);
        **monitor = next;
        self.say(&ended, true)
    }

    /// Reads evidence, and returns the alerts that follow.
    fn hear(&mut self) -> Result<Vec<Alert>, SessionError> {
        let mut alerts = vec![];
        let mut timeout = POLL;
        for _ in 0..MESSAGES_MAX {
            if self.session.has_news() {
                break;
            }
            let Some(message) = self.session.poll(timeout)? else { break };
            timeout = Duration::ZERO;
            let Seat::Taken(monitor) = &mut self.seat else { continue };
            let offset = message.record().at.offset;
            if offset < monitor.next() {
                continue;
            }
            match message.record().value.map(WatchMessage::from_bytes) {
                Some(Ok(said)) => {
                    if let WatchMessage::Evidence(counts) = &said {
                        self.progress.alarm.heard(counts.baseline == monitor.baseline());
                    }
                    monitor.take(offset, &said, &mut alerts);
                }
                // Only our workers write here: what we cannot read comes from another version.
                Some(Err(error)) => {
                    error!(%error, %offset, "cannot read evidence");
                    Progress::add(&self.progress.alarm.unreadable, 1);
                    monitor.skip(offset);
                }
                None => monitor.skip(offset),
            }
            Progress::add(&self.progress.records, 1);
        }
        Ok(alerts)
    }

    /// Commits alerts, a tick, state and offset together.
    fn say(&mut self, alerts: &[Alert], tick: bool) -> Result<(), SessionError> {
        let Seat::Taken(monitor) = &mut self.seat else { return Ok(()) };
        // State may be large. So it is written only with alerts and with ticks. The next owner reads the messages since then
        // again.
        if alerts.is_empty() && !tick && monitor.lineage().is_empty() {
            return Ok(());
        }
        let heard = monitor.next();
        let started = self.session.now();
        let topics = &self.stream.topics;
        for alert in alerts {
            // A route tells people.
            debug!(incident = alert.dedup_key, status = alert.status.name(), "{}", alert.summary);
            let value = alert.to_bytes();
            self.session.send(Output {
                topic: &self.stream.alerts.topic,
                partition: None,
                key: alert.dedup_key.as_bytes(),
                value: &value,
                headers: &Event::new(alert, &value).headers(),
            })?;
        }
        let lineage = self.stream.lineage.as_ref().map(|lineage| &lineage.topic);
        for (topic, event) in
            lineage.into_iter().flat_map(|t| monitor.lineage().iter().map(move |e| (t, e)))
        {
            self.session.send(Output {
                topic,
                partition: None,
                key: event.run.as_bytes(),
                value: &event.value,
                headers: &[("content-type", b"application/json")],
            })?;
        }
        if tick {
            self.session.send(Output {
                topic: &topics.evidence,
                partition: Some(EVIDENCE_PARTITION),
                key: b"tick",
                value: &WatchMessage::Tick(Tick { at: self.session.wall() }).to_bytes(),
                headers: &[],
            })?;
        }
        self.session.barrier()?;
        self.session.send(Output {
            topic: &topics.state,
            partition: Some(EVIDENCE_PARTITION),
            key: MONITOR_KEY,
            value: &monitor.to_bytes(),
            headers: &[],
        })?;
        self.session.offsets(&[(EVIDENCE_PARTITION, heard)])?;
        self.session.commit()?;
        monitor.forget_lineage();
        self.committed = heard;
        self.progress.firing(monitor.is_firing());
        self.progress.alarm_level(monitor.level());
        self.progress.alarm.trouble(None);
        self.progress.committed(self.session.now().saturating_duration_since(started));
        Ok(())
    }

    /// Begins again if the evidence topic was made anew or its log was cut.
    fn check_evidence(&mut self) -> Result<(), SessionError> {
        let interrupted = self.session.is_interrupted();
        let looked = self.session.looked();
        let topic = &self.stream.topics.evidence;
        let evidence = TopicPartition { topic: topic.clone(), partition: EVIDENCE_PARTITION };
        let Seat::Taken(monitor) = &mut self.seat else { return Ok(()) };
        let look = looked.as_ref().and_then(|looked| looked.get(&evidence));
        let same = |look: &Extent| monitor.log().is_some_and(|was| look.is_plainly(was));
        match look {
            Some(look) if same(look) => monitor.look(look.clone()),
            None => {}
            Some(_) => {
                let known = [(EVIDENCE_PARTITION, monitor.log().cloned())];
                let found = self.session.survey(topic, &known)?;
                let (_, survey) = found.into_iter().next().expect("one was asked about");
                if survey.since(monitor.log(), monitor.next()).is_some() {
                    return self.hear_anew();
                }
                monitor.look(survey.extent);
            }
        }
        if interrupted { self.hear_anew() } else { Ok(()) }
    }

    /// Commits what was read, then looks for the offset to go on from.
    fn hear_anew(&mut self) -> Result<(), SessionError> {
        self.say(&[], true)?;
        self.begin_again();
        self.session.pause(&[EVIDENCE_PARTITION])
    }

    fn rebalance(&mut self) -> Result<(), SessionError> {
        while let Some(change) = self.session.change() {
            match change {
                Change::Assigned(partitions) => {
                    // Read from where its last commit stands, once that is known.
                    let from: Vec<_> = partitions.iter().map(|&p| (p, Offset(0))).collect();
                    self.session.assign(&from)?;
                    self.session.pause(&partitions)?;
                    if partitions.contains(&EVIDENCE_PARTITION) {
                        self.begin_again();
                    }
                }
                Change::Revoked(partitions) | Change::Lost(partitions) => {
                    // The next owner reads what was not committed.
                    if partitions.contains(&EVIDENCE_PARTITION) {
                        self.leave_seat();
                        self.progress.disown();
                    }
                    self.session.unassign(&partitions)?;
                }
            }
            self.progress.rebalanced(usize::from(!matches!(self.seat, Seat::Empty)), false);
        }
        // A monitor that stands by is ready too.
        self.progress.join();
        Ok(())
    }

    fn leave_seat(&mut self) {
        self.seat = Seat::Empty;
        self.progress.alarm.sit(false, self.session.wall());
    }

    fn begin_again(&mut self) {
        let now = self.session.now();
        self.seat = Seat::Restoring { since: now, next: now, told: false };
    }

    /// Restores the monitor from its last commit.
    fn restore(&mut self) -> Result<(), SessionError> {
        let now = self.session.now();
        let Seat::Restoring { since, next, told } = &mut self.seat else { return Ok(()) };
        if now < *next {
            return Ok(());
        }
        let topic = &self.stream.topics.state;
        let kept = Kept::in_same(topic, &[MONITOR_KEY], MonitorState::log_of);
        let found = self.session.beginnings(&[EVIDENCE_PARTITION], kept);
        if found.as_ref().is_err_and(SessionError::is_of_client) {
            return found.map(drop);
        }
        let monitor = found.map_err(|error| error.to_string()).and_then(|found| {
            let beginning = found.first().ok_or("nobody knows of the evidence topic")?;
            let begun = begin_monitor(&self.fresh, beginning, self.timing.offsets_lag);
            let (monitor, ended) = begun.map_err(|error| {
                let name = &self.stream.name;
                format!(
                    "{error}; `tripline state show --stream {name}` says more, `tripline state reset \
                     --stream {name} --monitor` goes on without what it remembers"
                )
            })?;
            Ok((monitor, ended, beginning.committed))
        });
        match monitor {
            Ok((monitor, ended, committed)) => {
                info!(stream = self.stream.name, from = %monitor.next(), "monitoring");
                self.session.resume(&[(EVIDENCE_PARTITION, monitor.next())])?;
                self.committed = committed.unwrap_or(monitor.next());
                if !self.timing.offsets_lag && self.committed < monitor.next() {
                    // Its next commit writes the offset again. This alert makes one.
                    warn!(
                        committed = %self.committed, state = %monitor.next(),
                        "the group of monitors tells an offset behind the monitor's state; going on where the \
                         state ends"
                    );
                    Progress::add(&self.progress.offsets_behind_state, 1);
                }
                self.seat = Seat::Taken(Box::new(monitor));
                self.progress.alarm.sit(true, self.session.wall());
                self.progress.held(0);
                if ended.is_empty() { Ok(()) } else { self.say(&ended, false) }
            }
            Err(reason) => {
                let late = now.saturating_duration_since(*since) >= self.timing.state_agrees_after;
                *next = now + if late { LATER } else { SOON };
                if late && !*told {
                    error!(stream = self.stream.name, "no monitor: {reason}");
                    *told = true;
                }
                self.progress.hold(EVIDENCE_PARTITION, &reason);
                self.progress.held(1);
                if late {
                    self.progress.alarm.sit(false, self.session.wall());
                }
                Ok(())
            }
        }
    }

    fn give_up(&mut self, error: SessionError) -> Result<(), SessionError> {
        let given_up = self.recovery.give_up(error, &mut self.session, &self.progress);
        let GivenUp { error, .. } = given_up.inspect_err(|_| self.leave_seat())?;
        self.progress.alarm.trouble(Some(&error.to_string()));
        let mut unusable = matches!(error, SessionError::Consumer { .. });
        if self.session.lost() {
            // What it read has no alerts yet, and must not be committed before the group tells us.
            self.leave_seat();
        } else if !matches!(self.seat, Seat::Empty) && !unusable {
            self.begin_again();
            unusable = self.session.pause(&[EVIDENCE_PARTITION]).is_err();
        }
        if unusable {
            self.leave_seat();
            self.session.discard_consumer();
        }
        Ok(())
    }
}
