//! From a record of the answers topic to a half: what a logger wrote, and around what.
//!
//! CloudEvents in binary mode (attributes are headers) and in structured mode (they are members), and records without any. What
//! is no answer, such as the logger's copy of a request, is passed over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::half::{Half, HalfOf, push_half};
use super::identity::{HeaderOrField, Identity, header};
use super::{AnswerBody, AnswerFormat, BodySettings, FORMATS};
use crate::record::{Record, Timestamp};

/// How the answers topic is read.
#[derive(Clone, Debug)]
pub struct AnswerSettings {
    pub id: HeaderOrField,
    /// The format's name; by what each body looks like unless given.
    pub format: Option<String>,
    pub body: BodySettings,
}

/// Makes halves of records of the answers topic.
#[derive(Clone, Debug)]
pub struct AnswerSource {
    identity: Identity,
    settings: AnswerSettings,
    rows: Vec<u8>,
}

/// Why a record leads to no half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHalf {
    /// The record is no answer.
    Beside,
    /// Nobody can tell of which record it is the answer.
    WithoutId,
}

/// What the attributes of a CloudEvent are called as headers.
const PREFIX: &str = "ce-";
const STRUCTURED: &[u8] = b"application/cloudevents+json";

impl AnswerSource {
    pub fn new(identity: Identity, settings: AnswerSettings) -> Self {
        Self { identity, settings, rows: vec![] }
    }

    /// Appends the half of `record`, which is read when it is `now`. One whose body cannot be read has no rows: the join
    /// counts it.
    ///
    /// # Errors
    /// If there is nothing to join it by.
    pub fn half(
        &mut self,
        record: &Record<'_>,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Result<(), NoHalf> {
        let Some(value) = record.value else { return Err(NoHalf::Beside) };
        let event = Event::read(record, value);
        if event.attribute("ce-type").is_some_and(|kind| is_request(&kind)) {
            return Err(NoHalf::Beside);
        }
        self.rows.clear();
        let (in_body, rows) = match self.format(&event.body) {
            Some(format) => format.read(&event.body, &self.settings.body).unwrap_or_default(),
            None => (None, vec![]),
        };
        rows.iter().for_each(|row| row.push(0, &mut self.rows));
        let id = match &self.settings.id {
            HeaderOrField::Header(name) => {
                event.attribute(name).and_then(|id| self.identity.hash(&id))
            }
            HeaderOrField::Field(pointer) if pointer == "/id" => in_body
                .and_then(|id| self.identity.hash(id.as_bytes()))
                .or_else(|| self.identity.of_body(pointer, &event.body)),
            HeaderOrField::Field(pointer) => self.identity.of_body(pointer, &event.body),
            place @ HeaderOrField::Key => self.identity.of_record(place, record),
        };
        let id = id.ok_or(NoHalf::WithoutId)?;
        let endpoint = event.attribute("ce-endpoint").unwrap_or_default();
        let endpoint = std::str::from_utf8(&endpoint).unwrap_or("not UTF-8");
        let stamp = record.stamp.at;
        // Nobody's answer comes from the future: it would wait for ever.
        let at = if stamp.0 < 0 { now } else { stamp.min(now) };
        push_half(&Half { id, at, of: HalfOf::Answer { endpoint }, rows: &self.rows }, out);
        Ok(())
    }

    fn format(&self, body: &AnswerBody<'_>) -> Option<&'static dyn AnswerFormat> {
        let mut all = FORMATS.into_iter();
        match &self.settings.format {
            Some(name) => all.find(|format| format.name() == name),
            None => all.find(|format| format.fits(body)),
        }
    }
}

/// Whether a logger says that it is a copy of a request.
fn is_request(kind: &[u8]) -> bool {
    kind.ends_with(b".request") || kind.ends_with(b".inputs")
}

/// A record's attributes and its body.
struct Event<'r, 'a> {
    record: &'r Record<'a>,
    /// Of an event in structured mode: its members.
    members: Option<Value>,
    body: AnswerBody<'a>,
}

impl<'r, 'a> Event<'r, 'a> {
    fn read(record: &'r Record<'a>, value: &'a [u8]) -> Self {
        let kind = header(record, "content-type").unwrap_or_default();
        if kind.len() < STRUCTURED.len()
            || !kind[..STRUCTURED.len()].eq_ignore_ascii_case(STRUCTURED)
        {
            return Self { record, members: None, body: AnswerBody::new(value) };
        }
        let mut members: Option<Value> = serde_json::from_slice(value).ok();
        let data = members.as_mut().and_then(|members| match members.get_mut("data") {
            Some(data) => Some(data.take()),
            None => {
                let text = members.get("data_base64")?.as_str()?;
                serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()
            }
        });
        Self { record, members, body: AnswerBody { bytes: &[], json: data } }
    }

    /// The attribute, or any other header, of this name.
    fn attribute(&self, name: &str) -> Option<Vec<u8>> {
        let member = name.strip_prefix(PREFIX).or(name.strip_prefix("ce_"));
        if let (Some(members), Some(member)) = (&self.members, member) {
            let text = members.get(member)?.as_str()?;
            return Some(text.as_bytes().to_vec());
        }
        header(self.record, name).map(<[u8]>::to_vec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::half::{HalfRow, JoinValue};
    use crate::record::{Header, Offset, Partition, Position, Stamp};

    const NOW: Timestamp = Timestamp(1000);

    fn source(id: HeaderOrField) -> AnswerSource {
        let settings = AnswerSettings { id, format: None, body: BodySettings::default() };
        AnswerSource::new(Identity::new(b"k"), settings)
    }

    /// Hash of the id, time, endpoint and labels.
    fn read(
        id: HeaderOrField,
        headers: &[Header<'_>],
        value: &str,
        stamp: i64,
    ) -> Result<(u64, i64, String, Vec<u16>), NoHalf> {
        let at = Position { partition: Partition(0), offset: Offset(0) };
        let record = Record {
            at,
            stamp: Stamp::of_sender(Timestamp(stamp)),
            key: Some(b"k-1"),
            headers: &headers,
            value: Some(value.as_bytes()),
        };
        let mut out = vec![];
        source(id).half(&record, NOW, &mut out)?;
        let Ok(JoinValue::Halves(mut halves)) = JoinValue::read(&out) else { panic!("{out:?}") };
        let half = halves.next().unwrap();
        let HalfOf::Answer { endpoint } = half.of else { panic!("a request") };
        let labels = HalfRow::all(half.rows).map(|row| row.label).collect();
        Ok((half.id, half.at.0, endpoint.to_owned(), labels))
    }

    fn hash(id: &str) -> u64 {
        Identity::new(b"k").hash(id.as_bytes()).unwrap()
    }

    #[test]
    fn an_answer_of_kserves_logger_is_a_half_in_either_mode_and_a_request_is_none() {
        const RESPONSE: &[u8] = b"org.kubeflow.serving.inference.response";
        let by_id = || HeaderOrField::Header("ce-id".into());
        let headers: [Header<'_>; 3] = [
            (b"ce_type", Some(RESPONSE)),
            (b"ce_id", Some(b"r-1")),
            (b"ce_endpoint", Some(b"canary")),
        ];
        let expected = Ok((hash("r-1"), 7, "canary".to_owned(), vec![4]));
        assert_eq!(read(by_id(), &headers, r#"{"predictions": [4]}"#, 7), expected);
        let structured: [Header<'_>; 1] =
            [(b"content-type", Some(b"application/cloudevents+json; charset=UTF-8"))];
        let event = r#"{"specversion": "1.0", "id": "r-1", "type": "org.kubeflow.serving.inference.response",
            "endpoint": "canary", "data": {"predictions": [4]}}"#;
        assert_eq!(read(by_id(), &structured, event, 7), expected);
        let request = [(&b"ce-type"[..], Some(&b"org.kubeflow.serving.inference.request"[..]))];
        assert_eq!(read(by_id(), &request, "{}", 7), Err(NoHalf::Beside));
        assert_eq!(read(by_id(), &[], r#"{"predictions": [4]}"#, 7), Err(NoHalf::WithoutId));
    }

    #[test]
    fn an_id_may_be_the_key_or_stand_in_the_body_and_no_answer_is_from_the_future() {
        let body = r#"{"id": "r-2", "outputs": [{"shape": [1], "data": [3]}]}"#;
        let field = HeaderOrField::Field("/id".into());
        let of = |id: &str, at| Ok((hash(id), at, String::new(), vec![3]));
        assert_eq!(read(field, &[], body, 5000), of("r-2", 1000));
        assert_eq!(read(HeaderOrField::Key, &[], body, -1), of("k-1", 1000));
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_a_half_without_rows() {
        let read = read(HeaderOrField::Key, &[], "<html>", 5);
        assert_eq!(read, Ok((hash("k-1"), 5, String::new(), vec![])));
    }
}
