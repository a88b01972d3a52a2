//! `[stream.answers]`: where the deployed model's answers are, and how they meet the records that were sent on.

use std::time::Duration;

use super::claims::{Claims, NAME, check_name};
use super::key::Keys;
use super::reader::{Kind, Section};
use super::share::share;
use super::time;
use crate::answers::{
    AnswerSettings, BodySettings, FORMATS, HeaderOrField, Identity, JoinSettings,
};
use crate::open::SecretKey;
use crate::record::Probability;

/// `[stream.answers]`
#[derive(Clone, Debug, PartialEq)]
pub struct StreamAnswers {
    /// `topic`: where the answers of the deployed model are logged. Without it nothing of this is done.
    pub topic: String,
    /// `join_topic = "<name>.join"`: where both halves of a pair go; one partition.
    pub join_topic: String,
    /// `id = { header = "ce-id" }`: where an answer says which record it is of; or `{ key = true }`, `{ field = "/id" }`.
    pub id: HeaderOrField,
    /// `request_id`: the same of the input's records; `id` unless given.
    pub request_id: HeaderOrField,
    /// `key`: the `[[key]]` that hashes of ids are made with; without one, who can guess an id can find its hash.
    pub key: Option<(String, SecretKey)>,
    /// `horizon = "10m"`: how long a record waits for its answer, and an answer for its record.
    pub horizon: Duration,
    /// `pending_max = 100000`: how many of either wait at a time, 1000 to 10000000; of four times as many ids it is known that they
    /// were there.
    pub pending_max: usize,
    /// `margin = 0.02`: labels are compared where the own model's two largest probabilities are further apart.
    pub margin: Probability,
    /// `differ_max = 0.00046`: share of those rows that may have another label although nothing is wrong.
    pub differ_max: Probability,
    /// `format = "auto"`: how answers are written, or `"kserve-v1"`, `"oip-json"`, `"seldon"`, `"oip-protobuf"`.
    pub format: Option<String>,
    /// `output`: the output of an OIP response that holds scores or labels; the first that fits unless given.
    /// `labels`: names of labels in the own model's order, where answers are names.
    /// `logits = false`: whether scores are logits.
    pub body: BodySettings,
}

/// Of 10,000 rows none: the .01 Poisson limit.
const DIFFER_MAX: f64 = 4.6e-4;
const MARGIN: f64 = 0.02;

/// Reads `[stream.answers]` of `stream`, if it names a topic.
pub(super) fn read(
    mut section: Section<'_>,
    stream: &str,
    claims: &mut Claims,
    keys: &Keys,
) -> Option<StreamAnswers> {
    let asks = section.origin_of("topic").is_some();
    let topic = section.read("topic", NAME, check_name);
    let default = format!("{stream}.join");
    let join_topic = match asks {
        true => claims.output(&mut section, "join_topic", default),
        false => section.read("join_topic", NAME, check_name).unwrap_or(default),
    };
    let id = place(section.section("id"));
    let request_id = place(section.section("request_id"));
    let formats: Vec<(&str, Option<&str>)> = std::iter::once(("auto", None))
        .chain(FORMATS.iter().map(|format| (format.name(), Some(format.name()))))
        .collect();
    let id = id.unwrap_or_else(|| HeaderOrField::Header("ce-id".into()));
    let or = |share: f64| Probability::new(share).expect("a share");
    let answers = StreamAnswers {
        topic: topic.unwrap_or_default(),
        join_topic,
        request_id: request_id.unwrap_or_else(|| id.clone()),
        id,
        key: keys.secret(&mut section, "key"),
        horizon: section
            .read("horizon", time::DURATION, time::duration)
            .unwrap_or(Duration::from_secs(600)),
        pending_max: section.integer("pending_max", 1000..=10_000_000, 100_000) as usize,
        margin: share(&mut section, "margin", "is all, or nothing").unwrap_or_else(|| or(MARGIN)),
        differ_max: share(&mut section, "differ_max", "is all, or nothing")
            .unwrap_or_else(|| or(DIFFER_MAX)),
        format: section.choice("format", &formats, None).map(str::to_owned),
        body: BodySettings {
            output: section.text("output", Kind::Text(Some("."))).map(|text| text.value),
            labels: section.texts("labels", None).map(|(names, _)| names).unwrap_or_default(),
            logits: section.flag("logits", false),
        },
    };
    section.end();
    asks.then_some(answers)
}

/// Where an id stands: the first of these that is given; none if none is.
fn place(mut section: Section<'_>) -> Option<HeaderOrField> {
    let header = section.text("header", Kind::Text(Some("."))).map(|text| text.value);
    let key = section.flag("key", false);
    let field = section.text("field", Kind::Text(Some("^/"))).map(|text| text.value);
    section.end();
    let key = key.then_some(HeaderOrField::Key);
    header.map(HeaderOrField::Header).or(field.map(HeaderOrField::Field)).or(key)
}

impl StreamAnswers {
    /// What makes hashes of ids.
    pub fn identity(&self) -> Identity {
        Identity::new(self.key.as_ref().map_or(&[], |(_, key)| key.expose()))
    }

    /// How the answers topic is read.
    pub fn reading(&self) -> AnswerSettings {
        let Self { id, format, body, .. } = self.clone();
        AnswerSettings { id, format, body }
    }

    /// How halves are joined, in windows of this length.
    pub fn joining(&self, window: Duration) -> JoinSettings {
        JoinSettings {
            horizon_ms: self.horizon.as_millis() as i64,
            window_ms: window.as_millis() as i64,
            pending_max: self.pending_max,
            ids_max: self.pending_max.saturating_mul(4),
            margin: self.margin.get() as f32,
        }
    }
}
