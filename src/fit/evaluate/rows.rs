//! Which rows of which file: `FILE`, `FILE@5000..10000`, `FILE#success`, `FILE@..500#y=1`.
//!
//! The range counts rows of the file from 0 and leaves its end out; what follows `#` is an array of
//! an `.npz` or a column of a table, and picks among the rows of the range. Whether a file's rows are
//! what their name says nobody can see here.

use std::convert::Infallible;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::fit::data::table::{self, Row, Scalar, TableError};

/// Some of a file's rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    pub file: PathBuf,
    /// Positions from 0.
    pub range: Range<u64>,
    pub only: Option<Only>,
}

/// The rows of which a column says something.
#[derive(Clone, Debug, PartialEq)]
pub struct Only {
    pub column: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    True,
    Is(String),
    IsNot(String),
}

/// Rows with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    pub name: String,
    pub rows: Rows,
}

const ALL: Range<u64> = 0..u64::MAX;

impl Rows {
    pub fn all(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), range: ALL, only: None }
    }

    /// Whether `row` is one of them; `at` is where the column of [`Only`] stands.
    ///
    /// # Errors
    /// If the column does not say.
    pub fn has(&self, row: &Row<'_>, at: Option<usize>) -> Result<bool, TableError> {
        if !self.range.contains(&(row.number - 1)) {
            return Ok(false);
        }
        let Some((only, at)) = self.only.as_ref().zip(at) else { return Ok(true) };
        only.test.holds(row.cells[at]).ok_or_else(|| TableError::Row {
            file: self.file.clone(),
            row: row.number,
            found: format!("does not say yes or no in {:?}", only.column),
            advice: format!(
                "use true, false, 1 or 0, or compare: #{0}=VALUE, #{0}!=VALUE",
                only.column
            ),
        })
    }

    /// Whether no row from this one on can be one of them.
    pub fn is_behind(&self, row: &Row<'_>) -> bool {
        row.number > self.range.end
    }
}

impl Test {
    /// `None` if the cell does not say.
    fn holds(&self, cell: Scalar<'_>) -> Option<bool> {
        let word = table::word(cell);
        let is = |value: &String| {
            let spelled = table::word(Scalar::Text(value));
            word.is_some() && (word == spelled || word.as_ref() == Some(value))
        };
        match self {
            Self::Is(value) => Some(is(value)),
            Self::IsNot(value) => Some(!is(value)),
            Self::True => match word?.to_ascii_lowercase().as_str() {
                "1" | "true" => Some(true),
                "0" | "false" => Some(false),
                _ => None,
            },
        }
    }
}

impl FromStr for Rows {
    type Err = Infallible;

    /// What is no range or column is part of the file's name, and so is all of a name that exists.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        if Path::new(text).exists() {
            return Ok(Self::all(text));
        }
        let (rest, only) = match text.rsplit_once('#') {
            Some((rest, only)) if !only.is_empty() => (rest, Some(only)),
            _ => (text, None),
        };
        let (file, range) = match rest.rsplit_once('@').and_then(|(f, r)| Some((f, range(r)?))) {
            Some((file, range)) => (file, range),
            None => (rest, ALL),
        };
        let only = only.map(|text| {
            let (column, test) = match text.split_once('=') {
                None => (text, Test::True),
                Some((column, value)) => match column.strip_suffix('!') {
                    Some(column) => (column, Test::IsNot(value.to_owned())),
                    None => (column, Test::Is(value.to_owned())),
                },
            };
            Only { column: column.to_owned(), test }
        });
        Ok(Self { file: file.into(), range, only })
    }
}

fn range(text: &str) -> Option<Range<u64>> {
    let (from, to) = text.split_once("..")?;
    let number = |text: &str, none| if text.is_empty() { Some(none) } else { text.parse().ok() };
    Some(number(from, ALL.start)?..number(to, ALL.end)?)
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.range.clone() {
            ALL => {}
            Range { start, end: u64::MAX } => write!(f, "@{start}..")?,
            Range { start, end } => write!(f, "@{start}..{end}")?,
        }
        match &self.only {
            None => Ok(()),
            Some(Only { column, test: Test::True }) => write!(f, "#{column}"),
            Some(Only { column, test: Test::Is(value) }) => write!(f, "#{column}={value}"),
            Some(Only { column, test: Test::IsNot(value) }) => write!(f, "#{column}!={value}"),
        }
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, rows)) if !name.is_empty() && !rows.is_empty() => {
                let Ok(rows) = rows.parse();
                Ok(Self { name: name.to_owned(), rows })
            }
            _ => Err(format!("{text:?} is no NAME=FILE, such as pgd=pgd.npz#success")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, file: &str, range: Range<u64>, column: Option<&str>, test: Test) {
        let Ok(rows): Result<Rows, _> = text.parse();
        let only = column.map(|column| Only { column: column.into(), test });
        assert_eq!(rows, Rows { file: file.into(), range, only });
        assert_eq!(rows.to_string(), text);
    }

    #[test]
    fn a_file_may_be_cut_to_a_range_and_to_what_a_column_says() {
        check("a.npz", "a.npz", ALL, None, Test::True);
        check("a.gz@5000..10000", "a.gz", 5000..10_000, None, Test::True);
        check("a.gz@7..", "a.gz", 7..u64::MAX, None, Test::True);
        check("a.npz#success", "a.npz", ALL, Some("success"), Test::True);
        check("a.npz@0..9#y=1", "a.npz", 0..9, Some("y"), Test::Is("1".into()));
        check("a.csv#label!=normal", "a.csv", ALL, Some("label"), Test::IsNot("normal".into()));
        check("me@home/a.npz", "me@home/a.npz", ALL, None, Test::True);
    }

    #[test]
    fn a_file_whose_name_looks_like_a_range_is_that_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a#b@1..2");
        std::fs::write(&file, "").unwrap();
        let Ok(rows): Result<Rows, _> = file.to_str().unwrap().parse();
        assert_eq!(rows, Rows::all(file));
    }

    #[test]
    fn a_suspect_has_a_name_and_its_file_may_have_an_equals_sign() {
        let named: Named = "pgd .05=a.npz#y=1".parse().unwrap();
        assert_eq!(
            (named.name.as_str(), named.rows.to_string().as_str()),
            ("pgd .05", "a.npz#y=1")
        );
        for text in ["a.npz", "=a.npz", "a="] {
            assert!(text.parse::<Named>().unwrap_err().contains("NAME=FILE"));
        }
    }

    #[test]
    fn a_column_says_yes_or_no_or_is_compared_and_nothing_else() {
        let (number, text) = (Scalar::Number, Scalar::Text);
        let is = |value: &str| Test::Is(value.into());
        for (test, cell, expected) in [
            (Test::True, number(1.0), Some(true)),
            (Test::True, Scalar::Bool(false), Some(false)),
            (Test::True, text("TRUE"), Some(true)),
            (Test::True, number(2.0), None),
            (Test::True, Scalar::Null, None),
            (is("1"), number(1.0), Some(true)),
            (is("1.0"), text("1"), Some(true)),
            (is("normal"), text("neptune"), Some(false)),
            (is("normal"), Scalar::Null, Some(false)),
            (Test::IsNot("normal".into()), text("neptune"), Some(true)),
        ] {
            assert_eq!(test.holds(cell), expected, "{test:?} {cell:?}");
        }
    }
}
