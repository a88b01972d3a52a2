//! CSV: cells between delimiters, names in the first line unless they are given.
//!
//! Blanks around a cell are not part of it. What is between two delimiters has no type: whether
//! `7` is a number or a code, the schema decides. What tools add to a table is taken off: a `sep=;` before
//! it, a column of row numbers without a name, a delimiter at the end of every line.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use csv::{Reader, ReaderBuilder, StringRecord, Trim};

use super::decimal::{self, Comma};
use super::file::{Bytes, Progress};
use super::source::{Reading, Row, Source, TableError, is_index, kept};
use crate::codec::Scalar;

/// A CSV file.
pub struct Csv {
    form: Form,
    names: Vec<String>,
    /// Which cells of a row are read.
    kept: Vec<usize>,
    missing: Vec<String>,
    comma: Comma,
    notes: Vec<String>,
}

/// How the file's lines become rows.
struct Form {
    file: PathBuf,
    delimiter: u8,
    /// Lines before the first row: `sep=;` and the names.
    head: usize,
    /// Cells of a row, those that nobody named among them.
    cells: usize,
    /// A cell without a name at the end of each row, which must be empty.
    trailing: bool,
}

/// What may stand between cells without being asked for.
const DELIMITERS: &[u8] = b",;\t|";

/// Rows that are looked at before the file is read, for what commas in numbers mean.
const LOOKED_AT: usize = 10_000;

impl Csv {
    pub fn open(file: &Path, reading: &Reading) -> Result<Self, TableError> {
        let mut lines = first_lines(file)?;
        let said = separator(&lines.0);
        if said.is_some() {
            lines.0 = std::mem::take(&mut lines.1);
        }
        let delimiter = reading.delimiter.or(said).unwrap_or_else(|| likely(&lines.0));
        let skipped = usize::from(said.is_some());
        let mut form =
            Form { file: file.into(), delimiter, head: skipped, cells: 0, trailing: false };
        let (first, second) = form.first_rows()?;
        let mut notes = vec![];
        let all = match &reading.header {
            Some(names) => {
                let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
                let is_head = first.iter().any(|cell| names.iter().any(|name| name == cell));
                if is_head {
                    notes.push(
                        "the first line holds names and is no row: those of --header are taken"
                            .to_owned(),
                    );
                    form.head += 1;
                }
                names
            }
            None => {
                form.head += 1;
                names_of(file, &first)?
            }
        };
        // Which cell each name belongs to.
        let row = if form.head == skipped { &first } else { &second };
        let mut places: Vec<(String, usize)> = all.iter().cloned().zip(0..).collect();
        form.cells = all.len();
        let is_wider = row.len() == all.len() + 1;
        if is_wider && row.last().is_some_and(String::is_empty) {
            (form.trailing, form.cells) = (true, row.len());
        } else if is_wider {
            notes.push(
                "the first cell of each row has no name: taken for its number and not read"
                    .to_owned(),
            );
            places.iter_mut().for_each(|(_, at)| *at += 1);
            form.cells = row.len();
        } else if places.len() > 1 && places.last().is_some_and(|(name, _)| name.is_empty()) {
            form.trailing = true;
            places.pop();
        }
        let numbers = |(at, (name, _)): (usize, &(String, usize))| is_index(name, at);
        if let Some(at) =
            places.iter().enumerate().position(numbers).filter(|_| reading.header.is_none())
        {
            let (name, _) = places.remove(at);
            notes.push(format!(
                "column {} ({name:?}) is taken for the number of its row and not read",
                at + 1
            ));
        }
        let all: Vec<String> = places.iter().map(|(name, _)| name.clone()).collect();
        let kept = kept(file, &all, reading)?;
        let names = kept.iter().map(|&at| all[at].clone()).collect();
        let kept: Vec<usize> = kept.iter().map(|&at| places[at].1).collect();
        let comma = match reading.decimal {
            Some(b',') => Comma::Decimal,
            Some(_) => Comma::Thousands,
            None => form.comma(&kept)?,
        };
        if comma != Comma::Word && reading.decimal.is_none() {
            let what =
                if comma == Comma::Decimal { "before decimals" } else { "between thousands" };
            notes.push(format!("commas in numbers stand {what}"));
        }
        Ok(Self { form, names, kept, missing: reading.missing.clone(), comma, notes })
    }

    fn cell<'a>(&self, text: &'a str) -> Scalar<'a> {
        if text.is_empty() || self.missing.iter().any(|missing| missing == text) {
            return Scalar::Null;
        }
        decimal::number(text, self.comma).map_or(Scalar::Text(text), Scalar::Number)
    }
}

impl Source for Csv {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn visit(&self, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), TableError> {
        self.form.rows(&mut |number, record, done| {
            let cells: Vec<_> = self.kept.iter().map(|&at| self.cell(&record[at])).collect();
            each(&Row { number, cells: &cells, done })
        })
    }
}

impl Form {
    /// The first line that may hold names, and the one behind it.
    fn first_rows(&self) -> Result<(Vec<String>, Vec<String>), TableError> {
        let (mut reader, _) = reader(&self.file, self.delimiter)?;
        let mut next = || {
            let mut record = StringRecord::new();
            reader.read_record(&mut record).map_err(|error| failed(&self.file, 0, &error))?;
            Ok::<_, TableError>(record.iter().map(str::to_owned).collect::<Vec<_>>())
        };
        for _ in 0..self.head {
            next()?;
        }
        Ok((next()?, next().unwrap_or_default()))
    }

    /// Shows every row, its cells as they stand.
    fn rows(
        &self,
        each: &mut dyn FnMut(u64, &StringRecord, f32) -> ControlFlow<()>,
    ) -> Result<(), TableError> {
        let (mut reader, progress) = reader(&self.file, self.delimiter)?;
        let mut record = StringRecord::new();
        let mut number = 0;
        for _ in 0..self.head {
            reader.read_record(&mut record).map_err(|error| failed(&self.file, 0, &error))?;
        }
        loop {
            let done = progress.row();
            number += 1;
            let more = reader.read_record(&mut record);
            if !more.map_err(|error| failed(&self.file, number, &error))? {
                return Ok(());
            }
            let refused = |found: String| {
                Err(TableError::Row {
                    file: self.file.clone(),
                    row: number,
                    found,
                    advice: "quote cells that hold the delimiter, or say another --delimiter"
                        .into(),
                })
            };
            // A last cell that nobody named and that is empty may also be left out.
            let short = self.trailing && record.len() + 1 == self.cells;
            if record.len() != self.cells && !short {
                return refused(format!(
                    "has {} cells; there are {} names",
                    record.len(),
                    self.cells
                ));
            }
            if self.trailing
                && !short
                && record.get(self.cells - 1).is_some_and(|cell| !cell.is_empty())
            {
                return refused(format!(
                    "has {:?} in a column without a name",
                    &record[self.cells - 1]
                ));
            }
            if each(number, &record, done).is_break() {
                return Ok(());
            }
        }
    }

    /// What commas in the numbers of the cells `kept` mean.
    fn comma(&self, kept: &[usize]) -> Result<Comma, TableError> {
        let (mut look, mut seen) = (decimal::Commas::default(), 0);
        // What is wrong with a row is told when it is read.
        let _ = self.rows(&mut |_, record, _| {
            kept.iter().filter_map(|&at| record.get(at)).for_each(|cell| look.see(cell));
            seen += 1;
            if seen < LOOKED_AT { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        look.comma().map_err(|found| TableError::Refused {
            file: self.file.clone(),
            found,
            advice: "say --decimal ',' or --decimal '.'".into(),
        })
    }
}

/// The names in the first line.
fn names_of(file: &Path, first: &[String]) -> Result<Vec<String>, TableError> {
    if let Some(number) = first.iter().find(|name| name.parse::<f64>().is_ok()) {
        return Err(TableError::Refused {
            file: file.to_owned(),
            found: format!("the first line holds {number:?} where a name belongs"),
            advice: "give the names with --header a,b,c if the file has none".into(),
        });
    }
    Ok(first.to_vec())
}

fn reader(file: &Path, delimiter: u8) -> Result<(Reader<Bytes>, Progress), TableError> {
    let bytes = Bytes::open(file);
    let bytes = bytes.map_err(|source| TableError::Read { file: file.to_owned(), source })?;
    let progress = bytes.progress();
    let mut builder = ReaderBuilder::new();
    builder.delimiter(delimiter).has_headers(false).flexible(true).trim(Trim::All);
    Ok((builder.from_reader(bytes), progress))
}

/// The error of `row`, or of the header.
fn failed(file: &Path, row: u64, error: &csv::Error) -> TableError {
    let file = file.to_owned();
    match error.kind() {
        csv::ErrorKind::Io(error) => {
            let source = std::io::Error::new(error.kind(), error.to_string());
            TableError::Read { file, source }
        }
        csv::ErrorKind::Utf8 { err, .. } => TableError::Row {
            file,
            row,
            found: format!("is not UTF-8 in its cell {}", err.field() + 1),
            advice: "convert the file, for example with iconv -f WINDOWS-1252 -t UTF-8".into(),
        },
        _ => TableError::Row { file, row, found: error.to_string(), advice: "mend it".into() },
    }
}

/// The first two lines of the file, as far as they are short.
fn first_lines(file: &Path) -> Result<(Vec<u8>, Vec<u8>), TableError> {
    use std::io::{BufRead, BufReader, Read};
    let read = || {
        let (mut first, mut second) = (vec![], vec![]);
        let mut reader = BufReader::new(Bytes::open(file)?.take(1 << 16));
        reader.read_until(b'\n', &mut first)?;
        reader.read_until(b'\n', &mut second)?;
        Ok((first, second))
    };
    read().map_err(|source| TableError::Read { file: file.to_owned(), source })
}

/// The delimiter in a line `sep=;`, which spreadsheets write and read.
fn separator(line: &[u8]) -> Option<u8> {
    match line.trim_ascii_end() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] => Some(*delimiter),
        b"sep=" if line.starts_with(b"sep=\t") => Some(b'\t'),
        _ => None,
    }
}

/// The delimiter that cuts the first line into the most cells; a comma if none does.
fn likely(line: &[u8]) -> u8 {
    let count = |delimiter: u8| line.iter().filter(|&&byte| byte == delimiter).count();
    let mut best = DELIMITERS[0];
    for &delimiter in DELIMITERS {
        if count(delimiter) > count(best) {
            best = delimiter;
        }
    }
    best
}
