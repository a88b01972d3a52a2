//! A protobuf message as its fields, in their order: what nobody here changes stays byte for byte.
//!
//! It knows nothing of ONNX. A message that is not cut off is read whatever its fields mean.

use std::borrow::Cow;

/// One field of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Field<'a> {
    pub tag: u32,
    pub value: Wire<'a>,
}

/// What stands in a field, by its wire type.
#[derive(Clone, Debug, PartialEq)]
pub enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(Cow<'a, [u8]>),
    Fixed32([u8; 4]),
}

impl<'a> Field<'a> {
    pub fn bytes(tag: u32, bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { tag, value: Wire::Bytes(bytes.into()) }
    }

    pub fn varint(tag: u32, number: u64) -> Self {
        Self { tag, value: Wire::Varint(number) }
    }

    /// The bytes, if that is what it holds.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.value {
            Wire::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// The fields of `message`; none if it is cut off or no message.
pub fn read(mut message: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = vec![];
    while !message.is_empty() {
        let key = varint(&mut message)?;
        let tag = u32::try_from(key >> 3).ok().filter(|&tag| tag > 0)?;
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut message)?),
            1 => Wire::Fixed64(*take(&mut message, 8)?.first_chunk()?),
            2 => {
                let len = usize::try_from(varint(&mut message)?).ok()?;
                Wire::Bytes(Cow::Borrowed(take(&mut message, len)?))
            }
            5 => Wire::Fixed32(*take(&mut message, 4)?.first_chunk()?),
            _ => return None,
        };
        fields.push(Field { tag, value });
    }
    Some(fields)
}

/// The message that has these fields.
pub fn write(fields: &[Field<'_>]) -> Vec<u8> {
    let mut message = vec![];
    for Field { tag, value } in fields {
        let (kind, bytes): (u64, &[u8]) = match value {
            Wire::Varint(_) => (0, &[]),
            Wire::Fixed64(bytes) => (1, bytes),
            Wire::Bytes(bytes) => (2, bytes),
            Wire::Fixed32(bytes) => (5, bytes),
        };
        put_varint(&mut message, u64::from(*tag) << 3 | kind);
        match value {
            Wire::Varint(number) => put_varint(&mut message, *number),
            Wire::Bytes(bytes) => put_varint(&mut message, bytes.len() as u64),
            Wire::Fixed64(_) | Wire::Fixed32(_) => {}
        }
        message.extend_from_slice(bytes);
    }
    message
}

fn take<'a>(message: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = message.split_at_checked(len)?;
    *message = rest;
    Some(taken)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(message, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_read_is_written_as_it_was(
            parts in prop::collection::vec(
                (1..500_u32, prop_oneof![
                    any::<u64>().prop_map(Wire::Varint),
                    any::<[u8; 8]>().prop_map(Wire::Fixed64),
                    any::<[u8; 4]>().prop_map(Wire::Fixed32),
                    prop::collection::vec(any::<u8>(), 0..300)
                        .prop_map(|bytes| Wire::Bytes(bytes.into())),
                ]),
                0..8,
            ),
        ) {
            let fields: Vec<_> =
                parts.into_iter().map(|(tag, value)| Field { tag, value }).collect();
            let message = write(&fields);
            prop_assert_eq!(read(&message), Some(fields));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(fields) = read(&bytes) {
                let again = write(&fields);
                prop_assert_eq!(read(&again), Some(fields));
            }
        }
    }
}
