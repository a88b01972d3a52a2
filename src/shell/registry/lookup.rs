//! One schema asked for over HTTP, with all that it refers to.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Read;
use std::time::Instant;

use serde::{Deserialize, Deserializer};
use ureq::http::StatusCode;

use super::Registry;
use crate::codec::{Language, SchemaText};
use crate::open::framed::{SchemaRule, SchemaRules};
use crate::record::SchemaId;

/// Largest answer we read: 1 MiB holds any schema a person can review.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Schemas that one may refer to, directly or not.
const REFERENCES_MAX: usize = 64;

/// One schema being fetched, with all that it refers to, before a deadline.
pub(super) struct Lookup<'a> {
    pub registry: &'a Registry,
    pub deadline: Instant,
}

/// What the registry has to say.
#[derive(Debug, PartialEq)]
pub(super) enum Found<T> {
    Schema(T),
    /// It has no such thing.
    Nothing,
    /// It has one, of a kind that we shall never read by.
    Useless(String),
}

/// What `/schemas/ids/{id}` and `/subjects/{subject}/versions/{version}` answer.
#[derive(Debug, Deserialize)]
struct Answer {
    schema: String,
    #[serde(default, rename = "schemaType")]
    language: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(default, rename = "ruleSet", deserialize_with = "or_default")]
    rules: RuleSet,
    #[serde(default, deserialize_with = "or_default")]
    metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
struct RuleSet {
    #[serde(default, rename = "domainRules")]
    domain: Option<Vec<SchemaRule>>,
    #[serde(default, rename = "encodingRules")]
    encoding: Option<Vec<SchemaRule>>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    tags: Option<BTreeMap<String, Vec<String>>>,
}

/// A member that is null is one that is not there.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[derive(Debug, Deserialize)]
struct Reference {
    name: String,
    subject: String,
    version: i64,
}

impl Lookup<'_> {
    /// # Errors
    /// If the registry gave no answer that could be one.
    pub fn schema(&self, id: SchemaId) -> Result<Found<SchemaText>, String> {
        let path = match id {
            SchemaId::Number(id) => format!("/schemas/ids/{id}"),
            SchemaId::Guid(_) => format!("/schemas/guids/{id}"),
        };
        let answer = match self.get(&path)? {
            Found::Schema(answer) => answer,
            Found::Nothing => return Ok(Found::Nothing),
            Found::Useless(reason) => return Ok(Found::Useless(reason)),
        };
        let language = match answer.language.as_deref() {
            None | Some("AVRO") => Language::Avro,
            Some("PROTOBUF") => Language::Protobuf,
            Some("JSON") => Language::JsonSchema,
            Some(other) => return Ok(Found::Useless(format!("we read no type {other:?}"))),
        };
        // What a JSON Schema refers to says nothing about where its values are.
        let followed = answer.references.filter(|_| language != Language::JsonSchema);
        let mut references: Vec<(String, String)> = vec![];
        let mut open = followed.unwrap_or_default();
        while let Some(Reference { name, subject, version }) = open.pop() {
            if references.iter().any(|(known, _)| *known == name) {
                continue;
            }
            if references.len() == REFERENCES_MAX {
                let reason = format!("it refers to more than {REFERENCES_MAX} others");
                return Ok(Found::Useless(reason));
            }
            let path = format!("/subjects/{}/versions/{version}", escaped(&subject));
            match self.get(&path)? {
                Found::Schema(answer) => {
                    references.push((name, answer.schema));
                    open.extend(answer.references.unwrap_or_default());
                }
                Found::Nothing => return Ok(Found::Nothing),
                Found::Useless(reason) => return Ok(Found::Useless(reason)),
            }
        }
        // The innermost first: they are parsed in this order.
        references.reverse();
        let rules = SchemaRules {
            domain: answer.rules.domain.unwrap_or_default(),
            encoding: answer.rules.encoding.unwrap_or_default(),
            tags: answer.metadata.tags.unwrap_or_default(),
        };
        let rules = (rules != SchemaRules::default()).then(|| Box::new(rules));
        Ok(Found::Schema(SchemaText { language, text: answer.schema, references, rules }))
    }

    fn get(&self, path: &str) -> Result<Found<Answer>, String> {
        let (status, body) = self.fetch(path)?;
        let wrong = |what: String| format!("{}{path}: {what}", self.registry.url);
        match status {
            StatusCode::OK if body.len() as u64 > ANSWER_BYTES_MAX => {
                Ok(Found::Useless(wrong(format!("it is larger than {ANSWER_BYTES_MAX} bytes"))))
            }
            StatusCode::OK => match serde_json::from_slice(&body) {
                Ok(answer) => Ok(Found::Schema(answer)),
                Err(error) => Err(wrong(format!("answered what is no schema: {error}"))),
            },
            StatusCode::NOT_FOUND => {
                #[derive(Deserialize)]
                struct Refusal {
                    error_code: i64,
                }
                let refusal = serde_json::from_slice::<Refusal>(&body);
                let said = refusal.is_ok_and(|r| (40_400..40_500).contains(&r.error_code));
                // An older registry has no GUIDs and says no more than that the path leads nowhere.
                if said || self.fetch("/schemas/types")?.0 == StatusCode::OK {
                    return Ok(Found::Nothing);
                }
                Err(wrong(
                    "answered 404, as it does to everything: is `registry.url` right?".into(),
                ))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(wrong(format!("answered {status}: look at `user`, `password` and `token`")))
            }
            status if status.is_redirection() => {
                Err(wrong(format!("answered {status}: redirects are not followed")))
            }
            status => Err(wrong(format!("answered {status}"))),
        }
    }

    /// An answer, at most one byte larger than the largest that we read.
    fn fetch(&self, path: &str) -> Result<(StatusCode, Vec<u8>), String> {
        self.send(path, None)
    }

    /// Sends a request; with a body it is a POST.
    pub fn send(&self, path: &str, body: Option<&[u8]>) -> Result<(StatusCode, Vec<u8>), String> {
        const ACCEPT: &str = "application/vnd.schemaregistry.v1+json, application/json";
        let registry = self.registry;
        let left = self.deadline.saturating_duration_since(Instant::now());
        let url = format!("{}{path}", registry.url);
        if left.is_zero() {
            return Err(format!("{url}: not within {:?}", registry.timeout));
        }
        let failed = |error: &dyn Display| format!("{url}: {error}");
        let login = registry.login.as_ref().map(|login| login.expose());
        let sent = match body {
            None => {
                let mut request = registry.agent.get(&url).header("Accept", ACCEPT);
                if let Some(login) = login {
                    request = request.header("Authorization", login);
                }
                request.config().timeout_global(Some(left)).build().call()
            }
            Some(body) => {
                let mut request = registry.agent.post(&url).header("Accept", ACCEPT);
                if let Some(login) = login {
                    request = request.header("Authorization", login);
                }
                let request =
                    request.header("Content-Type", "application/vnd.schemaregistry.v1+json");
                request.config().timeout_global(Some(left)).build().send(body)
            }
        };
        let mut answer = sent.map_err(|error| failed(&error))?;
        // Room from the start: what grows leaves copies behind, and a data key may be in it.
        let mut body = Vec::with_capacity(1 << 14);
        let mut reader = answer.body_mut().as_reader().take(ANSWER_BYTES_MAX + 1);
        reader.read_to_end(&mut body).map_err(|error| failed(&error))?;
        Ok((answer.status(), body))
    }
}

/// A subject as one part of a path.
pub(super) fn escaped(subject: &str) -> String {
    let mut path = String::with_capacity(subject.len());
    for byte in subject.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(byte.into());
            }
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}
