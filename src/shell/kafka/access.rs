//! What this process must be allowed to do on the cluster, and whether it is.
//!
//! The brokers say what we may do when they describe a topic or a group; nothing is changed by
//! asking. Transactional ids cannot be described: one that nobody uses, under the prefix of ours, is
//! initialized, which leaves an entry that the brokers drop after a week. It cannot see a grant
//! that names our ids one by one, nor what happens to a topic that does not exist yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};

use super::Clients;
use super::native::{self, NativeError, Operations};
use super::words;
use crate::config::{Config, Kafka};

/// What we may not do, and what the brokers did not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    pub missing: Vec<MissingRight>,
    /// Topics of which we may not even know whether they exist.
    pub hidden: BTreeSet<String>,
    /// Why something could not be asked.
    pub unknown: Vec<String>,
    /// How many topics and groups were asked about.
    pub asked: usize,
}

/// One resource on which we lack operations.
#[derive(Clone, Debug, PartialEq)]
pub struct MissingRight {
    pub resource: Resource,
    pub operations: Vec<Operation>,
    /// What for.
    pub why: &'static str,
    /// The command that grants them.
    pub grant: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    Topic(String),
    Group(String),
    /// Every transactional id that begins with this.
    TransactionalIds(String),
}

/// An operation of Kafka's access control, as far as we need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read = 3,
    Write = 4,
    Describe = 8,
}

/// Why nothing can be said at all.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("kafka: create client: {}", words::of(.0))]
    Client(KafkaError),
    #[error("kafka: describe {what}: {text}")]
    Describe { what: &'static str, text: String },
}

const TIMEOUT: Duration = Duration::from_secs(15);

/// What one resource is needed for.
type Needs = BTreeMap<String, (Vec<Operation>, &'static str)>;

/// Asks the brokers whether we may do what `config` makes us do.
///
/// # Errors
/// If they do not answer.
pub fn access(clients: &Clients, config: &Config) -> Result<Access, AccessError> {
    let client = clients.common("access").create().map_err(AccessError::Client)?;
    let mut found = described(&client, clients, config)?;
    found.probe_transactions(clients, config);
    Ok(found)
}

/// Asks about all but transactional ids, which cannot be described.
///
/// # Errors
/// If the brokers do not answer.
pub fn described(
    client: &AdminClient<DefaultClientContext>,
    clients: &Clients,
    config: &Config,
) -> Result<Access, AccessError> {
    let client = client.inner();
    let refused = |what| {
        move |error: NativeError| AccessError::Describe { what, text: words::of_native(&error) }
    };
    let (topics, groups) = (topics(config), groups(clients, config));
    let topic_names: Vec<&str> = topics.keys().map(String::as_str).collect();
    let group_names: Vec<&str> = groups.keys().map(String::as_str).collect();
    let mut found = Access { asked: topics.len() + groups.len(), ..Access::default() };

    let said = native::topic_operations(client, &topic_names, TIMEOUT);
    for (name, operations) in said.map_err(refused("topics"))? {
        let Some((needed, why)) = topics.get(&name) else { continue };
        let denied =
            matches!(&operations, Err(e) if e.code == RDKafkaErrorCode::TopicAuthorizationFailed);
        if denied {
            found.hidden.insert(name.clone());
        }
        found.compare(clients, config, Resource::Topic(name), needed, why, operations);
    }
    let said = native::group_operations(client, &group_names, TIMEOUT);
    for (name, operations) in said.map_err(refused("groups"))? {
        let Some((needed, why)) = groups.get(&name) else { continue };
        found.compare(clients, config, Resource::Group(name), needed, why, operations);
    }
    Ok(found)
}

fn topics(config: &Config) -> Needs {
    use Operation::{Read, Write};
    let mut needs = Needs::new();
    for stream in &config.streams {
        let topics = &stream.topics;
        for (topic, operations, why) in [
            (&stream.input, vec![Read], "the records to guard"),
            (&topics.sanitized, vec![Write], "what may go on to the model"),
            (&topics.quarantine, vec![Write], "what is held back"),
            (&topics.dead_letter, vec![Write], "what could not be read"),
            (&topics.evidence, vec![Read, Write], "counts for the monitor"),
            (&topics.state, vec![Read, Write], "what each partition remembers"),
            (&stream.alerts.topic, vec![Read, Write], "incidents, and telling them"),
        ] {
            needs.insert(topic.clone(), (operations, why));
        }
        if stream.clients.is_some() {
            let why = "who sends what, under pseudonyms";
            needs.insert(topics.visits.clone(), (vec![Read, Write], why));
        }
        if let Some(topic) = stream.known_clients_topic() {
            needs.insert(topic.to_owned(), (vec![Read, Write], "when and from where clients came"));
        }
        if let Some(answers) = &stream.answers {
            let (topic, join) = (answers.topic.clone(), answers.join_topic.clone());
            needs.insert(topic, (vec![Read], "the deployed model's answers"));
            needs.insert(join, (vec![Read, Write], "what was sent on and what was answered"));
        }
        if let Some(lineage) = &stream.lineage {
            let why = "events of OpenLineage, and telling them";
            needs.insert(lineage.topic.clone(), (vec![Read, Write], why));
        }
    }
    if let Some(audit) = &config.audit {
        needs.insert(audit.topic.clone(), (vec![Read, Write], "what people and processes did"));
    }
    needs
}

fn groups(clients: &Clients, config: &Config) -> Needs {
    let mut needs = Needs::new();
    for stream in &config.streams {
        let read = |why| (vec![Operation::Read], why);
        needs.insert(clients.workers(&stream.name), read("who scores"));
        needs.insert(clients.monitors(&stream.name), read("who monitors"));
        if stream.clients.is_some() {
            needs.insert(clients.client_monitors(&stream.name), read("who monitors clients"));
        }
        if stream.answers.is_some() {
            needs.insert(clients.answers(&stream.name), read("who reads answers"));
            needs.insert(clients.joins(&stream.name), read("who joins answers"));
        }
    }
    for route in &config.routes {
        let read = (vec![Operation::Read], "who tells incidents");
        needs.insert(clients.route(&route.name), read);
    }
    needs
}

impl Access {
    fn compare(
        &mut self,
        clients: &Clients,
        config: &Config,
        resource: Resource,
        needed: &[Operation],
        why: &'static str,
        operations: Operations,
    ) {
        use RDKafkaErrorCode as Code;
        let operations: Vec<Operation> = match operations {
            Ok(Some(allowed)) => {
                let lacks = |operation: &Operation| !allowed.contains(&(*operation as i32));
                needed.iter().copied().filter(lacks).collect()
            }
            Err(NativeError {
                code: Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed,
                ..
            }) => needed.to_vec(),
            // That it is not there is for `topics::problems` to say; a group comes with its member.
            Err(NativeError {
                code: Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::GroupIdNotFound,
                ..
            }) => return,
            Ok(None) => {
                self.unknown.push(format!("{resource}: the brokers do not say what we may do"));
                return;
            }
            Err(error) => {
                self.unknown.push(format!("{resource}: {}", words::of_native(&error)));
                return;
            }
        };
        if !operations.is_empty() {
            let grant = grant(clients, config, &resource, &operations);
            self.missing.push(MissingRight { resource, operations, why, grant });
        }
    }

    /// Initializes an id under the prefix of ours that nobody uses.
    pub fn probe_transactions(&mut self, clients: &Clients, config: &Config) {
        let operations = vec![Operation::Describe, Operation::Write];
        let resource = Resource::TransactionalIds(clients.transactional_prefix());
        let made: Result<BaseProducer, _> = clients.producer("check").create();
        let probed = made.and_then(|producer| producer.init_transactions(TIMEOUT));
        match probed {
            Ok(()) => {}
            Err(KafkaError::Transaction(error))
                if error.code() == RDKafkaErrorCode::TransactionalIdAuthorizationFailed =>
            {
                let grant = grant(clients, config, &resource, &operations);
                let why = "records, state and offsets in one transaction";
                self.missing.push(MissingRight { resource, operations, why, grant });
            }
            Err(error) => self.unknown.push(format!("{resource}: {}", words::of(&error))),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(name) => write!(f, "topic {name}"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::TransactionalIds(prefix) => write!(f, "transactional ids {prefix}*"),
        }
    }
}

impl fmt::Display for MissingRight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operations: Vec<String> = self.operations.iter().map(|o| format!("{o:?}")).collect();
        write!(f, "may not {} on {}: {}", operations.join(", "), self.resource, self.why)
    }
}

/// The command of Kafka's own tools that allows it.
fn grant(
    clients: &Clients,
    config: &Config,
    resource: &Resource,
    operations: &[Operation],
) -> String {
    let mut command = format!(
        "kafka-acls.sh --bootstrap-server {} --add --allow-principal '{}'",
        config.kafka.brokers,
        principal(clients.kafka()),
    );
    for operation in operations {
        command.push_str(&format!(" --operation {operation:?}"));
    }
    command.push_str(&match resource {
        Resource::Topic(name) => format!(" --topic {name}"),
        Resource::Group(name) => format!(" --group {name}"),
        Resource::TransactionalIds(prefix) => {
            format!(" --transactional-id {prefix} --resource-pattern-type prefixed")
        }
    });
    command
}

/// Whom the brokers take us for, where our own settings say it. A user's name may be kept
/// elsewhere, so it is not printed.
fn principal(kafka: &Kafka) -> &'static str {
    let property = |name| kafka.properties.get(name).map(|value| value.expose().to_lowercase());
    let protocol = property("security.protocol").unwrap_or_default();
    let certificate = ["ssl.certificate.location", "ssl.certificate.pem", "ssl.keystore.location"];
    let shown = certificate.iter().any(|name| kafka.properties.contains_key(*name));
    match protocol.as_str() {
        "sasl_plaintext" | "sasl_ssl" => "User:<name given to SASL>",
        "ssl" if shown => "User:<subject of the certificate>",
        _ => "User:ANONYMOUS",
    }
}
