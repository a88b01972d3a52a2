//! Clients that only look or write a few records, and what their errors become.

use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use super::words;
use crate::deliver::SessionError;

/// The error of an exchange with brokers that `what` names.
pub fn during(what: &'static str) -> impl Fn(KafkaError) -> SessionError {
    move |error| SessionError::Exchange { what, reason: words::of(&error) }
}

/// The end of a partition is what we wait for, not an error to log; what matters comes with `poll`.
pub(in crate::shell) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Quiet {}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    /// A commit says whether all of a transaction was delivered.
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}
