//! What became of records after they were sent: reported on a thread of librdkafka.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _, OwnedHeaders};
use rdkafka::producer::{DeliveryResult, ProducerContext};

use super::{native, refused, words};
use crate::deliver::{Outputs, Refusal};
use crate::emit::ReadTrace;
use crate::record::{Partition, Position};

/// What became of records after they were sent. In a transaction the commit fails with them; here
/// stands only what it does not say: which records their topic does not take.
#[derive(Clone)]
pub struct Deliveries {
    delivered: Arc<Mutex<Delivered>>,
    /// Something has arrived where only we write, since the transaction began.
    landed: Arc<AtomicBool>,
    outputs: Arc<Outputs>,
    /// Requests of several records have no more bytes.
    batch_bytes: usize,
}

#[derive(Default)]
struct Delivered {
    /// At most what is in one transaction, as are those beside.
    refused: Vec<Refusal>,
    /// Not taken either, and not refused.
    beside: Vec<Position>,
    lost: Option<String>,
    /// The client reported an error since the transaction began.
    troubled: bool,
}

impl Deliveries {
    pub fn new(batch_bytes: usize, outputs: &Outputs) -> Self {
        let outputs = Arc::new(outputs.clone());
        Self { delivered: Arc::default(), landed: Arc::default(), outputs, batch_bytes }
    }

    /// Whether anything of the open transaction has arrived where only we write.
    pub fn has_landed(&self) -> bool {
        self.landed.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Delivered> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn refuse(&self, refusal: Refusal) {
        self.lock().refused.push(refusal);
    }

    /// Where nothing is refused, who was beside says nothing.
    pub fn take_refused(&self) -> (Vec<Refusal>, Vec<Position>) {
        let mut delivered = self.lock();
        let beside = std::mem::take(&mut delivered.beside);
        (std::mem::take(&mut delivered.refused), beside)
    }

    /// Whether it was the only record of its request.
    fn is_alone(&self, message: &BorrowedMessage<'_>) -> bool {
        message.key_len() + message.payload_len() > self.batch_bytes
    }

    pub fn lost(&self) -> Option<String> {
        self.lock().lost.clone()
    }

    /// A transaction begins: what was lost before went with those before it.
    pub fn calm(&self) {
        let mut delivered = self.lock();
        (delivered.troubled, delivered.lost) = (false, None);
        self.landed.store(false, Ordering::Relaxed);
    }

    pub fn is_troubled(&self) -> bool {
        self.lock().troubled
    }

    pub fn forgive(&self) {
        self.lock().lost = None;
    }
}

/// Where the record came from, by the last of our headers that it carries.
pub fn own_position(headers: &OwnedHeaders) -> Option<Position> {
    let trace = native::header(headers.as_borrowed(), c"tripline-trace")?;
    Some(ReadTrace::unpack(trace)?.source)
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        words::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.lock().troubled = true;
        words::report(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let (error, message) = match result {
            Ok(message) => {
                let is_own =
                    || !self.outputs.is_shared(message.topic(), Partition(message.partition()));
                if !self.landed.load(Ordering::Relaxed) && is_own() {
                    self.landed.store(true, Ordering::Relaxed);
                }
                return;
            }
            Err(failed) => failed,
        };
        let trace = message.headers().and_then(|all| native::header(all, c"tripline-trace"));
        // A record of our own has none: that it is refused is no record's doing.
        let source = trace.and_then(ReadTrace::unpack).map(|trace| trace.source);
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        let mut delivered = self.lock();
        if let Some(at) = source {
            match refused::objection(code) {
                Some(objection) => {
                    let topic = message.topic().to_owned();
                    let (sure, takes) = (self.is_alone(message), None);
                    delivered.refused.push(Refusal { at, topic, objection, sure, takes });
                }
                None => delivered.beside.push(at),
            }
        }
        delivered.lost.get_or_insert_with(|| {
            let (topic, partition) = (message.topic(), message.partition());
            format!("partition {partition} of {topic}: {}", words::of(error))
        });
    }
}
