//! What lineage says of a stream: read off its configuration and its bundle. And which run an event is of.

use serde_json::Value;

use super::kafka::Clients;
use super::sample::{Limits, sample};
use crate::config::Stream;
use crate::decide::{Mode, OnFlagged};
use crate::monitor::{LineageChange, LineageFacts, LineageField, LineageOutput};
use crate::record::{Feature, Position, Record, Schema};
use crate::sanitize::{DROP, OutputSpec};
use crate::score::Guard;
use crate::watch::Terms;

/// The facts of `stream`, if it has `[stream.lineage]`.
pub fn facts(stream: &Stream, guard: &Guard, terms: &Terms) -> Option<LineageFacts> {
    let lineage = stream.lineage.as_ref()?;
    let pointers = stream.codec.fields.as_ref().map(|fields| fields.pointers());
    let fields = fields(guard.schema(), pointers);
    let policy = guard.policy();
    let corrects = policy.mode == Mode::Enforce && policy.on_flagged == OnFlagged::Correct;
    let mut watches: Vec<&'static str> =
        terms.hypotheses.iter().map(|of| of.watch.name()).collect();
    watches.sort_unstable();
    watches.dedup();
    Some(LineageFacts {
        group: lineage.group.clone(),
        every_ms: lineage.every.as_millis() as i64,
        sanitized: output(&fields, stream.outputs.sanitized.as_ref(), corrects),
        quarantine: output(&fields, stream.outputs.quarantine.as_ref(), false),
        fields,
        watches,
        revision: crate::shell::scorer::hexadecimal(guard.revision()),
    })
}

/// Events that are looked through, the newest: a month of one stream with an event in five minutes.
const EVENTS_MAX: usize = 10_000;

/// The run whose events count the record at `at` of the input of `stream`, if one of them is still in their topic. A
/// decision is explained without it too, so it is not said why there is none.
pub fn run_id(clients: &Clients, stream: &Stream, at: Position) -> Option<String> {
    let lineage = stream.lineage.as_ref()?;
    let limits = Limits { committed: true, ..Limits::of_a_look(EVENTS_MAX) };
    let mut found = None;
    // Where offsets were moved back a record is counted again: the newest run decided last.
    let look = |event: Record<'_>| {
        let run = run_of(event.value.unwrap_or_default(), &lineage.group, &stream.name, at);
        found = run.or(found.take());
        true
    };
    sample(clients, &lineage.topic, limits, look).ok()?;
    found
}

/// The run that an event tells of, if it counts the record at `at` of the input of `stream`.
fn run_of(event: &[u8], group: &str, stream: &str, at: Position) -> Option<String> {
    let event: Value = serde_json::from_slice(event).ok()?;
    if event["job"]["namespace"] != group || event["job"]["name"] != stream {
        return None;
    }
    let spans = event.pointer("/inputs/0/inputFacets/tripline_offsets/offsets")?.as_array()?;
    let (partition, offset) = (i64::from(at.partition.0), at.offset.0);
    let counts = |span: &Value| {
        let number = |name: &str| span[name].as_i64();
        number("partition") == Some(partition)
            && number("from").is_some_and(|from| from <= offset)
            && number("to").is_some_and(|to| offset < to)
    };
    spans.iter().any(counts).then(|| event["run"]["runId"].as_str().map(str::to_owned))?
}

/// The features that are read, by where they stand in a record.
fn fields(schema: &Schema, pointers: Option<&[String]>) -> Vec<LineageField> {
    let field = |(at, feature): (usize, &Feature)| {
        let kind = match feature {
            Feature::Number { .. } => "double",
            Feature::Category { .. } => "string",
            Feature::Image { .. } => "image",
            Feature::Id { .. } => return None,
        };
        let pointer = pointers.and_then(|pointers| pointers.get(at)).map(|pointer| dotted(pointer));
        let name = pointer.filter(|name| !name.is_empty());
        Some(LineageField { name: name.unwrap_or_else(|| feature.name().to_owned()), kind })
    };
    schema.features.iter().enumerate().filter_map(field).collect()
}

/// `customer.id` for `/customer/id`.
fn dotted(pointer: &str) -> String {
    let parts = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
    parts.collect::<Vec<_>>().join(".")
}

/// Whether the field `name` is, or is in, what one of `pointers` names.
fn is_in(name: &str, pointers: &[String]) -> bool {
    pointers.iter().map(|pointer| dotted(pointer)).any(|outer| {
        name.strip_prefix(&*outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

fn output(
    fields: &[LineageField],
    spec: Option<&OutputSpec>,
    is_conditional: bool,
) -> LineageOutput {
    let whole = OutputSpec::default();
    let spec = spec.unwrap_or(&whole);
    if spec.pointer || spec.encrypt_to.is_some() {
        return LineageOutput::default();
    }
    let step_of = |name: &str| {
        let step = spec.steps.iter().find(|step| dotted(&step.settings.field) == name);
        step.map(|step| step.kind.clone())
    };
    let own = fields.iter().map(|field| field.name.clone());
    // Fields that are no features are told if something is done to them.
    let others = spec.steps.iter().map(|step| dotted(&step.settings.field));
    let others = others.filter(|name| !fields.iter().any(|field| field.name == *name));
    let stays = |name: &String| {
        (spec.keep.is_empty() || is_in(name, &spec.keep))
            && !is_in(name, &spec.drop)
            && step_of(name).as_deref() != Some(DROP)
    };
    let change = |field: String| {
        let step = step_of(&field);
        let is_feature = fields.iter().any(|known| known.name == field);
        let is_conditional = is_conditional && is_feature;
        LineageChange { masks: step.is_some(), step, is_conditional, field }
    };
    LineageOutput { fields: Some(own.chain(others).filter(stays).map(change).collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Offset, Partition};
    use crate::sanitize::{FieldSettings, StepSpec};

    fn spec(steps: &[(&str, &str)]) -> OutputSpec {
        let step = |&(field, kind): &(&str, &str)| {
            let settings = FieldSettings { field: field.into(), ..FieldSettings::default() };
            StepSpec { kind: kind.into(), settings }
        };
        OutputSpec { steps: steps.iter().map(step).collect(), ..OutputSpec::default() }
    }

    fn told(spec: Option<&OutputSpec>, is_conditional: bool) -> Vec<String> {
        let field = |name: &str| LineageField { name: name.into(), kind: "double" };
        let fields = [field("amount"), field("shop.age")];
        let output = output(&fields, spec, is_conditional);
        let words = |change: LineageChange| {
            let LineageChange { field, step, masks, is_conditional } = change;
            format!("{field} {} {masks} {is_conditional}", step.unwrap_or_default())
        };
        output.fields.into_iter().flatten().map(words).collect()
    }

    #[test]
    fn fields_that_stay_go_and_change_are_told_by_their_places() {
        assert_eq!(told(None, true), ["amount  false true", "shop.age  false true"]);
        let steps = spec(&[("/shop/age", "drop"), ("/customer/id", "pseudonym")]);
        assert_eq!(
            told(Some(&steps), true),
            ["amount  false true", "customer.id pseudonym true false"]
        );
        let kept = OutputSpec { keep: vec!["/shop".into()], ..OutputSpec::default() };
        assert_eq!(told(Some(&kept), false), ["shop.age  false false"]);
        let pointer = OutputSpec { pointer: true, ..OutputSpec::default() };
        assert_eq!(told(Some(&pointer), false), [""; 0]);
    }

    #[test]
    fn a_run_is_found_by_the_offsets_that_its_event_counts() {
        let offsets = r#"[{"partition":0,"from":0,"to":9},{"partition":2,"from":5,"to":7}]"#;
        let event = format!(
            r#"{{"job":{{"namespace":"g","name":"s"}},"run":{{"runId":"r"}},
                "inputs":[{{"inputFacets":{{"tripline_offsets":{{"offsets":{offsets}}}}}}}]}}"#
        );
        let run = |group: &str, stream: &str, partition, offset| {
            let at = Position { partition: Partition(partition), offset: Offset(offset) };
            run_of(event.as_bytes(), group, stream, at)
        };
        assert_eq!(run("g", "s", 2, 5).as_deref(), Some("r"));
        assert_eq!(run("g", "s", 0, 8).as_deref(), Some("r"));
        for (group, stream, partition, offset) in [
            ("h", "s", 2, 5),
            ("g", "t", 2, 5),
            ("g", "s", 1, 5),
            ("g", "s", 2, 7),
            ("g", "s", 2, 4),
        ] {
            assert_eq!(run(group, stream, partition, offset), None);
        }
        let at = Position { partition: Partition(0), offset: Offset(0) };
        assert_eq!(run_of(b"{}", "g", "s", at), None);
        assert_eq!(run_of(b"[", "g", "s", at), None);
    }

    #[test]
    fn a_field_has_the_name_of_its_pointer() {
        assert_eq!(dotted("/a/b~1c"), "a.b/c");
        let schema = Schema {
            features: vec![Feature::number("x", 0.0, 1.0), Feature::Id { name: "id".into() }],
        };
        let named = |pointers: Option<&[String]>| fields(&schema, pointers)[0].name.clone();
        assert_eq!(named(None), "x");
        assert_eq!(named(Some(&["/row/x".to_owned(), "/id".to_owned()])), "row.x");
        assert_eq!(fields(&schema, None).len(), 1);
    }
}
