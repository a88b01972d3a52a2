//! What a route has to say and to whom it was said: a plain state machine, without clock or network.
//!
//! Alerts are told in the order of their partition, one at a time: what is not taken is tried again,
//! and nothing behind it goes first. Where a partition goes on moves only when its next alert was
//! taken, passed over, or refused for good. What it remembers of incidents that are open is what was
//! taken; reminders are made from that.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::Refusal;
use super::received::{Received, Unreadable};
use crate::record::Offset;
use crate::shell::kafka::{Fetched, Place};

/// One route's desk.
pub struct Desk {
    /// Whose incidents are told; all, unless given.
    streams: Option<Vec<String>>,
    resend: Option<Duration>,
    queue: VecDeque<Item>,
    queued_bytes: usize,
    open: BTreeMap<Place, Open>,
    failures: u32,
    /// Nothing is tried before.
    retry_at: Option<Instant>,
    remind_at: Option<Instant>,
}

struct Item {
    place: Place,
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
    Silence,
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

/// Incidents of a partition that fire, as they were told last; the oldest are forgotten when they are
/// too many.
#[derive(Debug, Default, PartialEq)]
pub struct Open {
    incidents: BTreeMap<String, (Offset, Received)>,
    bytes: usize,
}

/// Alerts that wait to be told, and their bytes, before reading stops: 4 MiB, some thousand alerts.
const QUEUE_MAX: usize = 1000;
pub const QUEUE_BYTES_MAX: usize = 4 << 20;
/// Bytes of a partition's open incidents. Nobody has a thousand incidents open.
pub const OPEN_BYTES_MAX: usize = 4 << 20;

/// The first and the longest wait after something was not taken.
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(15);
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
    pub fn ours(&mut self, place: &Place, open: Open, now: Instant) {
        if !open.incidents.is_empty() {
            self.remind_at = Some(now);
        }
        self.open.insert(place.clone(), open);
    }

    /// A partition is somebody else's.
    pub fn theirs(&mut self, place: &Place) {
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
    pub fn take(&mut self, record: Fetched) -> Result<(), Unreadable> {
        let (news, read) = match self.read(&record) {
            Ok(news) => (news, Ok(())),
            Err(why) => (News::Silence, Err(why)),
        };
        let bytes =
            size_of::<Item>() + if let News::Alert(alert) = &news { alert.bytes() } else { 0 };
        self.queued_bytes += bytes;
        let next = Offset(record.offset.0 + 1);
        self.queue.push_back(Item { place: record.place, next, news, bytes });
        read
    }

    fn read(&self, record: &Fetched) -> Result<News, Unreadable> {
        let key = record.key.as_deref();
        let Some(value) = &record.value else {
            return Ok(key.map_or(News::Silence, |key| News::Gone(key_text(key))));
        };
        let alert = Received::read(key, value, record.at)?;
        let wanted = self.wants(&alert);
        Ok(if wanted { News::Alert(alert.into()) } else { News::Silence })
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
        self.open.values().map(|open| open.incidents.len()).sum()
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
            let incidents = self.open.values().flat_map(|open| open.incidents.values());
            return Some(Task::Remind(incidents.map(|(_, news)| news).collect()));
        }
        let item = self.queue.front()?;
        Some(match &item.news {
            News::Gone(_) | News::Silence => Task::Pass,
            News::Alert(news) => {
                let open = self.open.get(&item.place);
                Task::Tell { news, before: open.and_then(|open| open.get(&news.dedup_key)) }
            }
        })
    }

    /// The first record was passed over: where its partition goes on.
    pub fn passed(&mut self, now: Instant) -> Option<(Place, Offset)> {
        self.done(true, now)
    }

    /// What became of the first alert: where its partition goes on, unless it is tried again.
    /// `jitter` is anything in [0, 1).
    pub fn told(
        &mut self,
        told: &Result<(), Refusal>,
        now: Instant,
        jitter: f64,
    ) -> Option<(Place, Offset)> {
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
        let longest = WAIT_MIN * 2_u32.pow((self.failures - 1).min(16));
        let wait = longest.min(WAIT_MAX).mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        let asked = after.unwrap_or_default().min(ASKED_MAX);
        self.retry_at = Some(now + wait.max(asked));
    }

    /// The first record is done with; `taken`: what it says holds from now on.
    fn done(&mut self, taken: bool, now: Instant) -> Option<(Place, Offset)> {
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
                News::Alert(_) | News::Silence => {}
            }
            self.remind_at = match self.open() {
                0 => None,
                _ => self.remind_at.or(Some(now + resend)),
            };
        }
        Some((place, next))
    }
}

impl Open {
    /// What `alert` says holds now.
    pub fn hear(&mut self, offset: Offset, alert: Received) {
        self.forget(&alert.dedup_key);
        if alert.is_over() {
            return;
        }
        let alert = alert.without_value();
        self.bytes += alert.bytes();
        self.incidents.insert(alert.dedup_key.clone(), (offset, alert));
        while self.bytes > OPEN_BYTES_MAX {
            let oldest = self.incidents.iter().min_by_key(|(_, (offset, _))| *offset);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            self.forget(&key);
        }
    }

    /// The record `key` was deleted.
    pub fn hear_gone(&mut self, key: &[u8]) {
        self.forget(&key_text(key));
    }

    fn forget(&mut self, key: &str) {
        if let Some((_, alert)) = self.incidents.remove(key) {
            self.bytes -= alert.bytes();
        }
    }

    pub fn incidents(&self) -> usize {
        self.incidents.len()
    }

    fn get(&self, key: &str) -> Option<&Received> {
        self.incidents.get(key).map(|(_, alert)| alert)
    }

    /// The oldest record that says that something fires.
    pub fn oldest(&self) -> Option<Offset> {
        self.incidents.values().map(|(offset, _)| *offset).min()
    }
}

fn key_text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{Partition, Timestamp};

    fn place(partition: i32) -> Place {
        Place { topic: "alerts".into(), partition: Partition(partition) }
    }

    fn record(partition: i32, offset: i64, key: &str, status: &str) -> Fetched {
        let value =
            format!("{{\"status\": \"{status}\", \"stream\": \"s\", \"until\": \"{offset}\"}}");
        Fetched {
            place: place(partition),
            offset: Offset(offset),
            key: Some(key.into()),
            value: Some(value.into()),
            at: Timestamp(1),
        }
    }

    fn firing(key: &str, summary: &str) -> Received {
        let read = Received::read(Some(key.as_bytes()), b"{}", Timestamp(1)).unwrap();
        Received { summary: summary.into(), ..read }
    }

    fn later() -> Result<(), Refusal> {
        Err(Refusal::Later { reason: String::new(), after: None })
    }

    const RESEND: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_not_taken_is_tried_again_before_what_follows_and_later_each_time() {
        let mut now = Instant::now();
        let mut desk = Desk::new(None, None);
        desk.take(record(0, 0, "a", "firing")).unwrap();
        desk.take(record(0, 1, "a", "resolved")).unwrap();
        let mut waited = vec![];
        for _ in 0..9 {
            let Some(Task::Tell { news, .. }) = desk.next(now) else { panic!("nothing to tell") };
            assert_eq!(news.status, "firing");
            assert_eq!(desk.told(&later(), now, 1.0), None);
            let from = now;
            while desk.next(now).is_none() {
                now += Duration::from_millis(250);
            }
            waited.push((now - from).as_millis());
        }
        assert_eq!(waited, [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
        assert_eq!(desk.told(&Ok(()), now, 0.0), Some((place(0), Offset(1))));
        let refused = Err(Refusal::Never { reason: String::new() });
        assert_eq!(desk.told(&refused, now, 0.0), Some((place(0), Offset(2))));
        assert_eq!((desk.next(now), desk.pending()), (None, 0));
    }

    #[test]
    fn a_receiver_that_asks_for_time_gets_it() {
        let now = Instant::now();
        let mut desk = Desk::new(None, None);
        desk.take(record(0, 0, "a", "firing")).unwrap();
        let busy =
            |s| Err(Refusal::Later { reason: String::new(), after: Some(Duration::from_secs(s)) });
        desk.told(&busy(20), now, 0.0);
        assert!(desk.next(now + Duration::from_secs(19)).is_none());
        assert!(desk.next(now + Duration::from_secs(20)).is_some());
        desk.told(&busy(u64::MAX), now, 0.0);
        assert!(desk.next(now + ASKED_MAX).is_some());
    }

    #[test]
    fn what_fires_is_said_again_until_it_is_over_or_deleted_or_somebody_elses() {
        let mut now = Instant::now();
        let mut desk = Desk::new(None, Some(RESEND));
        let mut before = Open::default();
        before.hear(Offset(3), firing("old", ""));
        desk.ours(&place(1), before, now);
        let reminded = |desk: &Desk, now| match desk.next(now) {
            Some(Task::Remind(all)) => all.iter().map(|r| r.dedup_key.clone()).collect(),
            _ => vec![],
        };
        assert_eq!(reminded(&desk, now), ["old"], "at once: nobody knows when it was said last");
        desk.reminded(&Ok(()), now, 0.0);
        for (offset, key, status) in [(0, "a", "firing"), (1, "b", "firing"), (2, "a", "updated")] {
            desk.take(record(0, offset, key, status)).unwrap();
            desk.told(&Ok(()), now, 0.0);
        }
        assert_eq!(reminded(&desk, now), [""; 0]);
        now += RESEND;
        assert_eq!(reminded(&desk, now), ["a", "b", "old"]);
        desk.reminded(&Ok(()), now, 0.0);
        desk.take(record(0, 3, "a", "resolved")).unwrap();
        desk.told(&Ok(()), now, 0.0);
        desk.take(Fetched { value: None, ..record(1, 4, "old", "") }).unwrap();
        assert_eq!(desk.next(now), Some(Task::Pass));
        assert_eq!(desk.passed(now), Some((place(1), Offset(5))));
        now += RESEND;
        assert_eq!(reminded(&desk, now), ["b"]);
        desk.theirs(&place(0));
        assert_eq!(desk.open(), 0);
    }

    #[test]
    fn an_end_that_is_refused_is_an_end_and_an_update_that_is_refused_changes_nothing() {
        let now = Instant::now();
        let mut desk = Desk::new(None, Some(RESEND));
        let refused = Err(Refusal::Never { reason: String::new() });
        for (offset, status, told, open) in [
            (0, "firing", Ok(()), 1),
            (1, "updated", refused.clone(), 1),
            (2, "resolved", refused, 0),
        ] {
            desk.take(record(0, offset, "a", status)).unwrap();
            desk.told(&told, now, 0.0);
            assert_eq!(desk.open(), open, "{status}");
        }
    }

    #[test]
    fn an_incident_that_changes_is_told_with_what_was_told_of_it() {
        let now = Instant::now();
        let mut desk = Desk::new(None, Some(RESEND));
        desk.take(record(0, 0, "a", "firing")).unwrap();
        desk.told(&Ok(()), now, 0.0);
        desk.take(record(0, 1, "a", "updated")).unwrap();
        let Some(Task::Tell { news, before: Some(before) }) = desk.next(now) else { panic!() };
        assert_eq!((&*news.until, &*before.until), ("1", "0"));
    }

    #[test]
    fn only_the_streams_that_are_named_are_told_of() {
        let now = Instant::now();
        let mut desk = Desk::new(Some(vec!["other".into()]), None);
        desk.take(record(0, 0, "a", "firing")).unwrap();
        assert_eq!((desk.next(now), desk.pending()), (Some(Task::Pass), 0));
        assert_eq!(desk.passed(now), Some((place(0), Offset(1))));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_is_forgotten() {
        let mut open = Open::default();
        for i in 0..200_i64 {
            open.hear(Offset(i), firing(&format!("{:03}", 199 - i), &"x".repeat(50_000)));
            assert!(open.bytes <= OPEN_BYTES_MAX);
        }
        let each = open.get("000").unwrap().bytes();
        assert_eq!(open.incidents.len(), OPEN_BYTES_MAX / each);
        assert!(open.get("000").is_some() && open.get("199").is_none());
    }

    proptest! {
        /// A receiver that takes, delays and refuses as it likes; partitions that go and come back.
        #[test]
        fn nothing_is_lost_and_order_is_kept_whatever_the_receiver_does(
            does in proptest::collection::vec(0..5_u8, 1..200),
            junk in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut now = Instant::now();
            let mut desk = Desk::new(None, Some(RESEND));
            // What the group has committed, and what was read, per partition.
            let (mut committed, mut read) = ([0_i64; 2], [0_i64; 2]);
            let mut heard: BTreeMap<(i32, i64), u32> = BTreeMap::new();
            let mut last = [-1_i64; 2];
            let is_junk = |offset: i64| offset % 3 == 2;
            for (step, what) in does.iter().enumerate() {
                let p = step % 2;
                match what {
                    0 => {
                        let mut record = record(p as i32, read[p], "k", "firing");
                        if is_junk(read[p]) {
                            record.value = Some([&[0xff], &junk[..]].concat());
                        }
                        // Whatever it is, it takes its place.
                        let _ = desk.take(record);
                        read[p] += 1;
                    }
                    1 if step % 9 == 0 => {
                        // Taken from us and given back: it begins where it was committed.
                        desk.theirs(&place(p as i32));
                        desk.ours(&place(p as i32), Open::default(), now);
                        (read[p], last[p]) = (committed[p], committed[p] - 1);
                    }
                    _ => {}
                }
                now += Duration::from_secs(5);
                let told = match what {
                    2 => later(),
                    3 => Err(Refusal::Never { reason: String::new() }),
                    _ => Ok(()),
                };
                let goes_on = match desk.next(now) {
                    None => None,
                    Some(Task::Pass) => desk.passed(now),
                    Some(Task::Remind(_)) => {
                        desk.reminded(&told, now, 0.5);
                        None
                    }
                    Some(Task::Tell { news, .. }) => {
                        let offset: i64 = news.until.parse().unwrap_or(-1);
                        let goes_on = desk.told(&told, now, 0.5);
                        if let Some((at, next)) = &goes_on {
                            prop_assert_eq!(next.0, offset + 1);
                            *heard.entry((at.partition.0, offset)).or_default() += 1;
                        }
                        goes_on
                    }
                };
                if let Some((at, next)) = goes_on {
                    let p = at.partition.0 as usize;
                    prop_assert_eq!(next.0, last[p] + 2, "one after the other");
                    last[p] = next.0 - 1;
                    committed[p] = next.0;
                }
            }
            // Nothing below what is committed was passed over in silence, and nothing was told twice
            // unless it was read twice.
            for (p, &committed) in committed.iter().enumerate() {
                for offset in (0..committed).filter(|&offset| !is_junk(offset)) {
                    prop_assert_eq!(heard.get(&(p as i32, offset)), Some(&1), "{} {}", p, offset);
                }
            }
        }
    }
}
