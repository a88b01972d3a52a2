//! Client settings: the operator's, then ours on top.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use super::observer::{Looks, Observers};
use super::quiet::during;
use super::rivals::Members;
use super::survey::Ids;
use crate::config::{Compression, Delivery, GroupProtocol, Hidden, Kafka};
use crate::deliver::{Progress, SessionError};

/// How many bytes the records of one request have at most, unless it has a single one.
const BATCH: &str = "batch.size";
/// What librdkafka has if nobody says anything; as much as a topic of Kafka takes by default.
const BATCH_BYTES: u64 = 1_000_000;

/// What is set of it.
pub fn batch_bytes(producer: &ClientConfig) -> usize {
    let set = producer.get(BATCH).and_then(|set| set.parse().ok());
    set.unwrap_or(BATCH_BYTES as usize)
}

/// Which feature of the build a setting needs that this build lacks, and what to do.
fn lacking(name: &str, value: &str) -> Option<String> {
    let (feature, library, what) = match name {
        "sasl.mechanism" | "sasl.mechanisms" if value == "GSSAPI" && !cfg!(feature = "gssapi") => {
            ("gssapi", "libsasl2-dev", "Kerberos")
        }
        name if name.starts_with("sasl.kerberos.") && !cfg!(feature = "gssapi") => {
            ("gssapi", "libsasl2-dev", "Kerberos")
        }
        name if name.starts_with("sasl.oauthbearer.") && !cfg!(feature = "oidc") => {
            ("oidc", "libcurl4-openssl-dev", "OAuth by OIDC")
        }
        _ => return None,
    };
    Some(format!(
        "this build has no {what}: build it with `cargo build --release --features {feature}`, which needs \
         {library}"
    ))
}

/// Makes client configurations for one process.
#[derive(Clone, Debug)]
pub struct Clients {
    kafka: Kafka,
    instance: String,
    ids: Ids,
    observers: Arc<Observers>,
    pub(super) members: Arc<Members>,
}

impl Clients {
    pub fn new(kafka: Kafka, instance: &str) -> Self {
        Self {
            kafka,
            instance: instance.to_owned(),
            ids: Ids::Asked,
            observers: Arc::default(),
            members: Arc::default(),
        }
    }

    /// For librdkafka's own cluster, which has no controller to ask.
    pub fn embedded(self) -> Self {
        Self { ids: Ids::Unknown, ..self }
    }

    pub(super) fn ids(&self) -> Ids {
        self.ids
    }

    /// What the brokers say of `topic`, which `group` reads, and of `outputs`, asked every few seconds; `progress`
    /// is told how far the topic reaches.
    pub fn observe(
        &self,
        group: &str,
        topic: &str,
        outputs: &[String],
        progress: &Arc<Progress>,
    ) -> Arc<Looks> {
        self.observers.observe(self, (group, topic), outputs, progress)
    }

    pub fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// Whether what we write is compressed.
    pub fn compresses(&self) -> bool {
        let keys = ["compression.type", "compression.codec"];
        let set = |key: &&str| self.kafka.properties.contains_key(*key);
        self.kafka.compression != Compression::None || keys.iter().any(set)
    }

    /// What librdkafka does not take of the operator's settings. To be asked before any client is
    /// made: librdkafka's own error repeats the value, which may be a secret.
    pub fn refused(&self) -> Vec<String> {
        let refusal = |(name, value): (&String, &Hidden<String>)| {
            let mut alone = ClientConfig::new();
            alone.set(name, value.expose());
            let why = match alone.create_native_config().err()? {
                KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..) => {
                    "librdkafka has no such setting, or was built without it"
                }
                _ => "librdkafka does not take this value",
            };
            let why = lacking(name, value.expose()).unwrap_or_else(|| why.to_owned());
            Some(format!("kafka.properties.{name}: {why}"))
        };
        self.kafka.properties.iter().filter_map(refusal).collect()
    }

    /// The consumer group that scores `stream`: one of its own, so that a rebalance stays there.
    pub fn workers(&self, stream: &str) -> String {
        format!("{}.{stream}", self.kafka.group)
    }

    /// The consumer group that monitors `stream`.
    pub fn monitors(&self, stream: &str) -> String {
        format!("{}.{stream}.monitor", self.kafka.group)
    }

    /// The consumer group that watches the clients of `stream`.
    pub fn client_monitors(&self, stream: &str) -> String {
        format!("{}.{stream}.clients", self.kafka.group)
    }

    /// The consumer group that reads the deployed model's answers to `stream`.
    pub fn answers(&self, stream: &str) -> String {
        format!("{}.{stream}.answers", self.kafka.group)
    }

    /// The consumer group that joins them.
    pub fn joins(&self, stream: &str) -> String {
        format!("{}.{stream}.join", self.kafka.group)
    }

    /// The consumer group that tells incidents by `route`. No stream's group has a colon.
    pub fn route(&self, route: &str) -> String {
        format!("{}.route:{route}", self.kafka.group)
    }

    /// What all transactional ids of this process begin with.
    pub fn transactional_prefix(&self) -> String {
        format!("{}.{}.", self.kafka.group, self.instance)
    }

    /// How the brokers know a client: the same for every process of this name.
    pub fn client_id(&self, role: &str) -> String {
        format!("tripline.{}.{role}", self.instance)
    }

    /// A member of `group` with the client id of `role` that is not of this process, if there is one.
    ///
    /// # Errors
    /// If nobody answers, or the group may not be described.
    pub fn rival(&self, group: &str, role: &str) -> Result<Option<String>, SessionError> {
        let asking = self.common("rivals").create::<AdminClient<_>>();
        let asking: AdminClient<DefaultClientContext> = asking.map_err(during("create client"))?;
        let rival = self.members.rival(asking.inner(), group, &self.client_id(role))?;
        Ok(rival.map(|member| member.to_string()))
    }

    /// What every client of ours shares: admin clients need nothing more.
    pub fn common(&self, role: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (key, value) in &self.kafka.properties {
            config.set(key, value.expose());
        }
        config.set("bootstrap.servers", &self.kafka.brokers).set("client.id", self.client_id(role));
        // A broker that is back is found this soon; librdkafka's 10 s are on top of what it costs to
        // take an id over and to join a group again.
        self.default(&mut config, "reconnect.backoff.max.ms", "2000".to_owned());
        config
    }

    /// A member of `group`. Queues are small: 16 MiB of records wait at most, so memory stays
    /// declared; short waits, so that a quiet stream is answered at once.
    pub fn consumer(&self, role: &str, group: &str) -> ClientConfig {
        let mut config = self.common(role);
        config
            .set("group.id", group)
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // That a partition is read to its end is told from a partition that cannot be read.
            .set("enable.partition.eof", "true")
            // We say where to begin. Whatever the log does not have is told, not passed over.
            .set("auto.offset.reset", "error");
        match self.kafka.group_protocol {
            GroupProtocol::Classic => {
                let timeout = self.kafka.session_timeout.as_millis();
                config
                    .set("partition.assignment.strategy", "cooperative-sticky")
                    .set("session.timeout.ms", timeout.to_string());
                let third = (timeout / 3).clamp(1, 3000).to_string();
                self.default(&mut config, "heartbeat.interval.ms", third);
            }
            // Timeouts and assignment are the brokers' then; librdkafka refuses ours.
            GroupProtocol::Consumer => drop(config.set("group.protocol", "consumer")),
        }
        // A group waits this long for a member that does not join again, 5 minutes by default; we
        // wait for a producer for three transaction timeouts at most between two polls.
        let kafka = &self.kafka;
        let silent = (3 * kafka.transaction_timeout + Duration::from_secs(30))
            .max(kafka.session_timeout)
            .max(Duration::from_secs(60));
        self.default(&mut config, "max.poll.interval.ms", silent.as_millis().to_string());
        for (key, value) in [
            ("fetch.wait.max.ms", "20"),
            ("fetch.queue.backoff.ms", "10"),
            ("queued.min.messages", "10000"),
            ("queued.max.messages.kbytes", "16384"),
            // Unpacked on top of a full queue, at 250 bytes a record beside its value: 50 MiB, the
            // default, made 2.4 million tiny records 626 MB. One partition has 1 MiB of it at most, or
            // one batch. With room for no more than that, the partition that librdkafka names first
            // takes it all whenever the queue was full before: the others waited until its backlog of
            // 100,000 records was done.
            ("fetch.max.bytes", "8388608"),
            // Partitions added while we run are found this soon (5 minutes by default).
            ("topic.metadata.refresh.interval.ms", "10000"),
        ] {
            self.default(&mut config, key, value.to_owned());
        }
        config
    }

    /// Reads whole partitions and commits nothing.
    pub fn reader(&self, role: &str) -> ClientConfig {
        let mut config = self.common(role);
        config
            .set("group.id", format!("{}.reader", self.kafka.group))
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "10");
        // As small as the members' own: one per worker may stand beside them.
        self.default(&mut config, "queued.max.messages.kbytes", "16384".to_owned());
        config
    }

    /// A producer. Transactional, its id is stable: a process that takes this one's place fences
    /// it and aborts what it left open, at once.
    pub fn producer(&self, role: &str) -> ClientConfig {
        let mut config = self.common(role);
        let id = self.transactional_prefix() + role;
        let timeout = self.kafka.transaction_timeout.as_millis().to_string();
        config.set("enable.idempotence", "true").set("message.timeout.ms", &timeout);
        if self.kafka.delivery == Delivery::ExactlyOnce {
            config.set("transactional.id", id).set("transaction.timeout.ms", &timeout);
        }
        for (key, value) in [
            ("compression.type", self.kafka.compression.name()),
            ("linger.ms", "1"),
            // The broker answers "concurrent transactions" for a moment after each commit.
            ("retry.backoff.ms", "5"),
            ("queue.buffering.max.kbytes", "65536"),
            // Whatever could be read must be writable; the topics' own limit decides.
            ("message.max.bytes", "67108864"),
        ] {
            self.default(&mut config, key, value.to_owned());
        }
        config
    }

    /// A producer for topics that take `bytes` at a time: several records in one request are never
    /// refused for their size, and who is refused for it was alone.
    pub fn producer_for(&self, role: &str, bytes: Option<u64>) -> ClientConfig {
        let mut config = self.producer(role);
        let bytes = bytes.unwrap_or(BATCH_BYTES).clamp(1, BATCH_BYTES);
        self.default(&mut config, BATCH, bytes.to_string());
        config
    }

    /// Sets what the operator did not.
    fn default(&self, config: &mut ClientConfig, key: &str, value: String) {
        if !self.kafka.properties.contains_key(key) {
            config.set(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_setting_that_librdkafka_refuses_is_named_and_its_value_is_not() {
        let text = r#"
instance = "a"
[kafka]
brokers = "b"
[kafka.properties]
sasl.pasword = { env = "SECRET" }
sasl.password = { env = "SECRET" }
security.protocol = { env = "SECRET" }
[[stream]]
name = "n"
input = "i"
bundle = "b"
"#;
        let config = Config::read("f".as_ref(), text, [], &|_| Ok("c4n4ry".into())).unwrap();
        let refused = Clients::new(config.kafka, "a").refused();
        assert_eq!(
            refused,
            [
                "kafka.properties.sasl.pasword: librdkafka has no such setting, or was built \
                 without it",
                "kafka.properties.security.protocol: librdkafka does not take this value",
            ]
        );
    }
}
