mod written;

use super::*;
use crate::codec::conformance::{check_decode, check_with, encode};
use crate::codec::table::{self, row_of};
use crate::codec::{Inputs, InputsBy};
use crate::record::{Ambiguity, Feature, FeatureId, MISSING, Schema};

fn json(width: usize, pointers: &[&str]) -> Json {
    let fields = Fields::new(pointers.iter().map(|&p| p.into()).collect()).unwrap();
    let features = (0..width).map(|i| Feature::number(format!("x{i}"), -1e30, 1e30)).collect();
    Json::new(Arc::new(Layout::new(&Schema { features }, 1000)), Some(&fields))
}

fn by_name() -> Inputs {
    Inputs { by: InputsBy::Name, ..Inputs::default() }
}

fn check(pointers: &[&str], value: &str, expected: &[f32]) {
    let read = check_decode(&json(expected.len(), pointers), expected.len(), value.as_bytes());
    assert_eq!(read.as_deref(), Some(expected), "{value}");
}

fn check_fault(pointers: &[&str], value: impl AsRef<[u8]>, fault: Fault) {
    let codec = json(3, pointers);
    let read = check_with(&codec, 3, value.as_ref(), &ContentHeaders::default());
    assert_eq!(read, Err(fault), "{}", String::from_utf8_lossy(value.as_ref()));
}

#[test]
fn nested_arrays_are_read_in_order_whatever_their_shape() {
    check(&[""], "[[1, [-2.5e0]], [], 3]", &[1.0, -2.5, 3.0]);
    check(&[""], " 7 ", &[7.0]);
    check(&[""], "[true, false]", &[1.0, 0.0]);
}

#[test]
fn the_pointers_and_not_the_document_say_the_order() {
    let value = r#"{"c": 3, "skip": {"a": [9, "x", null]}, "a": {"z": 0, "b": [1, 2]}}"#;
    check(&["/a/b", "/c"], value, &[1.0, 2.0, 3.0]);
    check(&["/c", "/a/b"], value, &[3.0, 1.0, 2.0]);
}

#[test]
fn a_pointer_goes_through_arrays_by_index_and_through_objects_by_escaped_key() {
    check(&["/2/a~1b", "/0"], r#"[5, "x", {"a/b": 6, "\u0061": 0}, {}]"#, &[6.0, 5.0]);
    check(&["/0"], r#"{"0": 4}"#, &[4.0]);
    check(&["/a"], r#"{"\u0061": 4}"#, &[4.0]);
}

#[test]
fn a_number_beyond_f32_is_infinite_and_one_beyond_f64_unreadable() {
    check(&[""], "[1e39, -1e39, 1e-60]", &[f32::INFINITY, f32::NEG_INFINITY, 0.0]);
    check_fault(&[""], "[1, -1e400, 3]", Fault::Unreadable { at: 10 });
}

#[test]
fn too_many_numbers_are_counted_but_not_kept() {
    check_fault(&[""], "[1, 2]", Fault::WrongArity { got: 2, expected: 3 });
    check_fault(&[""], "[1, 2, 3, [4, 5]]", Fault::WrongArity { got: 5, expected: 3 });
    check_fault(
        &["/a", "/b"],
        r#"{"a": [1, 2], "b": [3, 4]}"#,
        Fault::WrongArity { got: 4, expected: 3 },
    );
    let many = format!("[{}[1,2,3]]", "[1,2,3],".repeat(3332));
    let codecs = [json(3, &[""]), Json::new(json(3, &[""]).layout, None)];
    let faults = [
        Fault::WrongArity { got: 9999, expected: 3 },
        Fault::TooManyRows { rows: 3333, rows_max: 333 },
    ];
    for (codec, fault) in codecs.iter().zip(faults) {
        let mut rows = Vec::with_capacity(3);
        let read = codec.decode(many.as_bytes(), &ContentHeaders::default(), &mut rows);
        assert_eq!(read, Err(fault.into()));
        assert!(rows.capacity() <= 2000, "room for {} numbers", rows.capacity());
    }
}

#[test]
fn what_is_no_scalar_or_of_the_wrong_type_is_a_fault() {
    check_fault(&[""], r#"[1, "2x", 3]"#, Fault::WrongType { feature: FeatureId(1) });
    check_fault(&[""], "[1, {}, 3]", Fault::Unreadable { at: 6 });
    check_fault(&[""], "[1, 2, 3] 4", Fault::Unreadable { at: 11 });
    check_fault(&[""], "[1, 2, NaN]", Fault::Unreadable { at: 8 });
    check_fault(&[""], "", Fault::Unreadable { at: 0 });
    check_fault(&[""], b"[1, 2, 3\xff]", Fault::Unreadable { at: 8 });
    check_fault(&["/a/b/c"], r#"{"a": {"b": [1]}}"#, Fault::Unreadable { at: 13 });
    for depth in [200, 100_000] {
        let deep = "[".repeat(depth);
        check_decode(&json(3, &[""]), 3, deep.as_bytes());
        let closed = format!("{deep}1,2,3{}", "]".repeat(depth));
        check_decode(&json(3, &[""]), 3, closed.as_bytes());
        let on_the_way = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        check_decode(&json(3, &["/a/a/a"]), 3, on_the_way.as_bytes());
    }
}

#[test]
fn a_pointer_that_leads_nowhere_is_unreadable_unless_each_feature_has_its_own() {
    check_fault(&["/a", "/b"], r#"{"a": [1, 2, 3]}"#, Fault::Unreadable { at: 16 });
    check_fault(&["/01", "/1"], "[1, 2]", Fault::Unreadable { at: 6 });
    check_fault(&["/a/b"], r#"{"a": 1}"#, Fault::Unreadable { at: 7 });
    let codec = json(3, &["/a", "/deep/b", "/c"]);
    for text in [r#"{"a": 1, "c": 3}"#, r#"{"c": 3, "a": 1, "deep": null}"#] {
        let read = check_decode(&codec, 3, text.as_bytes()).unwrap();
        assert_eq!((read[0], read[1].to_bits(), read[2]), (1.0, MISSING.to_bits(), 3.0));
    }
    check_fault(&["/a", "/b", "/c"], r#"{"d": 1}"#, Fault::WrongArity { got: 0, expected: 3 });
}

#[test]
fn a_key_twice_on_the_way_is_refused_and_elsewhere_ignored() {
    check_fault(&["/a"], r#"{"a": [1], "a": [1, 2, 3]}"#, Fault::Unreadable { at: 16 });
    check_fault(&["/a/b"], r#"{"a": {"b": [1, 2, 3]}, "a": {}}"#, Fault::Unreadable { at: 29 });
    check(&["/a"], r#"{"x": 1, "x": 2, "a": 3, "b": {"a": 4}}"#, &[3.0]);
}

#[test]
fn a_correction_keeps_the_document_and_the_spelling_of_what_did_not_change() {
    let original = "{ \"id\": \"\u{e9}\\u0041\",\"c\" : [ 0.50,\n[1e0 ]], \"b\": -3, \"b2\": 1.0}";
    let bytes = encode(&json(3, &["/b", "/c"]), original.as_bytes(), &[-0.0, 0.5, 0.1]);
    let expected =
        "{ \"id\": \"\u{e9}\\u0041\",\"c\" : [ 0.50,\n[0.1 ]], \"b\": -0.0, \"b2\": 1.0}";
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

/// Reads `text` as the table's rows; writes `after` into it.
fn check_table(codec: &dyn Codec, text: &str, before: &[&str], after: &[f32], expected: &str) {
    let read = check_decode(codec, table::WIDTH, text.as_bytes()).expect(text);
    let shown = read.chunks(table::WIDTH).map(table::show).collect::<Vec<_>>();
    assert_eq!(shown, before, "{text}");
    let bytes = encode(codec, text.as_bytes(), after);
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn an_object_is_a_row_by_name_and_keeps_its_types_where_they_can_hold_the_change() {
    let codec = Json::new(table::layout(), None);
    check_table(
        &codec,
        r#"{"word": 7, "x": true, "order": {"any": "thing"}, "image": [[0.0], [1]], "y": null}"#,
        &["x=1 y=? word=7 image=0,1"],
        &row_of(0.7, 5.0, Some(1), [0.0, 0.25]),
        r#"{"word": "tcp", "x": true, "order": {"any": "thing"}, "image": [[0.0], [0.25]], "y": null}"#,
    );
    check_table(
        &codec,
        r#"{"x": 0, "word": "\u0074cp", "image": null}"#,
        &["x=0 y=? word=tcp image=?,?"],
        &row_of(0.5, 5.0, Some(2), [0.5, 0.5]),
        r#"{"x": 0.5, "word": "a \"b\" \\", "image": null}"#,
    );
    check_table(
        &codec,
        r#"[{"x": 1, "y": 2, "word": "never"}, {"x": 3, "y": 4, "word": 7.0}]"#,
        &["x=1 y=2 word=! image=?,?", "x=3 y=4 word=7 image=?,?"],
        &[row_of(1.0, 2.0, Some(0), [0.0; 2]), row_of(3.0, 4.5, Some(0), [0.0; 2])].concat(),
        r#"[{"x": 1, "y": 2, "word": "7"}, {"x": 3, "y": 4.5, "word": 7.0}]"#,
    );
    check_table(
        &codec,
        r#"[["id", 1, null, "tcp", [0, 1]], ["id", 3, 4, null, [0, 1]]]"#,
        &["x=1 y=? word=tcp image=0,1", "x=3 y=4 word=? image=0,1"],
        &[row_of(1.0, 2.0, Some(0), [0.0, 1.0]), row_of(2.0, 4.0, Some(0), [0.0, 1.0])].concat(),
        r#"[["id", 1, null, "7", [0, 1]], ["id", 2.0, 4, null, [0, 1]]]"#,
    );
}

#[test]
fn ids_need_no_pointer() {
    let pointers = ["/a", "/b", "/c", "/d"].map(String::from).to_vec();
    let codec = Json::new(table::layout(), Some(&Fields::new(pointers).unwrap()));
    check_table(
        &codec,
        r#"{"c": "tcp", "a": 1, "order": "7", "d": [0, 1]}"#,
        &["x=1 y=? word=tcp image=0,1"],
        &row_of(2.0, 5.0, Some(0), [0.0, 1.0]),
        r#"{"c": "7", "a": 2.0, "order": "7", "d": [0, 1]}"#,
    );
}

#[test]
fn an_object_without_any_feature_or_with_half_an_image_is_no_row() {
    let codec = Json::new(table::layout(), None);
    let fault = |text: &str| {
        check_with(&codec, table::WIDTH, text.as_bytes(), &ContentHeaders::default()).unwrap_err()
    };
    assert_eq!(fault("{}"), Fault::WrongArity { got: 0, expected: 6 });
    assert_eq!(fault(r#"[{"x": 1}, {"order": 7}]"#), Fault::WrongArity { got: 0, expected: 6 });
    assert_eq!(fault(r#"{"image": [1]}"#), Fault::WrongArity { got: 1, expected: 2 });
    assert_eq!(fault(r#"{"word": {"a": 1}}"#), Fault::Unreadable { at: 10 });
    assert_eq!(fault(r#"{"word": "\ud800"}"#), Fault::Unreadable { at: 17 });
    assert_eq!(fault(r#"[{"x": 1}, [1]]"#), Fault::Unreadable { at: 12 });
    assert_eq!(fault("null"), Fault::WrongArity { got: 1, expected: 6 });
}

/// KServe's documentation of the V1 protocol and TensorFlow Serving's of its REST API.
#[test]
fn instances_and_columns_are_read_as_the_servers_read_them() {
    let codec = KserveV1::new(table::layout(), None, &by_name());
    let read = |text: &str| {
        let read = check_with(&codec, table::WIDTH, text.as_bytes(), &ContentHeaders::default());
        read.map(|rows| rows.chunks(table::WIDTH).map(table::show).collect::<Vec<_>>())
    };
    let rows = vec!["x=1 y=2 word=tcp image=0,1".to_owned(), "x=3 y=4 word=7 image=1,0".into()];
    for text in [
        r#"{"signature_name": "s", "instances": [[5, 1, 2, "tcp", 0, 1], [6, 3, 4, 7, 1, 0]]}"#,
        r#"{"instances": [{"x": 1, "y": 2, "word": "tcp", "image": [0, 1], "k": []},
            {"image": [[1, 0]], "word": "7", "y": 4, "x": 3}], "parameters": {}}"#,
        r#"{"inputs": {"image": [[0, 1], [1, 0]], "x": [1, 3], "k": 9, "y": [[2], [4]],
            "word": ["tcp", "7"]}}"#,
        r#"{"inputs": [[5, 1, 2, "tcp", 0, 1], [6, 3, 4, 7, 1, 0]]}"#,
    ] {
        assert_eq!(read(text), Ok(rows.clone()), "{text}");
    }
    assert_eq!(
        read(r#"{"inputs": {"x": [1, 3], "y": [1]}}"#),
        Err(Fault::WrongArity { got: 1, expected: 2 })
    );
    let both = r#"{"instances": [{"x": 1}], "inputs": {"x": [2]}}"#;
    assert_eq!(read(both), Err(Fault::Unreadable { at: both.len() }));
    for text in [r#"{"instances": {"x": 1}}"#, r#"{"x": 1}"#, "[[5, 1, 2, 7, 0, 1]]"] {
        assert!(matches!(read(text), Err(Fault::Unreadable { .. })), "{text}");
    }
    let fields = Fields::new(vec!["/a/0".into(), "/b".into()]).unwrap();
    let features = vec![Feature::number("x", 0.0, 9.0), Feature::number("y", 0.0, 9.0)];
    let layout = Arc::new(Layout::new(&Schema { features }, 99));
    let inside = KserveV1::new(layout, Some(&fields), &Inputs::default());
    let text = r#"{"instances": [{"a": [1], "b": 2}, {"b": 4, "a": [3, 9]}]}"#;
    assert_eq!(check_decode(&inside, 2, text.as_bytes()), Some(vec![1.0, 2.0, 3.0, 4.0]));
}

#[test]
fn an_instance_that_lacks_a_feature_is_a_fault_where_readers_go_by_position() {
    let number =
        |name: &str, impute| Feature::Number { name: name.into(), min: 0.0, max: 9.0, impute };
    let features = vec![number("x", Some(0.5)), number("y", None)];
    let layout = Arc::new(Layout::new(&Schema { features }, 1000));
    let read = |inputs: &Inputs, text: &str| {
        let codec = KserveV1::new(layout.clone(), None, inputs);
        check_with(&codec, 2, text.as_bytes(), &ContentHeaders::default())
    };
    let absent = Err(Fault::Ambiguous(Ambiguity::Absent));
    for text in [
        r#"{"instances": [{"y": 2}, {"x": 1, "y": 2}]}"#,
        r#"{"instances": [{"x": 1, "y": 2}, {"y": 2}]}"#,
        r#"{"inputs": {"y": [2, 2]}}"#,
    ] {
        assert_eq!(read(&Inputs::default(), text), absent, "{text}");
        assert!(read(&by_name(), text).is_ok_and(|cells| cells[1] == 2.0), "{text}");
    }
    let whole = r#"{"instances": [{"x": null, "y": 2}]}"#;
    assert!(read(&Inputs::default(), whole).is_ok_and(|cells| cells[0].is_nan()));
}

#[test]
fn a_bare_instance_is_a_row_where_a_row_is_one_value() {
    let features = vec![Feature::number("x", 0.0, 9.0)];
    let layout = Arc::new(Layout::new(&Schema { features }, 99));
    let codec = KserveV1::new(layout, None, &Inputs::default());
    let read = check_decode(&codec, 1, br#"{"instances": [1.0, 2.5, 5]}"#);
    assert_eq!(read, Some(vec![1.0, 2.5, 5.0]));
}

#[test]
fn an_encoded_image_is_read_wherever_servers_put_it_and_written_back_as_one() {
    use crate::codec::picture;
    let image =
        Feature::Image { name: "image".into(), channels: 1, height: 2, width: 3, scale: 255.0 };
    let layout = Arc::new(Layout::new(&Schema { features: vec![image] }, 1000));
    let pixels = [0, 51, 102, 153, 204, 255];
    let file = picture::encode(&pixels, [1, 2, 3]).unwrap();
    let row: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    let changed: Vec<f32> = row.iter().map(|x| 1.0 - x).collect();
    let v1 = KserveV1::new(layout.clone(), None, &Inputs::default());
    let json = Json::new(layout.clone(), None);
    let v2 = OipJson::new(layout, &Inputs::default());
    let quoted = format!("\"{file}\"");
    let all: [(&dyn crate::codec::Codec, String); 8] = [
        (&v1, format!("{{\"instances\": [{{\"b64\": {quoted}}}]}}")),
        (&v1, format!("{{\"instances\": [{{\"image\": {{\"b64\": {quoted}}}}}]}}")),
        (&v1, format!("{{\"instances\": [{{\"data\": {quoted}}}]}}")),
        (&v1, format!("{{\"instances\": [{quoted}]}}")),
        (&json, format!("{{\"image\": {quoted}}}")),
        (&json, format!("{{\"b64\": \"data:image/png;base64,{file}\"}}")),
        (
            &v2,
            format!(
                "{{\"inputs\": [{{\"name\": \"image\", \"shape\": [1], \"datatype\": \"BYTES\", \"data\": [{quoted}]}}]}}"
            ),
        ),
        (
            &v2,
            format!(
                "{{\"inputs\": [{{\"name\": \"image\", \"shape\": [1, 1], \"datatype\": \"BYTES\", \"data\": [{quoted}]}}]}}"
            ),
        ),
    ];
    for (codec, value) in &all {
        assert_eq!(check_decode(*codec, 6, value.as_bytes()).as_deref(), Some(&row[..]), "{value}");
        assert_eq!(encode(*codec, value.as_bytes(), &row), value.as_bytes());
        let corrected = encode(*codec, value.as_bytes(), &changed);
        let read = check_decode(*codec, 6, &corrected).unwrap();
        assert!(read.iter().zip(&changed).all(|(a, b)| (a - b).abs() < 1e-6), "{read:?}");
    }
    let twice = format!("{{\"b64\": {quoted}, \"image\": {quoted}}}");
    assert_eq!(check_decode(&json, 6, twice.as_bytes()), None);
}
