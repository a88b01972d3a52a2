//! A structured CloudEvent (1.0): an envelope in JSON, with the value in `data`, or in base64 in
//! `data_base64`.
//!
//! The value is read as a record of its own would be: by `datacontenttype`, else as its stream is
//! configured, else by its bytes; `data` without a type is JSON, as the specification has it. Only
//! the data is ever written, and only if it changes. In binary mode (`ce_*` headers) a record's
//! value is the data and needs no codec of its own.
//!
//! What it cannot read: an event in an event, and `data` that is a string of another format, such as
//! XML or JSON in quotes.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{offset, unreadable};
use super::{Codec, Codecs, Headers};
use crate::record::Fault;

/// `cloudevents`: `application/cloudevents+json`
#[derive(Debug)]
pub struct CloudEvents {
    inside: Codecs,
}

#[derive(Deserialize)]
struct Envelope<'v> {
    #[serde(borrow)]
    specversion: Cow<'v, str>,
    #[serde(borrow)]
    datacontenttype: Option<Cow<'v, str>>,
    #[serde(borrow)]
    data: Option<&'v RawValue>,
    #[serde(borrow)]
    data_base64: Option<&'v RawValue>,
}

/// What an envelope holds.
struct Event<'v> {
    content_type: Option<Cow<'v, str>>,
    data: Cow<'v, [u8]>,
    /// Where it stands in the envelope.
    place: Range<usize>,
}

const JSON: &str = "application/json";

impl CloudEvents {
    /// `inside` reads what envelopes hold.
    pub fn new(inside: Codecs) -> Self {
        Self { inside }
    }

    fn pick(&self, event: &Event<'_>) -> Result<&dyn Codec, Fault> {
        let format = self.inside.rules.pick(&event.headers(), &event.data)?;
        // Text in the place of a value is no row of bytes, whatever its type says.
        let fits = format.is_json() || !event.is_plain();
        self.inside.get(format).filter(|_| fits).ok_or(Fault::UnknownFormat)
    }
}

impl<'v> Event<'v> {
    fn open(value: &'v [u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(value)
            .map_err(|error| Fault::Unreadable { at: error.valid_up_to() })?;
        // serde reads a struct from an array too; the specification does not.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(Fault::Unreadable { at: 0 });
        }
        let read = serde_json::from_str::<Envelope<'v>>(text);
        let envelope = read.map_err(|error| unreadable(&error, text, text))?;
        if envelope.specversion != "1.0" {
            return Err(Fault::UnknownFormat);
        }
        let raw = match (envelope.data, envelope.data_base64) {
            (None, None) => return Err(Fault::NullValue),
            (Some(data), None) => data.get(),
            (None, Some(data)) => data.get(),
            (Some(_), Some(second)) => {
                return Err(Fault::Unreadable { at: offset(second.get(), text) });
            }
        };
        let start = offset(raw, text);
        let place = start..start + raw.len();
        let content_type = envelope.datacontenttype;
        if envelope.data.is_some() {
            let content_type = Some(content_type.unwrap_or(Cow::Borrowed(JSON)));
            return Ok(Self { content_type, data: Cow::Borrowed(raw.as_bytes()), place });
        }
        let base64 = serde_json::from_str::<Cow<'_, str>>(raw).ok();
        let data = base64.and_then(|text| STANDARD.decode(text.as_bytes()).ok());
        let data = Cow::Owned(data.ok_or(Fault::Unreadable { at: start })?);
        Ok(Self { content_type, data, place })
    }

    /// The headers that a record of its own would have.
    fn headers(&self) -> Headers<'_> {
        let content_type = self.content_type.as_deref().map(str::as_bytes);
        Headers { content_type, ..Headers::default() }
    }

    /// Whether the data stands in the envelope as it is.
    fn is_plain(&self) -> bool {
        matches!(self.data, Cow::Borrowed(_))
    }
}

impl Codec for CloudEvents {
    fn decode(&self, value: &[u8], _: &Headers<'_>, rows: &mut Vec<f32>) -> Result<usize, Fault> {
        let event = Event::open(value)?;
        let read = self.pick(&event)?.decode(&event.data, &event.headers(), rows);
        read.map_err(|fault| match fault {
            Fault::Unreadable { at } if event.is_plain() => {
                Fault::Unreadable { at: event.place.start + at }
            }
            Fault::Unreadable { .. } => Fault::Unreadable { at: event.place.start },
            fault => fault,
        })
    }

    fn encode(&self, original: &[u8], _: &Headers<'_>, rows: &[f32], out: &mut Vec<u8>) {
        let event = Event::open(original).expect("the original is not an event");
        let codec = self.pick(&event).expect("the original does not hold rows");
        let mut data = vec![];
        codec.encode(&event.data, &event.headers(), rows, &mut data);
        out.extend_from_slice(&original[..event.place.start]);
        if data == *event.data {
            // Base64 has several spellings of the same bytes.
            out.extend_from_slice(&original[event.place.clone()]);
        } else if event.is_plain() {
            out.extend_from_slice(&data);
        } else {
            out.push(b'"');
            out.extend_from_slice(STANDARD.encode(&data).as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(&original[event.place.end..]);
    }
}
