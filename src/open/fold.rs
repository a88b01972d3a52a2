//! Names that a reader takes for each other because it does not mind the case of letters.
//!
//! Go's `encoding/json` prefers a member of exactly the wanted name, and otherwise takes one that
//! differs in case alone. The last one wins, so `X0` behind `x0` replaces it. Its case folding knows all
//! of Unicode: the Kelvin sign is a `k`, the long s an `s`. Ours folds a few letters more (`\u{df}` is
//! `ss`): that refuses more, never less.

use std::cmp::Ordering;

/// `name` with its letters folded.
pub fn folded(name: &str) -> String {
    letters(name).collect()
}

/// Whether a reader that does not mind the case of letters takes `key` for `name`.
pub fn is_same(name: &str, key: &str) -> bool {
    name == key || letters(name).eq(letters(key))
}

/// Orders `folded`, which [`folded`] made, against `key`, without writing the key anew.
pub fn compare(folded: &str, key: &str) -> Ordering {
    folded.chars().cmp(letters(key))
}

fn letters(name: &str) -> impl Iterator<Item = char> + '_ {
    let lower = name.chars().flat_map(char::to_lowercase);
    lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `strings.EqualFold` of Go 1.26 says of these pairs.
    #[test]
    fn names_are_the_same_where_go_takes_them_for_the_same() {
        for (name, key) in [
            ("x0", "X0"),
            ("inputs", "input\u{17f}"),
            ("kind", "\u{212a}IND"),
            ("\u{b5}", "\u{39c}"),
            ("stra\u{df}e", "STRA\u{1e9e}E"),
        ] {
            assert!(is_same(name, key), "{name} {key}");
            assert_eq!(compare(&folded(name), key), Ordering::Equal);
        }
        assert!(!is_same("x0", "x1"));
        assert!(!is_same("x0", "x0 "));
        assert_eq!(compare(&folded("B"), "a"), Ordering::Greater);
    }
}
