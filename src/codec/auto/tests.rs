use super::*;
use crate::codec::Header;
use crate::record::{Feature, Schema};

fn rules(format: Format, registry: bool) -> Rules {
    let features = vec![Feature::number("x", 0.0, 1.0), Feature::number("y", 0.0, 1.0)];
    Rules::new(&Layout::new(&Schema { features }, 999), format, None, registry)
}

fn check(rules: &Rules, headers: ContentHeaders<'_>, value: &[u8], expected: Option<Format>) {
    let picked = rules.pick(&headers, value);
    let text = String::from_utf8_lossy(value);
    assert_eq!(picked.ok(), expected, "{picked:?} {headers:?} {text}");
}

fn said(content_type: &str) -> ContentHeaders<'_> {
    ContentHeaders { content_type: content_type.as_bytes().into(), ..ContentHeaders::default() }
}

const V1: &str = r#" {"signature_name": "s", "instances": [[1, 2]]}"#;
const COLUMNS: &str = r#"{"inputs": {"x": [1], "y": [2]}}"#;
const V2: &str = r#"{"id": "7", "inputs": [ {"name": "x"}]}"#;
const EVENT: &str = r#"{"specversion": "1.0", "data": {"instances": [], "x": 1}}"#;
const PLAIN: &str = r#"{"x": 1, "y": 2, "deep": {"instances": 1}}"#;

#[test]
fn a_document_shows_its_dialect_by_its_members() {
    use Format::{CloudEvents, Json, KserveV1, OipJson};
    for (text, format) in [
        (V1, KserveV1),
        (COLUMNS, KserveV1),
        (V2, OipJson),
        (EVENT, CloudEvents),
        (PLAIN, Json),
        ("[1, 2]", Json),
    ] {
        for headers in [ContentHeaders::default(), said("application/json"), said("a/b+json")] {
            check(&rules(Format::Auto, false), headers, text.as_bytes(), Some(format));
        }
    }
}

const CONNECT: &str = r#"{"schema": {"type": "struct"}, "payload": {"x": 1, "y": 2}}"#;

#[test]
fn connects_envelope_shows_by_its_two_members_unless_there_is_a_third_or_a_feature_stands_there() {
    let check = |rules: &Rules, text: &str, expected| {
        for headers in [ContentHeaders::default(), said("application/json")] {
            check(rules, headers, text.as_bytes(), expected);
        }
    };
    let auto = rules(Format::Auto, false);
    let both = Some(Format::ConnectJson);
    for text in [
        CONNECT,
        r#" {"payload": null, "schema": null}"#,
        // Which it is, its reader finds out.
        r#"{"payload": [1], "schema": null, "payload": [2]}"#,
        r#"{"PAYLOAD": [1], "schema": null}"#,
    ] {
        check(&auto, text, both);
        assert!(auto.pick(&said("application/cloudevents+json"), text.as_bytes()).is_err());
    }
    for (text, expected) in [
        (r#"{"payload": {"x": 1, "y": 2}}"#, Some(Format::Json)),
        (r#"{"schema": null, "payload": {}, "k": 1}"#, Some(Format::Json)),
        (r#"{"schema": "v1", "payload": {}}"#, Some(Format::Json)),
        (r#"{"schema": null, "payload": {}, "instances": [[1, 2]]}"#, Some(Format::KserveV1)),
        (r#"{"schema": null, "payload": {}, "x": 1, "instances": [[1, 2]]}"#, None),
    ] {
        check(&auto, text, expected);
    }
    let layout = Layout::new(&Schema { features: vec![Feature::number("x", 0.0, 1.0)] }, 999);
    let fields = Fields::new(vec!["/payload/x".into()]).unwrap();
    let own = Rules::new(&layout, Format::Auto, Some(&fields), false);
    check(&own, CONNECT, Some(Format::Json));
}

/// A sender's headers must not choose what is scored.
#[test]
fn no_header_and_no_bytes_change_the_format_that_a_stream_names() {
    let types = ["application/json", "application/cloudevents+json", "application/x-u8", "a/b"];
    for &format in Format::ALL.iter().filter(|&&format| format != Format::Auto) {
        for text in [V1, V2, EVENT, PLAIN, "", "no json"] {
            for content_type in types {
                let headers = ContentHeaders {
                    schema_id: b"7"[..].into(),
                    json_length: b"2"[..].into(),
                    ..said(content_type)
                };
                check(&rules(format, true), headers, text.as_bytes(), Some(format));
                check(&rules(format, false), headers, text.as_bytes(), Some(format));
            }
            let twice =
                ContentHeaders { content_type: Header::Contradictory, ..ContentHeaders::default() };
            check(&rules(format, false), twice, text.as_bytes(), Some(format));
        }
    }
}

#[test]
fn headers_and_bytes_that_disagree_are_refused() {
    let auto = rules(Format::Auto, false);
    for text in [V1, V2, PLAIN, "[1, 2]", "{\"x\": NaN}"] {
        for content_type in [
            "application/x-u8",
            "application/x-f32-le",
            "application/x-f64-le",
            "application/x-protobuf",
            "application/avro",
        ] {
            check(&auto, said(content_type), text.as_bytes(), None);
        }
    }
    for text in [V1, V2, PLAIN] {
        check(&auto, said("application/cloudevents+json"), text.as_bytes(), None);
    }
    let event = said("Application/CloudEvents+json; charset=UTF-8");
    check(&auto, event, EVENT.as_bytes(), Some(Format::CloudEvents));
    let length = ContentHeaders { json_length: b"2"[..].into(), ..ContentHeaders::default() };
    check(&auto, length, V1.as_bytes(), None);
    let twice = ContentHeaders { content_type: Header::Contradictory, ..ContentHeaders::default() };
    check(&auto, twice, V1.as_bytes(), None);
    check(&auto, said("text/csv"), b"1,2", None);
}

/// Python reads UTF-16 and UTF-32; rows of numbers may have the same length.
#[test]
fn text_that_another_reader_takes_for_json_is_never_a_row_of_bytes() {
    let auto = rules(Format::Auto, false);
    for pad in 0..8 {
        let text = format!("{{\"x\": 1, \"y\": 20}}{}", " ".repeat(pad));
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf32: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        let bom = [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat();
        let latin = [b"{\"x\": 1, \"z\xe9\": 0}", &b" ".repeat(pad)[..]].concat();
        let nan = format!("{{\"x\": NaN, \"y\": 2}}{}", " ".repeat(pad)).into_bytes();
        for value in [utf16, utf32, bom, latin, nan] {
            check(&auto, ContentHeaders::default(), &value, None);
        }
    }
    let rows: Vec<u8> = [0.5_f32, -1.0, 0.0, 1e-9].iter().flat_map(|x| x.to_le_bytes()).collect();
    check(&auto, ContentHeaders::default(), &rows, Some(Format::F32Le));
    check(&auto, ContentHeaders::default(), b"{\x00,}", Some(Format::U8));
}

/// Go's decoder and Jackson read the first document and leave what is behind it.
#[test]
fn a_document_with_something_behind_it_is_never_a_row_of_bytes() {
    let auto = rules(Format::Auto, false);
    for behind in [&b"\n{}"[..], b"\xff\xff", b"\0", b"[3, 4]"] {
        for pad in 0..8 {
            let value = [b"[1, 2]", behind, &vec![7; pad][..]].concat();
            check(&auto, ContentHeaders::default(), &value, None);
        }
    }
    check(&auto, ContentHeaders::default(), b"[]345678", Some(Format::F32Le));
}

#[test]
fn a_request_with_fields_that_nobody_knows_is_never_a_row_of_bytes() {
    let auto = rules(Format::Auto, false);
    // A tensor of FP32; then field 15, a varint, and filler.
    let tensor = b"\x2a\x06\x12\x04FP32";
    for pad in 0..8 {
        let value = [&tensor[..], &b"\x78\x07".repeat(pad)].concat();
        check(&auto, ContentHeaders::default(), &value, Some(Format::OipProtobuf));
    }
    check(&auto, ContentHeaders::default(), b"\x2a\x02ab\x78\x07\x78\x07", Some(Format::F32Le));
}

#[test]
fn a_feature_in_other_letters_beside_a_dialect_is_refused() {
    let text = r#"{"instances": [[1, 2]], "X": 3}"#;
    check(&rules(Format::Auto, false), said("application/json"), text.as_bytes(), None);
    check(&rules(Format::Auto, false), ContentHeaders::default(), text.as_bytes(), None);
}

/// Protobuf reads `\n ` as a name of 32 letters, `*` as a tensor.
#[test]
fn what_reads_as_json_and_as_protobuf_is_refused() {
    let name = format!("{{\"x\": 1, \"y\": 2, \"pad\": \"{}", " ".repeat(7));
    assert_eq!(name.len(), 32);
    let tensor = format!("{}\"}}", " ".repeat(30));
    assert_eq!(tensor.len(), 32);
    let polyglot = format!("\n {name}* {tensor}");
    assert!(serde_json::from_str::<IgnoredAny>(&polyglot).is_ok());
    assert!(is_infer_request(polyglot.as_bytes()));
    let picked = rules(Format::Auto, false).pick(&ContentHeaders::default(), polyglot.as_bytes());
    assert_eq!(picked, Err(Fault::Ambiguous(Ambiguity::Format)));
}

#[test]
fn a_document_that_shows_two_dialects_is_refused() {
    let auto = rules(Format::Auto, false);
    for text in [
        r#"{"instances": [[1, 2]], "inputs": [{}]}"#,
        r#"{"instances": [[1, 2]], "instances": [[3, 4]]}"#,
        r#"{"x": 1, "y": 2, "instances": [[3, 4]]}"#,
        r#"{"specversion": "1.0", "inputs": []}"#,
    ] {
        check(&auto, said("application/json"), text.as_bytes(), None);
        check(&auto, ContentHeaders::default(), text.as_bytes(), None);
    }
}

#[test]
fn bytes_without_a_type_are_told_by_how_they_begin_and_how_long_they_are() {
    let auto = rules(Format::Auto, false);
    let none = ContentHeaders::default();
    check(&auto, none, &[7; 8], Some(Format::F32Le));
    check(&auto, none, &[7; 6], Some(Format::U8));
    check(&auto, none, &[7; 5], None);
    check(&auto, none, b"", None);
    check(&auto, none, b"1234", Some(Format::U8));
    check(&auto, none, b"[1 2]123", Some(Format::F32Le));
    check(&auto, none, b"\x2a\x02ab", Some(Format::OipProtobuf));
    check(&auto, none, b"\x0a\x01m\x3a\x01r\x2a\x02ab", Some(Format::OipProtobuf));
    check(&auto, none, b"\x2a\x03a\x2a", Some(Format::U8));
    check(&auto, none, b"\x0a\x02ab", Some(Format::U8));
    let length = ContentHeaders { json_length: b"2"[..].into(), ..none };
    check(&auto, length, b"{}", None);
    check(&auto, length, V2.as_bytes(), Some(Format::OipJson));
    let mut tail = V2.as_bytes().to_vec();
    tail.extend([0xff; 5]);
    check(&auto, none, &tail, Some(Format::OipJson));
}

#[test]
fn a_frame_counts_only_where_there_is_a_registry_to_ask() {
    let frame = [0, 0, 0, 0, 7, 1, 2, 3];
    let header = ContentHeaders { schema_id: b"7"[..].into(), ..ContentHeaders::default() };
    for kind in ["application/json", "application/protobuf", "avro/binary"] {
        check(&rules(Format::Auto, true), said(kind), &frame, Some(Format::Confluent));
    }
    let auto = |registry| rules(Format::Auto, registry);
    check(&auto(true), ContentHeaders::default(), &frame, Some(Format::Confluent));
    check(&auto(true), header, b"{}", Some(Format::Confluent));
    check(&auto(false), ContentHeaders::default(), &frame, Some(Format::F32Le));
    check(&auto(false), header, b"{}", Some(Format::Json));
}
