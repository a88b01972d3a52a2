//! What a word says: a number, a truth value, nothing, or itself.
//!
//! Files without types and senders who write everything in quotes spell one value in several ways: `7`,
//! `7.0` and `"7"`, or `true`, `True` and `1`. Records and the files that `fit` reads are both read by
//! this, so that what was learned as one value is one value. It cannot know that `yes` means `true`, nor
//! that `12` is a code: the schema says what a feature is.

use std::borrow::Cow;

/// What a word stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meaning {
    /// A number; infinite if the word says so.
    Number(f64),
    Truth(bool),
    Nothing,
    Word,
}

/// Below it every integer is a double of its own: 2⁵³.
pub const INTEGERS_BELOW: f64 = 9_007_199_254_740_992.0;

/// What `word` stands for. A number has no zero before its digits: `007` is a code.
pub fn meaning(word: &str) -> Meaning {
    match word {
        "" | "nan" | "NaN" | "NAN" => return Meaning::Nothing,
        "true" | "True" | "TRUE" => return Meaning::Truth(true),
        "false" | "False" | "FALSE" => return Meaning::Truth(false),
        _ => {}
    }
    let bare = word.strip_prefix(['-', '+']).unwrap_or(word);
    if ["inf", "infinity"].iter().any(|name| bare.eq_ignore_ascii_case(name)) {
        let sign = if word.starts_with('-') { -1.0 } else { 1.0 };
        return Meaning::Number(sign * f64::INFINITY);
    }
    let digits = bare.bytes().take_while(u8::is_ascii_digit).count();
    let plain =
        bare.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
    let is_code = digits > 1 && bare.starts_with('0');
    match word.parse::<f64>() {
        Ok(x) if plain && !is_code && x.is_finite() => Meaning::Number(x),
        _ => Meaning::Word,
    }
}

/// The one spelling of what `word` stands for; none for nothing.
pub fn canonical(word: &str) -> Option<Cow<'_, str>> {
    match meaning(word) {
        Meaning::Nothing => None,
        Meaning::Truth(truth) => Some(if truth { "true" } else { "false" }.into()),
        // Of larger ones the digits tell them apart, which a number would lose.
        Meaning::Number(x) if x.abs() < INTEGERS_BELOW => Some(x.to_string().into()),
        Meaning::Number(_) | Meaning::Word => Some(word.into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_value_has_one_spelling_however_it_is_written() {
        for (one, spellings) in [
            ("7", &["7", "7.0", "7.00", "7e0", "+7"][..]),
            ("20.5", &["20.5", "20.50", "2.05e1"]),
            ("-0.25", &["-0.25", "-.25"]),
            ("true", &["true", "True", "TRUE"]),
            ("false", &["false", "False", "FALSE"]),
        ] {
            for spelling in spellings {
                assert_eq!(canonical(spelling).as_deref(), Some(one), "{spelling}");
            }
        }
        assert_eq!(["", "NaN", "nan"].map(canonical), [None, None, None]);
    }

    #[test]
    fn a_code_and_what_only_some_readers_take_for_a_number_stay_words() {
        for word in [
            "007",
            "-007",
            "00",
            "1_000",
            "0x10",
            "1,5",
            "١",
            " 7",
            "7 ",
            "12345678901234567890",
            "tRUE",
            "1e999",
            "e5",
            "-",
        ] {
            assert_eq!(canonical(word).as_deref(), Some(word), "{word}");
        }
    }

    proptest! {
        #[test]
        fn a_number_means_what_json_says_it_is(x in any::<f64>().prop_filter("JSON has it", |x| x.is_finite())) {
            let written = serde_json::to_string(&x).unwrap();
            prop_assert_eq!(meaning(&written), Meaning::Number(x));
        }

        #[test]
        fn the_one_spelling_is_its_own(word in "\\PC{0,12}") {
            let one = canonical(&word).map(Cow::into_owned);
            let again = one.as_deref().and_then(canonical).map(Cow::into_owned);
            prop_assert_eq!(again, one);
        }
    }
}
