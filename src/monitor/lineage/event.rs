//! An event in JSON, as version 2-0-2 of the specification has it; a test reads each with a reader of its own.

use serde_json::{Map, Value, json};

use super::{LineageEvent, LineageFacts, LineageOutput, LineageState, PassageCounts, RunMoment};
use crate::monitor::{About, Cause, Incident, utc};
use crate::record::Timestamp;

/// Who says so: a package URL, because it must be a URI.
const PRODUCER: &str = concat!("pkg:generic/tripline@", env!("CARGO_PKG_VERSION"));
const EVENT: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
const FACETS: &str = "https://openlineage.io/spec/facets";

/// Fields whose lineage is told one by one: an event must fit what a route reads, 64 KiB.
const FIELDS_MAX: usize = 64;

/// Fields of the schema that are told.
const SCHEMA_MAX: usize = 256;

/// Findings that are told one by one.
const ASSERTIONS_MAX: usize = 64;

impl RunMoment {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "START",
            Self::Running => "RUNNING",
            Self::Complete => "COMPLETE",
        }
    }
}

/// A facet of the specification: its version, its name, what it holds.
fn facet(version: &str, name: &str, fields: Value) -> Value {
    let url = format!("{FACETS}/{version}/{name}.json#/$defs/{name}");
    owned(&url, fields)
}

fn owned(url: &str, fields: Value) -> Value {
    let mut facet = Map::new();
    facet.insert("_producer".into(), PRODUCER.into());
    facet.insert("_schemaURL".into(), url.into());
    if let Value::Object(fields) = fields {
        facet.extend(fields);
    }
    Value::Object(facet)
}

impl LineageState {
    pub(super) fn event(
        &self,
        facts: &LineageFacts,
        about: &About,
        moment: RunMoment,
        at: Timestamp,
        ledger: &PassageCounts,
        incidents: &[&Incident],
    ) -> LineageEvent {
        // Of a run that is over only what it counted is known: the facts are another run's.
        let is_own = self.facts == facts.id(about);
        let event = json!({
            "eventType": moment.name(),
            "eventTime": utc(at),
            "producer": PRODUCER,
            "schemaURL": EVENT,
            "run": { "runId": self.run, "facets": run_facets(incidents) },
            "job": { "namespace": facts.group, "name": about.stream, "facets": job_facets(facts) },
            "inputs": [input(facts, about, ledger, is_own.then_some(incidents)), bundle(facts, self)],
            "outputs": outputs(facts, about, ledger, is_own),
        });
        let value = serde_json::to_vec(&event).expect("plain data");
        LineageEvent { run: self.run.clone(), value }
    }
}

fn run_facets(incidents: &[&Incident]) -> Value {
    let engine = json!({ "name": "tripline", "version": env!("CARGO_PKG_VERSION") });
    let mut facets =
        json!({ "processing_engine": facet("1-1-1", "ProcessingEngineRunFacet", engine) });
    let wrong = incidents.iter().find_map(|incident| match incident.cause {
        Cause::DataLoss => Some("records are gone that nobody read, or that had left"),
        Cause::Stall => Some("a partition makes no progress although records wait"),
        Cause::NoData => Some("no records come"),
        _ => None,
    });
    if let Some(message) = wrong {
        let error = json!({ "message": message, "programmingLanguage": "Rust" });
        facets["errorMessage"] = facet("1-0-1", "ErrorMessageRunFacet", error);
    }
    facets
}

fn job_facets(facts: &LineageFacts) -> Value {
    let job = json!({
        "processingType": "STREAMING",
        "integration": "TRIPLINE",
        "jobType": "JOB",
        "emissionPattern": {
            "eventTrigger": "PERIODIC",
            "eventContentMode": "COMPLETE_SNAPSHOT",
            // At least one second, because it is counted in whole ones.
            "windowDuration": (facts.every_ms / 1000).max(1),
        },
    });
    json!({ "jobType": facet("2-0-4", "JobTypeJobFacet", job) })
}

/// The namespace of topics: the first of the brokers.
fn kafka(about: &About) -> String {
    let first = about.brokers.split(',').next().unwrap_or_default().trim();
    format!("kafka://{first}")
}

fn dataset(about: &About, topic: &str, facets: Value) -> Value {
    json!({ "namespace": kafka(about), "name": topic, "facets": facets })
}

fn schema(facts: &LineageFacts) -> Value {
    let field = |(at, field): (usize, &super::LineageField)| json!({ "name": field.name, "type": field.kind, "ordinal_position": at + 1 });
    let fields: Vec<Value> = facts.fields.iter().take(SCHEMA_MAX).enumerate().map(field).collect();
    json!({ "schema": facet("1-2-0", "SchemaDatasetFacet", json!({ "fields": fields })) })
}

/// The input, with what was consumed of it; `incidents` say what was found, of a run that goes on.
fn input(
    facts: &LineageFacts,
    about: &About,
    ledger: &PassageCounts,
    incidents: Option<&[&Incident]>,
) -> Value {
    let spans = ledger.offsets.iter().flat_map(|(partition, spans)| {
        spans
            .iter()
            .map(move |(from, to)| json!({ "partition": partition, "from": from, "to": to }))
    });
    let spans: Vec<Value> = spans.collect();
    let mut facets = json!({
        "inputStatistics": facet("1-0-0", "InputStatisticsInputDatasetFacet", json!({ "rowCount": ledger.records })),
        // Our own: OpenLineage has no word for offsets.
        "tripline_offsets": owned("https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/InputDatasetFacet", json!({ "offsets": spans })),
    });
    if let Some(incidents) = incidents {
        let assertions = json!({ "assertions": assertions(facts, incidents) });
        facets["dataQualityAssertions"] =
            facet("1-1-0", "DataQualityAssertionsDatasetFacet", assertions);
    }
    let about_it = if incidents.is_some() { schema(facts) } else { json!({}) };
    let mut dataset = dataset(about, &about.input, about_it);
    dataset["inputFacets"] = facets;
    dataset
}

/// Each watch, whether it found something and where.
fn assertions(facts: &LineageFacts, incidents: &[&Incident]) -> Vec<Value> {
    let members = incidents.iter().flat_map(|incident| &incident.members);
    let firing: Vec<_> = members.filter(|member| member.firing).collect();
    let found = firing.iter().take(ASSERTIONS_MAX).map(|member| {
        let severity = if member.cause == Cause::Attack { "error" } else { "warn" };
        let name = format!("tripline.{}", member.finding.watch);
        let mut found = json!({ "assertion": name, "success": false, "severity": severity });
        // A column that the schema of the event names.
        let mut fields = facts.fields.iter().take(SCHEMA_MAX);
        if fields.any(|field| field.name == member.finding.feature) {
            found["column"] = member.finding.feature.clone().into();
        }
        found
    });
    let quiet =
        facts.watches.iter().filter(|name| !firing.iter().any(|m| m.finding.watch == **name));
    let quiet =
        quiet.map(|name| json!({ "assertion": format!("tripline.{name}"), "success": true }));
    found.chain(quiet).collect()
}

fn bundle(facts: &LineageFacts, state: &LineageState) -> Value {
    let version = json!({ "datasetVersion": format!("sha256:{}", state.bundle) });
    let facets = json!({ "version": facet("1-0-1", "DatasetVersionDatasetFacet", version) });
    json!({ "namespace": facts.group, "name": "bundle", "facets": facets })
}

fn outputs(
    facts: &LineageFacts,
    about: &About,
    ledger: &PassageCounts,
    is_own: bool,
) -> Vec<Value> {
    let sanitized = ledger.records - ledger.quarantine - ledger.dead_letter;
    let none = LineageOutput::default();
    let each = [
        (&about.sanitized, sanitized, &facts.sanitized),
        (&about.quarantine, ledger.quarantine, &facts.quarantine),
        (&about.dead_letter, ledger.dead_letter, &none),
    ];
    let output = |(topic, rows, output): (&String, u64, &LineageOutput)| {
        let fields = output.fields.as_ref().filter(|_| is_own);
        let facets = fields.map_or_else(|| json!({}), |_| columns(facts, about, output));
        let rows = json!({ "rowCount": rows });
        let mut dataset = dataset(about, topic, facets);
        dataset["outputFacets"] = json!({ "outputStatistics": facet("1-0-2", "OutputStatisticsOutputDatasetFacet", rows) });
        dataset
    };
    each.into_iter().map(output).collect()
}

/// Which field of the input each field of an output comes from, and how.
fn columns(facts: &LineageFacts, about: &About, output: &LineageOutput) -> Value {
    let source = |field: &str, transformation: Value| {
        json!({
            "namespace": kafka(about),
            "name": about.input,
            "field": field,
            "transformations": [transformation],
        })
    };
    let mut fields = Map::new();
    for change in output.fields.iter().flatten().take(FIELDS_MAX) {
        let subtype = match change.step.is_some() || change.is_conditional {
            true => "TRANSFORMATION",
            false => "IDENTITY",
        };
        let words = match (&change.step, change.is_conditional) {
            (Some(step), _) => step.as_str(),
            (None, true) => "corrected where the record was flagged",
            (None, false) => "",
        };
        let direct = json!({ "type": "DIRECT", "subtype": subtype, "description": words, "masking": change.masks });
        let sources = [source(&change.field, direct)];
        fields.insert(change.field.clone(), json!({ "inputFields": sources }));
    }
    let mut told = json!({ "fields": fields });
    if output.fields.iter().flatten().any(|change| change.is_conditional) {
        // Whether a record is corrected hangs on all features.
        let why = json!({
            "type": "INDIRECT", "subtype": "CONDITIONAL", "description": "", "masking": false
        });
        let all = facts.fields.iter().take(FIELDS_MAX);
        told["dataset"] = all.map(|field| source(&field.name, why.clone())).collect();
    }
    json!({ "columnLineage": facet("1-2-0", "ColumnLineageDatasetFacet", told) })
}
