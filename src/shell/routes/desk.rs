//! What a route has to say and to whom it was said: a plain state machine, without clock or network.
//!
//! Alerts are told in the order of their partition, one at a time: what is not taken is tried again,
//! and nothing behind it goes first. Where a partition goes on moves only when its next alert was
//! taken, passed over, or refused for good. What it remembers of incidents that are open is what was
//! taken; reminders are made from that.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::Refusal;
use super::open::{Open, key_text};
use super::received::{Received, Unreadable};
use crate::deliver::Backoff;
use crate::record::{Offset, Record, TopicPartition};

/// One route's desk.
pub struct Desk {
    /// Whose incidents are told; all, unless given.
    streams: Option<Vec<String>>,
    resend: Option<Duration>,
    queue: VecDeque<Item>,
    queued_bytes: usize,
    open: BTreeMap<TopicPartition, Open>,
    failures: u32,
    /// Nothing is tried before.
    retry_at: Option<Instant>,
    remind_at: Option<Instant>,
}

struct Item {
    place: TopicPartition,
    next: Offset,
    news: News,
    bytes: usize,
}

/// What a record says.
#[derive(Debug)]
enum News {
    Alert(Box<Received>),
    /// An incident of which nothing more is kept.
    Gone(String),
    /// Nothing to us.
    NoData,
}

/// What is to be done now.
#[derive(Debug, PartialEq)]
pub enum Task<'a> {
    /// A record that says nothing: [`Desk::passed`].
    Pass,
    /// Then [`Desk::told`].
    Tell { news: &'a Received, before: Option<&'a Received> },
    /// Then [`Desk::reminded`].
    Remind(Vec<&'a Received>),
}

/// Alerts that wait to be told, and their bytes, before reading stops: 4 MiB, some thousand alerts.
const QUEUE_MAX: usize = 1000;
pub const QUEUE_BYTES_MAX: usize = 4 << 20;
/// After something was not taken.
const WAIT: Backoff =
    Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(15) };
/// The longest wait that a receiver may ask for.
const ASKED_MAX: Duration = Duration::from_secs(60);

impl Desk {
    /// `resend`: how often what is open is said again, if it is.
    pub fn new(streams: Option<Vec<String>>, resend: Option<Duration>) -> Self {
        Self {
            streams,
            resend,
            queue: VecDeque::new(),
            queued_bytes: 0,
            open: BTreeMap::new(),
            failures: 0,
            retry_at: None,
            remind_at: None,
        }
    }

    /// Whether what is open must be known.
    pub fn remembers(&self) -> bool {
        self.resend.is_some()
    }

    /// A partition is ours, and this was told of it.
    pub fn ours(&mut self, place: &TopicPartition, open: Open, now: Instant) {
        if open.incidents().len() > 0 {
            self.remind_at = Some(now);
        }
        self.open.insert(place.clone(), open);
    }

    /// A partition is somebody else's.
    pub fn theirs(&mut self, place: &TopicPartition) {
        self.open.remove(place);
        if self.open() == 0 {
            self.remind_at = None;
        }
        self.queue.retain(|item| item.place != *place);
        self.queued_bytes = self.queue.iter().map(|item| item.bytes).sum();
    }

    /// Everything is somebody else's.
    pub fn theirs_all(&mut self) {
        self.open.clear();
        self.queue.clear();
        self.queued_bytes = 0;
        self.remind_at = None;
    }

    /// Takes a record in. One that cannot be read is passed over when its turn comes.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn take(&mut self, place: TopicPartition, record: Record<'_>) -> Result<(), Unreadable> {
        let (news, read) = match self.read(record) {
            Ok(news) => (news, Ok(())),
            Err(why) => (News::NoData, Err(why)),
        };
        let bytes =
            size_of::<Item>() + if let News::Alert(alert) = &news { alert.bytes() } else { 0 };
        self.queued_bytes += bytes;
        let next = record.at.offset.next();
        self.queue.push_back(Item { place, next, news, bytes });
        read
    }

    fn read(&self, record: Record<'_>) -> Result<News, Unreadable> {
        let key = record.key;
        let Some(value) = record.value else {
            return Ok(key.map_or(News::NoData, |key| News::Gone(key_text(key))));
        };
        let alert = Received::read(key, value, record.stamp.at)?;
        let wanted = self.wants(&alert);
        Ok(if wanted { News::Alert(alert.into()) } else { News::NoData })
    }

    /// Whether it is about a stream that is told of.
    pub fn wants(&self, alert: &Received) -> bool {
        self.streams.as_ref().is_none_or(|streams| streams.contains(&alert.stream))
    }

    pub fn is_full(&self) -> bool {
        self.queue.len() >= QUEUE_MAX || self.queued_bytes >= QUEUE_BYTES_MAX
    }

    /// Whether there is room for many more.
    pub fn has_room(&self) -> bool {
        self.queue.len() <= QUEUE_MAX / 2 && self.queued_bytes <= QUEUE_BYTES_MAX / 2
    }

    /// Alerts that are not taken yet.
    pub fn pending(&self) -> usize {
        self.queue.iter().filter(|item| matches!(item.news, News::Alert(_))).count()
    }

    /// Incidents that are said again.
    pub fn open(&self) -> usize {
        self.open.values().map(|open| open.incidents().len()).sum()
    }

    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// What is to be done now, if anything is.
    pub fn next(&self, now: Instant) -> Option<Task<'_>> {
        if self.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        // First: it is about what was taken before anything in the queue, and must not wait for an
        // alert that a receiver chokes on.
        if self.remind_at.is_some_and(|at| now >= at) {
            return Some(Task::Remind(self.open.values().flat_map(Open::incidents).collect()));
        }
        let item = self.queue.front()?;
        Some(match &item.news {
            News::Gone(_) | News::NoData => Task::Pass,
            News::Alert(news) => {
                let open = self.open.get(&item.place);
                Task::Tell { news, before: open.and_then(|open| open.get(&news.dedup_key)) }
            }
        })
    }

    /// The first record was passed over: where its partition goes on.
    pub fn passed(&mut self, now: Instant) -> Option<(TopicPartition, Offset)> {
        self.done(true, now)
    }

    /// What became of the first alert: where its partition goes on, unless it is tried again.
    /// `jitter` is anything in [0, 1).
    pub fn told(
        &mut self,
        told: &Result<(), Refusal>,
        now: Instant,
        jitter: f64,
    ) -> Option<(TopicPartition, Offset)> {
        match told {
            Ok(()) => {
                self.healed();
                self.done(true, now)
            }
            Err(Refusal::Never { .. }) => {
                self.healed();
                self.done(false, now)
            }
            Err(Refusal::Later { after, .. }) => {
                self.wait(*after, now, jitter);
                None
            }
        }
    }

    /// What became of saying again what fires.
    pub fn reminded(&mut self, told: &Result<(), Refusal>, now: Instant, jitter: f64) {
        match told {
            Ok(()) | Err(Refusal::Never { .. }) => {
                self.healed();
                self.remind_at = self.resend.map(|resend| now + resend);
            }
            Err(Refusal::Later { after, .. }) => self.wait(*after, now, jitter),
        }
    }

    fn healed(&mut self) {
        self.failures = 0;
        self.retry_at = None;
    }

    fn wait(&mut self, after: Option<Duration>, now: Instant, jitter: f64) {
        self.failures = self.failures.saturating_add(1);
        let wait = WAIT.after(self.failures).mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        let asked = after.unwrap_or_default().min(ASKED_MAX);
        self.retry_at = Some(now + wait.max(asked));
    }

    /// The first record is done with; `taken`: what it says holds from now on.
    fn done(&mut self, taken: bool, now: Instant) -> Option<(TopicPartition, Offset)> {
        let Item { place, next, news, bytes } = self.queue.pop_front()?;
        self.queued_bytes -= bytes;
        if let Some(resend) = self.resend {
            let open = self.open.entry(place.clone()).or_default();
            match news {
                // Whatever a receiver thinks of its end: what is over is not said again.
                News::Alert(alert) if taken || alert.is_over() => {
                    open.hear(Offset(next.0 - 1), *alert);
                }
                News::Gone(key) => open.forget(&key),
                News::Alert(_) | News::NoData => {}
            }
            self.remind_at = match self.open() {
                0 => None,
                _ => self.remind_at.or(Some(now + resend)),
            };
        }
        Some((place, next))
    }
}

#[cfg(test)]
mod tests;
