//! What every format of a table is read through: a source of rows, and why there is none.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::codec::Scalar;

/// Rows of a file, which can be read as often as one likes.
pub trait Source {
    /// The columns, without those that are to be ignored.
    fn names(&self) -> &[String];

    /// What was made of the file where it does not say itself what is meant.
    fn notes(&self) -> &[String] {
        &[]
    }

    /// Whether somebody named the columns.
    fn has_names(&self) -> bool {
        true
    }

    /// Whether all of its numbers are integers by type, as bytes of an image are.
    fn integers(&self) -> bool {
        false
    }

    /// Whether its cells have types: text that reads as a number was written as text.
    fn has_types(&self) -> bool {
        false
    }

    /// Whether a column that no row of it has may be one of the table.
    fn is_sparse(&self) -> bool {
        false
    }

    /// Shows every row, in the file's order, until told to break.
    ///
    /// # Errors
    /// If the file cannot be read, or a row is none: which, and what to do.
    fn visit(&self, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), TableError>;
}

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// From 1; a header does not count.
    pub number: u64,
    /// One per name.
    pub cells: &'a [Scalar<'a>],
    /// Share of the file that lies behind, in [0, 1].
    pub done: f32,
}

/// How a file is to be read where it does not say so itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Names of a CSV's columns, if its first line does not have them.
    pub header: Option<Vec<String>>,
    /// What stands between the cells of a CSV; told from its first line unless given.
    pub delimiter: Option<u8>,
    /// What stands before the decimals of a CSV's numbers; told from the numbers unless given.
    pub decimal: Option<u8>,
    /// Cells of a CSV that say nothing, beside the empty one.
    pub missing: Vec<String>,
    /// Columns that are not read.
    pub ignore: Vec<String>,
    /// A file with the labels of arrays that do not bring them, `y`.
    pub labels: Option<PathBuf>,
    /// An array of an `.npz`, beside `x` and `y`, that is read as a column of its own name.
    pub marks: Option<String>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("{}: cannot read: {source}", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("{}: {found}; {advice}", file.display())]
    Refused { file: PathBuf, found: String, advice: String },
    #[error("{}: row {row} {found}; {advice}", file.display())]
    Row { file: PathBuf, row: u64, found: String, advice: String },
    #[error("{}", each_in_a_line(.0))]
    Several(Vec<TableError>),
}

impl TableError {
    /// All that is wrong, of which there is something.
    pub fn of_all(mut problems: Vec<Self>) -> Self {
        match problems.len() {
            1 => problems.remove(0),
            _ => Self::Several(problems),
        }
    }
}

fn each_in_a_line(problems: &[TableError]) -> String {
    const SHOWN: usize = 50;
    let lines = problems.iter().take(SHOWN).map(ToString::to_string);
    let count = format!("{} problems:", problems.len());
    let more = problems.len().checked_sub(SHOWN + 1).map(|more| format!("and {} more", more + 1));
    [count].into_iter().chain(lines).chain(more).collect::<Vec<_>>().join("\n  ")
}

/// Which of the columns called `all` are read, once each has a name of its own.
pub fn kept(file: &Path, all: &[String], reading: &Reading) -> Result<Vec<usize>, TableError> {
    let refused = |found: String, advice: &str| {
        Err(TableError::Refused { file: file.to_owned(), found, advice: advice.to_owned() })
    };
    let mut sorted: Vec<&String> = all.iter().collect();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        let found = format!("two columns are called {:?}", pair[0]);
        return refused(found, "give every column a name of its own, in the file or by --header");
    }
    if let Some(at) = all.iter().position(String::is_empty) {
        let found = format!("column {} has no name", at + 1);
        return refused(found, "name every column, in the file or by --header");
    }
    let mut ignored = reading.ignore.iter().filter(|name| !name.is_empty());
    if let Some(name) = ignored.find(|name| !all.contains(name) && !is_index(name, 0)) {
        return refused(format!("there is no column {name:?} to ignore"), &columns(all));
    }
    Ok((0..all.len()).filter(|&at| !reading.ignore.contains(&all[at])).collect())
}

/// Whether a column of this name, at this place, is what pandas calls the index: the number of the row. Once
/// read and written again it is `Unnamed: 0`, twice `Unnamed: 0.1`.
pub fn is_index(name: &str, at: usize) -> bool {
    let unnamed = name.strip_prefix("Unnamed: 0");
    at == 0 && name.is_empty()
        || unnamed.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        || name.strip_prefix("__index_level_").is_some_and(|rest| rest.ends_with("__"))
}

/// An option of the command line and its value, as a shell takes it.
pub fn option(name: &str, value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    let joint = if value.starts_with('-') { '=' } else { ' ' };
    match !value.is_empty() && value.chars().all(plain) {
        true => format!("{name}{joint}{value}"),
        false => format!("{name}{joint}'{}'", value.replace('\'', "'\\''")),
    }
}

/// Says which columns there are, in as many words as a person reads.
pub fn columns(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<_> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("the columns are {}{more}", shown.join(", "))
}
