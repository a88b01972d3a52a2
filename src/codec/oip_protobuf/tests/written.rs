//! Requests written by prost in every way that the protocol allows.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::encoding::{WireType, bytes, double, encode_key, float, int32, int64, string, uint32};

use super::*;

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

/// A tensor: name, datatype, shape, contents typed and raw.
type Tensor = (&'static str, &'static str, Vec<i64>, Vec<u8>, Vec<u8>);

/// The features in another order than the schema's, and a stranger.
fn tensors(rows: &[Given], way: Way) -> [Tensor; 5] {
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
    [
        ("image", image_type, vec![n, 1, 1, 2], image, image_raw),
        ("stranger", "UINT8", vec![3], typed!(uint32, 4, &[9_u32; 3]), stranger),
        ("word", "BYTES", vec![n, 1], lists(&words), prefixed(&words)),
        ("order", "BYTES", vec![n], lists(&orders), prefixed(&orders)),
        ("amount", amount_type, vec![n], amount, amount_raw),
    ]
}

/// A request written by prost's primitives: the features in another order than the schema's, and
/// a stranger and unknown fields among them.
fn write(rows: &[Given], way: Way) -> Vec<u8> {
    let mut out = vec![];
    string::encode(1, &"a model".to_owned(), &mut out);
    for (name, datatype, shape, contents, raw) in &tensors(rows, way) {
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
