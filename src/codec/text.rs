//! The encodings in which a reader of JSON may take bytes for text.
//!
//! Python's `json.loads` takes UTF-8, UTF-16 and UTF-32 with or without a byte order mark, and tells
//! them by the zero bytes at the start. We read UTF-8 alone; this file only says what others may read.
//!
//! Source: `json.detect_encoding` of CPython 3.11.

use serde::de::IgnoredAny;

/// How the letters of a value are written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Encoding {
    Utf8,
    /// Bytes of a unit, the least significant first or not.
    Units {
        size: usize,
        little: bool,
    },
}

/// Whether a reader of JSON would take `value` for a document; with `number` for a bare number too.
///
/// It is one if it is text that begins and ends as a document does: what is wrong inside, Python and Go
/// may overlook (`NaN`, bytes that are no UTF-8). It is one too if it begins with a whole object or
/// array that holds something, whatever is behind: Go's decoder and Jackson look no further.
pub(super) fn is_document(value: &[u8], number: bool) -> bool {
    let blank = |letter: &Option<char>| matches!(letter, Some(' ' | '\t' | '\n' | '\r'));
    let Some(Some(first)) = letters(value).find(|letter| !blank(letter)) else { return false };
    let ends: fn(char) -> bool = match first {
        '{' => |last| last == '}',
        '[' => |last| last == ']',
        '"' => |last| last == '"',
        '0'..='9' | '-' if number => |last| last.is_ascii_digit(),
        _ => return false,
    };
    let mut text = String::with_capacity(value.len());
    let whole = letters(value).all(|letter| letter.map(|letter| text.push(letter)).is_some());
    if whole && text.trim_end().ends_with(ends) {
        return true;
    }
    let mut documents = serde_json::Deserializer::from_str(&text).into_iter::<IgnoredAny>();
    let is_first = matches!(documents.next(), Some(Ok(_)));
    let document = text[..documents.byte_offset()].trim();
    is_first && matches!(first, '{' | '[') && !document[1..document.len() - 1].trim().is_empty()
}

/// The letters of `value` as far as they matter to find documents. `None` for what no text has: a
/// control character, or a unit that is no letter.
fn letters(value: &[u8]) -> impl Iterator<Item = Option<char>> + '_ {
    let (encoding, start) = detect(value);
    let value = &value[start..];
    let size = match encoding {
        Encoding::Utf8 => 1,
        Encoding::Units { size, .. } => size,
    };
    let whole = value.len().is_multiple_of(size);
    let units = value.chunks_exact(size).map(move |unit| {
        let number = match encoding {
            Encoding::Utf8 => unit[0].into(),
            Encoding::Units { little: true, .. } => {
                unit.iter().rev().fold(0, |number: u32, &byte| number << 8 | u32::from(byte))
            }
            Encoding::Units { little: false, .. } => {
                unit.iter().fold(0, |number: u32, &byte| number << 8 | u32::from(byte))
            }
        };
        match number {
            9 | 10 | 13 => char::from_u32(number),
            0..32 => None,
            // Part of a letter: which one does not matter.
            0x80..=0xff if encoding == Encoding::Utf8 => Some('\u{fffd}'),
            0xd800..=0xdfff => Some('\u{fffd}'),
            number => char::from_u32(number),
        }
    });
    units.chain((!whole).then_some(None))
}

/// The encoding, and where the text begins.
fn detect(value: &[u8]) -> (Encoding, usize) {
    let units = |size, little| Encoding::Units { size, little };
    match *value {
        [0, 0, 0xfe, 0xff, ..] => (units(4, false), 4),
        [0xff, 0xfe, 0, 0, ..] => (units(4, true), 4),
        [0xfe, 0xff, ..] => (units(2, false), 2),
        [0xff, 0xfe, ..] => (units(2, true), 2),
        [0xef, 0xbb, 0xbf, ..] => (Encoding::Utf8, 3),
        [0, second, _, _, ..] => (units(if second == 0 { 4 } else { 2 }, false), 0),
        [_, 0, 0, 0, ..] => (units(4, true), 0),
        [_, 0, _, _, ..] => (units(2, true), 0),
        [0, _] => (units(2, false), 0),
        [_, 0] => (units(2, true), 0),
        _ => (Encoding::Utf8, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &[u8]) -> Option<String> {
        letters(value).collect()
    }

    #[test]
    fn text_is_found_in_every_encoding_that_python_guesses() {
        let text = "{\"x\": [1]}";
        let utf16 = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(bytes).collect()
        };
        let utf32 = |bytes: fn(u32) -> [u8; 4]| -> Vec<u8> {
            text.chars().flat_map(|letter| bytes(letter.into())).collect()
        };
        let all = [
            (vec![0xef, 0xbb, 0xbf], text.as_bytes().to_vec()),
            (vec![0xff, 0xfe], utf16(u16::to_le_bytes)),
            (vec![0xfe, 0xff], utf16(u16::to_be_bytes)),
            (vec![0xff, 0xfe, 0, 0], utf32(u32::to_le_bytes)),
            (vec![0, 0, 0xfe, 0xff], utf32(u32::to_be_bytes)),
        ];
        for (mark, bytes) in all {
            assert_eq!(read(&bytes).as_deref(), Some(text), "{bytes:?}");
            assert_eq!(read(&[mark, bytes].concat()).as_deref(), Some(text));
        }
    }

    #[test]
    fn bytes_with_a_control_character_or_half_a_unit_are_no_text() {
        assert_eq!(read(b"{1}\0"), None);
        assert_eq!(read(b"{\0}\0!"), None);
    }
}
