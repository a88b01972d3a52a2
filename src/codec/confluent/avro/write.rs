//! A cell in the bytes of an Avro type.

use super::super::number::{number, truth};
use super::compile::Kind;
use crate::codec::Cell;
use crate::open::framed::put_zigzag;

/// Appends `cell` as `kind` is written, whole numbers rounded and held within what the type can
/// say; false, and nothing that counts, if the type cannot say it at all.
pub(super) fn write(kind: &Kind, cell: Cell<'_>, out: &mut Vec<u8>) -> bool {
    match kind {
        Kind::Boolean => {
            let Some(yes) = truth(cell) else { return false };
            out.push(u8::from(yes));
        }
        Kind::Int => {
            let Some(number) = number(cell) else { return false };
            put_zigzag((number.round() as i32).into(), out);
        }
        Kind::Long => {
            let Some(number) = number(cell) else { return false };
            put_zigzag(number.round() as i64, out);
        }
        Kind::Float => {
            let Some(number) = number(cell) else { return false };
            out.extend((number as f32).to_le_bytes());
        }
        Kind::Double => {
            let Some(number) = number(cell) else { return false };
            out.extend(number.to_le_bytes());
        }
        Kind::Decimal { scale, fixed } => {
            let Some(number) = number(cell) else { return false };
            return decimal((number * 10_f64.powi(*scale)).round(), *fixed, out);
        }
        Kind::Enum(symbols) => {
            let Cell::Word(word) = cell else { return false };
            let Some(at) = symbols.iter().position(|symbol| symbol == word) else { return false };
            put_zigzag(at as i64, out);
        }
        Kind::String | Kind::Bytes => {
            let Cell::Word(word) = cell else { return false };
            put_zigzag(word.len() as i64, out);
            out.extend(word.as_bytes());
        }
        Kind::Fixed(size) => match cell {
            Cell::Word(word) if word.len() == *size => out.extend(word.as_bytes()),
            _ => return false,
        },
        Kind::Null | Kind::Record(_) | Kind::Array { .. } | Kind::Map { .. } | Kind::Union(_) => {
            return false;
        }
    }
    true
}

/// Two's complement, big-endian: as few bytes as hold it, or as many as the type has.
fn decimal(unscaled: f64, fixed: Option<usize>, out: &mut Vec<u8>) -> bool {
    // Beyond 2¹²⁷ the cast is not the number; no `f32` row has use for it.
    if unscaled.abs() >= 1e38 {
        return false;
    }
    let number = unscaled as i128;
    let bytes = number.to_be_bytes();
    let sign = if number < 0 { 0xff } else { 0 };
    let idle = bytes.windows(2).take_while(|w| w[0] == sign && (w[1] ^ sign) < 0x80).count();
    let digits = &bytes[idle..];
    match fixed {
        None => put_zigzag(digits.len() as i64, out),
        Some(size) if size < digits.len() => return false,
        Some(size) => out.extend(std::iter::repeat_n(sign, size - digits.len())),
    }
    out.extend(digits);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &Kind, cell: Cell<'_>, expected: Option<&[u8]>) {
        let mut out = vec![];
        let written = write(kind, cell, &mut out);
        assert_eq!(written.then_some(&out[..]), expected, "{kind:?} {cell:?}");
    }

    #[test]
    fn whole_numbers_are_rounded_and_held_within_their_type() {
        check(&Kind::Int, Cell::Number(-1.5), Some(&[3]));
        check(&Kind::Int, Cell::Number(1e30), Some(&[0xfe, 0xff, 0xff, 0xff, 0x0f]));
        check(&Kind::Long, Cell::Word("64"), Some(&[0x80, 1]));
        check(&Kind::Boolean, Cell::Number(0.6), Some(&[1]));
        check(&Kind::Int, Cell::Word("tcp"), None);
    }

    #[test]
    fn a_decimal_takes_as_few_bytes_as_hold_it_or_all_that_it_has() {
        let bytes = Kind::Decimal { scale: 2, fixed: None };
        check(&bytes, Cell::Number(1.27), Some(&[2, 127]));
        check(&bytes, Cell::Number(1.28), Some(&[4, 0, 128]));
        check(&bytes, Cell::Number(-1.28), Some(&[2, 128]));
        check(&bytes, Cell::Number(0.0), Some(&[2, 0]));
        let fixed = Kind::Decimal { scale: 0, fixed: Some(2) };
        check(&fixed, Cell::Number(-2.0), Some(&[0xff, 0xfe]));
        check(&fixed, Cell::Number(40_000.0), None);
    }

    #[test]
    fn a_word_that_the_type_does_not_have_is_not_written() {
        let symbols = Kind::Enum(vec!["tcp".into(), "udp".into()]);
        check(&symbols, Cell::Word("udp"), Some(&[2]));
        check(&symbols, Cell::Word("icmp"), None);
        check(&Kind::Fixed(3), Cell::Word("four"), None);
        check(&Kind::String, Cell::Word("udp"), Some(b"\x06udp"));
    }
}
