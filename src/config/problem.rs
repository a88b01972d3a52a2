//! What is wrong with a configuration, as an operator reads it: all of it, each with its place.
//!
//! A line that may hold a secret is shown only up to its `=`.

use std::fmt;
use std::ops::Range;

/// Everything that is wrong with one file and its overrides.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct Problems {
    /// What the file is called.
    pub file: String,
    /// In the order of the file; never empty.
    pub list: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// `stream[0].budget`; empty if it is about the file as a whole.
    pub path: String,
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// Where to look.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// Line and column count from 1; `text` is the line; `width` characters are meant.
    File {
        line: usize,
        column: usize,
        text: String,
        width: usize,
    },
    Variable(String),
    /// It is not there: that is the problem.
    Nowhere,
}

/// Longest part of a line that is shown.
const SHOWN_MAX: usize = 96;

impl Place {
    pub(super) fn of_span(source: &str, span: &Range<usize>) -> Self {
        let start = source.floor_char_boundary(span.start);
        let end = source.ceil_char_boundary(span.end).max(start);
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let text = source[line_start..].lines().next().unwrap_or("");
        let before = source[line_start..start].chars().count();
        let meant = source[start..end].lines().next().unwrap_or("").chars().count();
        Self::File {
            line: 1 + source[..line_start].matches('\n').count(),
            column: 1 + before,
            text: text.to_owned(),
            width: meant.max(1),
        }
    }

    /// Files before variables before what is missing.
    pub(super) fn order(&self) -> (u8, usize, usize) {
        match *self {
            Self::File { line, column, .. } => (0, line, column),
            Self::Variable(_) => (1, 0, 0),
            Self::Nowhere => (2, 0, 0),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.list.len() == 1 { "" } else { "s" };
        writeln!(f, "{}: {} problem{s}", self.file, self.list.len())?;
        for problem in &self.list {
            writeln!(f)?;
            problem.write(&self.file, f)?;
        }
        Ok(())
    }
}

impl Problem {
    fn write(&self, file: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.path.is_empty() { "" } else { ": " };
        writeln!(f, "{}{colon}{}", self.path, self.message)?;
        match &self.place {
            Place::File { line, column, text, width } => {
                let gutter = line.to_string().len();
                writeln!(f, "{:gutter$}--> {file}:{line}:{column}", "")?;
                let (shown, blank, width) = excerpt(text, *column - 1, *width);
                writeln!(f, "{line} | {shown}")?;
                writeln!(f, "{:gutter$} | {blank}{} {}", "", "^".repeat(width), self.help)
            }
            Place::Variable(name) => {
                writeln!(f, " --> environment variable {name}")?;
                writeln!(f, "  = {}", self.help)
            }
            Place::Nowhere => writeln!(f, "  = {}", self.help),
        }
    }
}

/// The part of a line worth showing, what stands below it before the caret, and the caret's width.
fn excerpt(line: &str, before: usize, width: usize) -> (String, String, usize) {
    let open = censored(line);
    let chars: Vec<char> = open.chars().collect();
    let start = if chars.len() > SHOWN_MAX { before.saturating_sub(SHOWN_MAX / 2) } else { 0 };
    let shown: Vec<char> = chars.iter().copied().skip(start).take(SHOWN_MAX).collect();
    let lead = if start > 0 { "…" } else { "" };
    let tail = if start + shown.len() < chars.len() { "…" } else { "" };
    let before = (before - start).min(shown.len());
    let width = width.min(shown.len() - before).max(1);
    // A tab stays a tab, so that the caret stands where the eye expects it.
    let blank = shown[..before].iter().map(|c| if *c == '\t' { '\t' } else { ' ' });
    let blank = lead.chars().map(|_| ' ').chain(blank).collect();
    (format!("{lead}{}{tail}", shown.iter().collect::<String>()), blank, width)
}

/// Whether the value of a key with this name is a secret.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "passphrase", "secret", "key.pem", "sasl.jaas", "oauthbearer.config"]
        .iter()
        .any(|word| key.contains(word))
        || key.trim_matches(|c: char| !c.is_alphanumeric()) == "token"
}

/// `line` up to the first secret that stands in it, and not elsewhere.
fn censored(line: &str) -> String {
    let mut end = 0;
    for part in line.split_inclusive('=') {
        end += part.len();
        let value: String = line[end..].chars().filter(|c| !c.is_whitespace()).take(6).collect();
        let elsewhere = value.starts_with("{env=") || value == "{file=";
        if is_secret(part) && !value.is_empty() && !elsewhere {
            return format!("{} <hidden>", &line[..end]);
        }
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_with_a_secret_ends_before_it() {
        let line = "a = 1, \"sasl.password\" = \"hunter2\", b = 2";
        assert_eq!(censored(line), "a = 1, \"sasl.password\" = <hidden>");
        for open in ["name = \"x\"", "\"ssl.key.password\" = { file = \"key\" }"] {
            assert_eq!(censored(open), open);
        }
    }

    proptest! {
        #[test]
        fn any_span_of_any_text_can_be_shown(
            source in "[a-z=\t\n\r\u{e4}\u{20ac}]{0,300}",
            (a, b) in (0..400_usize, 0..400_usize),
        ) {
            let (a, b) = (a.min(b).min(source.len()), a.max(b).min(source.len()));
            let place = Place::of_span(&source, &(a..b));
            let problem = Problem { path: String::new(), place, message: "m".into(), help: "h".into() };
            let shown = Problems { file: "f".into(), list: vec![problem] }.to_string();
            prop_assert!(shown.contains('^'));
        }
    }
}
