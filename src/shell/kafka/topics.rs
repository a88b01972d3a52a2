//! The topics a configuration needs: what they should be, what they are, making them.

mod apply;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;

pub use self::apply::apply;
use super::{Clients, words};
use crate::config::{Config, Stream};

/// One topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    /// What it is for, for a person.
    pub role: &'static str,
    /// As many as the input topic has.
    pub like_input: Option<String>,
    /// Exactly this many, else.
    pub partitions: i32,
    /// Topic settings that matter to us.
    pub settings: Vec<(&'static str, String)>,
}

/// What the cluster says about topics.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub brokers: usize,
    /// Partitions per topic.
    pub topics: BTreeMap<String, i32>,
    /// Topics that may be there, but not for us to see.
    pub hidden: BTreeSet<String>,
}

/// Why the cluster cannot be asked or changed.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    #[error("kafka: {what}: {}", words::of(error))]
    Kafka { what: &'static str, error: KafkaError },
    #[error("topic {topic}: {reason}")]
    Refused { topic: String, reason: String },
    #[error("input topic {0} does not exist: create it first, its partitions are the measure")]
    NoInput(String),
}

pub(super) fn during(what: &'static str) -> impl Fn(KafkaError) -> TopicError {
    move |error| TopicError::Kafka { what, error }
}

/// Who sets a record's timestamp. Kafka deletes by it: a sender who dates his records 1970 would have what was
/// held back deleted within seconds. So the broker sets it, except where readers join by the sender's.
const TIMESTAMP_TYPE: &str = "message.timestamp.type";
const OURS: &str = "LogAppendTime";
const SENDERS: &str = "CreateTime";

const TIMEOUT: Duration = Duration::from_secs(15);

/// Every topic that `config` writes, in the order of its streams.
pub fn wanted(config: &Config) -> Vec<Topic> {
    let mut topics: Vec<Topic> = vec![];
    for topic in config.streams.iter().flat_map(of_stream) {
        if !topics.iter().any(|known| known.name == topic.name) {
            topics.push(topic);
        }
    }
    topics.extend(config.audit.as_ref().map(|audit| Topic {
        name: audit.topic.clone(),
        role: "what people and processes did, one order",
        like_input: None,
        partitions: 1,
        settings: vec![
            ("cleanup.policy", "delete".to_owned()),
            (TIMESTAMP_TYPE, OURS.to_owned()),
            // Whoever decides how long such things are kept may change it; until then nothing goes.
            ("retention.ms", "-1".to_owned()),
        ],
    }));
    topics
}

fn of_stream(stream: &Stream) -> Vec<Topic> {
    let mut all = always(stream);
    if stream.clients.is_some() {
        all.push(Topic {
            name: stream.topics.visits.clone(),
            role: "who sends what, under pseudonyms, one order",
            like_input: None,
            partitions: 1,
            // The client monitor reads again what its horizon holds: a week of a quiet stream, and disk of a busy one.
            settings: vec![
                ("cleanup.policy", "delete".to_owned()),
                (TIMESTAMP_TYPE, OURS.to_owned()),
                ("retention.ms", (7 * 24 * 3_600_000_u64).to_string()),
            ],
        });
    }
    if let Some(topic) = stream.known_clients_topic() {
        all.push(Topic {
            name: topic.to_owned(),
            role: "when and from where each client came, by pseudonym",
            like_input: None,
            partitions: 1,
            settings: compacted(),
        });
    }
    all
}

fn compacted() -> Vec<(&'static str, String)> {
    vec![
        ("cleanup.policy", "compact".to_owned()),
        (TIMESTAMP_TYPE, OURS.to_owned()),
        // A lane rewrites its state at every commit: old segments should go soon.
        ("segment.bytes", (16 << 20).to_string()),
        ("min.cleanable.dirty.ratio", "0.1".to_owned()),
    ]
}

fn always(stream: &Stream) -> Vec<Topic> {
    let topics = &stream.topics;
    // A record of value_bytes_max bytes grows by our headers.
    let bytes = (stream.codec.value_bytes_max + (64 << 10)).max(1_048_588).to_string();
    let like_input = |name: &String, role, settings| Topic {
        name: name.clone(),
        role,
        like_input: Some(stream.input.clone()),
        partitions: 0,
        settings,
    };
    let records =
        |time: &str| vec![("max.message.bytes", bytes.clone()), (TIMESTAMP_TYPE, time.to_owned())];
    let join = stream.answers.iter().map(|answers| Topic {
        name: answers.join_topic.clone(),
        role: "what was sent on and what was answered, one order",
        like_input: None,
        partitions: 1,
        settings: vec![
            ("cleanup.policy", "delete".to_owned()),
            (TIMESTAMP_TYPE, OURS.to_owned()),
            // Read again after a restart as far back as a half may wait.
            ("retention.ms", kept_ms(answers.horizon).to_string()),
        ],
    });
    let lineage = stream.lineage.iter().map(|lineage| Topic {
        name: lineage.topic.clone(),
        role: "events of OpenLineage",
        like_input: None,
        partitions: 1,
        settings: vec![("cleanup.policy", "delete".to_owned()), (TIMESTAMP_TYPE, OURS.to_owned())],
    });
    let mut all = vec![
        like_input(&topics.sanitized, "what may go on to the model", records(SENDERS)),
        like_input(&topics.quarantine, "held back, with the reasons", records(OURS)),
        like_input(&topics.dead_letter, "could not be read, with the fault", records(OURS)),
        like_input(&topics.state, "what each partition remembers", compacted()),
        Topic {
            name: topics.evidence.clone(),
            role: "counts per window, one order",
            like_input: None,
            partitions: 1,
            settings: vec![
                ("cleanup.policy", "delete".to_owned()),
                (TIMESTAMP_TYPE, OURS.to_owned()),
            ],
        },
        Topic {
            name: stream.alerts.topic.clone(),
            role: "incidents, by key",
            like_input: None,
            partitions: 1,
            settings: vec![
                ("cleanup.policy", "compact".to_owned()),
                (TIMESTAMP_TYPE, OURS.to_owned()),
                // A receiver that was down for less than a week misses no step of an incident.
                ("min.compaction.lag.ms", (7 * 24 * 3_600_000_u64).to_string()),
            ],
        },
    ];
    all.extend(join);
    all.extend(lineage);
    all
}

/// How long a join topic is kept: twice the horizon, and a day at least.
fn kept_ms(horizon: Duration) -> u64 {
    (2 * horizon.as_millis() as u64).max(24 * 3_600_000)
}

/// Partitions of every topic, and how many brokers answered.
///
/// # Errors
/// If no broker answers.
pub fn cluster(clients: &Clients) -> Result<Cluster, TopicError> {
    let consumer: BaseConsumer =
        clients.common("check").create().map_err(during("create client"))?;
    let metadata = consumer.fetch_metadata(None, TIMEOUT).map_err(during("fetch metadata"))?;
    let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
    Ok(Cluster {
        brokers: metadata.brokers().len(),
        topics: topics.map(|t| (t.name().to_owned(), t.partitions().len() as i32)).collect(),
        hidden: BTreeSet::new(),
    })
}

/// What is wrong between what `config` wants and what the cluster has: all of it.
pub fn problems(config: &Config, cluster: &Cluster) -> Vec<String> {
    found(config, cluster).into_iter().map(|(_, problem)| problem).collect()
}

/// Of these, what keeps a stream from starting at all. An output with too few partitions does not:
/// those it lacks are held until it has them, and the others go on.
pub fn hindrances(config: &Config, cluster: &Cluster) -> Vec<String> {
    let found = found(config, cluster).into_iter();
    found.filter_map(|(hinders, problem)| hinders.then_some(problem)).collect()
}

/// Each problem, and whether nothing can start because of it.
fn found(config: &Config, cluster: &Cluster) -> Vec<(bool, String)> {
    let mut problems = vec![];
    for stream in &config.streams {
        let answers = stream.answers.as_ref().map(|answers| &answers.topic);
        let is_there = |topic: &&String| {
            cluster.topics.contains_key(*topic) || cluster.hidden.contains(*topic)
        };
        if let Some(topic) = answers.filter(|topic| !is_there(topic)) {
            problems.push((true, format!("answers topic {topic} does not exist")));
        }
        if !cluster.topics.contains_key(&stream.input) && !cluster.hidden.contains(&stream.input) {
            problems.push((true, format!("input topic {} does not exist", stream.input)));
        }
    }
    for topic in wanted(config) {
        let needed = match &topic.like_input {
            Some(input) => match cluster.topics.get(input) {
                Some(&partitions) => partitions,
                None => continue,
            },
            None => topic.partitions,
        };
        match cluster.topics.get(&topic.name) {
            None if cluster.hidden.contains(&topic.name) => {}
            None => problems.push((true, format!("topic {} does not exist", topic.name))),
            Some(&has) if has < needed => {
                let name = &topic.name;
                let why = format!(
                    "topic {name} has {has} partitions; it needs {needed}, one for each of its input"
                );
                problems.push((false, why));
            }
            // Evidence has one order: with two partitions there would be two.
            Some(&has) if topic.like_input.is_none() && has != needed => {
                let name = &topic.name;
                let why = format!("topic {name} has {has} partitions; it must have {needed}");
                problems.push((true, why));
            }
            Some(_) => {}
        }
    }
    problems
}

/// Topics whose records are dated otherwise than they should be.
///
/// # Errors
/// If the brokers do not answer.
pub fn time_problems(
    clients: &Clients,
    config: &Config,
    cluster: &Cluster,
) -> Result<Vec<String>, TopicError> {
    let mut problems = vec![];
    for topic in wanted(config) {
        if cluster.topics.contains_key(&topic.name) {
            let has = setting(clients, &topic.name, TIMESTAMP_TYPE)?;
            problems.extend(has.and_then(|has| time_problem(&topic, &has)));
        }
    }
    Ok(problems)
}

/// What is wrong with `topic` if whoever `has` says dates its records.
fn time_problem(topic: &Topic, has: &str) -> Option<String> {
    let (_, wants) = topic.settings.iter().find(|(key, _)| *key == TIMESTAMP_TYPE)?;
    let why = match wants.as_str() {
        OURS => "a sender's old timestamp has its records deleted early",
        _ => "whoever joins by the sender's timestamps finds the broker's",
    };
    let Topic { name, role, .. } = topic;
    (has != wants).then(|| {
        format!(
            "topic {name} ({role}) has {TIMESTAMP_TYPE}={has}: {why}; kafka-configs.sh --alter \
             --entity-type topics --entity-name {name} --add-config {TIMESTAMP_TYPE}={wants}"
        )
    })
}

/// What `topic` has for `key`; none if the broker does not say.
fn setting(clients: &Clients, topic: &str, key: &str) -> Result<Option<String>, TopicError> {
    let admin = admin(clients)?;
    let asked = [ResourceSpecifier::Topic(topic)];
    let answers =
        wait(admin.describe_configs(&asked, &options())).map_err(during("describe topic"))?;
    let refused = |reason: String| TopicError::Refused { topic: topic.to_owned(), reason };
    for answer in answers {
        let resource = answer.map_err(|code| refused(words::of_code(code)))?;
        if let Some(value) = resource.get(key).and_then(|entry| entry.value.clone()) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

pub(super) fn admin(clients: &Clients) -> Result<AdminClient<DefaultClientContext>, TopicError> {
    clients.common("admin").create().map_err(during("create client"))
}

pub(super) fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

/// Admin calls are futures that need no reactor.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without a reactor").block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_back_is_dated_by_the_broker_and_what_goes_on_by_its_sender() {
        let text = r#"
instance = "t"
[kafka]
brokers = "127.0.0.1:1"
[[stream]]
name = "s"
input = "i"
bundle = "b"
"#;
        let path = std::path::Path::new("t.toml");
        let no_secrets = |_: crate::config::Secret<'_>| Err("none".to_owned());
        let config = Config::read(path, text, std::iter::empty(), &no_secrets).unwrap();
        let topics = wanted(&config);
        let problem = |topic: &Topic, has: &str| {
            time_problem(topic, has).unwrap_or_else(|| panic!("{} may have {has}", topic.name))
        };
        assert_eq!(topics.len(), 6);
        for topic in &topics {
            let (right, wrong) = match topic.name.as_str() {
                "s.sanitized" => (SENDERS, OURS),
                _ => (OURS, SENDERS),
            };
            assert_eq!(time_problem(topic, right), None, "{}", topic.name);
            let said = problem(topic, wrong);
            let remedy =
                format!("--entity-name {} --add-config {TIMESTAMP_TYPE}={right}", topic.name);
            assert!(said.ends_with(&remedy), "{said}");
        }
    }
}
