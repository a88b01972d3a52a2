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

/// Members that a facet of the specification must have, and may have besides: OpenLineage 2-0-2, checked against the
/// classes that the PyPI package openlineage-python 1.54.0 has for these versions.
const FACETS: &[(&str, &[&str], &[&str])] = &[
    ("1-1-1/ProcessingEngineRunFacet", &["version"], &["name", "openlineageAdapterVersion"]),
    ("1-0-1/ErrorMessageRunFacet", &["message", "programmingLanguage"], &["stackTrace"]),
    ("2-0-4/JobTypeJobFacet", &["processingType", "integration"], &["jobType", "emissionPattern"]),
    ("1-2-0/SchemaDatasetFacet", &[], &["fields"]),
    ("1-0-0/InputStatisticsInputDatasetFacet", &[], &["rowCount", "size", "fileCount"]),
    ("1-0-2/OutputStatisticsOutputDatasetFacet", &[], &["rowCount", "size", "fileCount"]),
    ("1-1-0/DataQualityAssertionsDatasetFacet", &["assertions"], &[]),
    ("1-0-1/DatasetVersionDatasetFacet", &["datasetVersion"], &[]),
    ("1-2-0/ColumnLineageDatasetFacet", &["fields"], &["dataset"]),
];

/// Lists within facets: where, and what each item must have and may have besides.
const ITEMS: &[(&str, &[&str], &[&str])] = &[
    ("/schema/fields", &["name"], &["type", "description", "ordinal_position", "fields"]),
    (
        "/dataQualityAssertions/assertions",
        &["assertion", "success"],
        &["column", "severity", "name"],
    ),
    ("/tripline_offsets/offsets", &["partition", "from", "to"], &[]),
];

/// Whether `object` has all of `must`, and nothing but these and `may`.
fn has(object: &Value, must: &[&str], may: &[&str]) {
    let members = object.as_object().unwrap_or_else(|| panic!("{object} is no object"));
    must.iter()
        .for_each(|name| assert!(members.contains_key(*name), "{name} is missing in {object}"));
    let known = |name: &String| must.contains(&&**name) || may.contains(&&**name);
    members
        .keys()
        .for_each(|name| assert!(known(name), "{name} is not in the specification: {object}"));
}

fn check_facets(facets: &Value) {
    for (name, facet) in facets.as_object().unwrap() {
        let url = facet["_schemaURL"].as_str().expect("every facet names its schema");
        assert!(facet["_producer"].as_str().is_some_and(|uri| uri.starts_with("pkg:")), "{facet}");
        if !name.starts_with("tripline_") {
            let path = url.strip_prefix("https://openlineage.io/spec/facets/").unwrap();
            let (path, defined) = path.split_once(".json#/$defs/").unwrap();
            assert!(path.ends_with(&format!("/{defined}")), "{url}");
            let known = FACETS.iter().find(|(known, ..)| *known == path);
            let (_, must, may) = known.unwrap_or_else(|| panic!("{url}"));
            has(facet, must, &[*may, &["_producer", "_schemaURL"]].concat());
        }
        for (place, must, may) in ITEMS {
            let Some(rest) = place.strip_prefix(&format!("/{name}")) else { continue };
            let items = facet.pointer(rest).and_then(Value::as_array).unwrap();
            items.iter().for_each(|item| has(item, must, may));
        }
    }
    let lineage = facets.pointer("/columnLineage/fields").and_then(Value::as_object);
    for field in lineage.into_iter().flat_map(|fields| fields.values()) {
        for source in field["inputFields"].as_array().unwrap() {
            has(source, &["namespace", "name", "field"], &["transformations"]);
            for transformation in source["transformations"].as_array().unwrap() {
                has(transformation, &["type"], &["subtype", "description", "masking"]);
                assert!(["DIRECT", "INDIRECT"].contains(&transformation["type"].as_str().unwrap()));
            }
        }
    }
}

/// Whether `event` is a RunEvent.
fn check(event: &Value) {
    let all =
        ["eventType", "eventTime", "producer", "schemaURL", "run", "job", "inputs", "outputs"];
    has(event, &all, &[]);
    assert!(event["eventTime"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let schema = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
    assert_eq!(event["schemaURL"], schema);
    assert!(["START", "RUNNING", "COMPLETE"].contains(&event["eventType"].as_str().unwrap()));
    has(&event["run"], &["runId"], &["facets"]);
    let id = event["run"]["runId"].as_str().unwrap();
    let parts: Vec<usize> = id.split('-').map(str::len).collect();
    assert!(
        parts == [8, 4, 4, 4, 12] && &id[14..15] == "5" && "89ab".contains(&id[19..20]),
        "{id}"
    );
    has(&event["job"], &["namespace", "name"], &["facets"]);
    check_facets(&event["run"]["facets"]);
    check_facets(&event["job"]["facets"]);
    for (side, own) in [("inputs", "inputFacets"), ("outputs", "outputFacets")] {
        for dataset in event[side].as_array().unwrap() {
            has(dataset, &["namespace", "name"], &["facets", own]);
            check_facets(&dataset["facets"]);
            dataset.get(own).into_iter().for_each(check_facets);
        }
    }
}
