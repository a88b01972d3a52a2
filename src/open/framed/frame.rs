//! The few bytes, or the header, that say which schema a value was written with.
//!
//! `00 | id, 32 bits, big-endian | payload` and the newer `01 | GUID, 16 bytes | payload`; or the
//! same without a payload in the header `__value_schema_id`, and the value is all payload. With
//! Protobuf the id is followed by the place of the message in its file: how many numbers, then the
//! numbers, each zig-zag; a single `00` stands for `[0]`, the first message.
//!
//! A value that begins with 0 or 1 for reasons of its own looks like a frame.

use super::bytes::Bytes;
use crate::open::ContentHeaders;
use crate::record::{Fault, SchemaId};

/// A value's schema, and where its payload begins.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    pub id: SchemaId,
    /// Whatever holds the frame, behind the id.
    rest: Bytes<'a>,
    in_header: bool,
}

impl<'a> Frame<'a> {
    /// # Errors
    /// `UnknownSchema` if a header is there and holds no id; `Unreadable` if neither says which
    /// schema it is; `Ambiguous` if the header is there twice.
    pub fn read(value: &'a [u8], headers: &ContentHeaders<'a>) -> Result<Self, Fault> {
        let header = headers.schema_id.get()?;
        let bytes = header.unwrap_or(value);
        let mut rest = Bytes::new(bytes, 0..bytes.len());
        let id = match rest.byte() {
            Ok(0) => rest.array().map(|id| SchemaId::Number(u32::from_be_bytes(id))),
            Ok(1) => rest.array().map(SchemaId::Guid),
            _ => Err(Fault::Unreadable { at: 0 }),
        };
        let unknown = |fault| if header.is_some() { Fault::UnknownSchema } else { fault };
        Ok(Self { id: id.map_err(unknown)?, rest, in_header: header.is_some() })
    }

    /// Where the payload begins in the value, if nothing stands between it and the id.
    pub fn payload(&self) -> usize {
        if self.in_header { 0 } else { self.rest.at }
    }

    /// The message's place in its file, and where the payload begins.
    ///
    /// # Errors
    /// If there is none, or it is deeper than messages nest.
    pub fn message(mut self) -> Result<(Vec<u32>, usize), Fault> {
        let in_header = self.in_header;
        let unknown = |fault| if in_header { Fault::UnknownSchema } else { fault };
        let path = self.path().map_err(unknown)?;
        Ok((path, self.payload()))
    }

    fn path(&mut self) -> Result<Vec<u32>, Fault> {
        /// Protobuf's own compilers nest no deeper.
        const DEPTH_MAX: i64 = 32;
        let from = self.rest.fault();
        match self.rest.zigzag()? {
            0 => Ok(vec![0]),
            n @ 1..=DEPTH_MAX => {
                let number = |_| u32::try_from(self.rest.zigzag()?).map_err(|_| from);
                (0..n).map(number).collect()
            }
            _ => Err(from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_may_be_written_in_two_ways() {
        for (value, path, payload) in [
            (&b"\0\0\0\0\x07\0rest"[..], vec![0], 6),
            (b"\0\0\0\0\x07\x02\0rest", vec![0], 7),
            (b"\0\0\0\0\x07\x04\x02\x06rest", vec![1, 3], 8),
        ] {
            let frame = Frame::read(value, &ContentHeaders::default()).unwrap();
            assert_eq!(frame.id, SchemaId::Number(7));
            assert_eq!(frame.message(), Ok((path, payload)));
        }
    }

    #[test]
    fn a_header_leaves_the_value_to_the_payload() {
        let header = *b"\x01\x89\x79\x12\x34\x56\x78\x40\x00\x80\x00\x00\x11\x22\x33\x44\x55\0";
        let headers = ContentHeaders { schema_id: header[..].into(), ..ContentHeaders::default() };
        let frame = Frame::read(b"payload", &headers).unwrap();
        assert_eq!(frame.id.to_string(), "89791234-5678-4000-8000-001122334455");
        assert_eq!(frame.payload(), 0);
        assert_eq!(frame.message(), Ok((vec![0], 0)));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for value in [&b""[..], b"\0\0\0\0", b"\x02\0\0\0\x01", b"\x01short", b"{}"] {
            let fault = Frame::read(value, &ContentHeaders::default()).map(|frame| frame.id);
            assert!(matches!(fault, Err(Fault::Unreadable { .. })), "{value:?}");
        }
        for path in [&b""[..], b"\x01", b"\x7f\x7f", b"\x02\x01"] {
            let value = [b"\0\0\0\0\x01", path].concat();
            assert!(Frame::read(&value, &ContentHeaders::default()).unwrap().message().is_err());
        }
        let headers = ContentHeaders { schema_id: b"17"[..].into(), ..ContentHeaders::default() };
        let fault = Frame::read(b"\0\0\0\0\x01", &headers).map(|frame| frame.id);
        assert_eq!(fault, Err(Fault::UnknownSchema));
    }
}
