//! What is wrong with a configuration, as an operator reads it: all of it, each with its place.
//!
//! A secret may stand where it should not, or under a misspelt name. So an excerpt shows the key or
//! the value that is meant and nothing beside it; of a line that is not TOML it shows at most a
//! key, because nobody can say where a value in it ends. It cannot know a secret that was written
//! as something else, such as a broker's name.

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
    /// Line and column count from 1; `shown` is what may be seen of the line, of which `width`
    /// characters after the first `before` are meant.
    File {
        line: usize,
        column: usize,
        shown: String,
        before: usize,
        width: usize,
    },
    Variable(String),
    /// It is not there: that is the problem.
    Nowhere,
}

/// What may be seen of the place that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excerpt {
    Open,
    /// A key, but not its value.
    Secret,
    /// It is not TOML: a key at most.
    NotToml,
}

/// Widest line of a report: what a terminal has.
const WIDTH: usize = 80;

/// Longest part of a line that is shown, which leaves room for a line number.
const SHOWN_MAX: usize = WIDTH - 8;

impl Place {
    pub(super) fn of_span(source: &str, span: &Range<usize>, excerpt: Excerpt) -> Self {
        let start = source.floor_char_boundary(span.start);
        let end = source.ceil_char_boundary(span.end).max(start);
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = source[line_start..].lines().next().unwrap_or("");
        let before = &source[line_start..start];
        let column = 1 + before.chars().count();
        let (shown, before, width) = match excerpt {
            Excerpt::NotToml => {
                let (key, rest) = key_of(line);
                let shown = if rest.is_empty() { key.to_owned() } else { format!("{key}…") };
                let width = source[start..end].lines().next().unwrap_or("").chars().count();
                let before = (column - 1).min(shown.chars().count());
                let width = width.min(shown.chars().count() - before);
                (shown, before, width)
            }
            Excerpt::Open | Excerpt::Secret => {
                let after = line.get(before.len() + (end - start)..).unwrap_or("");
                excerpt_of(before, &source[start..end], after, excerpt)
            }
        };
        let line = 1 + source[..line_start].matches('\n').count();
        let (shown, before, width) = cut(&shown, before, width.max(1));
        Self::File { line, column, shown, before, width }
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
        wrapped(f, "", &format!("{}{colon}{}", self.path, self.message))?;
        match &self.place {
            Place::File { line, column, shown, before, width } => {
                let gutter = line.to_string().len();
                writeln!(f, "{:gutter$}--> {file}:{line}:{column}", "")?;
                writeln!(f, "{line} | {shown}")?;
                // A tab stays a tab, so that the caret stands where the eye expects it.
                let blank = shown.chars().take(*before).map(|c| if c == '\t' { c } else { ' ' });
                let blank: String = blank.chain(std::iter::repeat(' ')).take(*before).collect();
                let caret = format!("{:gutter$} | {blank}{}", "", "^".repeat(*width));
                if caret.chars().count() + 1 + self.help.chars().count() <= WIDTH {
                    return writeln!(f, "{caret} {}", self.help);
                }
                writeln!(f, "{caret}")?;
                wrapped(f, &format!("{:gutter$} = ", ""), &self.help)
            }
            Place::Variable(name) => {
                writeln!(f, " --> environment variable {name}")?;
                wrapped(f, "  = ", &self.help)
            }
            Place::Nowhere => wrapped(f, "  = ", &self.help),
        }
    }
}

/// `text` in lines that fit a terminal, the first behind `lead`, the others below it.
fn wrapped(f: &mut fmt::Formatter<'_>, lead: &str, text: &str) -> fmt::Result {
    let indent = " ".repeat(lead.len().max(2));
    let mut line = lead.to_owned();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(f, "{line}")?;
            line.clone_from(&indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    writeln!(f, "{line}")
}

/// The key that a line begins with, with its `=`, or the header it is, and what comes after.
fn key_of(line: &str) -> (&str, &str) {
    let part_of_key = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | '\'' | ' ' | '\t')
    };
    let key = line.find(|c| !part_of_key(c)).unwrap_or(line.len());
    if line[key..].starts_with('=') {
        return line.split_at(key + 1);
    }
    let brackets = line.len() - line.trim_start_matches('[').len();
    let named = |c: char| !(c.is_ascii_lowercase() || matches!(c, '_' | '.' | ']'));
    let header = brackets + line[brackets..].find(named).unwrap_or(line.len() - brackets);
    line.split_at(if brackets > 0 { header } else { 0 })
}

/// What is shown of a line that is TOML, how many characters stand before what is meant, and how
/// many are meant.
fn excerpt_of(before: &str, meant: &str, after: &str, excerpt: Excerpt) -> (String, usize, usize) {
    // Whatever stands on the same line besides is another entry: it ends in a comma or a brace.
    let own = before.rfind([',', '{']).map_or(0, |at| at + 1);
    let lead = if own > 0 { "…" } else { "" };
    let is_value = before[own..].contains('=');
    let first = meant.lines().next().unwrap_or("");
    let is_table = meant.starts_with('{') || is_value && meant.starts_with('[');
    let meant = match excerpt {
        Excerpt::Secret if is_value && !is_reference(meant) => "<hidden>",
        _ if is_table && meant.contains('{') && !is_reference(meant) => "{…}",
        _ => first,
    };
    let rest = after.trim_start();
    let tail = match is_value {
        _ if rest.is_empty() || rest.starts_with('#') => "",
        true => " …",
        false if rest.starts_with('=') => " = …",
        false => "…",
    };
    let before = format!("{lead}{}", &before[own..]);
    let width = meant.chars().count();
    (format!("{before}{meant}{tail}"), before.chars().count(), width)
}

/// Whether this is `{ env = "NAME" }` or `{ file = "path" }`, which say where a secret is kept.
fn is_reference(value: &str) -> bool {
    let inside = value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let entry = inside.and_then(|inside| inside.split_once('='));
    entry.is_some_and(|(key, to)| {
        let to = to.trim();
        matches!(key.trim(), "env" | "file")
            && to.len() >= 2
            && to.starts_with('"')
            && to.find('"') != to.rfind('"')
            && to[1..].find('"') == Some(to.len() - 2)
    })
}

/// The part of a line worth showing, with the same two numbers.
fn cut(line: &str, before: usize, width: usize) -> (String, usize, usize) {
    let chars: Vec<char> = line.chars().collect();
    let start = if chars.len() > SHOWN_MAX { before.saturating_sub(SHOWN_MAX / 2) } else { 0 };
    let shown: Vec<char> = chars.iter().copied().skip(start).take(SHOWN_MAX).collect();
    let lead = if start > 0 { "…" } else { "" };
    let tail = if start + shown.len() < chars.len() { "…" } else { "" };
    let before = (before - start).min(shown.len());
    let width = width.min(shown.len() - before).max(1);
    (
        format!("{lead}{}{tail}", shown.iter().collect::<String>()),
        lead.chars().count() + before,
        width,
    )
}

/// What the names of secrets have in them.
pub(super) const SECRETS: [&str; 6] =
    ["password", "passphrase", "secret", "key.pem", "sasl.jaas", "oauthbearer.config"];

/// Whether the value of a key with this name is a secret.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRETS.iter().any(|word| key.contains(word))
        || key.trim_matches(|c: char| !c.is_alphanumeric()) == "token"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(source: &str, meant: &str, excerpt: Excerpt, expected: &str) {
        let start = source.rfind(meant).unwrap();
        let place = Place::of_span(source, &(start..start + meant.len()), excerpt);
        let Place::File { shown, before, width, .. } = place else { panic!("{place:?}") };
        let caret = " ".repeat(before) + &"^".repeat(width);
        assert_eq!(format!("{shown}\n{caret}"), expected);
    }

    #[test]
    fn an_excerpt_shows_what_is_meant_and_nothing_beside_it() {
        use Excerpt::{NotToml, Open, Secret};
        let line = "a = { b = 7, \"c.password\" = \"hunter2\", d = { env = \"X\" } } # hunter2";
        check(line, "7", Open, "… b = 7 …\n      ^");
        check(line, "d", Open, "… d = …\n  ^");
        check(
            line,
            "\"hunter2\"",
            Secret,
            "… \"c.password\" = <hidden> …\n                 ^^^^^^^^",
        );
        check(line, "{ env = \"X\" }", Secret, "… d = { env = \"X\" } …\n      ^^^^^^^^^^^^^");
        check(line, &line[4..line.len() - 10], Open, "a = {…}\n    ^^^");
        check("password = hunter2", "hunter2", NotToml, "password =…\n           ^");
        check("x hunter2\"", "hunter2", NotToml, "…\n ^");
        check("[kafka", "[", NotToml, "[kafka\n^");
    }

    proptest! {
        #[test]
        fn any_span_of_any_text_can_be_shown_on_a_terminal(
            source in "[a-z=\t\n\r\u{e4}\u{20ac}]{0,300}",
            (a, b) in (0..400_usize, 0..400_usize),
            excerpt in proptest::sample::select(vec![Excerpt::Open, Excerpt::Secret, Excerpt::NotToml]),
        ) {
            let (a, b) = (a.min(b).min(source.len()), a.max(b).min(source.len()));
            let place = Place::of_span(&source, &(a..b), excerpt);
            let problem = Problem { path: String::new(), place, message: "m".into(), help: "h".into() };
            let shown = Problems { file: "f".into(), list: vec![problem] }.to_string();
            prop_assert!(shown.contains('^'));
        }
    }
}
