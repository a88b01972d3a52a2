//! What the topics of a stream take and keep, against what their input does: which records would be
//! refused, and which deleted early.
//!
//! Only settings are compared. It cannot see a broker's policy plug-ins, nor what a topic's settings were
//! yesterday.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::ResourceSpecifier;
use tracing::debug;

use super::survey::Ids;
use super::topics::{Cluster, TopicError, admin, during, options, wait};
use super::{Clients, words};
use crate::config::{Config, Stream};
use crate::deliver::Takes;
use crate::record::Timestamp;

/// The settings of a topic that decide whether a record passes and stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The broker's own timestamps, whatever the sender's: `LogAppendTime`.
    pub stamps: bool,
    /// How old and how far ahead a sender's timestamp may be.
    pub before_max_ms: i64,
    pub after_max_ms: i64,
    pub compacts: bool,
    /// Negative is for ever.
    pub retention_ms: i64,
    pub bytes_max: u64,
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Honest records would be refused or lost.
    pub problems: Vec<String>,
    /// Records with odd timestamps would.
    pub notes: Vec<String>,
}

impl Settings {
    fn read(value: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| value(name)?.parse::<i64>().ok();
        // One setting for both directions until Kafka 3.6.
        let difference = number("message.timestamp.difference.max.ms").unwrap_or(i64::MAX);
        let policy = value("cleanup.policy").unwrap_or_default();
        let retention_ms = number("retention.ms").filter(|_| policy.contains("delete"));
        Some(Self {
            stamps: value("message.timestamp.type").as_deref() == Some("LogAppendTime"),
            before_max_ms: number("message.timestamp.before.max.ms").unwrap_or(difference),
            after_max_ms: number("message.timestamp.after.max.ms").unwrap_or(difference),
            compacts: policy.contains("compact"),
            retention_ms: retention_ms.unwrap_or(-1),
            bytes_max: value("max.message.bytes")?.parse().ok()?,
        })
    }

    /// What the topic takes, at `now`.
    pub fn takes(&self, now: Timestamp) -> Takes {
        let any = self.stamps || (self.before_max_ms, self.after_max_ms) == (i64::MAX, i64::MAX);
        let least = Timestamp(now.0.saturating_sub(self.before_max_ms));
        let most = Timestamp(now.0.saturating_add(self.after_max_ms));
        let within = (!any).then_some((least, most));
        Takes {
            within,
            keyed: self.compacts,
            bytes: usize::try_from(self.bytes_max).ok(),
            plain: false,
        }
    }

    /// How old the oldest timestamp is that a reader of this topic may meet.
    fn oldest_ms(&self) -> i64 {
        let kept = if self.retention_ms < 0 { i64::MAX } else { self.retention_ms };
        if self.stamps { kept } else { kept.saturating_add(self.before_max_ms) }
    }
}

/// The settings of these topics. What the brokers leave out of `max.message.bytes` they may not tell us.
///
/// # Errors
/// If the brokers do not answer, or do not say.
pub fn settings(
    clients: &Clients,
    topics: &[&str],
) -> Result<BTreeMap<String, Settings>, TopicError> {
    let admin = admin(clients)?;
    let asked: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let answers =
        wait(admin.describe_configs(&asked, &options())).map_err(during("describe topics"))?;
    let mut found = BTreeMap::new();
    for (&topic, answer) in topics.iter().zip(answers) {
        let refused = |reason: String| TopicError::Refused { topic: topic.to_owned(), reason };
        let resource = answer.map_err(|code| refused(words::of_code(code)))?;
        let value = |name: &str| resource.get(name).and_then(|entry| entry.value.clone());
        let settings = Settings::read(value).ok_or_else(|| {
            let why =
                "the broker does not say its max.message.bytes; the right to DescribeConfigs helps";
            refused(why.into())
        })?;
        found.insert(topic.to_owned(), settings);
    }
    Ok(found)
}

/// How many bytes each of these topics takes at a time. `None` if that cannot be read, as where we have no
/// right to: whoever is refused for its size is found all the same.
pub fn bytes_max(clients: &Clients, topics: &[String]) -> Option<u64> {
    if clients.ids() == Ids::Unknown {
        return None;
    }
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    match settings(clients, &topics) {
        Ok(all) => all.values().map(|settings| settings.bytes_max).min(),
        Err(error) => {
            debug!(%error, "how large a request may be is not known");
            None
        }
    }
}

/// What every stream's outputs would do to records that its input takes.
///
/// # Errors
/// As [`settings`].
pub fn outputs(clients: &Clients, config: &Config, cluster: &Cluster) -> Result<Found, TopicError> {
    let mut found = Found::default();
    for stream in &config.streams {
        let topics = &stream.topics;
        let all = [&stream.input, &topics.sanitized, &topics.quarantine, &topics.dead_letter];
        let there = all.into_iter().filter(|topic| cluster.topics.contains_key(*topic));
        let there: Vec<&str> = there.map(String::as_str).collect();
        if there.is_empty() {
            continue;
        }
        found.compare(stream, &settings(clients, &there)?);
    }
    Ok(found)
}

impl Found {
    fn compare(&mut self, stream: &Stream, settings: &BTreeMap<String, Settings>) {
        let (topics, name) = (&stream.topics, &stream.input);
        let Some(input) = settings.get(name) else { return };
        let outputs = [&topics.sanitized, &topics.quarantine, &topics.dead_letter];
        for (output, has) in outputs.into_iter().filter_map(|o| Some((o, settings.get(o)?))) {
            if has.bytes_max < input.bytes_max {
                self.problems.push(format!(
                    "topic {output} takes messages of {} bytes, its input {name} of {}: a large \
                     record would not pass; set max.message.bytes of {output} to at least {}",
                    has.bytes_max,
                    input.bytes_max,
                    input.bytes_max + (64 << 10),
                ));
            }
            let held_back = output != &topics.sanitized;
            if has.compacts && (held_back || !input.compacts) {
                self.problems.push(format!(
                    "topic {output} has cleanup.policy=compact: it refuses records without a key, and keeps \
                     the last of each key only; set cleanup.policy of {output} to delete"
                ));
            }
            if has.stamps {
                continue;
            }
            let fix = format!("set message.timestamp.type of {output} to LogAppendTime");
            if has.before_max_ms < input.oldest_ms() {
                self.problems.push(format!(
                    "topic {output} refuses records whose timestamp is more than {} old, its input {name} \
                     may hold such: a backlog would be dead-lettered; raise \
                     message.timestamp.before.max.ms of {output}, or {fix}",
                    span(has.before_max_ms),
                ));
            }
            if !input.stamps && has.after_max_ms < input.after_max_ms {
                self.problems.push(format!(
                    "topic {output} refuses records whose timestamp is more than {} ahead, its input {name} \
                     takes up to {}: they would be dead-lettered; lower message.timestamp.after.max.ms of \
                     {name}, or {fix}",
                    span(has.after_max_ms),
                    span(input.after_max_ms),
                ));
            }
            if has.retention_ms >= 0 && has.retention_ms < input.oldest_ms() && !input.stamps {
                self.notes.push(format!(
                    "topic {output} deletes by the sender's timestamp: what is stamped more than {} ago is \
                     deleted early{}",
                    span(has.retention_ms),
                    if held_back { format!("; {fix}") } else { String::new() },
                ));
            }
        }
    }
}

/// Milliseconds as a person says them.
fn span(ms: i64) -> String {
    if ms == i64::MAX {
        return "any time".into();
    }
    let round = Duration::from_millis(ms.max(0).cast_unsigned());
    let seconds = round.as_secs();
    match seconds {
        0 => format!("{} ms", round.as_millis()),
        _ if seconds.is_multiple_of(86_400) => format!("{} d", seconds / 86_400),
        _ if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    /// What a topic of Kafka 4 has if nobody says anything.
    const USUAL: Settings = Settings {
        stamps: false,
        before_max_ms: i64::MAX,
        after_max_ms: HOUR,
        compacts: false,
        retention_ms: 7 * 24 * HOUR,
        bytes_max: 1_048_588,
    };

    fn found(input: Settings, sanitized: Settings, rest: Settings) -> Found {
        let text = "instance = \"a\"\n[kafka]\nbrokers = \"b\"\n[[stream]]\nname = \"s\"\ninput = \"in\"\n\
                    bundle = \"b\"\n";
        let config = Config::read("f".as_ref(), text, [], &|_| Ok(String::new())).unwrap();
        let stream = &config.streams[0];
        let topics = &stream.topics;
        let all = [
            (stream.input.clone(), input),
            (topics.sanitized.clone(), sanitized),
            (topics.quarantine.clone(), rest),
            (topics.dead_letter.clone(), rest),
        ];
        let mut found = Found::default();
        found.compare(stream, &all.into_iter().collect());
        found
    }

    #[test]
    fn topics_of_our_making_have_no_problem_and_the_readers_topic_a_note() {
        let stamps = Settings { stamps: true, ..USUAL };
        let Found { problems, notes } = found(USUAL, USUAL, stamps);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            notes,
            [
                "topic s.sanitized deletes by the sender's timestamp: what is stamped more than 7 d ago is \
              deleted early"
            ]
        );
        assert_eq!(found(stamps, USUAL, stamps), Found::default());
    }

    #[test]
    fn what_an_output_refuses_and_its_input_takes_is_a_problem_with_its_remedy() {
        let (stamps, old) =
            (Settings { stamps: true, ..USUAL }, Settings { before_max_ms: HOUR, ..USUAL });
        insta::assert_snapshot!(
            [
                found(USUAL, old, stamps).problems,
                found(Settings { after_max_ms: i64::MAX, ..USUAL }, USUAL, stamps).problems,
                found(USUAL, USUAL, Settings { compacts: true, ..stamps }).problems,
                found(USUAL, Settings { bytes_max: 1000, ..USUAL }, stamps).problems,
            ]
            .concat()
            .join("\n"),
            @r"
        topic s.sanitized refuses records whose timestamp is more than 1 h old, its input in may hold such: a backlog would be dead-lettered; raise message.timestamp.before.max.ms of s.sanitized, or set message.timestamp.type of s.sanitized to LogAppendTime
        topic s.sanitized refuses records whose timestamp is more than 1 h ahead, its input in takes up to any time: they would be dead-lettered; lower message.timestamp.after.max.ms of in, or set message.timestamp.type of s.sanitized to LogAppendTime
        topic s.quarantine has cleanup.policy=compact: it refuses records without a key, and keeps the last of each key only; set cleanup.policy of s.quarantine to delete
        topic s.dead-letter has cleanup.policy=compact: it refuses records without a key, and keeps the last of each key only; set cleanup.policy of s.dead-letter to delete
        topic s.sanitized takes messages of 1000 bytes, its input in of 1048588: a large record would not pass; set max.message.bytes of s.sanitized to at least 1114124
        "
        );
    }

    #[test]
    fn a_compacted_input_may_have_a_compacted_output_and_one_with_its_own_time_takes_every_stamp() {
        let stamps = Settings { stamps: true, ..USUAL };
        let compacts = Settings { compacts: true, retention_ms: -1, ..USUAL };
        assert_eq!(found(compacts, compacts, stamps), Found::default());
        let strict = Settings { before_max_ms: 1, after_max_ms: 1, ..stamps };
        assert_eq!(found(USUAL, strict, strict), Found::default());
        assert_eq!(strict.takes(Timestamp(5)).within, None);
        let (least, most) = (Timestamp(i64::MIN + 6), Timestamp(HOUR + 5));
        assert_eq!(USUAL.takes(Timestamp(5)).within, Some((least, most)));
    }
}
