//! The first characters stay: `SW1A` of a postal code, a region of a number.
//!
//! A value with no more characters than are kept stays as it is: it cannot hide short values.

use super::{FieldKind, FieldSettings, FieldStep, Leaf, Unfit, write_string};

pub const KIND: FieldKind = FieldKind { name: "prefix", takes: &["chars"], make };

/// `prefix`
#[derive(Debug)]
struct Prefix {
    chars: usize,
}

fn make(settings: &FieldSettings) -> Result<Box<dyn FieldStep>, String> {
    match settings.chars {
        Some(chars) if chars > 0 => Ok(Box::new(Prefix { chars: chars as usize })),
        _ => Err("a prefix of no characters is \"null\"".into()),
    }
}

impl FieldStep for Prefix {
    fn apply(&self, leaf: &Leaf<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let (Leaf::Text(text) | Leaf::Bare(text)) = leaf else { return Err(Unfit::Step) };
        let end = text.char_indices().nth(self.chars).map_or(text.len(), |(at, _)| at);
        write_string(&text[..end], out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn the_first_characters_stay_whatever_bytes_they_take() {
        let settings = FieldSettings { chars: Some(3), ..FieldSettings::default() };
        check(
            "prefix",
            &settings,
            &[
                (Leaf::Text("SW1A 1AA"), Ok("\"SW1\"")),
                (Leaf::Text("\u{e9}\u{e9}\u{1f600}x"), Ok("\"\u{e9}\u{e9}\u{1f600}\"")),
                (Leaf::Text("ab"), Ok("\"ab\"")),
                (Leaf::Bare("90210"), Ok("\"902\"")),
                (Leaf::Nested, Err(Unfit::Step)),
            ],
        );
    }
}
