//! Which records of a topic are inputs of the model: a topic may carry others too.
//!
//! A record that fits none of the stream's rules is not scored and goes on as it came, with a count of
//! its own. Without rules every record is an input, except an answer of KServe's logger, which can be told
//! from any request: its header says so, and its value has the members of an answer and none of a request.
//!
//! Whoever may write to the topic chooses headers and fields, and so what is scored: a rule is only as
//! good as those who write. A field that two readers could read differently fits every rule.

use serde_json::value::RawValue;

use super::fields::{BadFields, keys};
use crate::record::Headers;

/// The rules of one stream; a record that fits one of them is an input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Select(pub Vec<Rule>);

/// What a record must say, in a header or in a field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    /// The header that says it.
    pub header: Option<String>,
    /// The JSON pointer to the word, number or truth value that says it.
    pub field: Option<String>,
    /// One of these.
    pub equals: Vec<String>,
}

/// Whether `pointer` leads to a member.
///
/// # Errors
/// If it is no JSON pointer.
pub fn check_field(pointer: &str) -> Result<(), BadFields> {
    keys(pointer).map(|_| ())
}

/// What the logger's header says of an answer, and the members that only answers have.
const ANSWER: &[u8] = b"org.kubeflow.serving.inference.response";
const OF_ANSWERS: [&str; 2] = ["predictions", "outputs"];
const OF_REQUESTS: [&str; 3] = ["instances", "inputs", "data"];

impl Select {
    /// Whether the record is an input of the model.
    pub fn takes(&self, headers: &dyn Headers, value: Option<&[u8]>) -> bool {
        match &self.0[..] {
            [] => !value.is_some_and(|value| is_answer(headers, value)),
            rules => rules.iter().any(|rule| rule.fits(headers, value)),
        }
    }
}

impl Rule {
    fn fits(&self, headers: &dyn Headers, value: Option<&[u8]>) -> bool {
        let is = |said: &[u8]| self.equals.iter().any(|equals| equals.as_bytes() == said);
        let by_header = self.header.as_ref().is_some_and(|name| {
            let named = headers_called(headers, name);
            named.into_iter().any(|value| value.is_some_and(is))
        });
        let by_field = || {
            let pointer = self.field.as_ref()?;
            Some(match field(value?, pointer) {
                Ok(None) => false,
                Ok(Some(said)) => is(said.as_bytes()),
                Err(Doubtful) => true,
            })
        };
        by_header || by_field().unwrap_or(false)
    }
}

/// A value in which a field cannot be read in one way.
struct Doubtful;

/// What a field of the value says, as a word; nothing where readers could read it differently.
pub fn text_at(value: &[u8], pointer: &str) -> Option<String> {
    field(value, pointer).ok().flatten()
}

/// What the field says, as a word; nothing if it is not there.
fn field(value: &[u8], pointer: &str) -> Result<Option<String>, Doubtful> {
    let text = std::str::from_utf8(value).map_err(|_| Doubtful)?;
    let mut at: &RawValue = serde_json::from_str(text).map_err(|_| Doubtful)?;
    for key in keys(pointer).map_err(|_| Doubtful)? {
        let members = members(at.get()).ok_or(Doubtful)?;
        let mut named = members.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&key));
        match (named.next(), named.next()) {
            (None, _) => return Ok(None),
            (Some((name, inner)), None) if *name == key => at = inner,
            _ => return Err(Doubtful),
        }
    }
    match serde_json::from_str(at.get()).map_err(|_| Doubtful)? {
        serde_json::Value::String(word) => Ok(Some(word)),
        serde_json::Value::Bool(truth) => Ok(Some(truth.to_string())),
        serde_json::Value::Number(number) => Ok(Some(number.to_string())),
        _ => Ok(None),
    }
}

/// The members of an object in its order, each with its value; none if it is no object.
pub fn members(text: &str) -> Option<Vec<(String, &RawValue)>> {
    use serde::Deserializer as _;
    struct Object;
    impl<'de> serde::de::Visitor<'de> for Object {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
            let mut members = vec![];
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    let mut document = serde_json::Deserializer::from_str(text);
    let members = document.deserialize_map(Object).ok()?;
    document.end().ok().map(|()| members)
}

/// Whether it is an answer that KServe's logger wrote, and nobody could take it for a request.
fn is_answer(headers: &dyn Headers, value: &[u8]) -> bool {
    let said = headers_called(headers, "ce_type") == [Some(ANSWER)];
    let members = || members(std::str::from_utf8(value).ok()?);
    let has = |members: &[(String, &RawValue)], names: &[&str]| {
        members.iter().any(|(name, _)| names.iter().any(|n| name.eq_ignore_ascii_case(n)))
    };
    said && members().is_some_and(|all| has(&all, &OF_ANSWERS) && !has(&all, &OF_REQUESTS))
}

/// The values of all headers of this name.
fn headers_called<'h>(headers: &'h dyn Headers, name: &str) -> Vec<Option<&'h [u8]>> {
    let mut values = vec![];
    headers.visit(&mut |called, value| {
        if called == name.as_bytes() {
            values.push(value);
        }
    });
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "org.kubeflow.serving.inference.request";

    fn takes(rules: Vec<Rule>, headers: &[(&[u8], Option<&[u8]>)], value: &str) -> bool {
        Select(rules).takes(&headers, Some(value.as_bytes()))
    }

    #[test]
    fn without_rules_only_the_loggers_answers_pass_by() {
        let answer: (&[u8], Option<&[u8]>) = (b"ce_type", Some(ANSWER));
        assert!(!takes(vec![], &[answer], r#"{"predictions": [1]}"#));
        assert!(!takes(vec![], &[answer], r#"{"model_name": "m", "outputs": []}"#));
        // Whatever could be a request is scored, whatever its header says.
        for value in [
            r#"{"predictions": [1], "instances": [[1]]}"#,
            r#"{"outputs": [], "Inputs": []}"#,
            r#"{"instances": [[1]]}"#,
            r#"{"predictions": [1]} {}"#,
            "[1]",
            "",
        ] {
            assert!(takes(vec![], &[answer], value), "{value}");
        }
        assert!(takes(vec![], &[], r#"{"predictions": [1]}"#));
        assert!(takes(vec![], &[answer, (b"ce_type", None)], r#"{"predictions": [1]}"#));
        assert!(Select::default().takes(&[answer], None));
    }

    #[test]
    fn a_rule_asks_a_header_or_a_field() {
        let header = |name: &str, equals: &[&str]| {
            let equals = equals.iter().map(|&e| e.to_owned()).collect();
            vec![Rule { header: Some(name.into()), field: None, equals }]
        };
        let field = |name: &str, equals: &str| {
            vec![Rule { header: None, field: Some(name.into()), equals: vec![equals.into()] }]
        };
        let request: (&[u8], Option<&[u8]>) = (b"ce_type", Some(REQUEST.as_bytes()));
        assert!(takes(header("ce_type", &["x", REQUEST]), &[request], ""));
        assert!(!takes(header("ce_type", &["x"]), &[request], ""));
        assert!(!takes(header("ce_type", &["x"]), &[], ""));
        assert!(takes(field("/a/kind", "in"), &[], r#"{"a": {"kind": "in"}}"#));
        assert!(takes(field("/n", "7"), &[], r#"{"n": 7}"#));
        assert!(takes(field("/t", "true"), &[], r#"{"t": true}"#));
        assert!(!takes(field("/kind", "in"), &[], r#"{"kind": "out"}"#));
        assert!(!takes(field("/kind", "in"), &[], r#"{"other": "in"}"#));
    }

    #[test]
    fn a_field_that_readers_read_differently_is_scored() {
        let rule =
            vec![Rule { header: None, field: Some("/kind".into()), equals: vec!["in".into()] }];
        for value in [r#"{"kind": "out", "kind": "in"}"#, r#"{"Kind": "in"}"#, "{\"kind\": ", "7"] {
            assert!(takes(rule.clone(), &[], value), "{value}");
        }
    }
}
