//! Commas in the numbers of a CSV: before the decimals, as half of the world writes them, or between
//! thousands.
//!
//! A file is looked at before it is read. What could be both is refused, not guessed: `1,234` alone may be
//! either. It cannot see that a list such as `1,5` is no number.

/// What a comma in a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comma {
    /// Not a part of numbers.
    Word,
    /// `1.234,50` is 1234.5.
    Decimal,
    /// `1,234.50` is 1234.5.
    Thousands,
}

/// What was seen of commas in a file's cells.
#[derive(Debug, Default)]
pub struct Commas {
    decimals: Option<String>,
    thousands: Option<String>,
    either: Option<String>,
    /// A number with a point and no comma.
    points: Option<String>,
}

impl Commas {
    pub fn see(&mut self, cell: &str) {
        let plain = unspaced(cell);
        let cell = plain.as_deref().unwrap_or(cell);
        let place = match (form(cell, ','), form(cell, '.')) {
            (Some(Form::Decimals), _) => &mut self.decimals,
            (Some(Form::Grouped), _) => &mut self.thousands,
            (Some(Form::Either), _) => &mut self.either,
            (None, Some(Form::Decimals)) if !cell.contains(',') => &mut self.points,
            _ => return,
        };
        place.get_or_insert_with(|| cell.to_owned());
    }

    /// What commas in this file stand for.
    ///
    /// # Errors
    /// A number that could be read in two ways.
    pub fn comma(self) -> Result<Comma, String> {
        match (self.decimals, self.thousands, self.either, self.points) {
            (Some(_), None, _, None) => Ok(Comma::Decimal),
            (None, Some(_), _, _) => Ok(Comma::Thousands),
            (None, None, Some(_), Some(_)) => Ok(Comma::Thousands),
            (Some(a), Some(b), ..) | (Some(a), None, _, Some(b)) => Err(format!(
                "the numbers {a} and {b}: is the comma before the decimals, or is it a part of a word?"
            )),
            (None, None, Some(a), None) => {
                Err(format!("the number {a}: is its comma before decimals or between thousands?"))
            }
            (None, None, None, _) => Ok(Comma::Word),
        }
    }
}

/// The cell as a number, if its comma makes one of it.
pub fn number(cell: &str, comma: Comma) -> Option<f64> {
    let (thousands, decimal) = match comma {
        Comma::Word => return None,
        Comma::Decimal => ('.', ','),
        Comma::Thousands => (',', '.'),
    };
    let has_mark = cell.contains(',') || comma == Comma::Decimal && cell.contains('.');
    if !has_mark {
        return None;
    }
    let is_number = |c: char| c.is_ascii_digit() || [thousands, decimal, '-', '+'].contains(&c);
    if !cell.chars().all(is_number) {
        return None;
    }
    let (whole, rest) = cell.split_once(decimal).map_or((cell, None), |(w, r)| (w, Some(r)));
    let mut groups = whole.trim_start_matches(['-', '+']).split(thousands);
    let first = groups.next()?;
    let is_grouped = whole.contains(thousands);
    let fits =
        groups.all(|group| group.len() == 3) && (!is_grouped || (1..=3).contains(&first.len()));
    if !fits || rest.is_some_and(|rest| rest.contains(thousands)) {
        return None;
    }
    let plain: String = whole.chars().filter(|&c| c != thousands).collect();
    format!("{plain}.{}", rest.unwrap_or("0")).parse().ok()
}

/// The cell as a number, if it has blanks or apostrophes between its thousands, or a typographic minus.
pub fn spaced(cell: &str, comma: Comma) -> Option<f64> {
    let plain = unspaced(cell)?;
    let simple = || plain.parse().ok().filter(|_| comma != Comma::Decimal || !plain.contains('.'));
    number(&plain, comma).or_else(simple)
}

/// The cell without what stands between its thousands, `1 234,50` as `1234,50`, and with a plain minus.
fn unspaced(cell: &str) -> Option<String> {
    const BETWEEN: [char; 6] = [' ', '\u{a0}', '\u{202f}', '\u{2009}', '\'', '’'];
    let bare = cell.strip_prefix(['-', '+', '−']).unwrap_or(cell);
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = match bare.find([',', '.']) {
        Some(at) => (&bare[..at], &bare[at..]),
        None => (bare, ""),
    };
    let mut groups = whole.split(BETWEEN);
    let first = groups.next()?;
    let (mut rest, minus) = (groups.peekable(), cell.starts_with('−'));
    let is_grouped = rest.peek().is_some();
    let fits = is_digits(first)
        && (!is_grouped || first.len() <= 3)
        && rest.all(|group| group.len() == 3 && is_digits(group))
        && (fraction.is_empty() || is_digits(&fraction[1..]));
    if !fits || !(is_grouped || minus) {
        return None;
    }
    let sign = if minus || cell.starts_with('-') { "-" } else { "" };
    let digits: String = whole.chars().filter(char::is_ascii_digit).collect();
    Some(format!("{sign}{digits}{fraction}"))
}

/// What a number with `separator` in it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The separator stands before decimals: `0,25`.
    Decimals,
    /// It stands between thousands: `1,234,567` or `1,234.50`.
    Grouped,
    /// One group of three digits: it may be either.
    Either,
}

fn form(cell: &str, separator: char) -> Option<Form> {
    let other = if separator == ',' { '.' } else { ',' };
    let bare = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let groups: Vec<&str> = bare.split(separator).collect();
    let (last, before) = groups.split_last()?;
    let (first, middle) = before.split_first()?;
    // The other separator groups what is before this one, or ends what this one groups.
    let grouped_by_other = {
        let mut parts = first.split(other);
        let head = parts.next().unwrap_or("");
        plain(head)
            && head.len() <= 3
            && parts.clone().count() > 0
            && parts.all(|p| plain(p) && p.len() == 3)
    };
    if middle.is_empty() && grouped_by_other && plain(last) {
        return Some(Form::Decimals);
    }
    let (tail, fraction) = last.split_once(other).map_or((*last, None), |(t, f)| (t, Some(f)));
    if !plain(first) || !middle.iter().all(|m| plain(m) && m.len() == 3) || !plain(tail) {
        return None;
    }
    if fraction.is_some_and(|fraction| !plain(fraction)) {
        return None;
    }
    match (middle.is_empty(), tail.len() == 3, fraction) {
        (true, true, None) if first.len() <= 3 && *first != "0" => Some(Form::Either),
        (_, true, _) if first.len() <= 3 && (!middle.is_empty() || fraction.is_some()) => {
            Some(Form::Grouped)
        }
        (true, _, None) => Some(Form::Decimals),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(cells: &[&str]) -> Result<Comma, String> {
        let mut look = Commas::default();
        cells.iter().for_each(|cell| look.see(cell));
        look.comma()
    }

    #[test]
    fn commas_are_told_by_the_numbers_around_them() {
        for (cells, expected) in [
            (&["0,25", "3", "x"][..], Comma::Decimal),
            (&["1,234", "0,5"], Comma::Decimal),
            (&["1.234,50"], Comma::Decimal),
            (&["0,125"], Comma::Decimal),
            (&["-7,1", "12345,678"], Comma::Decimal),
            (&["1,234,567"], Comma::Thousands),
            (&["1,234.50", "2,000"], Comma::Thousands),
            (&["1,234", "0.5"], Comma::Thousands),
            (&["0.25", "3", "a,b", "1,2,3"], Comma::Word),
            (&[], Comma::Word),
        ] {
            assert_eq!(look(cells), Ok(expected), "{cells:?}");
        }
        assert!(look(&["1,234"]).unwrap_err().contains("1,234"));
        assert!(look(&["0,25", "0.25"]).unwrap_err().contains("0.25"));
    }

    #[test]
    fn blanks_and_apostrophes_between_thousands_and_a_typographic_minus_are_read() {
        for (cell, comma, expected) in [
            ("1 234,50", Comma::Decimal, Some(1234.5)),
            ("-1\u{202f}234\u{202f}567", Comma::Word, Some(-1_234_567.0)),
            ("1\u{a0}234.5", Comma::Word, Some(1234.5)),
            ("1'234.50", Comma::Thousands, Some(1234.5)),
            ("−7.5", Comma::Word, Some(-7.5)),
            ("−7,5", Comma::Decimal, Some(-7.5)),
            ("1 234.5", Comma::Decimal, None),
            ("12 34", Comma::Word, None),
            ("1 2345", Comma::Word, None),
            ("1234 567", Comma::Word, None),
            ("2024-11-01", Comma::Word, None),
            ("7", Comma::Word, None),
            ("", Comma::Word, None),
            ("−", Comma::Word, None),
        ] {
            assert_eq!(spaced(cell, comma), expected, "{cell} {comma:?}");
        }
        assert_eq!(look(&["1 234,50", "12"]), Ok(Comma::Decimal));
    }

    #[test]
    fn a_number_with_commas_is_the_number_that_was_meant() {
        for (cell, comma, expected) in [
            ("0,25", Comma::Decimal, Some(0.25)),
            ("-1.234,5", Comma::Decimal, Some(-1234.5)),
            ("1.234", Comma::Decimal, Some(1234.0)),
            ("1,234", Comma::Decimal, Some(1.234)),
            ("1,234.5", Comma::Thousands, Some(1234.5)),
            ("1,234,567", Comma::Thousands, Some(1_234_567.0)),
            ("12,34", Comma::Thousands, None),
            ("7", Comma::Decimal, None),
            ("a,b", Comma::Decimal, None),
            ("1,5", Comma::Word, None),
            ("1,2,3", Comma::Decimal, None),
        ] {
            assert_eq!(number(cell, comma), expected, "{cell} {comma:?}");
        }
    }
}
