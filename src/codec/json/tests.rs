use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::codec::conformance::{check_decode, encode};

fn json(width: usize, pointers: &[&str]) -> Json {
    let config = Fields::new(pointers.iter().map(|&p| p.into()).collect()).unwrap();
    Json { width, plan: Plan::new(&config) }
}

fn check(pointers: &[&str], value: &str, expected: &[f32]) {
    let read = check_decode(&json(expected.len(), pointers), expected.len(), value.as_bytes());
    assert_eq!(read.as_deref(), Some(expected), "{value}");
}

fn check_fault(pointers: &[&str], value: impl AsRef<[u8]>, fault: Fault) {
    let codec = json(3, pointers);
    assert_eq!(check_decode(&codec, 3, value.as_ref()), None);
    assert_eq!(codec.decode(value.as_ref(), &Headers::default(), &mut Vec::new()), Err(fault));
}

#[test]
fn nested_arrays_are_read_in_order_whatever_their_shape() {
    check(&[""], "[[1, [-2.5e0]], [], 3]", &[1.0, -2.5, 3.0]);
    check(&[""], " 7 ", &[7.0]);
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
fn a_number_beyond_f32_is_infinite_and_left_to_validation() {
    check(&[""], "[1e39, -1e39, 1e-60]", &[f32::INFINITY, f32::NEG_INFINITY, 0.0]);
}

#[test]
fn too_many_numbers_are_counted_but_not_kept() {
    check_fault(&[""], "[1, 2]", Fault::WrongArity { got: 2, expected: 3 });
    check_fault(&[""], "[1, 2, 3, [4, 5]]", Fault::WrongArity { got: 5, expected: 3 });
    let mut rows = Vec::with_capacity(3);
    json(3, &[""])
        .decode(format!("[{}0]", "1,".repeat(9999)).as_bytes(), &Headers::default(), &mut rows)
        .unwrap_err();
    assert!(rows.capacity() < 10, "a hostile value made room for {} numbers", rows.capacity());
}

#[test]
fn what_is_not_a_number_where_one_is_wanted_is_unreadable_there() {
    check_fault(&[""], r#"[1, "2", 3]"#, Fault::Unreadable { at: 7 });
    check_fault(&[""], "[1,\n true, 3]", Fault::Unreadable { at: 9 });
    check_fault(&[""], "[1, null, 3]", Fault::Unreadable { at: 8 });
    check_fault(&[""], "[1, {}, 3]", Fault::Unreadable { at: 6 });
    check_fault(&[""], "[1, 2, 3] 4", Fault::Unreadable { at: 11 });
    check_fault(&[""], "[1, 2, NaN]", Fault::Unreadable { at: 8 });
    check_fault(&[""], "", Fault::Unreadable { at: 0 });
    check_fault(&[""], b"[1, 2, 3\xff]", Fault::Unreadable { at: 8 });
    check_fault(&[""], "[".repeat(100_000), Fault::Unreadable { at: 128 });
}

#[test]
fn a_pointer_that_leads_nowhere_is_unreadable_even_if_the_count_is_right() {
    check_fault(&["/a", "/b"], r#"{"a": [1, 2, 3]}"#, Fault::Unreadable { at: 16 });
    check_fault(&["/a/b"], r#"{"a": 1}"#, Fault::Unreadable { at: 7 });
    check_fault(&["/01"], "[1, 2]", Fault::Unreadable { at: 6 });
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

/// A part of a document: bytes of its own, or the place of a number of the row.
#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Number,
}

fn written(parts: &[Part], row: &[f32]) -> String {
    let mut row = row.iter();
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Number => serde_json::to_string(row.next().unwrap()).unwrap(),
    };
    parts.iter().map(part).collect()
}

/// Nested arrays of numbers with blanks between them.
fn arrays() -> impl Strategy<Value = Vec<Part>> {
    let leaf = Just(vec![Part::Number]);
    leaf.prop_recursive(3, 12, 4, |inner| {
        (vec(inner, 0..4), "[ \n\t\r]{0,2}").prop_map(|(items, blank)| {
            let mut parts = vec![Part::Text(format!("[{blank}"))];
            for (i, item) in items.into_iter().enumerate() {
                let comma = if i == 0 { blank.clone() } else { format!("{blank},{blank}") };
                parts.push(Part::Text(comma));
                parts.extend(item);
            }
            parts.push(Part::Text(format!("{blank}]")));
            parts
        })
    })
}

/// An object with a member per pointer (`/m0`, `/m1/v`, `/m2`, …) in any order, noise between.
fn documents() -> impl Strategy<Value = (Vec<String>, Vec<Part>)> {
    let noise = prop_oneof![
        Just("null".to_owned()),
        Just("{\"m0\": [1, \"\u{fc}\", 2.50], \"v\": {}}".to_owned()),
        "\"[a-z \u{e4}\u{20ac}]{0,5}\"",
    ];
    let members = vec((arrays(), noise), 1..5);
    members.prop_map(|m| m.into_iter().enumerate().collect::<Vec<_>>()).prop_shuffle().prop_map(
        |members| {
            let mut pointers = Vec::new();
            let mut parts = vec![Part::Text("{".into())];
            for (nth, (i, (numbers, noise))) in members.into_iter().enumerate() {
                let (pointer, open, close) = match i % 2 {
                    0 => (format!("/m{i}"), "", ""),
                    _ => (format!("/m{i}/v"), "{\"w\": 0, \"v\": ", "}"),
                };
                let comma = if nth == 0 { "" } else { "," };
                let lead = format!("{comma}\"noise{i}\":{noise}, \"m{i}\" :{open}");
                parts.push(Part::Text(lead));
                parts.extend(numbers);
                parts.push(Part::Text(close.into()));
                pointers.push(pointer);
            }
            parts.push(Part::Text(" }\n".into()));
            (pointers, parts)
        },
    )
}

fn finite() -> impl Strategy<Value = f32> {
    use proptest::num::f32::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    prop_oneof![POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO, -9.0..9.0_f32]
}

/// Bytes that come close to being JSON.
fn almost_json() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: [&[u8]; 15] = [
        b"[", b"]", b"{", b"}", b",", b":", b"\"a\"", b"\"b\"", b"1", b"-0.5e2", b"1e39", b"null",
        b"\"", b"\n", b"\xff",
    ];
    let word = proptest::sample::select(&WORDS[..]);
    vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_bytes_panic_and_what_is_read_can_be_written(
        value in prop_oneof![almost_json(), vec(any::<u8>(), 0..40)],
    ) {
        for (width, pointers) in [(1, &[""][..]), (2, &[""]), (2, &["/b", "/a"]), (1, &["/a/0"])] {
            let codec = json(width, pointers);
            if let Some(row) = check_decode(&codec, width, &value)
                && row.iter().all(|x| x.is_finite())
            {
                prop_assert_eq!(&encode(&codec, &value, &row), &value);
            }
        }
    }

    #[test]
    fn a_row_survives_to_the_bit_and_nothing_but_its_numbers_changes(
        (pointers, parts) in documents(),
        (before, after) in (vec(finite(), 64), vec(finite(), 64)),
    ) {
        let width = parts.iter().filter(|part| matches!(part, Part::Number)).count();
        let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
        let codec = json(width, &pointers);
        let (before, after) = (&before[..width.min(64)], &after[..width.min(64)]);
        prop_assume!(width <= 64);

        let original = written(&parts, before);
        let bytes = encode(&codec, original.as_bytes(), after);
        prop_assert_eq!(std::str::from_utf8(&bytes).unwrap(), written(&parts, after));
        let read = check_decode(&codec, width, &bytes).unwrap();
        let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&read), bits(after));
    }
}
