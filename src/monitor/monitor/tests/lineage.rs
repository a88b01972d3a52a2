//! Events of OpenLineage: when they come, what they count, and whether each is what the specification says.

use serde_json::Value;

use super::*;
use crate::monitor::{LineageChange, LineageFacts, LineageField, LineageOutput};
use crate::watch::{Loss, Passage};

const EVERY_MS: i64 = 10_000;

fn facts(revision: &str) -> LineageFacts {
    let change = |field: &str, step: Option<&str>, is_conditional| {
        let (field, step) = (field.to_owned(), step.map(str::to_owned));
        LineageChange { field, masks: step.is_some(), step, is_conditional }
    };
    let field = |name: &str, kind| LineageField { name: name.into(), kind };
    LineageFacts {
        group: "tripline".into(),
        every_ms: EVERY_MS,
        fields: vec![field("amount", "double"), field("shop", "string")],
        sanitized: LineageOutput {
            fields: Some(vec![change("amount", None, true), change("shop", None, true)]),
        },
        quarantine: LineageOutput { fields: Some(vec![change("amount", Some("bands"), false)]) },
        watches: vec!["flagged-share", "input-drift"],
        revision: revision.into(),
    }
}

fn telling(revision: &str) -> Monitor {
    Monitor::new(Arc::new(Frame { lineage: Some(Arc::new(facts(revision))), ..frame("e") }))
}

/// So many records of a partition, of which one was held back and one could not be read.
fn passage(partition: i32, from: i64, records: u64) -> Message {
    let to = Offset(from + records as i64);
    let (partition, from, begins) = (Partition(partition), Offset(from), false);
    Message::Passage(Passage {
        partition,
        from,
        to,
        begins,
        records,
        quarantine: 1,
        dead_letter: 1,
    })
}

/// The events of a monitor that hears `messages`, as JSON.
fn events(monitor: &mut Monitor, messages: &[Message]) -> Vec<Value> {
    run(monitor, messages);
    let events = monitor.lineage().iter().map(|event| {
        let value: Value = serde_json::from_slice(&event.value).unwrap();
        assert_eq!(value["run"]["runId"], event.run.as_str());
        check(&value);
        value
    });
    let events = events.collect();
    monitor.forget_lineage();
    events
}

fn rows(event: &Value) -> [u64; 4] {
    let out =
        |i: usize| event["outputs"][i]["outputFacets"]["outputStatistics"]["rowCount"].as_u64();
    let input = event["inputs"][0]["inputFacets"]["inputStatistics"]["rowCount"].as_u64();
    [input, out(0), out(1), out(2)].map(Option::unwrap)
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["eventType"].as_str().unwrap()).collect()
}

#[test]
fn a_run_begins_tells_every_period_and_ends_when_the_configuration_changes() {
    let mut monitor = telling("one");
    let first = events(&mut monitor, &[tick(1_000_000), passage(0, 0, 50), passage(1, 7, 30)]);
    assert_eq!(kinds(&first), ["START"]);
    assert_eq!(rows(&first[0]), [0, 0, 0, 0]);
    let second = events(&mut monitor, &[tick(1_005_000), passage(0, 50, 20), tick(1_010_000)]);
    assert_eq!(kinds(&second), ["RUNNING"]);
    assert_eq!(rows(&second[0]), [100, 94, 3, 3]);
    assert_eq!(second[0]["eventTime"], "1970-01-01T00:16:50Z");
    let offsets = &second[0]["inputs"][0]["inputFacets"]["tripline_offsets"]["offsets"];
    let expected = serde_json::json!([
        { "partition": 0, "from": 0, "to": 70 }, { "partition": 1, "from": 7, "to": 37 }
    ]);
    assert_eq!(*offsets, expected);
    // What is counted and not told goes on under the same facts, and is the end of the run under others.
    events(&mut monitor, &[passage(0, 70, 5)]);
    let next = monitor.next();
    let (mut same, _) = telling("one").restore(&monitor.to_bytes(), next).unwrap();
    assert_eq!(kinds(&events(&mut same, &[tick(1_011_000)])), [""; 0]);
    let (mut other, _) = telling("two").restore(&monitor.to_bytes(), next).unwrap();
    let third = events(&mut other, &[passage(0, 75, 3), tick(1_012_000), tick(1_020_000)]);
    assert_eq!(kinds(&third), ["COMPLETE", "START", "RUNNING"]);
    assert_eq!((rows(&third[0])[0], rows(&third[2])[0]), (5, 3));
    assert_eq!(third[0]["run"], second[0]["run"]);
    assert_ne!(third[1]["run"]["runId"], second[0]["run"]["runId"]);
}

#[test]
fn what_is_told_twice_counts_once_and_the_same_evidence_gives_the_same_bytes() {
    let messages = |twice: bool| {
        let mut messages = vec![tick(1_000_000)];
        for i in 0..20 {
            let one = passage((i % 3) as i32, i / 3 * 10, 10);
            messages.extend(vec![one; if twice { 2 } else { 1 }]);
        }
        messages.push(tick(1_020_000));
        messages
    };
    let hear = |twice: bool| events(&mut telling("one"), &messages(twice));
    assert_eq!(rows(&hear(true)[1]), [200, 160, 20, 20]);
    let whole = |twice| hear(twice)[1]["inputs"].clone();
    assert_eq!(whole(true), whole(false));
    let bytes = || {
        let mut monitor = telling("one");
        run(&mut monitor, &messages(true));
        monitor.lineage().to_vec()
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn an_incident_is_an_assertion_that_fails_and_a_loss_an_error() {
    let mut monitor = telling("one");
    let seconds = attacked(3);
    let mut told = events(&mut monitor, &messages(&seconds[..125], 1, 100));
    told.extend(events(&mut monitor, &[tick(10_020_000)]));
    let last = told.last().unwrap();
    let assertions =
        last["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"].as_array();
    let failed = assertions.unwrap().iter().find(|one| one["success"] == false).unwrap();
    assert_eq!(
        (&failed["assertion"], &failed["severity"]),
        (&"tripline.flagged-share".into(), &"error".into())
    );
    assert!(last["run"]["facets"]["errorMessage"].is_null());
    let loss = Loss {
        partition: Partition(0),
        from: Offset(7),
        to: Offset(9),
        unread: 2,
        cause: crate::watch::LossCause::Retention,
        waits: true,
    };
    let lost = events(&mut monitor, &[Message::Loss(loss), tick(10_030_000)]);
    let message = lost[0]["run"]["facets"]["errorMessage"]["message"].as_str().unwrap();
    assert!(message.contains("records are gone"), "{message}");
}

#[test]
fn without_facts_nothing_is_told_and_a_run_is_forgotten() {
    let mut monitor = telling("one");
    run(&mut monitor, &[tick(1_000_000), passage(0, 0, 50)]);
    let (mut silent, _) = super::monitor().restore(&monitor.to_bytes(), monitor.next()).unwrap();
    assert_eq!(events(&mut silent, &[tick(1_020_000)]), [] as [Value; 0]);
    assert_eq!(silent.untold(), 0);
}

/// Of the classes that OpenLineage generates from its specification: `tests/clients/lineage.py` says how. The events of a
/// real Kafka are held against it by a validator that is not ours.
const SCHEMA: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frozen/openlineage/run-event.json"));

/// What is wrong with `value`, by the words of JSON Schema that the file uses.
fn mistakes(root: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let mut wrong = |what: &str| found.push(format!("{place} {what}: {value}"));
    let Value::Object(words) = schema else { panic!("{schema} is no schema") };
    for (word, said) in words {
        let fits = match (word.as_str(), value) {
            ("type", _) => match said.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                other => panic!("type {other}"),
            },
            ("const", _) => value == said,
            ("enum", _) => said.as_array().unwrap().contains(value),
            ("minimum", Value::Number(_)) => value.as_f64() >= said.as_f64(),
            ("pattern", Value::String(text)) => {
                regex_automata::meta::Regex::new(said.as_str().unwrap()).unwrap().is_match(text)
            }
            ("required", Value::Object(members)) => {
                let names = said.as_array().unwrap().iter();
                names.map(|name| name.as_str().unwrap()).all(|name| members.contains_key(name))
            }
            ("$schema" | "$comment" | "$defs" | "$ref" | "items", _)
            | ("properties" | "additionalProperties" | "required" | "pattern" | "minimum", _) => {
                true
            }
            (other, _) => panic!("{other} is no word that is known here"),
        };
        if !fits {
            wrong(&format!("is not as {word} says"));
        }
    }
    if let Some(name) = schema["$ref"].as_str() {
        let next = root.pointer(name.strip_prefix('#').unwrap()).expect("it is there");
        mistakes(root, next, value, place, found);
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let place = format!("{place}/{name}");
                match (&schema["properties"][name], &schema["additionalProperties"]) {
                    (Value::Null, Value::Bool(false)) => {
                        found.push(format!("{place} is not in the specification"));
                    }
                    (Value::Null, Value::Null) => {}
                    (Value::Null, others) => mistakes(root, others, member, &place, found),
                    (own, _) => mistakes(root, own, member, &place, found),
                }
            }
        }
        Value::Array(items) if !schema["items"].is_null() => {
            for (i, item) in items.iter().enumerate() {
                mistakes(root, &schema["items"], item, &format!("{place}/{i}"), found);
            }
        }
        _ => {}
    }
}

fn mistakes_of(event: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut found = vec![];
    mistakes(&schema, &schema, event, "", &mut found);
    found
}

/// Whether `event` is a RunEvent.
fn check(event: &Value) {
    assert_eq!(mistakes_of(event), [""; 0], "{event:#}");
    assert!(event["eventTime"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
}

#[test]
fn an_event_that_is_not_as_the_specification_says_is_found() {
    let mut monitor = telling("one");
    let told = events(&mut monitor, &[tick(1_000_000), passage(0, 0, 50), tick(1_010_000)]);
    let spoil = |place: &str, name: &str, new: Value| {
        let mut event = told[1].clone();
        event.pointer_mut(place).unwrap()[name] = new;
        mistakes_of(&event).len()
    };
    let statistics = "/inputs/0/inputFacets/inputStatistics";
    assert_eq!(spoil(statistics, "rowCount", 5.into()), 0);
    for (place, name, new) in [
        ("", "eventType", "BEGIN".into()),
        ("", "eventTime", "yesterday".into()),
        ("/run", "runId", "1".into()),
        ("/job/facets/jobType", "integration", Value::Null),
        ("/job/facets/jobType/emissionPattern", "windowDuration", 0.into()),
        ("/outputs/0", "inputFacets", serde_json::json!({})),
        (statistics, "rowCount", "5".into()),
        (statistics, "rowCount", (-5).into()),
        (statistics, "rows", 5.into()),
        (statistics, "_producer", "tripline".into()),
        (statistics, "_schemaURL", "https://openlineage.io/spec/2-0-2/OpenLineage.json".into()),
        (
            "/outputs/0/facets/columnLineage/fields/amount/inputFields/0/transformations/0",
            "type",
            "FROM".into(),
        ),
    ] {
        assert_eq!(spoil(place, name, new), 1, "{place}/{name}");
    }
}
