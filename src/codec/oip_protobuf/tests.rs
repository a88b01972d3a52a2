mod written;

use prost::Message;

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
