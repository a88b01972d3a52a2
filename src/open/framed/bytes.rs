//! The few things that both binary formats are made of.

use std::ops::Range;

use prost::encoding::{decode_varint, encode_varint};

use crate::record::Fault;

/// Bytes being read, at a place.
#[derive(Clone, Debug)]
pub struct Bytes<'v> {
    all: &'v [u8],
    pub at: usize,
    end: usize,
}

impl<'v> Bytes<'v> {
    /// The bytes of `all` in `part`.
    pub fn new(all: &'v [u8], part: Range<usize>) -> Self {
        Self { all, at: part.start, end: part.end }
    }

    /// What every reader says when it cannot go on.
    pub fn fault(&self) -> Fault {
        Fault::Unreadable { at: self.at }
    }

    pub fn left(&self) -> usize {
        self.end - self.at
    }

    pub fn byte(&mut self) -> Result<u8, Fault> {
        self.array().map(|[byte]| byte)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N).map(|bytes| bytes.try_into().expect("as many as were asked for"))
    }

    pub fn take(&mut self, n: usize) -> Result<&'v [u8], Fault> {
        if n > self.left() {
            return Err(self.fault());
        }
        self.at += n;
        Ok(&self.all[self.at - n..self.at])
    }

    /// As many bytes as a number that was read says.
    pub fn sized(&mut self, size: impl TryInto<usize>) -> Result<&'v [u8], Fault> {
        let size = size.try_into().map_err(|_| self.fault())?;
        self.take(size)
    }

    /// The next bytes as text.
    pub fn text(&mut self, size: impl TryInto<usize>) -> Result<&'v str, Fault> {
        let unreadable = self.fault();
        std::str::from_utf8(self.sized(size)?).map_err(|_| unreadable)
    }

    /// A number of up to 64 bits, seven to a byte, the lowest first.
    pub fn varint(&mut self) -> Result<u64, Fault> {
        let mut rest = &self.all[self.at..self.end];
        let number = decode_varint(&mut rest).map_err(|_| self.fault())?;
        self.at = self.end - rest.len();
        Ok(number)
    }

    /// A number with the sign in its lowest bit.
    pub fn zigzag(&mut self) -> Result<i64, Fault> {
        self.varint().map(|n| (n >> 1) as i64 ^ -((n & 1) as i64))
    }
}

pub fn put_zigzag(number: i64, out: &mut Vec<u8>) {
    encode_varint(((number << 1) ^ (number >> 63)) as u64, out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_reads_as_it_was_written(number in any::<i64>()) {
            let mut out = vec![];
            put_zigzag(number, &mut out);
            let mut bytes = Bytes::new(&out, 0..out.len());
            prop_assert_eq!(bytes.zigzag(), Ok(number));
            prop_assert_eq!(bytes.left(), 0);
        }
    }

    #[test]
    fn a_number_beyond_64_bits_or_without_an_end_is_unreadable() {
        for bytes in
            [&[0xff; 12][..], &[0x80], &[0x80; 10], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"]
        {
            assert!(Bytes::new(bytes, 0..bytes.len()).varint().is_err(), "{bytes:?}");
        }
    }
}
