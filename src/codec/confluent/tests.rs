//! What all three languages share, and the battery that each of them is held to.

use super::*;
use crate::codec::conformance::check_with;
use crate::record::{Feature, MISSING, Schema};

/// A payment: an id, two numbers, a category and a picture of two pixels.
pub fn schema() -> Schema {
    let values = ["tcp", "udp"].map(String::from).to_vec();
    let features = vec![
        Feature::Id { name: "order".into() },
        Feature::Number { name: "amount".into(), min: -1e30, max: 1e30, impute: Some(0.0) },
        Feature::number("count", -1e30, 1e30),
        Feature::Category { name: "protocol".into(), values, impute: None },
        Feature::Image { name: "image".into(), channels: 1, height: 1, width: 2, scale: 255.0 },
    ];
    Schema { features }
}

/// Columns of [`schema`]: amount, count, tcp, udp, two pixels.
pub const WIDTH: usize = 6;

/// What every test's values are framed with.
pub const FRAME: &[u8] = &[0, 0, 0, 0, 7];

pub fn codec(language: Language, text: &str, fields: Option<&[&str]>) -> Confluent {
    let fields = fields.map(|pointers| {
        Fields::new(pointers.iter().map(|&pointer| pointer.into()).collect()).unwrap()
    });
    let codec = Confluent::new(Arc::new(Layout::new(&schema(), 1 << 16)), fields.as_ref());
    let text = Text { language, text: text.into(), references: vec![], rules: None };
    codec.learn(SchemaId::Number(7), Some(&text)).unwrap();
    codec
}

/// The rows of a value, after everything that must hold of any value did.
pub fn rows(codec: &Confluent, value: &[u8]) -> Result<Vec<f32>, Fault> {
    let rows = check_with(codec, WIDTH, value, &ContentHeaders::default())?;
    assert_eq!(encoded(codec, value, &rows), value, "unchanged rows changed the bytes");
    Ok(rows)
}

/// `value` with `rows` in it.
pub fn encoded(codec: &Confluent, value: &[u8], rows: &[f32]) -> Vec<u8> {
    let mut out = b"kept".to_vec();
    codec.encode(value, &ContentHeaders::default(), rows, &mut out);
    assert_eq!(&out[..4], b"kept");
    out.split_off(4)
}

/// Rows compared bit by bit, because what is missing is NaN.
pub fn bits(rows: &[f32]) -> Vec<u32> {
    rows.iter().map(|x| x.to_bits()).collect()
}

/// Everything of a payment missing.
pub const NOTHING: [f32; WIDTH] = [MISSING; WIDTH];

#[test]
fn a_json_schema_leaves_json_behind_the_frame() {
    let features = vec![Feature::number("x", 0.0, 1.0), Feature::number("y", 0.0, 1.0)];
    let layout = Arc::new(Layout::new(&Schema { features }, 99));
    let fields = Fields::new(vec!["/x".into(), "/y".into()]).unwrap();
    let codec = Confluent::new(layout, Some(&fields));
    let text =
        Text { language: Language::JsonSchema, text: "{}".into(), references: vec![], rules: None };
    codec.learn(SchemaId::Number(7), Some(&text)).unwrap();
    let value = [FRAME, br#"{"x": 0.25, "z": [1.0], "y": 1e-1}"#].concat();
    assert_eq!(check_with(&codec, 2, &value, &ContentHeaders::default()), Ok(vec![0.25, 0.1]));
    let expected = [FRAME, br#"{"x": 0.5, "z": [1.0], "y": 1e-1}"#].concat();
    assert_eq!(encoded(&codec, &value, &[0.5, 0.1]), expected);
    let cut = check_with(&codec, 2, &value[..12], &ContentHeaders::default());
    assert_eq!(cut, Err(Fault::Unreadable { at: 12 }));
}

#[test]
fn a_schema_is_missing_until_somebody_says_what_it_is() {
    let codec = codec(Language::JsonSchema, "{}", None);
    let (other, value) = (SchemaId::Number(8), &[0, 0, 0, 0, 8, b'{', b'}']);
    let headers = ContentHeaders::default();
    assert_eq!(codec.missing(value, &headers), Some(Missing::Schema(other)));
    let unread = codec.decode(value, &headers, &mut vec![]);
    assert_eq!(unread, Err(Missing::Schema(other).into()));
    codec.learn(other, None).unwrap();
    assert_eq!(codec.missing(value, &headers), None);
    assert_eq!(rows(&codec, value), Err(Fault::UnknownSchema));
    codec.forget(other);
    assert_eq!(codec.missing(value, &headers), Some(Missing::Schema(other)));
    codec.forget(SchemaId::Number(7));
    assert_eq!(codec.missing(FRAME, &headers), None, "a schema that is there is never forgotten");
    assert_eq!(codec.missing(b"{}", &headers), None, "what has no frame misses no schema");
}

#[test]
fn a_schema_that_nobody_can_read_is_told_once_and_is_its_records_fault() {
    let codec = codec(Language::JsonSchema, "{}", None);
    let id = SchemaId::Number(8);
    for language in [Language::Avro, Language::Protobuf] {
        let text = Text { language, text: "neither".into(), references: vec![], rules: None };
        assert!(codec.learn(id, Some(&text)).is_err());
        assert_eq!(codec.missing(&[0, 0, 0, 0, 8], &ContentHeaders::default()), None);
        assert_eq!(rows(&codec, &[0, 0, 0, 0, 8]), Err(Fault::UnknownSchema));
    }
}

/// A codec of six numbers, one for each pointer, and the Protobuf schema `text`.
pub fn numbers(text: &str, pointers: &[&str]) -> Confluent {
    let numbers = pointers.iter().map(|&name| Feature::number(name, -1e30, 1e30));
    let schema = Schema { features: numbers.collect() };
    let fields = Fields::new(pointers.iter().map(|&pointer| pointer.into()).collect()).unwrap();
    let codec = Confluent::new(Arc::new(Layout::new(&schema, 1 << 16)), Some(&fields));
    let text =
        Text { language: Language::Protobuf, text: text.into(), references: vec![], rules: None };
    codec.learn(SchemaId::Number(7), Some(&text)).unwrap();
    codec
}

/// Some readers know the header with a schema's id, others take the frame that the value begins with.
#[test]
fn a_header_and_a_frame_that_name_two_schemas_we_know_are_ambiguous() {
    let codec = codec(Language::JsonSchema, "{}", None);
    let text =
        Text { language: Language::JsonSchema, text: "{}".into(), references: vec![], rules: None };
    codec.learn(SchemaId::Number(8), Some(&text)).unwrap();
    // As Confluent writes it: a byte for a number, and four of the number.
    let header = [0, 0, 0, 0, 8];
    let headers = ContentHeaders { schema_id: header[..].into(), ..ContentHeaders::default() };
    let value = [FRAME, br#"{"amount": 1, "count": 2}"#].concat();
    let read = codec.decode(&value, &headers, &mut vec![]);
    assert_eq!(read, Err(Fault::Ambiguous(Ambiguity::Twice).into()));
}
