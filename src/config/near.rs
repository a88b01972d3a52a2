//! What somebody who wrote a name that does not exist may have meant.

/// `"a", "b" or "c"`
pub(super) fn or(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// The name closest to what was written, if a slip of the finger or two lies between them.
pub(super) fn nearest<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let near = names.map(|name| (slips(written, name), name)).min()?;
    (near.0 <= 1 + near.1.len() / 5).then_some(near.1)
}

/// How many letters must be put in, left out or changed to make `b` of `a` (Levenshtein, 1965).
fn slips(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let change = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted_as_levenshtein_counts_them() {
        for (a, b, expected) in [("kitten", "sitting", 3), ("", "abc", 3), ("flaw", "lawn", 2)] {
            assert_eq!(slips(a, b), expected, "{a} {b}");
            assert_eq!(slips(b, a), expected, "{b} {a}");
        }
        assert_eq!(nearest("budgt", ["bundle", "budget"].into_iter()), Some("budget"));
        assert_eq!(nearest("colour", ["bundle", "budget"].into_iter()), None);
    }
}
