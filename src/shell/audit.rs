//! The audit log on Kafka: entries are added one after the other, whoever adds them.
//!
//! All processes of a group share one transactional id for this topic. Who takes it ends what another one had begun, reads the
//! last entry, and adds its own in the same transaction. So two processes never follow the same entry.

mod auditor;
mod key_uses;

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::clock;
use super::kafka::{Clients, Quiet};
use crate::audit_log::{
    AuditSigner, CHECKPOINT_EVERY, CHECKPOINT_KEY, Chain, Checkpoint, CheckpointError, Deed,
    DeedActor, DeedKind, DeedOutcome, ENTRY_KEY,
};
use crate::config::{Config, Hidden};

pub use auditor::Auditor;

/// Adds entries to one log, and reads it.
pub struct AuditLog {
    clients: Clients,
    topic: String,
    origin: String,
    signer: Option<AuditSigner>,
    who: DeedActor,
}

/// Why an entry is not written, or the log not read.
#[derive(Debug, thiserror::Error)]
pub enum AuditLogError {
    #[error("audit log: kafka: {what}: {error}")]
    Kafka { what: &'static str, error: KafkaError },
    #[error("audit log: {0}")]
    Key(#[from] CheckpointError),
    #[error("audit log: topic {topic}: not read to its end within {patience:?}")]
    Slow { topic: String, patience: Duration },
}

/// A record of the log, as it stands in the topic.
pub struct StoredEntry {
    pub offset: i64,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

const TIMEOUT: Duration = Duration::from_secs(15);
/// How long somebody tries to add an entry while others do, too.
const PATIENCE: Duration = Duration::from_secs(60);
/// Markers and checkpoints stand between entries: so far back the last one is looked for first.
const LOOK_BACK: i64 = 16;

impl AuditLog {
    /// The log that `config` names, if it names one.
    ///
    /// # Errors
    /// If its key is none.
    pub fn new(config: &Config) -> Result<Option<Self>, AuditLogError> {
        let Some(audit) = &config.audit else { return Ok(None) };
        let sign = |key: &Hidden<String>| AuditSigner::from_pem(key.expose().as_bytes());
        let signer = audit.sign_key.as_ref().map(sign).transpose()?;
        let clients = Clients::new(config.kafka.clone(), &config.instance);
        let who = actor(config);
        Ok(Some(Self { clients, topic: audit.topic.clone(), origin: origin(config), signer, who }))
    }

    /// Writes `deed` down, and says its number; a checkpoint follows where one is due. A deed stands twice if only the
    /// answer to its commit was lost.
    ///
    /// # Errors
    /// If the brokers do not take it in a minute, or the log cannot be read to its end.
    pub fn write(&self, deed: &Deed) -> Result<u64, AuditLogError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.try_write(deed) {
                // Somebody else took the id, or the broker was away.
                Err(AuditLogError::Kafka { .. }) if Instant::now() < deadline => {
                    let moment = u64::from(std::process::id()) % 97 + 50;
                    thread::sleep(Duration::from_millis(moment));
                }
                done => return done,
            }
        }
    }

    fn try_write(&self, deed: &Deed) -> Result<u64, AuditLogError> {
        let failed = |what| move |error| AuditLogError::Kafka { what, error };
        let mut config = self.clients.common("audit");
        config
            .set("transactional.id", format!("{}.audit-log", self.clients.kafka().group))
            .set("transaction.timeout.ms", "10000")
            .set("message.timeout.ms", "10000");
        let producer = ThreadedProducer::from_config_and_context(&config, Quiet);
        let producer: ThreadedProducer<Quiet> = producer.map_err(failed("create producer"))?;
        producer.init_transactions(TIMEOUT).map_err(failed("init transactions"))?;
        let mut chain = self.end()?;
        let entry = chain.append(&self.origin, clock::now(), deed.clone());
        producer.begin_transaction().map_err(failed("begin"))?;
        let send = |key: &[u8], value: &[u8]| {
            let record = BaseRecord::to(&self.topic).partition(0).key(key).payload(value);
            producer.send(record).map_err(|(error, _)| failed("send")(error))
        };
        send(ENTRY_KEY, &entry)?;
        if let Some(signer) = &self.signer
            && chain.entries.is_multiple_of(CHECKPOINT_EVERY)
        {
            let note = signer.sign(&Checkpoint { origin: self.origin.clone(), chain });
            send(CHECKPOINT_KEY, note.as_bytes())?;
        }
        producer.commit_transaction(TIMEOUT).map_err(failed("commit"))?;
        Ok(chain.entries - 1)
    }

    /// What the next entry follows: the newest one that can be read. What somebody else wrote behind it is for
    /// `tripline audit verify` to find, and stops nobody.
    fn end(&self) -> Result<Chain, AuditLogError> {
        let failed = |what| move |error| AuditLogError::Kafka { what, error };
        let consumer = self.consumer()?;
        let marks = consumer.fetch_watermarks(&self.topic, 0, TIMEOUT);
        let (low, high) = marks.map_err(failed("fetch watermarks"))?;
        let mut back = LOOK_BACK;
        loop {
            let from = high.saturating_sub(back).max(low);
            let mut end = None;
            self.read_from(&consumer, from, |record| {
                if record.key == ENTRY_KEY {
                    end = Chain::after(&record.value).ok().or(end);
                }
            })?;
            if end.is_some() || from == low {
                return Ok(end.unwrap_or_default());
            }
            back = back.saturating_mul(4);
        }
    }

    /// Shows `each` every record, from the oldest.
    ///
    /// # Errors
    /// If Kafka does not answer.
    pub fn read(&self, each: impl FnMut(StoredEntry)) -> Result<(), AuditLogError> {
        let failed = |what| move |error| AuditLogError::Kafka { what, error };
        let consumer = self.consumer()?;
        let marks = consumer.fetch_watermarks(&self.topic, 0, TIMEOUT);
        let (low, _) = marks.map_err(failed("fetch watermarks"))?;
        self.read_from(&consumer, low, each)
    }

    /// What stands before the names of checkpoints, and in entries as their source.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    fn consumer(&self) -> Result<BaseConsumer<Quiet>, AuditLogError> {
        let config = self.clients.reader("audit");
        let consumer = BaseConsumer::from_config_and_context(&config, Quiet);
        consumer.map_err(|error| AuditLogError::Kafka { what: "create consumer", error })
    }

    fn read_from(
        &self,
        consumer: &BaseConsumer<Quiet>,
        from: i64,
        mut each: impl FnMut(StoredEntry),
    ) -> Result<(), AuditLogError> {
        let failed = |what| move |error| AuditLogError::Kafka { what, error };
        let mut place = TopicPartitionList::new();
        place
            .add_partition_offset(&self.topic, 0, Offset::Offset(from))
            .map_err(failed("assign"))?;
        consumer.assign(&place).map_err(failed("assign"))?;
        let mut quiet_since = Instant::now();
        loop {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    quiet_since = Instant::now();
                    let bytes = |bytes: Option<&[u8]>| bytes.unwrap_or_default().to_vec();
                    let (key, value) = (bytes(message.key()), bytes(message.payload()));
                    each(StoredEntry { offset: message.offset(), key, value });
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) if quiet_since.elapsed() > TIMEOUT => {
                    return Err(failed("read")(error));
                }
                None if quiet_since.elapsed() > TIMEOUT => {
                    let (topic, patience) = (self.topic.clone(), TIMEOUT);
                    return Err(AuditLogError::Slow { topic, patience });
                }
                Some(Err(_)) | None => {}
            }
        }
    }
}

/// What names the log of a group.
fn origin(config: &Config) -> String {
    format!("tripline/{}/audit", config.kafka.group)
}

/// Who this process is: to the brokers, else to the machine.
fn actor(config: &Config) -> DeedActor {
    let sasl = ["sasl.username", "sasl.kerberos.principal"];
    let said = sasl.iter().find_map(|key| config.kafka.properties.get(*key));
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let principal = match said {
        Some(name) => format!("kafka:{}", name.expose()),
        None => format!("user:{}", set("USER").or(set("LOGNAME")).unwrap_or_else(|| "?".into())),
    };
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let (host, instance) = (host.trim().to_owned(), config.instance.clone());
    DeedActor { principal, host, instance }
}

/// Writes down what a command does, if `config` names a log.
///
/// # Errors
/// As [`AuditLog::write`].
pub fn write_down(
    config: &Config,
    what: DeedKind,
    subject: &str,
    outcome: DeedOutcome,
    details: impl IntoIterator<Item = (String, String)>,
) -> Result<(), AuditLogError> {
    let Some(log) = AuditLog::new(config)? else { return Ok(()) };
    let (who, details) = (log.who.clone(), details.into_iter().collect());
    log.write(&Deed { who, what, subject: subject.to_owned(), outcome, details })?;
    Ok(())
}
