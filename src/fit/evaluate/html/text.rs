//! Words and numbers of a page. Names come from files and command lines: none of them may become
//! markup.

use std::fmt::{self, Display, Formatter, Write};

/// A text that stays a text, in an element or between the quotes of an attribute.
pub struct Text<T>(pub T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Escape(f), "{}", self.0)
    }
}

struct Escape<'a, 'b>(&'a mut Formatter<'b>);

impl Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            c if c.is_control() || is_turning(c) => self.0.write_char('\u{fffd}'),
            c => self.0.write_char(c),
        })
    }
}

/// Whether the character turns the direction of what follows, so that it reads as something else.
fn is_turning(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A number with four significant digits or all before its point, and no more zeros than it needs.
pub fn number(x: f32) -> String {
    if x == 0.0 || !x.is_finite() {
        return x.to_string();
    }
    let digits = 3 - x.abs().log10().floor() as i32;
    match digits {
        -4..=8 => {
            let digits = digits.max(0);
            let text = format!("{x:.*}", digits as usize);
            let text = if text.contains('.') { text.trim_end_matches('0') } else { &text };
            text.trim_end_matches('.').to_owned()
        }
        _ => format!("{x:.3e}"),
    }
}

/// How many, with a comma at every thousand.
pub fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_can_leave_its_place() {
        let name = "\"><script>alert('x')</script>&\u{7}\u{202e}";
        let text = Text(name).to_string();
        assert!(!text.contains(['<', '>', '"', '\'', '\u{7}', '\u{202e}']), "{text}");
        assert!(text.starts_with("&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)"), "{text}");
    }

    #[test]
    fn numbers_are_as_long_as_a_person_reads() {
        for (x, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.5, "0.5"),
            (123_456.7, "123457"),
            (1.234_567e9, "1.235e9"),
            (1234.4, "1234"),
            (100.0, "100"),
            (-0.012_345, "-0.01235"),
            (1e-9, "1.000e-9"),
        ] {
            assert_eq!(number(x), expected);
        }
        assert_eq!([count(7), count(1234), count(1_234_567)], ["7", "1,234", "1,234,567"]);
    }
}
