//! Held against `prost-reflect`'s own messages, and against what only other writers write.

use proptest::prelude::*;
use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _, Value};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::super::tests::{NOTHING, bits, codec, encoded, rows};
use super::super::{Confluent, Language, Text};
use crate::codec::{Codec as _, ContentHeaders};
use crate::record::{Fault, FeatureId, MISSING, SchemaId};

const PAYMENT: &str = r#"
syntax = "proto3";
package shop;
import "google/protobuf/wrappers.proto";

enum Protocol { udp = 0; tcp = 1; icmp = 5; }
message Other { string amount = 1; }
message Payment {
  message Part { repeated double image = 2 [packed = true]; bool late = 3; }
  string order = 1;
  optional double amount = 9;
  sint32 count = 2;
  Protocol protocol = 3;
  repeated float image = 4;
  string note = 300;
}
message Rich {
  google.protobuf.DoubleValue amount = 1;
  oneof what { int64 count = 2; string word = 3; Payment.Part part = 4; }
  repeated Payment.Part parts = 5;
  repeated int32 plain = 6;
}
"#;

/// Frames: the id, then the message's place in the file.
const OTHER: &[u8] = &[0, 0, 0, 0, 7, 0];
const PAYMENT_FRAME: &[u8] = &[0, 0, 0, 0, 7, 2, 2];
const RICH_FRAME: &[u8] = &[0, 0, 0, 0, 7, 2, 4];

fn protobuf(fields: Option<&[&str]>) -> Confluent {
    codec(Language::Protobuf, PAYMENT, fields)
}

struct Source;

impl FileResolver for Source {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "payment.proto" => File::from_source(name, PAYMENT),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

fn pool() -> DescriptorPool {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Source);
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.open_file("payment.proto").unwrap();
    compiler.descriptor_pool()
}

fn payment(
    amount: Option<f64>,
    count: i32,
    protocol: i32,
    image: [f32; 2],
    note: &str,
) -> DynamicMessage {
    let message = pool().get_message_by_name("shop.Payment").unwrap();
    let mut message = DynamicMessage::new(message);
    message.set_field_by_name("order", Value::String("o-1".into()));
    if let Some(amount) = amount {
        message.set_field_by_name("amount", Value::F64(amount));
    }
    message.set_field_by_name("count", Value::I32(count));
    message.set_field_by_name("protocol", Value::EnumNumber(protocol));
    message.set_field_by_name("image", Value::List(image.map(Value::F32).to_vec()));
    message.set_field_by_name("note", Value::String(note.into()));
    message
}

fn framed(frame: &[u8], message: &DynamicMessage) -> Vec<u8> {
    [frame, &message.encode_to_vec()].concat()
}

proptest! {
    #[test]
    fn what_another_writer_wrote_is_read_and_what_we_write_is_read_by_it(
        amount in proptest::option::of(-1e30_f32..1e30),
        (protocol, count) in (0_usize..3, -1_000_000_i32..1_000_000),
        image in proptest::array::uniform2(0_f32..1.0),
        (new_amount, new_count) in (-1e30_f32..1e30, -1_000_000_i32..1_000_000),
        note in ".{0,20}",
    ) {
        let codec = protobuf(None);
        let number = [0, 1, 5][protocol];
        let value = framed(PAYMENT_FRAME, &payment(amount.map(f64::from), count, number, image, &note));
        let word = |at: usize| f32::from(u8::from(protocol == at));
        let row = [
            amount.unwrap_or(MISSING), count as f32, word(1), word(0), image[0], image[1],
        ];
        prop_assert_eq!(bits(&rows(&codec, &value).unwrap()), bits(&row));

        // Everything that can change does, whether it was written or a default.
        let corrected = encoded(&codec, &value, &[new_amount, new_count as f32, 1.0, 0.0, 0.5, 0.25]);
        prop_assert_eq!(&corrected[..7], PAYMENT_FRAME);
        let expected = payment(amount.map(|_| new_amount.into()), new_count, 1, [0.5, 0.25], &note);
        let read = DynamicMessage::decode(expected.descriptor(), &corrected[7..]).unwrap();
        // Field by field: a default that is written is the same as one that is not.
        for name in ["order", "amount", "count", "protocol", "image", "note"] {
            prop_assert_eq!(read.get_field_by_name(name), expected.get_field_by_name(name));
        }
        prop_assert_eq!(read.has_field_by_name("amount"), amount.is_some());
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), which in 0..3_usize) {
        let frame = [OTHER, PAYMENT_FRAME, RICH_FRAME][which];
        let _ = rows(&protobuf(None), &[frame, &bytes].concat());
    }

    #[test]
    fn no_message_with_one_byte_changed_panics(at in 0_usize..128, byte in any::<u8>()) {
        let mut value = framed(PAYMENT_FRAME, &payment(Some(1.5), 3, 1, [0.5, 0.25], "note"));
        let at = PAYMENT_FRAME.len() + at % (value.len() - PAYMENT_FRAME.len());
        value[at] = byte;
        let _ = rows(&protobuf(None), &value);
    }
}

/// A message of these bytes has these columns.
fn check(frame: &[u8], fields: Option<&[&str]>, bytes: &[u8], expected: Result<[f32; 6], Fault>) {
    let codec = protobuf(fields);
    let read = rows(&codec, &[frame, bytes].concat()).map(|row| bits(&row));
    assert_eq!(read, expected.map(|row| bits(&row)), "{bytes:?}");
}

const PIXELS: &[u8] = &[0x22, 8, 0, 0, 0, 0x3f, 0, 0, 0x80, 0x3e];

fn with_pixels(bytes: &[u8]) -> Vec<u8> {
    [bytes, PIXELS].concat()
}

#[test]
fn a_field_without_presence_holds_its_default_and_one_with_presence_is_missing() {
    check(PAYMENT_FRAME, None, PIXELS, Ok([MISSING, 0.0, 0.0, 1.0, 0.5, 0.25]));
    let codec = protobuf(None);
    let value = [PAYMENT_FRAME, PIXELS].concat();
    let changed = encoded(&codec, &value, &[9.0, -2.0, 1.0, 0.0, 0.5, 0.25]);
    // Written where they were not: the count as a sint32, the enum by its number.
    assert_eq!(changed, [PAYMENT_FRAME, PIXELS, &[0x10, 3, 0x18, 1]].concat());
}

#[test]
fn fields_come_in_any_order_and_again_and_lists_packed_or_not() {
    // The count twice, the image as one packed and one single item, an unknown field and a group.
    let bytes = [
        &[0x25, 0, 0, 0, 0x3f][..],   // image: 0.5
        &[0x10, 2],                   // count: 1
        &[0x7a, 2, b'h', b'i'],       // field 15
        &[0x8b, 1, 0x08, 1, 0x8c, 1], // group 17
        &[0x22, 4, 0, 0, 0x80, 0x3e], // image: 0.25
        &[0x10, 6],                   // count: 3
        &[0x18, 9],                   // protocol: a number without a name
    ]
    .concat();
    check(PAYMENT_FRAME, None, &bytes, Ok([MISSING, 3.0, 0.0, 0.0, 0.5, 0.25]));
    let codec = protobuf(None);
    let value = [PAYMENT_FRAME, &bytes].concat();
    let changed = encoded(&codec, &value, &[MISSING, 4.0, 0.0, 0.0, 0.5, 0.25]);
    let mut expected = value.clone();
    (expected[7 + 6], expected[7 + 24]) = (8, 8);
    assert_eq!(changed, expected, "both are written, whichever one reads");
}

#[test]
fn a_member_of_a_oneof_voids_the_others_and_messages_merge() {
    let fields = ["/amount", "/count", "/word", "/part/late", "/plain/1", "/parts/1/image/0"];
    let check = |bytes: &[u8], expected: &[f32; 6]| {
        let codec = crate::codec::confluent::tests::numbers(PAYMENT, &fields);
        let read = rows(&codec, &[RICH_FRAME, bytes].concat()).map(|row| bits(&row));
        assert_eq!(read, Ok(bits(expected)), "{bytes:?}");
    };
    let mut none = NOTHING;
    check(&[], &none);
    // A wrapper that is there and empty is 0.
    none[0] = 0.0;
    check(&[0x0a, 0], &none);
    // The count, then the part: the count is void; then a second part merges into the first.
    let mut part = NOTHING;
    part[3] = 1.0;
    check(&[0x10, 5, 0x22, 2, 0x18, 1, 0x22, 0], &part);
    let mut count = NOTHING;
    count[1] = 5.0;
    check(&[0x22, 2, 0x18, 1, 0x10, 5], &count);
    // And a part that comes back after something else begins anew.
    part[3] = 0.0;
    check(&[0x22, 2, 0x18, 1, 0x10, 5, 0x22, 0], &part);
    // Items by index: the second of a packed list, the image of the second part.
    let mut items = NOTHING;
    (items[4], items[5]) = (8.0, 1.0);
    let image = [&[0x2a, 0, 0x2a, 10, 0x12, 8][..], &1_f64.to_le_bytes()].concat();
    check(&[&[0x32, 3, 7, 8, 9][..], &image].concat(), &items);
}

#[test]
fn lengths_around_what_grows_are_written_anew() {
    let fields = ["/amount", "/count", "/word", "/part/late", "/plain/1", "/parts/1/image/0"];
    let codec = crate::codec::confluent::tests::numbers(PAYMENT, &fields);
    let value = [RICH_FRAME, &[0x22, 0, 0x32, 3, 7, 8, 9]].concat();
    let mut row = rows(&codec, &value).unwrap();
    (row[3], row[4]) = (1.0, 1000.0);
    let grown = encoded(&codec, &value, &row);
    assert_eq!(grown, [RICH_FRAME, &[0x22, 2, 0x18, 1, 0x32, 4, 7, 0xe8, 7, 9]].concat());
    assert_eq!(bits(&rows(&codec, &grown).unwrap()), bits(&row));
}

#[test]
fn what_is_no_message_is_unreadable() {
    let at = |at: usize| Err(Fault::Unreadable { at: PAYMENT_FRAME.len() + at });
    for (bytes, at_byte) in [
        (&[0x10][..], 1),                                                       // no value
        (&[0x00, 1], 0),                                                        // field 0
        (&[0x0a, 5, b'x'], 2), // shorter than it says
        (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], 11), // 2⁶⁴ - 1 bytes
        (&[0x0c], 1),          // the end of no group
        (&[0x8b, 1, 0x94, 1], 4), // the end of another
        (&[0x0f], 1),          // no wire type
    ] {
        check(PAYMENT_FRAME, None, bytes, at(at_byte));
    }
    let groups = vec![0x0b; 10_000];
    assert!(rows(&protobuf(None), &[PAYMENT_FRAME, &groups].concat()).is_err());
}

#[test]
fn another_message_of_the_file_is_read_by_its_own_type_and_none_that_is_not_there() {
    let wrong = Err(Fault::WrongType { feature: FeatureId(0) });
    check(OTHER, None, &[0x0a, 1, b'7'], wrong);
    let nested = [0, 0, 0, 0, 7, 4, 2, 0];
    check(&nested, None, &[0x18, 1], Ok(NOTHING));
    check(&[0, 0, 0, 0, 7, 2, 8], None, &[], Err(Fault::UnknownSchema));
    let image = with_pixels(&[0x10, 2]);
    check(PAYMENT_FRAME, None, &image, Ok([MISSING, 1.0, 0.0, 1.0, 0.5, 0.25]));
}

#[test]
fn a_descriptor_in_base64_is_a_schema_too_and_imports_come_from_the_registry() {
    use base64::Engine as _;
    let file = pool().get_file_by_name("payment.proto").unwrap();
    let encoded = file.file_descriptor_proto().encode_to_vec();
    let text = base64::engine::general_purpose::STANDARD.encode(encoded);
    let codec = protobuf(None);
    let text = Text { language: Language::Protobuf, text, references: vec![], rules: None };
    codec.learn(SchemaId::Number(8), Some(&text)).unwrap();
    let value = [&[0, 0, 0, 0, 8, 2, 2], PIXELS].concat();
    assert_eq!(rows(&codec, &value).unwrap()[4..], [0.5, 0.25]);

    let importing = r#"syntax = "proto3"; import "a/b.proto"; message M { b.Inner inner = 1; }"#;
    let imported = r#"syntax = "proto3"; package b; message Inner { double amount = 1; }"#;
    let language = Language::Protobuf;
    let alone = Text { language, text: importing.into(), references: vec![], rules: None };
    assert!(codec.learn(SchemaId::Number(9), Some(&alone)).is_err());
    let references = vec![("a/b.proto".to_owned(), imported.to_owned())];
    let whole = Text { references, ..alone };
    codec.learn(SchemaId::Number(10), Some(&whole)).unwrap();
    assert_eq!(codec.missing(&[0, 0, 0, 0, 10, 0], &ContentHeaders::default()), None);
}
