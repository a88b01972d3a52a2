//! Looks for what hangs of our id, and ends it.
//!
//! [`HangingTransactions`](crate::deliver::HangingTransactions) knows what to doubt; this asks the brokers, and where something
//! hangs it opens a transaction that touches only those partitions and the group, and aborts it:
//! its markers end whatever our id left there. What it writes can never be read: it commits
//! nothing, and nothing of ours is committed there before the brokers have shown that it ended. It
//! cannot end what hangs under another id: that id's next process does, or
//! `kafka-transactions.sh abort`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseRecord, Producer};
use tracing::{debug, error, info, warn};

use super::abort::ABORT;
use super::{ToGroup, Transactions};
use crate::config::Delivery;
use crate::deliver::{GROUP, HangingTransactions, SessionError};
use crate::record::{Offset, TopicPartition};
use crate::shell::kafka::native::{self, NativeError, Which};
use crate::shell::kafka::{deadline, words};

/// Transactions of others end within this, as a rule: their commit interval.
const OTHERS: Duration = Duration::from_millis(300);
/// Markers follow the answer to a commit by milliseconds; if they take longer than this, the
/// transaction is begun again, whatever became of it.
const MARKERS: Duration = Duration::from_secs(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two tries to end what hangs.
const AGAIN: Duration = Duration::from_secs(5);
/// After this long without a commit an id is asked about.
const IDLE: Duration = Duration::from_secs(30);
/// How long commits are checked after something went wrong: longer than a broker takes to be
/// known again to a cluster that had given it up (its session is 9 s by default).
const WARY: Duration = Duration::from_secs(15);

/// Key of a record that is never committed; topics that are compacted want one.
const NOTHING: &[u8] = b"nothing";

impl Transactions {
    /// Sees to it that nothing of ours hangs where it is doubted. What still does then is tried
    /// again later, and nothing is committed there before. If what hangs `was_committed` after
    /// all, it is left to the next commit. True if offsets that were committed may be undone now.
    ///
    /// # Errors
    /// If nobody answers: to be tried again.
    pub fn settle(
        &self,
        to: ToGroup<'_>,
        was_committed: impl FnOnce() -> bool,
    ) -> Result<bool, SessionError> {
        self.looked.set(Some(Instant::now()));
        if self.delivery != Delivery::ExactlyOnce
            || self.look(OTHERS, to, HangingTransactions::is_clean)?
        {
            return Ok(false);
        }
        let hanging = self.hanging.borrow().places_to_abort();
        if was_committed() {
            error!(places = %names(&hanging), "committed, but its end is missing: the next commit ends it");
            self.hanging.borrow_mut().clear();
            return Ok(false);
        }
        info!(places = %names(&hanging), "something has no end: ended by an aborted transaction");
        let aborted = self.abort_into(&hanging, to);
        let undone = self.hanging.borrow_mut().aborted(hanging);
        aborted?;
        if !self.look(OTHERS, to, HangingTransactions::is_clean)? {
            let left = self.hanging.borrow().unclean();
            warn!(places = %names(&left), "something still has no end; nothing is committed there");
        }
        Ok(undone)
    }

    /// Whether it is time to [`Transactions::settle`] once more.
    pub fn is_doubtful(&self) -> bool {
        let due = || self.looked.get().is_none_or(|at| at.elapsed() >= AGAIN);
        !self.is_open() && !self.hanging.borrow().is_clean() && due()
    }

    /// Whether it is time to ask whose our id is: whoever has had nothing to write for long may be fenced
    /// and not know it, and what the other left under the id is then nobody's to end. An aborted
    /// transaction that touches nothing asks.
    pub fn is_idle(&self) -> bool {
        let idle = !self.is_open() && self.used.get().elapsed() >= IDLE;
        if idle {
            self.used.set(Instant::now());
        }
        idle
    }

    /// Before a commit: something older may not hang where it would be committed too.
    pub(super) fn may_commit(&self, to: ToGroup<'_>) -> Result<(), SessionError> {
        let free = |transactions: &HangingTransactions| transactions.unclean_written().is_none();
        if free(&self.hanging.borrow()) || self.look(OTHERS, to, free)? {
            return Ok(());
        }
        Err(endless("an older transaction", self.hanging.borrow().unclean_written()))
    }

    /// After a commit in bad times: whether it was ended where it was written.
    pub(super) fn was_ended(&self, to: ToGroup<'_>) -> Result<(), SessionError> {
        if !self.is_wary() {
            return Ok(());
        }
        if !self.hanging.borrow().wrote_alone() {
            let deadline = Instant::now() + MARKERS;
            // Offsets are ours alone: they have ended where everything else has.
            while !(to.has_ours)() {
                if Instant::now() >= deadline {
                    self.hanging.borrow_mut().suspect_written();
                    return Err(endless("the last commit", None));
                }
                sleep(LOOK);
            }
            // A coordinator that has forgotten them says so too.
            self.hanging.borrow_mut().watch_written();
            return Ok(());
        }
        self.hanging.borrow_mut().suspect_written();
        if !self.look(MARKERS, to, |transactions| transactions.unclean_own().is_none())? {
            return Err(endless("the last commit", self.hanging.borrow().unclean_own()));
        }
        self.hanging.borrow_mut().clear_shared();
        Ok(())
    }

    /// From now on commits are checked for a while.
    pub(super) fn beware(&self) {
        self.wary.set(Some(Instant::now()));
    }

    pub(super) fn is_wary(&self) -> bool {
        self.wary.get().is_some_and(|at| at.elapsed() < WARY)
    }

    /// Looks at what is doubted until there is `enough`, or `patience` is over: whether there is.
    fn look(
        &self,
        patience: Duration,
        to: ToGroup<'_>,
        enough: impl Fn(&HangingTransactions) -> bool,
    ) -> Result<bool, SessionError> {
        let deadline = Instant::now() + patience;
        loop {
            if enough(&self.hanging.borrow()) {
                return Ok(true);
            }
            let doubts = self.hanging.borrow().unclean();
            let (group, doubts): (Vec<TopicPartition>, Vec<TopicPartition>) =
                doubts.into_iter().partition(|place| place.topic == GROUP);
            self.step("looking for what has no end");
            let producer = self.producer.borrow().clone();
            let latest = |which| native::offsets(producer.client(), &doubts, which, ANSWER);
            let ends = latest(Which::End).map_err(unanswered)?;
            let stable = latest(Which::Stable).map_err(unanswered)?;
            let mut known = self.hanging.borrow_mut();
            for (place, end) in &ends {
                if let Some(stable) = stable.get(place) {
                    known.observe(place, end.offset, stable.offset);
                }
            }
            if enough(&known) {
                return Ok(true);
            }
            drop(known);
            for place in group.iter().filter(|_| (to.is_stable)()) {
                self.hanging.borrow_mut().observe(place, Offset(0), Offset(0));
            }
            let enough = enough(&self.hanging.borrow());
            if enough || Instant::now() >= deadline {
                return Ok(enough);
            }
            sleep(LOOK);
        }
    }

    /// A transaction that touches these and the group, aborted.
    pub(super) fn abort_into(
        &self,
        places: &[TopicPartition],
        to: ToGroup<'_>,
    ) -> Result<(), SessionError> {
        if self.suspect.get() {
            // What is still on its way would end this one.
            self.renew()?;
        }
        // Whatever comes of it, the next transaction is another producer's.
        self.suspect.set(true);
        let producer = self.producer.borrow().clone();
        self.step("ending what has no end");
        producer.begin_transaction().map_err(|e| self.failed("begin", &e))?;
        for TopicPartition { topic, partition } in places {
            let record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition.0).key(NOTHING);
            if let Err((error, _)) = producer.send(record) {
                debug!(%error, topic, %partition, "a record that nobody will read");
            }
        }
        // An abort forgets what was not sent yet: no marker would come there.
        let deadline = Instant::now() + ANSWER;
        while producer.in_flight_count() > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(1));
        }
        // The group forgets what it holds as pending from our id when it hears of this end.
        let (group, topic, toucher) = (to.group.to_owned(), to.topic.to_owned(), producer.clone());
        let touched = deadline::within("touch the group", ANSWER + ANSWER, move || {
            native::touch_group(&toucher, &group, &topic, ANSWER);
        });
        if touched.is_none() {
            let reason = format!("no answer of the coordinator of group {}", to.group);
            return Err(SessionError::Transaction { step: "touch the group", reason });
        }
        self.step("aborting");
        producer.abort_transaction(ABORT).map_err(|e| self.failed("abort", &e))
    }
}

fn endless(what: &str, place: Option<&TopicPartition>) -> SessionError {
    let place = place.map(TopicPartition::to_string).unwrap_or_default();
    SessionError::Transaction { step: "commit", reason: format!("{what} has no end in {place}") }
}

fn unanswered(error: NativeError) -> SessionError {
    SessionError::Exchange { what: "list offsets", reason: words::of_native(&error) }
}

/// The first of them; there may be hundreds.
fn names(places: &[TopicPartition]) -> String {
    let first: Vec<String> = places.iter().take(5).map(TopicPartition::to_string).collect();
    let more = places.len() - first.len();
    if more == 0 { first.join(", ") } else { format!("{}, and {more} more", first.join(", ")) }
}
