//! Words that people and tools write where there is no value, or around a number.
//!
//! None of them is taken for a missing value by itself: `NA` is a country, and a record that has it is read as
//! the file is. They say which question to ask. It cannot know a mark that only one house uses.

/// In small letters.
const MARKS: [&str; 24] = [
    "na", "n/a", "#n/a", "#na", "<na>", "n.a.", "null", "(null)", "<null>", "\\n", "none", "nil",
    "nan", "-nan", "1.#qnan", "?", "-", "--", ".", "*", "missing", "unknown", "#value!", "#div/0!",
];

/// Whether the word is often written for nothing.
pub fn is_mark(word: &str) -> bool {
    MARKS.contains(&word.to_lowercase().as_str())
}

/// Whether the word is a number with a currency, a percent sign, brackets or separators around its digits.
pub fn is_dressed(word: &str) -> bool {
    let sign = |c: char| "$€£¥₹%(),.'’+-− \u{a0}\u{202f}".contains(c);
    let has = |wanted: &[char]| word.chars().any(|c| wanted.contains(&c));
    word.chars().all(|c| c.is_ascii_digit() || sign(c))
        && word.chars().any(|c| c.is_ascii_digit())
        && has(&['$', '€', '£', '¥', '₹', '%', '(', ','])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_their_dress_are_told_from_words() {
        for word in ["$59.42", "-€1,234", "50%", "(58.01)", "12,34,567", "1 234,5"] {
            assert!(is_dressed(word), "{word}");
        }
        for word in
            ["10.0.0.1", "2026-11", "0-4", "$", "%", "", "10%-20%x", "007", "A1", "1-800-555"]
        {
            assert!(!is_dressed(word), "{word}");
        }
        assert!(is_mark("N/A") && is_mark("?") && !is_mark("DE"));
    }
}
