use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use prost::encoding::{WireType, bytes, double, encode_key, float, int32, int64, string, uint32};

use super::*;
use crate::codec::InputsBy;
use crate::codec::conformance::{check_decode, check_with, encode};
use crate::record::{Ambiguity, Feature, MISSING, Schema};

/// Inputs of the documented requests that are no features.
fn inputs() -> Inputs {
    let extra = ["input1", "k", "stranger"].map(String::from).into();
    Inputs { by: InputsBy::Name, extra, scaled_integers: true }
}

/// The message as its specification has it, for prost to read what we wrote.
#[derive(Clone, PartialEq, Message)]
struct ModelInferRequest {
    #[prost(string, tag = "1")]
    model_name: String,
    #[prost(string, tag = "3")]
    id: String,
    #[prost(message, repeated, tag = "5")]
    inputs: Vec<InferInputTensor>,
    #[prost(bytes = "vec", repeated, tag = "7")]
    raw_input_contents: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct InferInputTensor {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    datatype: String,
    #[prost(int64, repeated, tag = "3")]
    shape: Vec<i64>,
    #[prost(message, optional, tag = "5")]
    contents: Option<InferTensorContents>,
    /// No field of the specification.
    #[prost(bytes = "vec", tag = "77")]
    unknown: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct InferTensorContents {
    #[prost(bool, repeated, tag = "1")]
    bool_contents: Vec<bool>,
    #[prost(int32, repeated, tag = "2")]
    int_contents: Vec<i32>,
    #[prost(int64, repeated, tag = "3")]
    int64_contents: Vec<i64>,
    #[prost(uint32, repeated, tag = "4")]
    uint_contents: Vec<u32>,
    #[prost(uint64, repeated, tag = "5")]
    uint64_contents: Vec<u64>,
    #[prost(float, repeated, tag = "6")]
    fp32_contents: Vec<f32>,
    #[prost(double, repeated, tag = "7")]
    fp64_contents: Vec<f64>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    bytes_contents: Vec<Vec<u8>>,
}

const LONG: &str = "a word of more than one hundred and twenty-seven bytes, so that its length and \
    those of all frames around it take another byte when it comes or goes: enough";
const WORDS: [&str; 2] = ["tcp", LONG];
const WIDTH: usize = 5;

/// An id, a number, a word and an image of two pixels.
fn codec() -> OipProtobuf {
    let features = vec![
        Feature::Id { name: "order".into() },
        Feature::number("amount", -1e30, 1e30),
        Feature::Category {
            name: "word".into(),
            values: WORDS.map(String::from).to_vec(),
            impute: None,
        },
        Feature::Image { name: "image".into(), channels: 1, height: 1, width: 2, scale: 255.0 },
    ];
    OipProtobuf::new(Arc::new(Layout::new(&Schema { features }, 1000)), &inputs())
}

/// `n` numbers `x0`, `x1`, ….
fn numbers(n: usize) -> OipProtobuf {
    let features = (0..n).map(|i| Feature::number(format!("x{i}"), -1e30, 1e30)).collect();
    OipProtobuf::new(Arc::new(Layout::new(&Schema { features }, 1000)), &inputs())
}

fn tensor(
    name: &str,
    datatype: &str,
    shape: &[i64],
    contents: InferTensorContents,
) -> InferInputTensor {
    InferInputTensor {
        name: name.into(),
        datatype: datatype.into(),
        shape: shape.to_vec(),
        contents: Some(contents),
        unknown: vec![],
    }
}

fn request(inputs: Vec<InferInputTensor>, raw: Vec<Vec<u8>>) -> Vec<u8> {
    let (model_name, id) = ("m".into(), "42".into());
    ModelInferRequest { model_name, id, inputs, raw_input_contents: raw }.encode_to_vec()
}

/// Whoever sends chooses the datatype: a server that does not divide would see another image than we do.
#[test]
fn integers_of_an_image_are_a_fault_unless_servers_divide_them() {
    let image = |scaled_integers, datatype: &str, raw: &[u8]| {
        let feature =
            Feature::Image { name: "image".into(), channels: 1, height: 1, width: 2, scale: 255.0 };
        let layout = Arc::new(Layout::new(&Schema { features: vec![feature] }, 1000));
        let codec = OipProtobuf::new(layout, &Inputs { scaled_integers, ..inputs() });
        let mut tensor = tensor("image", datatype, &[1, 1, 1, 2], InferTensorContents::default());
        tensor.contents = None;
        let value = request(vec![tensor], vec![raw.to_vec()]);
        check_with(&codec, 2, &value, &ContentHeaders::default())
    };
    assert_eq!(image(false, "UINT8", &[1, 0]), Err(Fault::Ambiguous(Ambiguity::Scale)));
    assert_eq!(image(true, "UINT8", &[1, 0]), Ok(vec![1.0 / 255.0, 0.0]));
    let floats = [1.0_f32, 0.0].map(f32::to_le_bytes).concat();
    assert_eq!(image(false, "FP32", &floats), Ok(vec![1.0, 0.0]));
}

fn fault(codec: &OipProtobuf, value: &[u8]) -> Fault {
    match codec.decode(value, &ContentHeaders::default(), &mut vec![]) {
        Err(Unread::Fault(fault)) => fault,
        read => panic!("{read:?}"),
    }
}

#[test]
fn every_datatype_is_read_typed_and_raw() {
    let one = InferTensorContents::default;
    let check = |datatype: &str, contents: InferTensorContents, raw: &[u8], expected: f32| {
        let codec = numbers(1);
        let typed = request(vec![tensor("t", datatype, &[1, 1], contents)], vec![]);
        let input = InferInputTensor { contents: None, ..tensor("t", datatype, &[1, 1], one()) };
        let raw = request(vec![input], vec![raw.to_vec()]);
        if !["FP16", "BF16"].contains(&datatype) {
            assert_eq!(check_decode(&codec, 1, &typed), Some(vec![expected]), "{datatype}");
        }
        assert_eq!(check_decode(&codec, 1, &raw), Some(vec![expected]), "raw {datatype}");
    };
    check("BOOL", InferTensorContents { bool_contents: vec![true], ..one() }, &[1], 1.0);
    let negative = InferTensorContents { int_contents: vec![-2], ..one() };
    check("INT8", negative.clone(), &[0xfe], -2.0);
    check("INT16", negative.clone(), &[0xfe, 0xff], -2.0);
    check("INT32", negative, &(-2_i32).to_le_bytes(), -2.0);
    let negative = InferTensorContents { int64_contents: vec![-2], ..one() };
    check("INT64", negative, &(-2_i64).to_le_bytes(), -2.0);
    let large = InferTensorContents { uint_contents: vec![200], ..one() };
    check("UINT8", large.clone(), &[200], 200.0);
    check("UINT16", large.clone(), &[200, 0], 200.0);
    check("UINT32", large, &[200, 0, 0, 0], 200.0);
    let huge = InferTensorContents { uint64_contents: vec![u64::MAX], ..one() };
    check("UINT64", huge, &[0xff; 8], u64::MAX as f32);
    check("FP16", one(), &[0, 0x3e], 1.5);
    check("BF16", one(), &[0xc0, 0x3f], 1.5);
    let half = InferTensorContents { fp32_contents: vec![1.5], ..one() };
    check("FP32", half, &1.5_f32.to_le_bytes(), 1.5);
    let half = InferTensorContents { fp64_contents: vec![1.5], ..one() };
    check("FP64", half, &1.5_f64.to_le_bytes(), 1.5);
}

#[test]
fn shapes_and_elements_must_agree() {
    let codec = numbers(2);
    let arity = |shape: &[i64], elements: usize| {
        let contents =
            InferTensorContents { fp32_contents: vec![0.5; elements], ..Default::default() };
        fault(&codec, &request(vec![tensor("t", "FP32", shape, contents)], vec![]))
    };
    assert_eq!(arity(&[2, 2], 3), Fault::WrongArity { got: 3, expected: 4 });
    assert_eq!(arity(&[2, 2], 9), Fault::WrongArity { got: 5, expected: 4 });
    assert_eq!(arity(&[2, 2], 0), Fault::WrongArity { got: 0, expected: 4 });
    assert_eq!(arity(&[3, 1], 3), Fault::WrongArity { got: 3, expected: 2 });
    assert_eq!(arity(&[1000, 2], 2), Fault::TooManyRows { rows: 1000, rows_max: 500 });
    assert!(matches!(arity(&[-1, 2], 2), Fault::Unreadable { .. }));
    assert_eq!(fault(&codec, b""), Fault::WrongArity { got: 0, expected: 2 });
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    let codec = numbers(1);
    let typed = |x| InferTensorContents { fp32_contents: vec![x], ..Default::default() };
    let input = |x| tensor("x0", "FP32", &[1], typed(x));
    let bare = InferInputTensor { contents: None, ..input(0.0) };
    let raw = |n| vec![1.0_f32.to_le_bytes().to_vec(); n];
    let unreadable = |value: &[u8]| matches!(fault(&codec, value), Fault::Unreadable { .. });
    assert!(unreadable(&request(vec![input(1.0)], raw(1))), "typed and raw");
    assert!(unreadable(&request(vec![bare.clone()], raw(2))), "a raw content of no tensor");
    assert!(unreadable(&request(vec![bare.clone(), bare], raw(1))), "two tensors, one content");
    assert!(unreadable(&request(vec![input(1.0), input(2.0)], vec![])), "a feature twice");
    let strange = tensor("x0", "COMPLEX64", &[1], typed(1.0));
    assert!(unreadable(&request(vec![strange], vec![])), "a datatype of no protocol");
}

#[test]
fn a_word_in_a_tensor_of_numbers_and_a_number_in_one_of_words_are_faults() {
    let words = InferTensorContents { bytes_contents: vec![b"1".to_vec()], ..Default::default() };
    let value = request(vec![tensor("x0", "BYTES", &[1], words)], vec![]);
    let feature = crate::record::FeatureId(0);
    assert_eq!(fault(&numbers(1), &value), Fault::WrongType { feature });
}

#[test]
fn a_feature_without_a_tensor_is_missing_and_stays_so() {
    let contents = InferTensorContents { fp32_contents: vec![0.5, 0.25], ..Default::default() };
    let value = request(vec![tensor("x1", "FP32", &[2, 1], contents)], vec![]);
    let codec = numbers(3);
    let read = check_decode(&codec, 3, &value).unwrap();
    assert_eq!(
        read.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
        [MISSING, 0.5, MISSING, MISSING, 0.25, MISSING].map(f32::to_bits)
    );
    let written = encode(&codec, &value, &[7.0, 0.5, 7.0, 7.0, 1.0, 7.0]);
    let expected = InferTensorContents { fp32_contents: vec![0.5, 1.0], ..Default::default() };
    assert_eq!(written, request(vec![tensor("x1", "FP32", &[2, 1], expected)], vec![]));
}

#[test]
fn a_word_that_a_tensor_of_numbers_cannot_say_is_left_as_it_was() {
    let values = ["7", "tcp"].map(String::from).to_vec();
    let features = vec![Feature::Category { name: "word".into(), values, impute: None }];
    let codec = OipProtobuf::new(Arc::new(Layout::new(&Schema { features }, 1000)), &inputs());
    let contents = InferTensorContents { int64_contents: vec![7, 8], ..Default::default() };
    let value = request(vec![tensor("word", "INT64", &[2], contents)], vec![]);
    assert_eq!(check_decode(&codec, 2, &value), Some(vec![1.0, 0.0, 0.0, 0.0]));
    assert_eq!(encode(&codec, &value, &[0.0, 1.0, 0.0, 0.0]), value);
    let seven = InferTensorContents { int64_contents: vec![7, 7], ..Default::default() };
    let expected = request(vec![tensor("word", "INT64", &[2], seven)], vec![]);
    assert_eq!(encode(&codec, &value, &[1.0, 0.0, 1.0, 0.0]), expected);
}

/// One row as a sender has it.
#[derive(Clone, Debug)]
struct Given {
    order: Vec<u8>,
    amount: f32,
    /// Past the end: a word that was never learned.
    word: usize,
    pixels: [u8; 2],
}

/// Which of the ways the protocol allows a request is written in.
#[derive(Clone, Copy, Debug)]
struct Way {
    raw: bool,
    packed: bool,
    /// Every list in as many pieces as it has elements.
    torn: bool,
    doubles: bool,
    bytes: bool,
}

fn given() -> impl Strategy<Value = Given> {
    (vec(any::<u8>(), 0..5), -1e9_f32..1e9, 0..3_usize, any::<[u8; 2]>())
        .prop_map(|(order, amount, word, pixels)| Given { order, amount, word, pixels })
}

fn way() -> impl Strategy<Value = Way> {
    any::<[bool; 5]>().prop_map(|[raw, packed, torn, doubles, bytes]| Way {
        raw,
        packed,
        torn,
        doubles,
        bytes,
    })
}

/// The words, and then one that was never learned.
fn word(at: usize) -> &'static str {
    WORDS.get(at).copied().unwrap_or("never")
}

fn row(given: &Given) -> [f32; WIDTH] {
    let [a, b] = given.pixels.map(|pixel| f32::from(pixel) / 255.0);
    let word = |at| f32::from(u8::from(given.word == at));
    [given.amount, word(0), word(1), a, b]
}

fn delimited(tag: u32, body: &[u8], out: &mut Vec<u8>) {
    bytes::encode(tag, &body.to_vec(), out);
}

/// A request written by prost's primitives: the features in another order than the schema's, and
/// a stranger and unknown fields among them.
fn write(rows: &[Given], way: Way) -> Vec<u8> {
    let n = rows.len() as i64;
    let pixels: Vec<u8> = rows.iter().flat_map(|row| row.pixels).collect();
    let amounts: Vec<f32> = rows.iter().map(|row| row.amount).collect();
    let words: Vec<Vec<u8>> = rows.iter().map(|row| word(row.word).as_bytes().to_vec()).collect();
    let orders: Vec<Vec<u8>> = rows.iter().map(|row| row.order.clone()).collect();
    let prefixed = |list: &[Vec<u8>]| -> Vec<u8> {
        let one = |x: &Vec<u8>| [&(x.len() as u32).to_le_bytes()[..], x].concat();
        list.iter().flat_map(one).collect()
    };
    let lists = |list: &[Vec<u8>]| {
        let mut out = vec![];
        bytes::encode_repeated(8, list, &mut out);
        out
    };
    macro_rules! typed {
        ($kind:ident, $tag:expr, $values:expr) => {{
            let (values, mut out) = ($values, vec![]);
            let pieces = if way.torn { 1 } else { values.len().max(1) };
            for piece in values.chunks(pieces) {
                match way.packed {
                    true => $kind::encode_packed($tag, piece, &mut out),
                    false => $kind::encode_repeated($tag, piece, &mut out),
                }
            }
            out
        }};
    }
    let doubles: Vec<f64> = amounts.iter().map(|&x| x.into()).collect();
    let (amount_type, amount, amount_raw) = match way.doubles {
        true => {
            let raw = doubles.iter().flat_map(|x| x.to_le_bytes()).collect();
            ("FP64", typed!(double, 7, &doubles), raw)
        }
        false => {
            let raw: Vec<u8> = amounts.iter().flat_map(|x| x.to_le_bytes()).collect();
            ("FP32", typed!(float, 6, &amounts), raw)
        }
    };
    let (image_type, image, image_raw) = match way.bytes {
        true => {
            let wide: Vec<u32> = pixels.iter().map(|&x| x.into()).collect();
            ("UINT8", typed!(uint32, 4, &wide), pixels.clone())
        }
        false => {
            let wide: Vec<i32> = pixels.iter().map(|&x| x.into()).collect();
            let raw: Vec<u8> = wide.iter().flat_map(|x| (*x as i16).to_le_bytes()).collect();
            ("INT16", typed!(int32, 2, &wide), raw)
        }
    };
    let stranger: Vec<u8> = [9_u8; 3].to_vec();
    type Tensor = (&'static str, &'static str, Vec<i64>, Vec<u8>, Vec<u8>);
    let tensors: [Tensor; 5] = [
        ("image", image_type, vec![n, 1, 1, 2], image, image_raw),
        ("stranger", "UINT8", vec![3], typed!(uint32, 4, &[9_u32; 3]), stranger),
        ("word", "BYTES", vec![n, 1], lists(&words), prefixed(&words)),
        ("order", "BYTES", vec![n], lists(&orders), prefixed(&orders)),
        ("amount", amount_type, vec![n], amount, amount_raw),
    ];
    let mut out = vec![];
    string::encode(1, &"a model".to_owned(), &mut out);
    for (name, datatype, shape, contents, raw) in &tensors {
        let mut body = vec![];
        if !way.raw {
            let half = contents.len() * usize::from(!way.torn);
            // Contents may come in pieces, of which one may be empty.
            delimited(5, &contents[..half], &mut body);
            delimited(77, b"unknown", &mut body);
            delimited(5, &contents[half..], &mut body);
        }
        string::encode(2, &(*datatype).to_owned(), &mut body);
        match way.packed {
            true => int64::encode_packed(3, shape, &mut body),
            false => int64::encode_repeated(3, shape, &mut body),
        }
        string::encode(1, &(*name).to_owned(), &mut body);
        delimited(5, &body, &mut out);
        if way.raw {
            // Raw contents may stand anywhere, in order.
            delimited(7, raw, &mut out);
        }
    }
    // Unknown: a varint, and a group with a field in it.
    int64::encode(99, &-1, &mut out);
    encode_key(98, WireType::StartGroup, &mut out);
    string::encode(1, &"in a group".to_owned(), &mut out);
    encode_key(98, WireType::EndGroup, &mut out);
    out
}

/// What prost reads, that no correction may touch.
fn untouched(value: &[u8]) -> (String, Vec<InferInputTensor>, Vec<Vec<u8>>) {
    let message = ModelInferRequest::decode(value).expect("a message");
    let ours = |name: &str| ["amount", "word", "image"].contains(&name);
    let names: Vec<bool> = message.inputs.iter().map(|input| ours(&input.name)).collect();
    let mut inputs = message.inputs;
    let changed = inputs.iter_mut().filter(|input| ours(&input.name));
    changed.for_each(|input| input.contents = None);
    let raw = message.raw_input_contents.into_iter().zip(names);
    (message.model_name, inputs, raw.filter(|(_, ours)| !ours).map(|(raw, _)| raw).collect())
}

proptest! {
    #[test]
    fn no_bytes_panic(value in vec(any::<u8>(), 0..80)) {
        check_decode(&codec(), WIDTH, &value);
        check_decode(&numbers(1), 1, &value);
    }

    #[test]
    fn no_damage_panics_and_what_is_still_rows_is_written_back_as_it_was(
        rows in vec(given(), 1..3),
        way in way(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut value = write(&rows, way);
        for (at, byte) in damage {
            let at = at.index(value.len());
            value[at] = byte;
        }
        let codec = codec();
        if let Some(read) = check_decode(&codec, WIDTH, &value)
            && read.iter().all(|x| x.is_finite())
        {
            prop_assert_eq!(encode(&codec, &value, &read), value);
        }
    }

    #[test]
    fn every_way_of_writing_a_request_reads_as_the_same_rows(
        rows in vec(given(), 1..4),
        way in way(),
    ) {
        let value = write(&rows, way);
        let read = check_decode(&codec(), WIDTH, &value).unwrap();
        let expected: Vec<f32> = rows.iter().flat_map(row).collect();
        prop_assert_eq!(&read, &expected);
        prop_assert_eq!(encode(&codec(), &value, &read), value);
    }

    #[test]
    fn what_changed_reads_back_and_the_rest_is_the_request_that_was(
        rows in vec((given(), given(), any::<bool>()), 1..4),
        way in way(),
    ) {
        let old: Vec<Given> = rows.iter().map(|(old, ..)| old.clone()).collect();
        let value = write(&old, way);
        // A row is changed or not; no correction takes a word away, none changes an id.
        let new = rows.iter().map(|(old, new, change)| match change {
            false => old.clone(),
            true => Given { order: old.order.clone(), word: new.word.min(1), ..new.clone() },
        });
        let new: Vec<Given> = new.collect();
        let wanted: Vec<f32> = new.iter().flat_map(row).collect();
        let written = encode(&codec(), &value, &wanted);
        prop_assert_eq!(check_decode(&codec(), WIDTH, &written), Some(wanted));
        prop_assert_eq!(untouched(&written), untouched(&value));
        // To the byte what a sender of the new rows would have written.
        prop_assert_eq!(written, write(&new, way));
    }
}
