//! Alerts against the JSON Schema that is published for them.

use std::path::PathBuf;

use tripline::monitor::MonitorState;
use tripline::record::Partition;
use tripline::watch::Message;

use super::{heard, judged, messages, scoring};

/// Whether `value` is what `schema` says: its type, its members and no others, its words.
fn conforms(value: &serde_json::Value, schema: &serde_json::Value, root: &serde_json::Value) {
    if let Some(name) = schema["$ref"].as_str() {
        return conforms(value, &root["$defs"][name.rsplit('/').next().unwrap()], root);
    }
    let kind = match value {
        serde_json::Value::Object(_) => "object",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(n) if n.is_f64() => "number",
        serde_json::Value::Number(_) => "integer",
        _ => "nothing we write",
    };
    let wanted = schema["type"].as_str().expect("every schema has a type");
    assert!(wanted == kind || (wanted, kind) == ("number", "integer"), "{value} is no {wanted}");
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{value} is not among {words:?}");
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let schema = &schema["properties"][name];
        assert!(!schema.is_null(), "{name} is not in the schema");
        conforms(member, schema, root);
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{name} is missing in {value}");
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(item, &schema["items"], root);
    }
}

#[test]
fn alerts_are_what_their_published_schema_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/alert.schema.json");
    let schema: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (monitor, mut alerts) = judged(&messages());
    let state = MonitorState::read(&monitor.to_bytes()).unwrap();
    alerts.extend(monitor.end(&state, "over"));
    assert!(alerts.len() >= 2 && alerts.iter().any(|alert| !alert.evidence.is_empty()));
    // Of a partition with a panel of its own, and of one without.
    for number in [0, 40] {
        let mut messages = messages();
        for message in &mut messages {
            if let Message::Evidence(evidence) = message {
                evidence.partition = Partition(number);
            }
        }
        messages.retain(|message| !matches!(message, Message::Presence(_)));
        let (_, told) = heard(scoring(true), &messages);
        let finding = &told[0].evidence[0];
        assert!(finding.partition.is_some() && finding.and_above == (number == 40), "{told:#?}");
        alerts.extend(told);
    }
    for alert in &alerts {
        conforms(&serde_json::to_value(alert).unwrap(), &schema, &schema);
    }
    let wrong = serde_json::json!({ "version": 3 });
    let refused = std::panic::catch_unwind(|| conforms(&wrong, &schema, &schema));
    assert!(refused.is_err(), "the check cannot fail");
}
