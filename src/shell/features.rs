//! Whether a bundle scores fewer features than the one before: then nobody looks at what it lacks any more, and
//! that is a mistake more often than a wish.
//!
//! The monitor's state knows the features of the bundle that judged last. It cannot see a bundle whose monitor never
//! committed, nor one with more names than that state keeps.

use super::kafka::{Clients, Group};
use crate::config::Stream;
use crate::deliver::{EVIDENCE_PARTITION, Kept, MONITOR_KEY, SessionError};
use crate::monitor::MonitorState;
use crate::record::Schema;

/// Names that are told one by one.
const NAMED_MAX: usize = 10;

/// What is wrong with the features of `stream`'s bundle, if something is.
///
/// # Errors
/// If the cluster does not answer.
pub fn problem(
    clients: &Clients,
    stream: &Stream,
    schema: &Schema,
) -> Result<Option<String>, SessionError> {
    if stream.accept_fewer_features {
        return Ok(None);
    }
    let group = Group::new(clients, &clients.monitors(&stream.name), &stream.topics.evidence)?;
    let topic = &stream.topics.state;
    let kept = Kept::in_same(topic, &[MONITOR_KEY], MonitorState::log_of);
    let kept = group.beginnings(&[EVIDENCE_PARTITION], kept)?;
    let state = kept.first().and_then(|beginning| beginning.kept.first()?.as_deref());
    // What cannot be read holds the monitor, which says why.
    let state = state.and_then(|bytes| MonitorState::read(bytes).ok());
    Ok(state.and_then(|state| fewer(&stream.name, state.features(), schema)))
}

/// What is wrong with a bundle of `schema` after one whose features were `before`.
pub fn fewer(stream: &str, before: &[String], schema: &Schema) -> Option<String> {
    if schema.features.len() >= before.len() {
        return None;
    }
    let is_there = |name: &str| schema.features.iter().any(|feature| feature.name() == name);
    let missing: Vec<&str> = before.iter().map(|name| &**name).filter(|n| !is_there(n)).collect();
    let named = missing.iter().take(NAMED_MAX).map(|name| format!("{name:?}"));
    let mut named = named.collect::<Vec<_>>().join(", ");
    if missing.len() > NAMED_MAX {
        named += &format!(" and {} more", missing.len() - NAMED_MAX);
    }
    let (had, has) = (before.len(), schema.features.len());
    Some(format!(
        "stream {stream}: its bundle has {has} features, the one before had {had}: it lacks {named}; if nobody \
         is to score them any more, write `accept_fewer_features = true` in its [[stream]]"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Feature;

    fn check(before: &[&str], now: &[&str], expected: Option<&str>) {
        let before: Vec<String> = before.iter().map(|&name| name.to_owned()).collect();
        let features = now.iter().map(|&name| Feature::number(name, 0.0, 1.0)).collect();
        let said = fewer("s", &before, &Schema { features });
        match (said, expected) {
            (Some(said), Some(expected)) => assert!(said.contains(expected), "{said}"),
            (said, expected) => assert_eq!(said.as_deref(), expected),
        }
    }

    #[test]
    fn features_that_a_bundle_lacks_are_named() {
        check(&["Age", "Fare", "Sex"], &["Sex"], Some("it lacks \"Age\", \"Fare\"; if nobody"));
        check(&["Age", "Fare"], &["Age"], Some("`accept_fewer_features = true` in its [[stream]]"));
        let wide: Vec<String> = (0..40).map(|n| format!("f{n}")).collect();
        let wide: Vec<&str> = wide.iter().map(|name| &**name).collect();
        check(&wide, &wide[..20], Some("\"f29\" and 10 more; if nobody"));
    }

    #[test]
    fn as_many_features_or_more_are_no_problem_and_neither_are_unknown_ones() {
        check(&["Age"], &["Age", "Fare"], None);
        check(&["Age", "Fare"], &["Fare", "Age"], None);
        check(&[], &["Age"], None);
    }
}
