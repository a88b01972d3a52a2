use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::codec::InputsBy;
use crate::codec::conformance::{check_decode, check_with, encode};
use crate::codec::table::{self, Row, Table, Word};
use crate::record::{Ambiguity, Feature, FeatureId, Schema};

/// Inputs of the documented requests that are no features.
fn inputs() -> Inputs {
    let extra = ["input1", "k", "stranger"].map(String::from).into();
    Inputs { by: InputsBy::Name, extra, scaled_integers: true }
}

/// Features of one number each, and of two pixels.
fn codec(names: &[&str], image: &str) -> OipJson {
    let number = |&name: &&str| Feature::number(name, -1e30, 1e30);
    let mut features: Vec<_> = names.iter().map(number).collect();
    if !image.is_empty() {
        let name = image.into();
        features.push(Feature::Image { name, channels: 1, height: 1, width: 2, scale: 255.0 });
    }
    OipJson::new(Arc::new(Layout::new(&Schema { features }, 1000)), &inputs())
}

fn read(codec: &OipJson, value: &[u8]) -> Result<Vec<f32>, Fault> {
    check_with(codec, codec.layout().width(), value, &ContentHeaders::default())
}

fn body(json: &str, tensors: &[u8]) -> Vec<u8> {
    [json.as_bytes(), tensors].concat()
}

/// Whoever sends chooses the datatype: a server that does not divide would see another image than we do.
#[test]
fn integers_of_an_image_are_a_fault_unless_servers_divide_them_and_floats_and_plain_numbers_are_not()
 {
    let layout = codec(&["k2"], "pixels").tensors.layout.clone();
    let read = |scaled_integers, datatype: &str, plain: &str| {
        let inputs = Inputs { scaled_integers, ..inputs() };
        let codec = OipJson::new(layout.clone(), &inputs);
        let value = format!(
            r#"{{"inputs": [{{"name": "k2", "shape": [1], "datatype": "{plain}", "data": [3]}},
                {{"name": "pixels", "shape": [1, 1, 1, 2], "datatype": "{datatype}", "data": [1, 0]}}]}}"#
        );
        self::read(&codec, value.as_bytes())
    };
    let scale = Err(Fault::Ambiguous(Ambiguity::Scale));
    for datatype in ["UINT8", "INT8", "INT64", "UINT64"] {
        assert_eq!(read(false, datatype, "INT32"), scale, "{datatype}");
        assert_eq!(read(true, datatype, "INT32"), Ok(vec![3.0, 1.0 / 255.0, 0.0]), "{datatype}");
    }
    for datatype in ["FP16", "BF16", "FP32", "FP64"] {
        assert_eq!(read(false, datatype, "INT32"), Ok(vec![3.0, 1.0, 0.0]), "{datatype}");
    }
}

/// The request of the protocol's own documentation.
#[test]
fn the_documented_request_is_read_by_name_and_strangers_are_left_alone() {
    let value = br#"{"id" : "42", "inputs" : [
        {"name" : "input0", "shape" : [ 2, 2 ], "datatype" : "UINT32", "data" : [ 0, 51, 255, 102 ]},
        {"name" : "input1", "shape" : [ 3 ], "datatype" : "BOOL", "data" : [ true ]}],
        "outputs" : [ { "name" : "output0" } ]}"#;
    let codec = codec(&[], "input0");
    assert_eq!(read(&codec, value), Ok(vec![0.0, 0.2, 1.0, 0.4]));
    let text = String::from_utf8(encode(&codec, value, &[0.0, 0.2, 1.0, 0.5])).unwrap();
    // 127.5 pixels are 128.
    assert_eq!(text, String::from_utf8_lossy(value).replace("102", "128"));
}

/// The binary request of the extension's documentation: 16 bytes and 3.
#[test]
fn the_documented_binary_request_is_read_with_the_header_and_without_it() {
    let json = r#"{"model_name" : "mymodel", "inputs" : [ {"name" : "input0", "shape" : [ 2, 2 ],
        "datatype" : "UINT32", "parameters" : {"binary_data_size" : 16}},
        {"name" : "input1", "shape" : [ 3 ], "datatype" : "BOOL",
        "parameters" : {"binary_data_size" : 3}}],
        "outputs" : [ {"name" : "output0", "parameters" : {"binary_data" : true}} ]}"#;
    let mut tensors: Vec<u8> = [0_u32, 51, 255, 102].iter().flat_map(|x| x.to_le_bytes()).collect();
    tensors.extend([1, 0, 1]);
    let codec = codec(&[], "input0");
    let value = body(json, &tensors);
    assert_eq!(read(&codec, &value), Ok(vec![0.0, 0.2, 1.0, 0.4]));
    let after = encode(&codec, &value, &[1.0, 0.2, 1.0, 0.4]);
    tensors[0] = 255;
    assert_eq!(after, body(json, &tensors));
    let length = json.len().to_string();
    let headers =
        ContentHeaders { json_length: length.as_bytes().into(), ..ContentHeaders::default() };
    assert_eq!(check_with(&codec, 2, &value, &headers), Ok(vec![0.0, 0.2, 1.0, 0.4]));
    for wrong in ["", "-1", "4000000000", "99999999999999999999999", "\u{e9}", "10"] {
        let headers =
            ContentHeaders { json_length: wrong.as_bytes().into(), ..ContentHeaders::default() };
        let read = check_with(&codec, 2, &value, &headers);
        assert!(matches!(read, Err(Fault::Unreadable { .. })), "{wrong}");
    }
}

#[test]
fn one_tensor_holds_whole_rows_whatever_its_name() {
    let codec = codec(&["x", "y"], "");
    let value =
        br#"{"inputs":[{"name":"t","shape":[2,2],"datatype":"FP32","data":[[1,2],[3,4]]}]}"#;
    assert_eq!(read(&codec, value), Ok(vec![1.0, 2.0, 3.0, 4.0]));
    let half = [0x3c00_u16, 0xc000].map(u16::to_le_bytes).concat();
    let json = r#"{"inputs":[{"name":"t","shape":[1,2],"datatype":"FP16",
        "parameters":{"binary_data_size":4}}]}"#;
    assert_eq!(read(&codec, &body(json, &half)), Ok(vec![1.0, -2.0]));
    let after = encode(&codec, &body(json, &half), &[0.1, 1e9]);
    assert_eq!(read(&codec, &after), Ok(vec![0.099_975_586, 65504.0]));
}

/// As Protobuf's JSON writes an `int64`.
#[test]
fn lengths_may_be_digits_in_quotes_and_nothing_else_in_quotes() {
    let codec = codec(&["x", "y"], "");
    let row = |shape: &str| {
        let input = format!(r#"{{"name":"t","shape":{shape},"datatype":"FP32","data":[1,2]}}"#);
        read(&codec, &body(&format!("{{\"inputs\":[{input}]}}"), b""))
    };
    assert_eq!(row(r#"["1","2"]"#), Ok(vec![1.0, 2.0]));
    for shape in [r#"["1"," 2"]"#, r#"["+1","2"]"#, r#"["-1","2"]"#, r#"["",2]"#, r#"[1.0,2]"#] {
        assert!(matches!(row(shape), Err(Fault::Unreadable { .. })), "{shape}");
    }
}

#[test]
fn shapes_lengths_and_datatypes_that_disagree_are_faults() {
    let codec = codec(&["x", "y"], "");
    let fault = |input: &str, tensors: &[u8]| {
        read(&codec, &body(&format!("{{\"inputs\":[{input}]}}"), tensors)).unwrap_err()
    };
    let arity = |got, expected| Fault::WrongArity { got, expected };
    let t = |shape: &str, rest: &str| format!(r#"{{"name":"t","shape":{shape},{rest}}}"#);
    assert_eq!(fault(&t("[1,2]", r#""datatype":"FP32","data":[1]"#), b""), arity(1, 2));
    assert_eq!(fault(&t("[1,2]", r#""datatype":"FP32","data":[1,2,3]"#), b""), arity(3, 2));
    assert_eq!(fault(&t("[1,3]", r#""datatype":"FP32","data":[1,2,3]"#), b""), arity(3, 2));
    let binary =
        |size: usize| format!(r#""datatype":"FP32","parameters":{{"binary_data_size":{size}}}"#);
    assert_eq!(fault(&t("[1,2]", &binary(12)), &[0; 12]), arity(3, 2));
    assert_eq!(
        fault(&t("[9999,2]", &binary(8)), &[0; 8]),
        Fault::TooManyRows { rows: 9999, rows_max: 500 }
    );
    let word = Fault::WrongType { feature: FeatureId(0) };
    assert_eq!(fault(&t("[1,2]", r#""datatype":"BYTES","data":["1","2"]"#), b""), word);
    for datatype in ["BOOL", "INT8", "INT64", "FP32"] {
        let words = format!(r#""datatype":"{datatype}","data":["1","2"]"#);
        let number = Fault::Ambiguous(Ambiguity::Number);
        assert_eq!(fault(&t("[1,2]", &words), b""), number, "{datatype}");
    }
    for (input, tensors) in [
        (t("[1,2]", &binary(8)), &[0; 7][..]),
        (t("[1,2]", &binary(8)), &[0; 9]),
        (t("[1,2]", &binary(usize::MAX)), &[0; 8]),
        (t("[1,2]", r#""datatype":"FP32","parameters":{"binary_data_size":-8}"#), &[0; 8]),
        (t("[1,2]", r#""datatype":"FP32""#), b""),
        (t("[1,2]", r#""datatype":"FP31","data":[1,2]"#), b""),
        (t("[-1,2]", r#""datatype":"FP32","data":[1,2]"#), b""),
        (t("[1,2]", r#""datatype":"FP32","data":[1,2],"data":[3,4]"#), b""),
        (t("[1,2]", r#""datatype":"FP32","data":[1,{}]"#), b""),
        (t("[1,2]", r#""datatype":"FP32","data":[1,1e400]"#), b""),
    ] {
        assert!(matches!(fault(&input, tensors), Fault::Unreadable { .. }), "{input}");
    }
}

/// How a table is written as a V2 request: which columns are binary.
#[derive(Clone, Copy, Debug)]
struct Form {
    binary: [bool; 5],
    stranger: bool,
}

impl Form {
    /// What has no place in binary form is there after all.
    fn settle(self, mut table: Table) -> Table {
        for row in &mut table.rows {
            if self.binary[2] {
                row.y.get_or_insert(1.0);
            }
            if self.binary[3] && row.word == Word::Missing {
                row.word = Word::NeverSeen;
            }
        }
        table
    }

    fn json_and_tensors(self, table: &Table) -> (String, Vec<u8>) {
        let n = table.rows.len();
        let shapes = [format!("[{n}]"), format!("[{n},1]"), format!("[{n}]"), format!("[ {n} ]")];
        let shape = |i: usize| shapes.get(i).cloned().unwrap_or_else(|| format!("[{n},1,2]"));
        let datatypes = ["BYTES", "FP32", "FP64", "BYTES", "UINT8"];
        let mut tensors = vec![];
        let mut inputs = vec![];
        for (i, name) in table::NAMES.into_iter().enumerate() {
            let head = format!(
                r#"{{"name": "{name}", "shape": {}, "datatype": "{}""#,
                shape(i),
                datatypes[i]
            );
            let rest = if self.binary[i] {
                let bytes: Vec<u8> = table.rows.iter().flat_map(|row| binary(row, i)).collect();
                tensors.extend_from_slice(&bytes);
                format!(r#""parameters": {{"a": 1, "binary_data_size": {}}}"#, bytes.len())
            } else {
                let cell = |row: &Row| match i {
                    4 => format!("[{},{}]", row.image[0], row.image[1]),
                    _ => row.cells()[i].clone(),
                };
                let cells: Vec<_> = table.rows.iter().map(cell).collect();
                format!("\"data\":[{}]", cells.join(&format!(",{}", table.blank)))
            };
            inputs.push(format!("{head}, {rest}}}"));
        }
        if self.stranger {
            let rest = r#""parameters": {"binary_data_size": 3}"#;
            inputs.push(format!(r#"{{"name": "k", "shape": [9], "datatype": "ODD", {rest}}}"#));
            tensors.extend([7, b'{', b'"']);
        }
        (format!("{{\"id\": \"\u{e9}\", \"inputs\": [{}]}}", inputs.join(", ")), tensors)
    }
}

fn binary(row: &Row, i: usize) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    match i {
        0 => text(&row.order),
        1 => row.x.to_le_bytes().to_vec(),
        2 => f64::from(row.y.unwrap()).to_le_bytes().to_vec(),
        3 => text(row.word().unwrap()),
        _ => row.image.to_vec(),
    }
}

fn forms() -> impl Strategy<Value = Form> {
    (any::<[bool; 5]>(), any::<bool>()).prop_map(|(binary, stranger)| Form { binary, stranger })
}

#[test]
fn a_longer_word_takes_its_room_from_blanks_or_the_original_stays() {
    let codec = OipJson::new(table::layout(), &inputs());
    let spaced = r#"{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}"#;
    let tight = spaced.replace(' ', "");
    let mut after = table::row_of(0.125, 0.0, None, [0.0; 2]);
    let missing = crate::record::MISSING;
    after[1..].fill(missing);
    for (json, expected) in [
        (
            spaced.to_owned(),
            r#"{"inputs":[{"name":"x", "shape": [1], "datatype": "FP32", "data": [0.125]}]}"#,
        ),
        (tight.clone(), &tight[..]),
    ] {
        let length = json.len().to_string();
        let headers =
            ContentHeaders { json_length: length.as_bytes().into(), ..ContentHeaders::default() };
        let mut out = vec![];
        codec.encode(json.as_bytes(), &headers, &after, &mut out);
        // Three bytes are gone from between the parts, or nothing was written.
        assert_eq!(out.len(), json.len());
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.replace(' ', ""), expected.replace(' ', ""));
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_what_is_read_can_be_written(
        (before, _) in table::tables(),
        form in forms(),
        hits in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let codec = OipJson::new(table::layout(), &inputs());
        let (json, tensors) = form.json_and_tensors(&form.settle(before));
        let mut value = body(&json, &tensors);
        for (at, byte) in hits {
            let at = at.index(value.len());
            value[at] = byte;
        }
        if let Some(rows) = check_decode(&codec, table::WIDTH, &value) {
            prop_assert_eq!(&encode(&codec, &value, &rows), &value);
        }
    }

    #[test]
    fn tensors_are_read_and_nothing_but_what_changed_is_written(
        (before, after) in table::tables(),
        form in forms(),
    ) {
        let (before, after) = (form.settle(before), form.settle(after));
        let codec = OipJson::new(table::layout(), &inputs());
        let (json, tensors) = form.json_and_tensors(&before);
        let value = body(&json, &tensors);
        let read = check_decode(&codec, table::WIDTH, &value);
        let read = read.ok_or_else(|| TestCaseError::fail(json.clone()))?;
        prop_assert_eq!(table::bits(&read), table::bits(&before.matrix()), "{}", json);
        let written = encode(&codec, &value, &after.matrix());
        let (json_after, tensors_after) = form.json_and_tensors(&after);
        let expected = body(&json_after, &tensors_after);
        prop_assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&expected));
    }

    #[test]
    fn under_the_header_the_json_keeps_its_length_and_the_rows_are_the_new_or_the_old(
        (before, after) in table::tables(),
        form in forms(),
    ) {
        let (before, after) = (form.settle(before), form.settle(after));
        let codec = OipJson::new(table::layout(), &inputs());
        let (json, tensors) = form.json_and_tensors(&before);
        let value = body(&json, &tensors);
        let length = json.len().to_string();
        let headers = ContentHeaders { json_length: length.as_bytes().into(), ..ContentHeaders::default() };
        let mut out = vec![];
        codec.encode(&value, &headers, &after.matrix(), &mut out);
        let longer = form.json_and_tensors(&after).0.len().saturating_sub(json.len());
        let blanks = json.bytes().filter(u8::is_ascii_whitespace).count();
        let expected = if longer > blanks { &before } else { &after };
        let read = check_with(&codec, table::WIDTH, &out, &headers);
        prop_assert_eq!(read.map(|rows| table::bits(&rows)), Ok(table::bits(&expected.matrix())));
        if longer > blanks {
            prop_assert_eq!(out, value);
        }
    }
}
