use proptest::prelude::*;

use super::*;

fn settings() -> BodySettings {
    let labels = ["cat", "dog"].map(str::to_owned).to_vec();
    BodySettings { labels, ..BodySettings::default() }
}

/// As the format that the body looks like.
fn read(body: &[u8], settings: &BodySettings) -> Result<(Option<String>, Vec<BodyRow>), BadAnswer> {
    let body = AnswerBody::new(body);
    let format = FORMATS.iter().find(|format| format.fits(&body));
    format.ok_or(BadAnswer("no format"))?.read(&body, settings)
}

fn check(body: &str, id: Option<&str>, rows: &[(u16, &[f32])]) {
    let (found, read) =
        read(body.as_bytes(), &settings()).unwrap_or_else(|e| panic!("{body}: {e}"));
    let rows = rows.iter().map(|(label, p)| BodyRow { label: *label, probabilities: p.to_vec() });
    assert_eq!((found.as_deref(), read), (id, rows.collect()), "{body}");
}

#[test]
fn labels_names_and_scores_are_read_in_each_json_format() {
    check(r#"{"predictions": [3, 0]}"#, None, &[(3, &[]), (0, &[])]);
    check(r#"{"predictions": ["dog"]}"#, None, &[(1, &[])]);
    check(r#"{"predictions": [[0.25, 0.75]]}"#, None, &[(1, &[0.25, 0.75])]);
    // Scores that are no probabilities have a label, and nothing to be compared beside it.
    check(r#"{"predictions": [[-3.0, 7.5, 1.0]]}"#, None, &[(1, &[])]);
    check(
        r#"{"id": "r1", "outputs": [{"name": "label", "shape": [2], "datatype": "INT64", "data": [4, 2]}]}"#,
        Some("r1"),
        &[(4, &[]), (2, &[])],
    );
    let two = r#"{"outputs": [
        {"name": "label", "shape": [1], "datatype": "INT64", "data": [1]},
        {"name": "p", "shape": [1, 2], "datatype": "FP32", "data": [0.5, 0.5]}]}"#;
    check(two, None, &[(0, &[0.5, 0.5])]);
    check(
        r#"{"data": {"ndarray": [[0.0, 1.0]]}, "meta": {"puid": "p"}}"#,
        Some("p"),
        &[(1, &[0.0, 1.0])],
    );
    check(
        r#"{"data": {"tensor": {"shape": [2, 2], "values": [1, 0, 0, 1]}}}"#,
        None,
        &[(0, &[1.0, 0.0]), (1, &[0.0, 1.0])],
    );
}

#[test]
fn logits_become_probabilities_if_the_configuration_says_that_they_are_some() {
    let settings = BodySettings { logits: true, ..settings() };
    let (_, rows) = read(br#"{"predictions": [[0.0, 1.0986123]]}"#, &settings).unwrap();
    assert!((rows[0].probabilities[1] - 0.75).abs() < 1e-6, "{rows:?}");
}

/// `tritonclient` 2.x: `ModelInferResponse(id="a", outputs=[InferOutputTensor(name="p", datatype="FP32", shape=[1, 2])],
/// raw_output_contents=[np.array([.25, .75], "<f4").tobytes()]).SerializeToString()`
#[test]
fn a_protobuf_response_is_read_with_raw_contents_and_with_typed_ones() {
    let tensor = [&b"\x0a\x01p\x12\x04FP32\x1a\x02\x01\x02"[..]].concat();
    let raw = [0.25_f32, 0.75].map(f32::to_le_bytes).concat();
    let message = [b"\x1a\x01a\x2a\x0d", &tensor[..], b"\x32\x08", &raw].concat();
    let row = BodyRow { label: 1, probabilities: vec![0.25, 0.75] };
    assert_eq!(read(&message, &settings()), Ok((Some("a".into()), vec![row.clone()])));
    let contents = [b"\x32\x08", &raw[..]].concat();
    let tensor = [&tensor[..], b"\x2a\x0a", &contents].concat();
    let message = [b"\x2a\x19", &tensor[..]].concat();
    assert_eq!(read(&message, &settings()), Ok((None, vec![row])));
}

#[test]
fn what_is_no_answer_is_refused() {
    for body in [
        "{}",
        "[1]",
        r#"{"predictions": 3}"#,
        r#"{"predictions": [-1]}"#,
        r#"{"predictions": [1.5]}"#,
        r#"{"predictions": ["bird"]}"#,
        r#"{"predictions": [[[1, 2]]]}"#,
        r#"{"outputs": [{"shape": [3, 2], "data": [1, 2, 3]}]}"#,
        r#"{"outputs": [{"shape": [1, 18446744073709551615, 18446744073709551615], "data": [1]}]}"#,
        r#"{"outputs": []}"#,
        r#"{"data": {"tensor": {}}}"#,
        "\u{1}\u{2}\u{3}",
    ] {
        assert!(read(body.as_bytes(), &settings()).is_err(), "{body}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_in_any_format(bytes: Vec<u8>, text in r#"\{"(predictions|outputs|data|id)": ?[\[\{"0-9a-z,:\]\}. -]{0,40}\}"#) {
        for body in [AnswerBody::new(&bytes), AnswerBody::new(text.as_bytes())] {
            for format in FORMATS {
                let _ = format.fits(&body);
                let _ = format.read(&body, &settings());
            }
        }
    }
}
