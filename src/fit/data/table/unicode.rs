//! Text in UTF-16, as spreadsheets and Windows write it, read as UTF-8; and the mark that files begin with.
//!
//! An encoding without a mark is told by the zeros that it puts between letters. What is no text
//! stays as it is, for whoever reads it to refuse.

use std::io::{self, BufRead, Read};

/// `reader` as UTF-8 without a mark at its beginning.
///
/// # Errors
/// If it cannot be read.
pub fn utf8<'r>(mut reader: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
    let head = reader.fill_buf()?;
    let (mark, big) = match head {
        [0xef, 0xbb, 0xbf, ..] => (3, None),
        [0xfe, 0xff, ..] => (2, Some(true)),
        // UTF-32 begins so too, with two zeros behind.
        [0xff, 0xfe, rest @ ..] if !rest.starts_with(&[0, 0]) => (2, Some(false)),
        [0, b, 0, d, ..] if is_letter(*b) && is_letter(*d) => (0, Some(true)),
        [a, 0, c, 0, ..] if is_letter(*a) && is_letter(*c) => (0, Some(false)),
        _ => (0, None),
    };
    reader.consume(mark);
    Ok(match big {
        None => Box::new(reader),
        Some(big) => Box::new(Utf16 { reader, big, high: None, out: vec![], at: 0 }),
    })
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte.is_ascii_whitespace()
}

/// Reads UTF-16 and gives UTF-8.
struct Utf16<R> {
    reader: R,
    big: bool,
    /// The first half of a letter that has two.
    high: Option<u16>,
    out: Vec<u8>,
    at: usize,
}

/// Units that are turned at a time.
const UNITS: usize = 4096;

impl<R: BufRead> Utf16<R> {
    /// Turns the next units; none are left if nothing came out.
    fn fill(&mut self) -> io::Result<()> {
        self.out.clear();
        self.at = 0;
        let mut bytes = vec![];
        (&mut self.reader).take(2 * UNITS as u64).read_to_end(&mut bytes)?;
        let (pairs, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "half a letter of UTF-16 at its end",
            ));
        }
        let unit = |pair: &[u8; 2]| match self.big {
            true => u16::from_be_bytes(*pair),
            false => u16::from_le_bytes(*pair),
        };
        let mut units: Vec<u16> =
            self.high.take().into_iter().chain(pairs.iter().map(unit)).collect();
        if pairs.len() == UNITS && units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit))
        {
            self.high = units.pop();
        }
        for letter in char::decode_utf16(units) {
            let letter = letter.map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidData, "half a letter of UTF-16")
            })?;
            self.out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.out.len() {
            self.fill()?;
        }
        let n = buffer.len().min(self.out.len() - self.at);
        buffer[..n].copy_from_slice(&self.out[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        utf8(bytes)?.read_to_string(&mut text)?;
        Ok(text)
    }

    proptest! {
        #[test]
        fn text_is_the_same_in_every_encoding(text in "[a-z],[ -~😀é]{0,9}", times in 1..900_usize) {
            let text = text.repeat(times);
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            for bytes in [
                text.as_bytes().to_vec(),
                [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(),
                [&[0xff, 0xfe], &little[..]].concat(),
                [&[0xfe, 0xff], &big[..]].concat(),
                little,
                big,
            ] {
                prop_assert_eq!(read(&bytes).unwrap(), text.clone());
            }
        }
    }
}
