//! Sends records in the open transaction, and waits until they have arrived.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseRecord, Producer};
use tracing::debug;

use super::Transactions;
use crate::config::Delivery;
use crate::deliver::{Objection, Refusal, SessionError};
use crate::record::Partition;
use crate::shell::kafka::deliveries::own_position;
use crate::shell::kafka::refused;

/// A record to send.
pub struct Sending<'a> {
    pub topic: &'a str,
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub timestamp_ms: Option<i64>,
    pub headers: Option<OwnedHeaders>,
}

impl Transactions {
    /// Sends a record in the open transaction; opens one if there is none. Waits while the producer's queue is full.
    ///
    /// # Errors
    /// If the transaction cannot go on.
    pub fn send(&self, sending: Sending<'_>) -> Result<(), SessionError> {
        if !self.open.get() {
            // A refusal may have been reported after its transaction failed.
            self.refused()?;
            if self.delivery == Delivery::ExactlyOnce {
                if self.suspect.get() {
                    debug!("a new producer: something of the last transaction may be on its way");
                    self.renew()?;
                }
                self.deliveries.calm();
                self.aborted.set(None);
                self.producer.borrow().begin_transaction().map_err(|e| self.failed("begin", &e))?;
            }
            self.open.set(true);
        }
        if self.delivery == Delivery::ExactlyOnce {
            self.hanging.borrow_mut().wrote(sending.topic, sending.partition.map(Partition));
        }
        let deadline = Instant::now() + self.timeout;
        let mut record = BaseRecord::<[u8], [u8]>::to(sending.topic);
        record.partition = sending.partition;
        record.key = sending.key;
        record.payload = sending.value;
        record.timestamp = sending.timestamp_ms;
        record.headers = sending.headers;
        loop {
            match self.producer.borrow().send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    record = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((KafkaError::MessageProduction(code), back))
                    if refused::is_local(code)
                        && let Some(at) = back.headers.as_ref().and_then(own_position) =>
                {
                    if self.delivery == Delivery::AtLeastOnce {
                        // The result of the other records must be known before they are sent again.
                        self.land()?;
                    }
                    let objection = match code {
                        RDKafkaErrorCode::InvalidArgument => Objection::Record,
                        _ => Objection::Size,
                    };
                    let topic = sending.topic.to_owned();
                    let refusal = Refusal { at, topic, objection, sure: true, takes: None };
                    self.deliveries.refuse(refusal);
                    return self.refused();
                }
                Err((error, _)) => {
                    return Err(match self.failed("produce", &error) {
                        SessionError::Transaction { step, reason } => {
                            let reason = format!("topic {}: {reason}", sending.topic);
                            SessionError::Transaction { step, reason }
                        }
                        other => other,
                    });
                }
            }
        }
    }

    /// Waits until every record sent has arrived. At least once, this stands for a commit.
    ///
    /// # Errors
    /// If a record did not arrive, or it takes too long.
    pub fn flush(&self) -> Result<(), SessionError> {
        self.land()?;
        self.refused()?;
        match self.deliveries.lost() {
            None => Ok(()),
            Some(reason) => Err(SessionError::Transaction { step: "produce", reason }),
        }
    }

    /// As [`Transactions::flush`], also inside a transaction. After an error the rest is not sent, so it is not waited
    /// for.
    ///
    /// # Errors
    /// As [`Transactions::flush`].
    pub fn arrive(&self) -> Result<(), SessionError> {
        if !self.open.get() {
            return Ok(());
        }
        let arrived = self.flush();
        self.abort_if(arrived.is_err() && self.delivery == Delivery::ExactlyOnce);
        arrived
    }

    /// Waits until every request is answered, or the transaction has failed.
    pub(super) fn land(&self) -> Result<(), SessionError> {
        self.step("waiting for what was sent");
        let deadline = Instant::now() + self.timeout;
        let is_lost = || self.delivery == Delivery::ExactlyOnce && self.deliveries.lost().is_some();
        while self.producer.borrow().in_flight_count() > 0 && !is_lost() {
            if Instant::now() >= deadline {
                return Err(self.failed("flush", &KafkaError::NoMessageReceived));
            }
            std::thread::sleep(Duration::from_micros(300));
        }
        Ok(())
    }

    pub(super) fn refused(&self) -> Result<(), SessionError> {
        match self.deliveries.take_refused() {
            (refusals, _) if refusals.is_empty() => Ok(()),
            (refusals, beside) => Err(SessionError::Refused { refusals, beside }),
        }
    }
}
