//! `[[stream.output]]`: what of a record leaves by one of the outputs.

use super::key::Keys;
use super::reader::{Kind, Section};
use crate::codec::Format;
use crate::sanitize::{
    DROP, FIELD_STEPS, FieldSettings, HeaderRule, KeyRule, OutputSpec, OutputSpecs, StepSpec,
    TraceDetail,
};

/// What `of` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OutputName {
    Sanitized,
    Quarantine,
    DeadLetter,
}

const POINTER: &str = "^/";

/// Reads every `[[stream.output]]` of a stream whose values are of `format`.
pub(super) fn read(section: &mut Section<'_>, keys: &Keys, format: Format) -> OutputSpecs {
    let mut outputs = OutputSpecs::default();
    let help = "write `of` and what shall leave, or leave it out";
    for mut table in section.sections("output", help) {
        let asks = table.origin_of("of").is_some();
        let names = [
            ("sanitized", OutputName::Sanitized),
            ("quarantine", OutputName::Quarantine),
            ("dead_letter", OutputName::DeadLetter),
        ];
        let to = table.choice("of", &names, OutputName::Quarantine);
        let spec = output(&mut table, keys);
        if !asks && spec == OutputSpec::default() {
            // A table without keys asks nothing.
            table.end();
            continue;
        }
        if !asks {
            let help = "write `of`: \"sanitized\", \"quarantine\" or \"dead_letter\"";
            table.reader.note(table.path_of("of"), table.origin.as_ref(), "is missing", help);
        }
        check(&table, &spec, to, format);
        let place = match to {
            OutputName::Sanitized => &mut outputs.sanitized,
            OutputName::Quarantine => &mut outputs.quarantine,
            OutputName::DeadLetter => &mut outputs.dead_letter,
        };
        if place.is_some() {
            let help = "write one [[stream.output]] for each output";
            let message = "an earlier table is about this output too";
            table.reader.note(table.path_of("of"), table.origin.as_ref(), message, help);
        }
        *place = Some(spec);
        table.end();
    }
    outputs
}

fn output(table: &mut Section<'_>, keys: &Keys) -> OutputSpec {
    let pointers =
        |table: &mut Section<'_>, key| table.texts(key, Some(POINTER)).map(|(all, _)| all);
    let keep = pointers(table, "keep").unwrap_or_default();
    let drop = pointers(table, "drop").unwrap_or_default();
    let encrypt_to = keys.public(table, "encrypt_to");
    let pointer = table.flag("pointer", false);
    let details = [
        ("full", TraceDetail::Full),
        ("shares", TraceDetail::Shares),
        ("none", TraceDetail::Source),
    ];
    let trace = table.choice("trace", &details, TraceDetail::Full);
    let names = |table: &mut Section<'_>, key| {
        let lower = |name: String| name.to_ascii_lowercase();
        table.texts(key, Some(".")).map(|(all, _)| all.into_iter().map(lower).collect())
    };
    let headers = HeaderRule {
        keep: names(table, "keep_headers"),
        drop: names(table, "drop_headers").unwrap_or_default(),
    };
    let record_key = record_key(table, keys);
    let help = "write `field` and `do`, or leave it out";
    let steps = table.sections("step", help).into_iter().filter_map(|step| self::step(step, keys));
    let steps = steps.collect();
    OutputSpec { keep, drop, steps, encrypt_to, pointer, trace, record_key, headers }
}

fn record_key(table: &mut Section<'_>, keys: &Keys) -> KeyRule {
    #[derive(Clone, Copy, PartialEq)]
    enum Rule {
        Same,
        Drop,
        Pseudonym,
    }
    let rules = [("same", Rule::Same), ("drop", Rule::Drop), ("pseudonym", Rule::Pseudonym)];
    let rule = table.choice("record_key", &rules, Rule::Same);
    let here = table.origin_of("key");
    let named = here.is_some();
    let key = keys.secret(table, "key");
    let help = "write `record_key = \"pseudonym\"` and `key` together";
    if named != (rule == Rule::Pseudonym) {
        let origin = here.as_ref().or(table.origin.as_ref());
        let message = if named { "nothing here is made with a key" } else { "is missing" };
        table.reader.note(table.path_of("key"), origin, message, help);
    }
    match (rule, key) {
        (Rule::Drop, _) => KeyRule::Drop,
        (Rule::Pseudonym, Some((id, key))) => KeyRule::Pseudonym { id, key },
        _ => KeyRule::Same,
    }
}

/// A table without keys asks nothing.
fn step(mut table: Section<'_>, keys: &Keys) -> Option<StepSpec> {
    const ALL: [&str; 6] = ["key", "join", "keep_last", "chars", "with", "edges"];
    let there = |table: &Section<'_>, key| table.origin_of(key).is_some();
    let asks = ["field", "do"].into_iter().chain(ALL).any(|key| there(&table, key));
    let missing: Vec<&str> =
        ["field", "do"].into_iter().filter(|key| asks && !there(&table, key)).collect();
    for key in missing {
        let help = "write `field = \"/a/b\"` and `do`";
        table.reader.note(table.path_of(key), table.origin.as_ref(), "is missing", help);
    }
    let field = table.text("field", Kind::Text(Some(POINTER))).map(|text| text.value);
    let kinds: Vec<(&str, &str)> = std::iter::once(DROP)
        .chain(FIELD_STEPS.iter().map(|kind| kind.name))
        .map(|name| (name, name))
        .collect();
    let given: Vec<&str> = ALL.into_iter().filter(|key| there(&table, key)).collect();
    let origins: Vec<_> = given.iter().map(|key| table.key_origin_of(key)).collect();
    let kind = table.choice("do", &kinds, DROP);
    let takes = FIELD_STEPS.iter().find(|known| known.name == kind).map_or(&[][..], |k| k.takes);
    for (key, origin) in given.iter().zip(&origins) {
        if asks && !takes.iter().any(|known| known.trim_end_matches('?') == *key) {
            let message = format!("{kind:?} does not take this");
            let help = "leave it out, or write another `do`";
            table.reader.note(table.path_of(key), origin.as_ref(), message, help);
        }
    }
    for key in takes.iter().filter(|key| !key.ends_with('?') && !given.contains(key)) {
        let message = format!("is missing: {kind:?} needs it");
        let help = format!("write `{key}`");
        table.reader.note(table.path_of(key), table.origin.as_ref(), message, help);
    }
    let settings = FieldSettings {
        field: field.unwrap_or_default(),
        key: keys.secret(&mut table, "key"),
        join: table.text("join", Kind::Text(Some("."))).map(|text| text.value),
        keep_last: whole(&mut table, "keep_last", 0..=64),
        chars: whole(&mut table, "chars", 1..=64),
        with: table.text("with", Kind::Text(None)).map(|text| text.value),
        edges: table.numbers("edges"),
    };
    table.end();
    asks.then(|| StepSpec { kind: kind.to_owned(), settings })
}

fn whole(
    table: &mut Section<'_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u64>,
) -> Option<u32> {
    let there = table.origin_of(key).is_some();
    let number = table.integer(key, range, 1);
    there.then_some(number as u32)
}

/// Notes what cannot be done at this output, and pointers and steps that cannot be used.
fn check(table: &Section<'_>, spec: &OutputSpec, to: OutputName, format: Format) {
    let note = |key: &str, message: String, help: &str| {
        table.reader.note(table.path_of(key), table.origin.as_ref(), message, help);
    };
    let first = [("keep", !spec.keep.is_empty()), ("drop", !spec.drop.is_empty()), ("step", true)];
    let first = first.iter().find(|(_, there)| *there).map_or("step", |(key, _)| key);
    match to {
        OutputName::DeadLetter if spec.has_fields() => note(
            first,
            "a dead letter could not be read: it has no fields that could be found".into(),
            "write `encrypt_to` or `pointer = true`",
        ),
        OutputName::Sanitized if spec.encrypt_to.is_some() => note(
            "encrypt_to",
            "the model could not read what is sealed".into(),
            "leave it out: this is for quarantine and dead letters",
        ),
        OutputName::Sanitized if spec.pointer => note(
            "pointer",
            "the model could not read a pointer".into(),
            "leave it out: this is for quarantine and dead letters",
        ),
        _ if spec.has_fields() && !format.has_fields() => note(
            first,
            format!("values of codec \"{format}\" have no fields that a JSON pointer names"),
            "write `encrypt_to` or `pointer = true`",
        ),
        _ => {}
    }
    if spec.pointer && (spec.encrypt_to.is_some() || spec.has_fields()) {
        let message = "a pointer has nothing of the value: there is nothing to change or to seal";
        note("pointer", message.into(), "leave out one of them");
    }
    if let Err(why) = spec.build() {
        note(first, why.to_string(), "write JSON pointers: \"/a/b\", \"/rows/*/name\"");
    }
}

#[cfg(test)]
mod tests;
