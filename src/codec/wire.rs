//! Protobuf messages as they stand in a value: where each field is, and how to put other bytes in
//! its place while every other byte stays.
//!
//! prost reads keys and varints and skips what is unknown; nothing is copied, and nothing is
//! allocated for what is read. It knows no schema: what a field means is the caller's business.

use std::ops::Range;

use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_varint, encoded_len_varint,
    skip_field,
};

use crate::record::Fault;

/// The fields of a message, in order.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    value: &'a [u8],
    at: usize,
    end: usize,
}

/// One field; places are bytes of the whole value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub tag: u32,
    /// Where its key begins.
    pub at: usize,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Varint(u64, Range<usize>),
    /// 4 or 8 bytes.
    Fixed(Range<usize>),
    Delimited(Frame),
    /// A group: nothing of ours is one.
    Group,
}

/// Bytes that follow their length.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    pub length: Range<usize>,
    pub body: Range<usize>,
}

impl<'a> Fields<'a> {
    pub fn new(value: &'a [u8], message: Range<usize>) -> Self {
        Self { value, at: message.start, end: message.end }
    }

    fn read(&mut self) -> Result<Field, Fault> {
        let at = self.at;
        let unreadable = |_| Fault::Unreadable { at };
        let mut rest = &self.value[at..self.end];
        let (tag, wire) = decode_key(&mut rest).map_err(unreadable)?;
        let start = self.end - rest.len();
        let content = match wire {
            WireType::Varint => {
                let number = decode_varint(&mut rest).map_err(unreadable)?;
                Content::Varint(number, start..self.end - rest.len())
            }
            WireType::ThirtyTwoBit => Content::Fixed(start..start + 4),
            WireType::SixtyFourBit => Content::Fixed(start..start + 8),
            WireType::LengthDelimited => {
                let frame = frame(self.value, start..self.end);
                Content::Delimited(frame.ok_or(Fault::Unreadable { at })?)
            }
            WireType::StartGroup | WireType::EndGroup => {
                skip_field(wire, tag, &mut rest, DecodeContext::default()).map_err(unreadable)?;
                self.at = self.end - rest.len();
                return Ok(Field { tag, at, content: Content::Group });
            }
        };
        let end = match &content {
            Content::Varint(_, span) | Content::Fixed(span) => span.end,
            Content::Delimited(frame) => frame.body.end,
            Content::Group => unreachable!("returned above"),
        };
        if end > self.end {
            return Err(Fault::Unreadable { at });
        }
        self.at = end;
        Ok(Field { tag, at, content })
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<Field, Fault>;

    /// Ends behind a fault: what follows it cannot be told.
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.at = self.end;
        }
        Some(field)
    }
}

/// A length and the bytes it counts, at the start of `span`; nothing if they do not fit in it.
fn frame(value: &[u8], span: Range<usize>) -> Option<Frame> {
    let mut rest = &value[span.clone()];
    let length = decode_varint(&mut rest).ok()?;
    let start = span.end - rest.len();
    let length = usize::try_from(length).ok().filter(|&length| length <= rest.len())?;
    Some(Frame { length: span.start..start, body: start..start + length })
}

/// Writes a value anew, with other bytes in some places; they must come in order. The length of
/// every frame around a place that grew or shrank is written anew too.
#[derive(Debug)]
pub(super) struct Patch<'a> {
    original: &'a [u8],
    kept: usize,
    out: &'a mut Vec<u8>,
    /// Where the open frames begin in `out`: their lengths, and their bodies.
    open: Vec<(usize, usize)>,
}

impl<'a> Patch<'a> {
    /// Appends to `out`.
    pub fn new(original: &'a [u8], out: &'a mut Vec<u8>) -> Self {
        Self { original, kept: 0, out, open: vec![] }
    }

    fn keep(&mut self, until: usize) {
        self.out.extend_from_slice(&self.original[self.kept..until]);
        self.kept = until;
    }

    /// What is replaced from now on lies in `frame`.
    pub fn open(&mut self, frame: &Frame) {
        self.keep(frame.length.start);
        let at = self.out.len();
        self.keep(frame.length.end);
        self.open.push((at, self.out.len()));
    }

    /// Ends what [`Patch::open`] began.
    pub fn close(&mut self, frame: &Frame) {
        self.keep(frame.body.end);
        let (at, body) = self.open.pop().expect("a frame was opened");
        let length = self.out.len() - body;
        if length != frame.body.len() {
            let mut bytes = Vec::with_capacity(encoded_len_varint(length as u64));
            encode_varint(length as u64, &mut bytes);
            self.out.splice(at..body, bytes);
        }
    }

    /// Writes `write`'s bytes instead of those at `span`.
    pub fn replace(&mut self, span: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        self.keep(span.start);
        write(self.out);
        self.kept = span.end;
    }

    /// Writes what is left.
    pub fn finish(mut self) {
        assert!(self.open.is_empty(), "a frame was not closed");
        self.keep(self.original.len());
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Every field, frames from the outside in.
    fn fields(value: &[u8]) -> Vec<Result<Field, Fault>> {
        Fields::new(value, 0..value.len()).collect()
    }

    #[test]
    fn a_field_stands_where_its_bytes_are() {
        let value = [0x08, 0x96, 0x01, 0x12, 0x02, 0xaa, 0xbb, 0x1d, 1, 2, 3, 4];
        let frame = Frame { length: 4..5, body: 5..7 };
        let expected = [
            Field { tag: 1, at: 0, content: Content::Varint(150, 1..3) },
            Field { tag: 2, at: 3, content: Content::Delimited(frame) },
            Field { tag: 3, at: 7, content: Content::Fixed(8..12) },
        ];
        assert_eq!(fields(&value), expected.map(Ok));
    }

    #[test]
    fn what_does_not_fit_is_a_fault_at_its_key_and_the_end() {
        let unreadable = |at| Some(Err(Fault::Unreadable { at }));
        for torn in [&[0x08][..], &[0x08, 0x80], &[0x0d, 0, 0, 0], &[0x12, 2, 0], &[0x0c], &[0x00]]
        {
            assert_eq!(fields(torn).pop(), unreadable(0), "{torn:x?}");
            let behind = [&[0x08, 0x01], torn].concat();
            assert_eq!(fields(&behind).pop(), unreadable(2), "{torn:x?}");
        }
        assert_eq!(fields(&[0x0b; 300]), [Err(Fault::Unreadable { at: 0 })]);
        assert_eq!(
            fields(&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).len(),
            1
        );
    }

    #[test]
    fn a_place_that_grows_past_a_length_of_one_byte_moves_every_frame_around_it() {
        // A message of 3 bytes in a message, and something behind.
        let value = [0x12, 0x05, 0x12, 0x03, 1, 2, 3, 0x08, 0x07];
        let outer = Frame { length: 1..2, body: 2..7 };
        let inner = Frame { length: 3..4, body: 4..7 };
        let mut out = vec![9];
        let mut patch = Patch::new(&value, &mut out);
        patch.open(&outer);
        patch.open(&inner);
        patch.replace(5..6, |out| out.extend([0x55; 200]));
        patch.close(&inner);
        patch.close(&outer);
        patch.finish();
        let mut expected = vec![9, 0x12, 0xcd, 0x01, 0x12, 0xca, 0x01, 1];
        expected.extend([0x55; 200]);
        expected.extend([3, 0x08, 0x07]);
        assert_eq!(out, expected);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_every_place_lies_inside(value in vec(any::<u8>(), 0..60)) {
            let mut at = 0;
            for field in fields(&value).into_iter().flatten() {
                prop_assert!(field.at >= at);
                at = match field.content {
                    Content::Varint(_, span) | Content::Fixed(span) => span.end,
                    Content::Delimited(frame) => frame.body.end,
                    Content::Group => field.at + 1,
                };
                prop_assert!(at <= value.len());
            }
        }
    }
}
