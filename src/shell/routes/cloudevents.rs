//! A POST of each change as a CloudEvent in structured mode (`application/cloudevents+json`): what
//! Knative's broker, and any other sink of events, takes.
//!
//! The attributes are those of the record in the topic, so `id` is the message's: the same at every try,
//! after every restart, and `webhook-id` of a webhook. `data` is the alert as it stands in the topic, byte
//! for byte. It says nothing again.
//!
//! What a sink makes of an event it does not say: 2xx means that the sink has it, not that anybody was told.
//!
//! Source: CloudEvents 1.0.2, "JSON Event Format" and "HTTP Protocol Binding".

use jiff::Timestamp as Instant;
use serde::Serialize;
use serde_json::value::RawValue;

use super::post::Post;
use super::received::Received;
use super::{Receiver, Refusal};
use crate::config::Endpoint;
use crate::monitor::EventAttributes;
use crate::record::Timestamp;
use crate::shell::http::CaFileError;

const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// An address that takes events.
pub struct EventSink {
    post: Post,
}

/// A change, as it is sent.
#[derive(Serialize)]
struct StructuredEvent<'a> {
    #[serde(flatten)]
    attributes: EventAttributes<'a>,
    data: &'a RawValue,
}

impl EventSink {
    /// # Errors
    /// If the certificates cannot be read.
    pub fn new(at: &Endpoint) -> Result<Self, CaFileError> {
        Ok(Self { post: Post::new(at, "")? })
    }
}

impl Receiver for EventSink {
    fn tell(&self, news: &Received, _: Option<&Received>, _: Timestamp) -> Result<(), Refusal> {
        self.post.send_as(CONTENT_TYPE, &[], &event(news))
    }
}

/// # Panics
/// If `news` is without its value.
fn event(news: &Received) -> Vec<u8> {
    let Received { stream, dedup_key, status, until, value, .. } = news;
    let data = serde_json::from_slice(value).expect("what was read is an object of JSON");
    let time = if until.parse::<Instant>().is_ok() { until } else { "" };
    let attributes = EventAttributes::new(stream, dedup_key, status, time, value);
    serde_json::to_vec(&StructuredEvent { attributes, data }).expect("plain data")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const ALERT: &str = r#"{"version" : 1, "dedup_key": "6f1c", "status": "firing", "kind": "attack",
        "stream": "fashion", "since": "2026-11-23T18:51:10Z", "until": "2026-11-23T18:53:10Z"}"#;

    fn received(value: &str) -> Received {
        Received::read(Some(b"k"), value.as_bytes(), Timestamp(7)).unwrap()
    }

    #[test]
    fn an_event_has_the_attributes_of_the_topics_record_and_the_alert_byte_for_byte() {
        let body = String::from_utf8(event(&received(ALERT))).unwrap();
        let (attributes, data) = body.split_once(",\"data\":").unwrap();
        assert_eq!(data.strip_suffix('}'), Some(ALERT));
        insta::assert_snapshot!(attributes.replace(",\"", ",\n\""), @r#"
        {"specversion":"1.0",
        "id":"6f1c-firing-52e2a0494a0c2f3c",
        "source":"/tripline/fashion",
        "type":"dev.tripline.incident.firing",
        "time":"2026-11-23T18:53:10Z",
        "subject":"6f1c",
        "datacontenttype":"application/json"
        "#);
    }

    #[test]
    fn a_second_try_is_the_same_event_as_the_first_and_has_the_id_of_other_routes() {
        let news = received(ALERT);
        assert_eq!(event(&news), event(&received(ALERT)));
        let read: Value = serde_json::from_slice(&event(&news)).unwrap();
        assert_eq!(read["id"], news.id());
        let later = received(&ALERT.replace("firing", "resolved"));
        assert_ne!(event(&later), event(&news));
        assert_ne!(later.id(), news.id());
    }

    /// `id`, `source` and `type` must not be empty, and `time` must be one.
    #[test]
    fn an_alert_of_which_little_can_be_read_is_an_event_all_the_same() {
        for (until, time) in [("", None), ("soon", None), ("2026-11-23T18:53:10Z", Some(()))] {
            let value = format!(r#"{{"new": [1.50], "until": "{until}"}}"#);
            let news = Received::read(Some(b"k\n"), value.as_bytes(), Timestamp(7)).unwrap();
            let read: Value = serde_json::from_slice(&event(&news)).unwrap();
            assert_eq!((&read["subject"], &read["source"]), (&"k ".into(), &"/tripline/".into()));
            assert_eq!(read.get("time").map(|_| ()), time, "{until}");
        }
    }
}
