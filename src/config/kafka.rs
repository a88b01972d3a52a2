//! `[kafka]`: the brokers, the group, and whatever librdkafka should be told besides.
//!
//! What delivery depends on is ours: those settings are refused here with the reason, because
//! exactly-once breaks silently when one of them changes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::claims::{NAME, check_name};
use super::problem::is_secret;
use super::reader::{Form, Section, reference};
use super::value::{Node, Origin, Table};

/// `[kafka]`
#[derive(Clone, Debug, PartialEq)]
pub struct Kafka {
    /// `brokers`: where to find the cluster, `"host:port,host:port"`. Required.
    pub brokers: String,
    /// `group = "tripline"`: the consumer group all workers of this fleet belong to.
    pub group: String,
    /// `commit_interval_ms = 100`: how often a worker commits its transaction, 1 to 60000. Every
    /// record waits up to this long before a `read_committed` consumer sees it.
    pub commit_interval: Duration,
    /// `transaction_timeout_ms = 10000`: after how long the broker aborts the transaction of a
    /// worker that went away, 1000 to 900000. Nobody downstream reads past it until then.
    pub transaction_timeout: Duration,
    /// `session_timeout_ms = 10000`: after how long without a heartbeat a worker's partitions go
    /// to another, 6000 to 1800000 (what brokers allow unless told otherwise).
    pub session_timeout: Duration,
    /// `delivery = "exactly_once"`: one transaction holds outputs, state and offsets; or
    /// `"at_least_once"`: outputs are seen at once, and some twice after a failure.
    pub delivery: Delivery,
    /// `group_protocol = "classic"`: cooperative rebalancing by the members; or `"consumer"`, by the
    /// brokers (KIP-848, Kafka 4.0 and newer), which set the session's timeout themselves then.
    pub group_protocol: GroupProtocol,
    /// `compression = "none"`: how what we write is compressed: `"gzip"`, `"snappy"`, `"lz4"` or `"zstd"`.
    /// Every reader of the outputs must be able to read it.
    pub compression: Compression,
    /// `[kafka.properties]`: librdkafka's own settings by their own names, such as
    /// `"security.protocol" = "SASL_SSL"`. Secrets only as `{ env = "NAME" }` or
    /// `{ file = "path" }`; what delivery depends on is refused.
    pub properties: BTreeMap<String, Hidden<String>>,
}

/// What a reader of the outputs may rely on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    #[default]
    ExactlyOnce,
    AtLeastOnce,
}

/// Who decides which worker has which partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupProtocol {
    #[default]
    Classic,
    Consumer,
}

/// How batches are compressed. Some clients read `lz4` and `zstd` only with a package of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    /// What librdkafka calls it.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A value that no log line and no message shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden<T>(T);

impl<T> Hidden<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Whoever asks must not print it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

/// What a stream's record path rests on: names, and why or where else to set them.
pub(super) const OURS: [(&[&str], &str); 14] = [
    (&["bootstrap.servers", "metadata.broker.list"], "set `kafka.brokers` instead"),
    (&["group.id"], "set `kafka.group` instead"),
    (&["transaction.timeout.ms"], "set `kafka.transaction_timeout_ms` instead"),
    (&["session.timeout.ms"], "set `kafka.session_timeout_ms` instead"),
    (&["transactional.id"], "it is made from `instance`: a restart must fence its predecessor"),
    (&["enable.auto.commit", "auto.commit.enable", "auto.commit.interval.ms"], COMMITS),
    (&["enable.auto.offset.store"], COMMITS),
    (&["isolation.level"], "we read what is committed: an aborted record never existed"),
    (&["enable.idempotence"], "transactions need it on"),
    (&["acks", "request.required.acks"], "transactions need all replicas to acknowledge"),
    (&["partition.assignment.strategy"], "state moves with its partition, by a protocol we know"),
    (&["group.protocol", "group.remote.assignor"], "set `kafka.group_protocol` instead"),
    (&["group.instance.id"], "each worker is a member of its own, and ids would clash"),
    (&["enable.partition.eof"], "an empty poll already closes a batch"),
];
const COMMITS: &str = "offsets are committed within the transaction, never beside it";

impl Kafka {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        section.demand("brokers", "\"host:9092,host:9092\"");
        let brokers = Form {
            help: "write hosts and ports: \"host:9092,host:9092\"",
            pattern: Some("^[^,]+(,[^,]+)*$"),
        };
        let delivery =
            [("exactly_once", Delivery::ExactlyOnce), ("at_least_once", Delivery::AtLeastOnce)];
        let protocol = [("classic", GroupProtocol::Classic), ("consumer", GroupProtocol::Consumer)];
        let compression = [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ]
        .map(|compression| (compression.name(), compression));
        let kafka = Self {
            brokers: section.read("brokers", brokers, check_brokers).unwrap_or_default(),
            group: section.read("group", NAME, check_name).unwrap_or_else(|| "tripline".into()),
            commit_interval: section.millis("commit_interval_ms", 1..=60_000, 100),
            transaction_timeout: section.millis("transaction_timeout_ms", 1000..=900_000, 10_000),
            session_timeout: section.millis("session_timeout_ms", 6000..=1_800_000, 10_000),
            delivery: section.choice("delivery", &delivery, Delivery::default()),
            group_protocol: section.choice("group_protocol", &protocol, GroupProtocol::default()),
            compression: section.choice("compression", &compression, Compression::default()),
            properties: properties(section.section("properties")),
        };
        if kafka.commit_interval >= kafka.transaction_timeout {
            let message = format!(
                "a commit every {:?} comes too late for a timeout of {:?}",
                kafka.commit_interval, kafka.transaction_timeout
            );
            let help = "make it smaller than `transaction_timeout_ms`";
            let path = section.path_of("commit_interval_ms");
            section.reader.note(path, section.origin.as_ref(), message, help);
        }
        section.end();
        kafka
    }
}

fn check_brokers(written: &str) -> Result<String, String> {
    for broker in written.split(',').map(str::trim) {
        let address = broker.rsplit_once("://").map_or(broker, |(_, address)| address);
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "9092"));
        if host.is_empty() || port.parse::<u16>().is_err() {
            return Err(format!("{broker:?} is not a host and a port"));
        }
    }
    Ok(written.to_owned())
}

fn properties(mut section: Section<'_>) -> BTreeMap<String, Hidden<String>> {
    let mut flat = BTreeMap::new();
    let table = section.rest();
    flatten(&mut section, "", table, &mut flat);
    flat
}

/// `sasl.mechanism = "PLAIN"` without quotes is a table in a table; here it is one name again.
fn flatten(
    section: &mut Section<'_>,
    prefix: &str,
    table: Table,
    flat: &mut BTreeMap<String, Hidden<String>>,
) {
    for (key, (origin, value)) in table {
        let name = format!("{prefix}{key}");
        let path = section.path_of(&name);
        let note =
            |message: &str, help: &str| section.reader.note(&path, Some(&origin), message, help);
        let owned = OURS.iter().find(|(names, _)| names.contains(&name.as_str()));
        if let Some((_, why)) = owned {
            note("this setting is ours", why);
            continue;
        }
        let text = match value.node {
            Node::Table(inner) if reference(&inner).is_none() => {
                flatten(section, &format!("{name}."), inner, flat);
                continue;
            }
            Node::Text(_) if is_secret(&name) && matches!(origin, Origin::File(_)) => {
                note(
                    "a secret must not stand in this file",
                    "write { env = \"NAME\" } or { file = \"path\" }",
                );
                continue;
            }
            Node::Integer(number) => Some(number.to_string()),
            Node::Float(number) => Some(number.to_string()),
            Node::Bool(yes) => Some(yes.to_string()),
            _ => section.reader.text(&path, value).map(|text| text.value),
        };
        flat.extend(text.map(|text| (name, Hidden(text))));
    }
}
