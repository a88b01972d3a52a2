//! Finds transactions of our id that have no end in some partition, and ends them.
//!
//! [`HangingTransactions`](crate::deliver::HangingTransactions) lists the partitions to check. A partition whose last
//! stable offset stays below its end has an open transaction. To end it, this opens a transaction that writes one record
//! to each such partition and touches the group, and aborts it: the abort markers also end what our id left open
//! there. No reader sees that record, and nothing of ours is committed in these partitions before the brokers show that
//! the transaction has ended.
//!
//! It cannot end a transaction of another id. The next process with that id does, or `kafka-transactions.sh abort`.

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

/// Open transactions of other ids usually end within their commit interval.
const OTHERS: Duration = Duration::from_millis(300);
/// Markers usually follow the answer to a commit within milliseconds. If they take longer than this, the transaction
/// counts as failed and its records are judged again.
const MARKERS: Duration = Duration::from_secs(2);
/// Between two checks.
const LOOK: Duration = Duration::from_millis(20);
/// Timeout of one request.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two attempts to end a transaction.
const AGAIN: Duration = Duration::from_secs(5);
/// After this time without a commit the brokers are asked whether the id is still ours.
const IDLE: Duration = Duration::from_secs(30);
/// How long commits are checked after an error: longer than a broker needs to come back to its cluster (its session is
/// 9 s by default).
const WARY: Duration = Duration::from_secs(15);

/// Key of a record that is never committed. Compacted topics refuse records without a key.
const NOTHING: &[u8] = b"nothing";

impl Transactions {
    /// Ends the open transactions of our id in the unchecked partitions. A partition where that fails is tried again
    /// later, and nothing is committed there before. If the transaction `was_committed`, it is left to the next commit,
    /// whose markers end it. Returns true if offsets that the brokers acknowledged may be lost now.
    ///
    /// # Errors
    /// If nobody answers: to be tried again.
    pub fn end_open_transactions(
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

    /// Whether [`Transactions::end_open_transactions`] is due.
    pub fn is_doubtful(&self) -> bool {
        let due = || self.looked.get().is_none_or(|at| at.elapsed() >= AGAIN);
        !self.is_open() && !self.hanging.borrow().is_clean() && due()
    }

    /// Whether it is time to ask the brokers if the id is still ours. A process that writes nothing does not notice that
    /// another one took its id. An aborted transaction without records asks.
    pub fn is_idle(&self) -> bool {
        let idle = !self.is_open() && self.used.get().elapsed() >= IDLE;
        if idle {
            self.used.set(Instant::now());
        }
        idle
    }

    /// Before a commit: fails if a partition that was written to still has an older open transaction, because this commit
    /// would commit that one too.
    pub(super) fn may_commit(&self, to: ToGroup<'_>) -> Result<(), SessionError> {
        let free = |transactions: &HangingTransactions| transactions.unclean_written().is_none();
        if free(&self.hanging.borrow()) || self.look(OTHERS, to, free)? {
            return Ok(());
        }
        Err(endless("an older transaction", self.hanging.borrow().unclean_written()))
    }

    /// After a commit that followed an error: fails if the markers are missing in a partition that was written to.
    pub(super) fn was_ended(&self, to: ToGroup<'_>) -> Result<(), SessionError> {
        if !self.is_wary() {
            return Ok(());
        }
        if !self.hanging.borrow().wrote_alone() {
            let deadline = Instant::now() + MARKERS;
            // Other producers write to these partitions too, so their stable offset says nothing of ours. The group's
            // offsets are ours alone, and have an end when the other partitions have.
            while !(to.has_ours)() {
                if Instant::now() >= deadline {
                    self.hanging.borrow_mut().suspect_written();
                    return Err(endless("the last commit", None));
                }
                sleep(LOOK);
            }
            // A coordinator that forgot the offsets reports no pending ones either: the partitions stay on the list.
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

    /// Commits are checked for a while from now on.
    pub(super) fn beware(&self) {
        self.wary.set(Some(Instant::now()));
    }

    pub(super) fn is_wary(&self) -> bool {
        self.wary.get().is_some_and(|at| at.elapsed() < WARY)
    }

    /// Checks the listed partitions until `enough` of them have no open transaction, or `patience` is over. Returns whether
    /// enough have none.
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

    /// Opens a transaction that writes to these partitions and touches the group, and aborts it.
    pub(super) fn abort_into(
        &self,
        places: &[TopicPartition],
        to: ToGroup<'_>,
    ) -> Result<(), SessionError> {
        if self.suspect.get() {
            // A late EndTxn request of the last transaction would end this one.
            self.renew()?;
        }
        // The next transaction needs a new producer, whether this succeeds or not.
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
        // An abort drops records that were not sent yet. Their partitions would get no marker.
        let deadline = Instant::now() + ANSWER;
        while producer.in_flight_count() > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(1));
        }
        // The group's coordinator drops the pending offsets of our id when it gets the abort marker.
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
    let place = place.map_or("a place that no broker names".into(), TopicPartition::to_string);
    SessionError::Transaction { step: "commit", reason: format!("{what} has no end in {place}") }
}

fn unanswered(error: NativeError) -> SessionError {
    SessionError::Exchange { what: "list offsets", reason: words::of_native(&error) }
}

/// The first five; there may be hundreds.
fn names(places: &[TopicPartition]) -> String {
    let first: Vec<String> = places.iter().take(5).map(TopicPartition::to_string).collect();
    let more = places.len() - first.len();
    if more == 0 { first.join(", ") } else { format!("{}, and {more} more", first.join(", ")) }
}
