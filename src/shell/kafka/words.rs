//! What librdkafka says, in words: its codes are names of a programming interface.

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use tracing::{debug, error, info, warn};

use super::native::NativeError;

/// What went wrong.
pub fn of(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(native) => match native.code() {
            code @ (Code::OperationTimedOut | Code::TransactionalIdAuthorizationFailed) => {
                of_code(code)
            }
            _ => native.string(),
        },
        KafkaError::NoMessageReceived => "no answer in time".to_owned(),
        other => other.rdkafka_error_code().map_or_else(|| other.to_string(), of_code),
    }
}

/// What a client reports beside its work. That it lost a connection librdkafka logs as well, with more to
/// read in it, and [`Reach`](super::Reach) says when nobody answers.
pub fn report(error: &KafkaError, reason: &str) {
    match error.rdkafka_error_code() {
        Some(code) if is_connection(code) => debug!(reason, "kafka client: {}", of_code(code)),
        // A poll tells it as well, and it is no error.
        Some(Code::PartitionEOF) => {}
        _ => warn!(reason, "kafka client: {}", of(error)),
    }
}

/// Logs a line of librdkafka's own. That a transaction failed the call tells that failed, so such a line is for debugging: a
/// process without records lets a transaction fail on purpose every 30 s, to ask whether its id was taken over.
pub fn log(level: RDKafkaLogLevel, facility: &str, text: &str) {
    use RDKafkaLogLevel as Is;
    if facility == "TXNERR" && text.contains("Current transaction failed") {
        return debug!(target: "librdkafka", "librdkafka: {facility} {text}");
    }
    match level {
        Is::Emerg | Is::Alert | Is::Critical | Is::Error => {
            error!(target: "librdkafka", "librdkafka: {facility} {text}");
        }
        Is::Warning => warn!(target: "librdkafka", "librdkafka: {facility} {text}"),
        Is::Notice | Is::Info => info!(target: "librdkafka", "librdkafka: {facility} {text}"),
        Is::Debug => debug!(target: "librdkafka", "librdkafka: {facility} {text}"),
    }
}

/// What came of a poll instead of a record; librdkafka tries again.
pub fn report_fetch(error: &KafkaError) {
    match error.rdkafka_error_code() {
        // Its client has reported it.
        Some(code) if is_connection(code) => {}
        _ => warn!("consuming: {}; librdkafka tries again", of(error)),
    }
}

/// Whether this is about a connection, which librdkafka makes again by itself.
pub fn is_connection(code: Code) -> bool {
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::TimedOutQueue
    )
}

/// Words for an error that the safe API does not know.
pub fn of_native(error: &NativeError) -> String {
    // A broker may give no reason behind the name of the request.
    let text = error.text.trim_end();
    match text.strip_suffix(':') {
        Some(request) => format!("{request}: {}", of_code(error.code)),
        None if text.is_empty() => of_code(error.code),
        None => text.to_owned(),
    }
}

/// What a code means.
pub fn of_code(code: Code) -> String {
    match code {
        Code::OperationTimedOut | Code::TimedOutQueue | Code::RequestTimedOut => {
            "no answer in time".to_owned()
        }
        Code::BrokerTransportFailure => "the connection to the broker failed".to_owned(),
        Code::AllBrokersDown => "no broker can be reached".to_owned(),
        Code::Resolve => "the broker's name cannot be resolved".to_owned(),
        Code::WaitingForCoordinator => "the coordinator is not known yet".to_owned(),
        Code::NoEnt | Code::UnknownTopic | Code::UnknownTopicOrPartition => {
            "there is no such topic or partition".to_owned()
        }
        Code::UnknownPartition => "there is no such partition".to_owned(),
        Code::UnknownMemberId => "the group does not have us as a member any more".to_owned(),
        Code::State => "the client is not in a state for that".to_owned(),
        Code::TopicAuthorizationFailed => "the right to the topic is missing".to_owned(),
        Code::GroupAuthorizationFailed => "the right to the group is missing".to_owned(),
        Code::TransactionalIdAuthorizationFailed => {
            "the right to the transactional id is missing".to_owned()
        }
        other => {
            // "Name (Local: what it means)".
            let text = other.to_string();
            let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
            let inner = inner.unwrap_or(&text);
            let words = inner.split_once(": ").map_or(inner, |(_, words)| words);
            words.to_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_shows_the_name_of_a_code() {
        for (error, words) in [
            (KafkaError::MetadataFetch(Code::NoEnt), "there is no such topic or partition"),
            (KafkaError::Global(Code::AllBrokersDown), "no broker can be reached"),
            (KafkaError::NoMessageReceived, "no answer in time"),
            (KafkaError::OffsetFetch(Code::UnstableOffsetCommit), ""),
            (KafkaError::OffsetFetch(Code::LeaderNotAvailable), "leader not available"),
        ] {
            let said = of(&error);
            let name = error.rdkafka_error_code().map(|code| format!("{code:?}"));
            assert!(said.contains(words) && !said.is_empty(), "{said}");
            assert!(name.is_none_or(|name| !said.contains(&name)), "{said}");
        }
    }
}
