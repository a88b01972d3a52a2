//! What a broker's report about a record says: refused, or not taken for the world's sake.
//!
//! A broker names the records of a request that it refuses, and librdkafka keeps that to itself: every
//! record of the request is reported with the code of the request (2.12), and the words about a single
//! one are freed before the report is read. So a report is sure of a record only if no other can have been in
//! its request. What the topic's settings say is asked for beside it, at most once a minute.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use tracing::warn;

use super::Clients;
use super::compare;
use crate::deliver::{Objection, SessionError, Takes};
use crate::shell::clock;

/// What a topic objects to in some record of a request that it answers with `code`. `None` is the
/// world's doing: no record would be taken, or any would be by and by.
pub fn objection(code: RDKafkaErrorCode) -> Option<Objection> {
    use RDKafkaErrorCode as Code;
    match code {
        Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge => {
            Some(Objection::Size)
        }
        Code::InvalidTimestamp => Some(Objection::Timestamp),
        Code::InvalidRecord | Code::PolicyViolation => Some(Objection::Record),
        _ => None,
    }
}

/// Whether librdkafka itself refuses a record for what it is, before anything is sent.
pub fn is_local(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{InvalidArgument, InvalidMessageSize, MessageSizeTooLarge};
    matches!(code, MessageSizeTooLarge | InvalidMessageSize | InvalidArgument)
}

/// What topics are said to take.
#[derive(Default)]
pub struct Asked(RefCell<BTreeMap<String, (Instant, Option<Takes>)>>);

/// Between two questions about one topic.
const AGAIN: Duration = Duration::from_secs(60);

impl Asked {
    /// `done`, with what the topics take that refused something. Who may not ask goes without: then every
    /// record is tried.
    pub fn explain<T>(
        &self,
        clients: &Clients,
        done: Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        done.map_err(|error| match error {
            SessionError::Refused { mut refusals, beside } => {
                for refusal in &mut refusals {
                    refusal.takes = self.takes(clients, &refusal.topic);
                }
                SessionError::Refused { refusals, beside }
            }
            other => other,
        })
    }

    fn takes(&self, clients: &Clients, topic: &str) -> Option<Takes> {
        let mut known = self.0.borrow_mut();
        if let Some((at, takes)) = known.get(topic).filter(|(at, _)| at.elapsed() < AGAIN) {
            return takes.map(|takes| takes.later(at.elapsed()));
        }
        let takes = match compare::settings(clients, &[topic]) {
            Ok(said) => said.get(topic).map(|settings| {
                let plain = !clients.compresses();
                Takes { plain, ..settings.takes(clock::now()) }
            }),
            Err(error) => {
                warn!(%error, topic, "what it takes cannot be read: its records are tried one by one; \
                       the right to DescribeConfigs on it helps");
                None
            }
        };
        known.insert(topic.to_owned(), (Instant::now(), takes));
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_whole_topic_refuses_is_no_records_doing() {
        use RDKafkaErrorCode as Code;
        for code in [
            Code::TopicAuthorizationFailed,
            Code::UnknownTopicOrPartition,
            Code::NotEnoughReplicas,
            Code::NotEnoughReplicasAfterAppend,
            Code::UnsupportedForMessageFormat,
            Code::MessageTimedOut,
            Code::PurgeQueue,
        ] {
            assert_eq!((objection(code), is_local(code)), (None, false), "{code:?}");
        }
        for (code, expected) in [
            (Code::InvalidTimestamp, Objection::Timestamp),
            (Code::InvalidRecord, Objection::Record),
            (Code::PolicyViolation, Objection::Record),
            (Code::MessageSizeTooLarge, Objection::Size),
            (Code::MessageBatchTooLarge, Objection::Size),
        ] {
            assert_eq!(objection(code), Some(expected), "{code:?}");
        }
    }
}
