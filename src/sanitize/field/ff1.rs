//! The digits of a text become other digits, as many, at the same places: format-preserving encryption, FF1 of NIST
//! SP 800-38G, with the field's pointer as tweak. Whoever has the key undoes it.
//!
//! Only for readers that refuse a pseudonym: it is reversible, and it keeps length and punctuation. Six digits are
//! the least, because fewer could be tried. A text with letters, and a JSON number (whose zeros could not lead), are
//! not what it can be applied to.

use std::fmt;

use aes::{Aes128, Aes192, Aes256};
use fpe::ff1::{FF1, FlexibleNumeralString};

use super::{FieldKind, FieldSettings, FieldStep, Leaf, Unfit, write_string};

pub const KIND: FieldKind = FieldKind { name: "ff1", takes: &["key"], make };

const RADIX: u32 = 10;
/// 10⁶ values, as the standard's revision demands.
const DIGITS_MIN: usize = 6;
/// Its arithmetic costs the square of the length.
const DIGITS_MAX: usize = 64;

/// `ff1`
struct Ff1 {
    cipher: Cipher,
    tweak: Vec<u8>,
}

/// AES by the length of its key.
enum Cipher {
    Aes128(FF1<Aes128>),
    Aes192(FF1<Aes192>),
    Aes256(FF1<Aes256>),
}

fn make(settings: &FieldSettings) -> Result<Box<dyn FieldStep>, String> {
    let (id, key) = settings.key.as_ref().ok_or("a key is wanted")?;
    let key = key.expose();
    let cipher = match key.len() {
        16 => FF1::new(key, RADIX).map(Cipher::Aes128),
        24 => FF1::new(key, RADIX).map(Cipher::Aes192),
        32 => FF1::new(key, RADIX).map(Cipher::Aes256),
        n => return Err(format!("the key {id:?} has {n} bytes: AES takes 16, 24 or 32")),
    };
    let cipher = cipher.map_err(|error| error.to_string())?;
    Ok(Box::new(Ff1 { cipher, tweak: settings.field.clone().into_bytes() }))
}

impl FieldStep for Ff1 {
    fn apply(&self, leaf: &Leaf<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let Leaf::Text(text) = *leaf else { return Err(Unfit::Step) };
        let fits = text.chars().all(|c| c.is_ascii_digit() || c == ' ' || c.is_ascii_punctuation());
        let digits = text.bytes().filter(u8::is_ascii_digit).map(|digit| u16::from(digit - b'0'));
        let digits: Vec<u16> = digits.collect();
        if !fits || !(DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) {
            return Err(Unfit::Step);
        }
        let digits = FlexibleNumeralString::from(digits);
        let made = match &self.cipher {
            Cipher::Aes128(cipher) => cipher.encrypt(&self.tweak, &digits),
            Cipher::Aes192(cipher) => cipher.encrypt(&self.tweak, &digits),
            Cipher::Aes256(cipher) => cipher.encrypt(&self.tweak, &digits),
        };
        let mut made = Vec::from(made.map_err(|_| Unfit::Step)?).into_iter();
        let digit = |c: char| match c.is_ascii_digit() {
            true => made.next().and_then(|digit| char::from_digit(digit.into(), RADIX)),
            false => Some(c),
        };
        let text: String = text.chars().filter_map(digit).collect();
        write_string(&text, out);
        Ok(())
    }
}

impl fmt::Debug for Ff1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ff1")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;
    use crate::open::SecretKey;

    /// The first bytes are those of a key of AES-128, then of AES-192.
    const KEY: [u8; 32] = [
        0x2B, 0x7E, 0x15, 0x16, 0x28, 0xAE, 0xD2, 0xA6, 0xAB, 0xF7, 0x15, 0x88, 0x09, 0xCF, 0x4F,
        0x3C, 0xEF, 0x43, 0x59, 0xD8, 0xD5, 0x80, 0xAA, 0x4F, 0x7F, 0x03, 0x6D, 0x6F, 0x04, 0xFC,
        0x6A, 0x94,
    ];

    fn settings(bytes: usize, tweak: &str) -> FieldSettings {
        let key = Some(("k".to_owned(), SecretKey::new(KEY[..bytes].to_vec())));
        FieldSettings { field: tweak.into(), key, ..FieldSettings::default() }
    }

    /// NIST's "FF1samples", those of radix 10: 1, 2, 4, 5, 7 and 8.
    #[test]
    fn the_samples_of_nist_come_out() {
        for (bytes, tweak, expected) in [
            (16, "", "\"2433477484\""),
            (16, "9876543210", "\"6124200773\""),
            (24, "", "\"2830668132\""),
            (24, "9876543210", "\"2496655549\""),
            (32, "", "\"6657667009\""),
            (32, "9876543210", "\"1001623463\""),
        ] {
            check("ff1", &settings(bytes, tweak), &[(Leaf::Text("0123456789"), Ok(expected))]);
        }
    }

    #[test]
    fn punctuation_stays_and_what_could_be_tried_or_has_letters_is_refused() {
        check(
            "ff1",
            &settings(16, ""),
            &[
                (Leaf::Text("01-2345 6789."), Ok("\"24-3347 7484.\"")),
                (Leaf::Text("12345"), Err(Unfit::Step)),
                (Leaf::Text("DE123456789"), Err(Unfit::Step)),
                (Leaf::Text("\u{661}123456789"), Err(Unfit::Step)),
                (Leaf::Bare("123456789"), Err(Unfit::Step)),
                (Leaf::Nested, Err(Unfit::Step)),
            ],
        );
        let long = "1".repeat(DIGITS_MAX + 1);
        check("ff1", &settings(16, ""), &[(Leaf::Text(&long), Err(Unfit::Step))]);
        assert!(make(&settings(17, "")).is_err());
    }
}
