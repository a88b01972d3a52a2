//! Whether fields of the sanitized output that change are features of the model: it would read what was not scored.
//!
//! A path is looked at without the parts that lead to a row (numbers, `*`, and the members that requests and events
//! stand in), so that every format that the stream reads is meant. It is careful rather than exact: what changes how a
//! request is read counts as a feature too. It cannot see that two fields say the same.

use super::{OutputSpec, OutputSpecs};
use crate::codec::{self, Format, pointer_keys};
use crate::open::{self, fold};
use crate::record::{Feature, Schema};

/// A field of the sanitized output that must not change.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FeatureStep {
    #[error(
        "output of \"sanitized\": {path:?} changes {feature:?}, which the model reads: it would read what was not \
         scored; change it before the stream's input, and fit on that"
    )]
    Changes { path: String, feature: String },
    #[error(
        "output of \"sanitized\": `keep` lacks the feature {feature:?}: the model would read what was not scored; add its \
         pointer, or write `drop`"
    )]
    Lacks { feature: String },
    #[error(
        "output of \"sanitized\": `keep` cannot be checked against values of codec {format}: write `drop` and steps"
    )]
    Keep { format: Format },
}

/// Members that requests stand in.
const AROUND: [&str; 2] = ["instances", "inputs"];
/// Members of a V2 request that say how it is read.
const OF_REQUESTS: [&str; 3] = ["inputs", "parameters", "outputs"];

impl OutputSpecs {
    /// # Errors
    /// The first field of the sanitized output that changes although rows of `schema` are read from it, or could be.
    pub fn check_features(
        &self,
        schema: &Schema,
        reading: &codec::Config,
    ) -> Result<(), FeatureStep> {
        let Some(spec) = self.sanitized.as_ref().filter(|spec| spec.has_fields()) else {
            return Ok(());
        };
        let places = places(schema, reading);
        for path in changed(spec) {
            let keys = pointer_keys(path).unwrap_or_default();
            if let Some(feature) = feature_at(&keys, &places, reading.format) {
                return Err(FeatureStep::Changes { path: path.to_owned(), feature });
            }
        }
        if spec.keep.is_empty() {
            return Ok(());
        }
        if reading.format != Format::Json {
            return Err(FeatureStep::Keep { format: reading.format });
        }
        let kept: Vec<_> = spec.keep.iter().filter_map(|keep| pointer_keys(keep).ok()).collect();
        let lacks = |(keys, _): &&(Vec<String>, String)| !kept.iter().any(|k| keys.starts_with(k));
        match places.iter().find(lacks) {
            Some((_, feature)) => Err(FeatureStep::Lacks { feature: feature.clone() }),
            None => Ok(()),
        }
    }
}

fn changed(spec: &OutputSpec) -> impl Iterator<Item = &str> {
    let drops = spec.drop.iter().map(String::as_str);
    drops.chain(spec.steps.iter().map(|step| &*step.settings.field))
}

/// Where in a row the features are, and what they are called. An id is none: no model reads it.
fn places(schema: &Schema, reading: &codec::Config) -> Vec<(Vec<String>, String)> {
    let is_id = |feature: &&Feature| matches!(feature, Feature::Id { .. });
    let ids: Vec<&str> = schema.features.iter().filter(is_id).map(Feature::name).collect();
    match &reading.fields {
        Some(fields) => {
            let place = |path: &String| (pointer_keys(path).unwrap_or_default(), path.clone());
            let places = fields.pointers().iter().map(place);
            let is_id = |keys: &[String]| keys.last().is_some_and(|last| ids.contains(&&**last));
            places.filter(|(keys, _)| !is_id(keys)).collect()
        }
        None => {
            let features = schema.features.iter().filter(|feature| !is_id(feature));
            features.map(|f| (vec![f.name().to_owned()], f.name().to_owned())).collect()
        }
    }
}

/// The feature that a change at `keys` would change.
fn feature_at(keys: &[String], places: &[(Vec<String>, String)], format: Format) -> Option<String> {
    let is_in = |names: &[&str], key: &str| names.iter().any(|name| fold::is_same(name, key));
    let around = format != Format::Json;
    let mut envelopes = open::all();
    envelopes.retain(|envelope| format == Format::Auto || envelope.name() == format.name());
    let request = !envelopes.is_empty() || format == Format::OipJson;
    let first = keys.first()?;
    if envelopes.iter().any(|envelope| is_in(envelope.reading_members(), first)) {
        return Some(first.clone());
    }
    let is_row = |key: &String| key == "*" || key.bytes().all(|byte| byte.is_ascii_digit());
    let mut rest = keys;
    while let Some((key, after)) = rest.split_first() {
        if request && is_in(&OF_REQUESTS, key) {
            return Some(key.clone());
        }
        let holds = envelopes.iter().any(|envelope| is_in(envelope.payload_members(), key));
        let passes = is_row(key) || around && is_in(&AROUND, key) || holds;
        if !passes {
            break;
        }
        rest = after;
    }
    let meets =
        |place: &[String]| rest.iter().zip(place).all(|(a, b)| a == "*" || fold::is_same(a, b));
    // A server that goes by names finds a feature under the last part of its path.
    let named = |place: &[String]| match (rest.first(), place.last()) {
        (Some(key), Some(name)) => around && fold::is_same(key, name),
        _ => false,
    };
    // What is left may be a field whose own name looks like a row's number.
    let whole = |place: &[String]| keys.iter().zip(place).all(|(a, b)| fold::is_same(a, b));
    let found = places.iter().find(|(place, _)| meets(place) || named(place) || whole(place));
    found.map(|(_, feature)| feature.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Fields;
    use crate::sanitize::{DROP, FieldSettings, StepSpec};

    fn check(
        format: Format,
        fields: Option<&[&str]>,
        spec: (&[&str], &[&str]),
        expected: Option<&str>,
    ) {
        let features = vec![
            Feature::number("amount", 0.0, 1.0),
            Feature::number("age", 0.0, 1.0),
            Feature::Id { name: "order".into() },
        ];
        let fields =
            fields.map(|all| Fields::new(all.iter().map(|&f| f.into()).collect()).unwrap());
        let reading = codec::Config { format, fields, ..codec::Config::default() };
        let step = |&field: &&str| {
            let settings = FieldSettings { field: field.to_owned(), ..FieldSettings::default() };
            StepSpec { kind: DROP.into(), settings }
        };
        let (keep, steps) = spec;
        let spec = OutputSpec {
            keep: keep.iter().map(|&keep| keep.into()).collect(),
            steps: steps.iter().map(step).collect(),
            ..OutputSpec::default()
        };
        let specs = OutputSpecs { sanitized: Some(spec.clone()), ..OutputSpecs::default() };
        let found = specs.check_features(&Schema { features }, &reading).err();
        let found = found.map(|found| match found {
            FeatureStep::Changes { feature, .. } | FeatureStep::Lacks { feature } => feature,
            FeatureStep::Keep { format } => format.to_string(),
        });
        assert_eq!(found.as_deref(), expected, "{format} {keep:?} {steps:?}");
    }

    #[test]
    fn a_step_on_a_feature_is_found_in_every_format_that_the_stream_reads() {
        let json = Format::Json;
        for (path, expected) in [
            ("/amount", Some("amount")),
            ("/Amount", Some("amount")),
            ("/amount/x", Some("amount")),
            ("/0", Some("amount")),
            ("/*", Some("amount")),
            ("/*/age", Some("age")),
            ("/order", None),
            ("/customer/amount", None),
            ("/data", None),
        ] {
            check(json, None, (&[], &[path]), expected);
        }
        for (path, expected) in [
            ("/instances/*/amount", Some("amount")),
            ("/instances/*/0", Some("amount")),
            ("/instances", Some("amount")),
            ("/inputs/age", Some("age")),
            ("/instances/*/customer", None),
            ("/signature_name", None),
        ] {
            check(Format::KserveV1, None, (&[], &[path]), expected);
        }
        for format in [Format::OipJson, Format::Auto, Format::CloudEvents] {
            check(format, None, (&[], &["/inputs/*/data"]), Some("inputs"));
            check(format, None, (&[], &["/parameters"]), Some("parameters"));
            check(format, None, (&[], &["/id"]), None);
        }
        for format in [Format::Auto, Format::CloudEvents] {
            check(format, None, (&[], &["/data/amount"]), Some("amount"));
            check(format, None, (&[], &["/data"]), Some("amount"));
            check(format, None, (&[], &["/data/instances/*/age"]), Some("age"));
            check(format, None, (&[], &["/data_base64"]), Some("data_base64"));
            check(format, None, (&[], &["/data/customer"]), None);
            check(format, None, (&[], &["/source"]), None);
        }
        for format in [Format::Auto, Format::ConnectJson] {
            check(format, None, (&[], &["/payload/amount"]), Some("amount"));
            check(format, None, (&[], &["/payload/instances/*/age"]), Some("age"));
            check(format, None, (&[], &["/schema/fields"]), Some("schema"));
            check(format, None, (&[], &["/payload/customer"]), None);
        }
    }

    #[test]
    fn paths_to_features_count_instead_of_names() {
        let fields: Option<&[&str]> = Some(&["/pay/amount", "/who/age", "/order"]);
        check(Format::Json, fields, (&[], &["/amount"]), None);
        check(Format::Json, fields, (&[], &["/pay"]), Some("/pay/amount"));
        check(Format::Json, fields, (&[], &["/who/age/x"]), Some("/who/age"));
        check(Format::Json, fields, (&[], &["/who/name"]), None);
        check(Format::Json, fields, (&[], &["/order"]), None);
        check(Format::KserveV1, fields, (&[], &["/instances/*/amount"]), Some("/pay/amount"));
    }

    #[test]
    fn what_is_kept_must_have_every_feature() {
        check(Format::Json, None, (&["/amount"], &[]), Some("age"));
        check(Format::Json, None, (&["/amount", "/age"], &[]), None);
        check(Format::Json, None, (&["/Amount", "/age"], &[]), Some("amount"));
        check(Format::Json, Some(&["/a/b", "/a/c", "/o"]), (&["/a", "/o"], &[]), None);
        check(Format::Auto, None, (&["/amount", "/age"], &[]), Some("auto"));
    }
}
