//! All but the last characters become three asterisks, whatever their number: not even the length stays.
//!
//! A value that is no longer than what would be kept is masked as a whole. It does not hide what the last characters
//! say: four digits of a card join a person's records as well as a name does.

use super::{FieldKind, FieldSettings, FieldStep, Leaf, Unfit, write_string};

pub const KIND: FieldKind = FieldKind { name: "mask", takes: &["keep_last?"], make };

/// `mask`
#[derive(Debug)]
struct Mask {
    keep_last: usize,
}

/// What stands for everything else.
const STARS: &str = "***";

fn make(settings: &FieldSettings) -> Result<Box<dyn FieldStep>, String> {
    Ok(Box::new(Mask { keep_last: settings.keep_last.unwrap_or(0) as usize }))
}

impl FieldStep for Mask {
    fn apply(&self, leaf: &Leaf<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let (Leaf::Text(text) | Leaf::Bare(text)) = leaf else { return Err(Unfit::Step) };
        let start = match self.keep_last {
            0 => text.len(),
            keep => text.char_indices().nth_back(keep - 1).map_or(0, |(at, _)| at),
        };
        let kept = if start == 0 { "" } else { &text[start..] };
        out.extend_from_slice(b"\"");
        out.extend_from_slice(STARS.as_bytes());
        let quote = out.len();
        write_string(kept, out);
        // The string's own quote goes; the stars have theirs.
        out.remove(quote);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn only_the_last_characters_stay_and_nothing_of_a_value_that_is_no_longer() {
        let settings = FieldSettings { keep_last: Some(4), ..FieldSettings::default() };
        check(
            "mask",
            &settings,
            &[
                (Leaf::Text("4111111111111111"), Ok("\"***1111\"")),
                (Leaf::Text("12345"), Ok("\"***2345\"")),
                (Leaf::Text("1234"), Ok("\"***\"")),
                (Leaf::Text("ab\u{e9}\u{1f600}\"\n"), Ok("\"***\u{e9}\u{1f600}\\\"\\n\"")),
                (Leaf::Text(""), Ok("\"***\"")),
                (Leaf::Bare("123456"), Ok("\"***3456\"")),
                (Leaf::Nested, Err(Unfit::Step)),
            ],
        );
        check("mask", &FieldSettings::default(), &[(Leaf::Text("abc"), Ok("\"***\""))]);
    }
}
