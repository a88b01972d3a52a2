//! CSV: cells between delimiters, names in the first line unless they are given.
//!
//! Blanks around a cell are not part of it. What is between two delimiters has no type: whether
//! `7` is a number or a code, the schema decides. What tools add to a table is taken off: a `sep=;` before
//! it, remarks, a column of row numbers without a name, a delimiter at the end of every line.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use csv::{Reader, ReaderBuilder, StringRecord, Trim};

use super::decimal::{self, Comma};
use super::dialect::{self, Squeezed};
use super::file::{Bytes, Progress};
use super::names::{is_all_numbers, is_no_row, is_number, names_of, numbered};
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
    /// Whether a backslash before a quote makes it a part of its cell.
    escaped: bool,
    /// A cell without a name at the end of each row, which must be empty.
    trailing: bool,
}

/// What stands at the top of a file.
struct Top {
    /// Names of the columns, some of which may be empty.
    names: Vec<String>,
    /// The first row.
    row: Vec<String>,
    notes: Vec<String>,
}

/// Most lines before the names.
const NOTES_MAX: usize = 100;

/// Rows that are looked at before the file is read, for what commas in numbers mean.
const LOOKED_AT: usize = 10_000;

impl Csv {
    pub fn open(file: &Path, reading: &Reading) -> Result<Self, TableError> {
        let read = |source| TableError::Read { file: file.to_owned(), source };
        let head = dialect::head(Bytes::open(file).map_err(read)?).map_err(read)?;
        let first_line = head.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
        let said = dialect::separator(first_line);
        let rest = if said.is_some() { &head[first_line.len()..] } else { &head };
        let delimiter = reading.delimiter.or(said).unwrap_or_else(|| dialect::likely(rest));
        let skipped = usize::from(said.is_some());
        let escaped = dialect::escapes(rest, delimiter);
        let mut form = Form {
            file: file.into(),
            delimiter,
            head: skipped,
            cells: 0,
            escaped,
            trailing: false,
        };
        let Top { names: all, row, mut notes } = form.top(reading.header.as_deref())?;
        let places = form.places(all, &row, reading.header.is_some(), &mut notes);
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
        let number =
            decimal::number(text, self.comma).or_else(|| decimal::spaced(text, self.comma));
        number.map_or(Scalar::Text(text), Scalar::Number)
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
    /// What the first lines say, those before the names among them; `head` is then behind the names.
    fn top(&mut self, header: Option<&[String]>) -> Result<Top, TableError> {
        let mut notes = vec![];
        let mut lines = self.lines(self.head, NOTES_MAX + 2)?.into_iter();
        let mut next = || lines.next().unwrap_or_default();
        let (mut first, mut second, mut third) = (next(), next(), next());
        // Lines that belong to no column: remarks, or how many rows and columns there are.
        for _ in 0..NOTES_MAX {
            let is_remark = first.first().is_some_and(|cell| cell.starts_with('#'))
                && first.len() != second.len();
            let width = header.map_or(second.len(), <[String]>::len);
            let far = if header.is_some() { 0 } else { 1 };
            let is_other = first.len().abs_diff(second.len()) > far
                && second.len() == width
                && second.len() > 1
                && (header.is_some() || is_all_numbers(&second));
            // A title over the names.
            let is_title = first.len() == 1
                && second.len() > 1
                && second.len() == third.len()
                && !second.iter().any(|cell| is_number(cell))
                && third.iter().any(|cell| is_number(cell));
            if !is_remark && !is_other && !is_title {
                break;
            }
            notes.push(format!(
                "line {} ({}) is neither names nor a row and is not read",
                self.head + 1,
                first.join(" ")
            ));
            self.head += 1;
            (first, second, third) = (second, third, next());
        }
        let Some(names) = header else {
            if let Some(names) = numbered(&first) {
                notes.push(format!(
                    "the first line holds numbers: the columns are called {} to {}; --header a,b,c names them",
                    names[0],
                    names[names.len() - 1]
                ));
                return Ok(Top { names, row: first, notes });
            }
            self.head += 1;
            let names = names_of(&self.file, &first)?;
            let rest: Vec<Vec<String>> = [second.clone(), third].into_iter().chain(lines).collect();
            is_no_row(&self.file, &names, &rest)?;
            return Ok(Top { names, row: second, notes });
        };
        let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
        if first.iter().any(|cell| names.iter().any(|name| name == cell)) {
            notes.push(
                "the first line holds names and is no row: those of --header are taken".to_owned(),
            );
            self.head += 1;
            return Ok(Top { names, row: second, notes });
        }
        Ok(Top { names, row: first, notes })
    }

    /// Which cell of a row each name belongs to, without the names of indices unless the names were given.
    fn places(
        &mut self,
        all: Vec<String>,
        row: &[String],
        are_given: bool,
        notes: &mut Vec<String>,
    ) -> Vec<(String, usize)> {
        let count = all.len();
        let mut places: Vec<(String, usize)> = all.into_iter().zip(0..).collect();
        self.cells = count;
        let is_wider = row.len() == count + 1;
        if is_wider && row.last().is_some_and(String::is_empty) {
            (self.trailing, self.cells) = (true, row.len());
        } else if is_wider
            && count > 1
            && row.first().is_some_and(|cell| !cell.contains('.') || !is_number(cell))
        {
            notes.push(
                "the first cell of each row has no name: taken for its number and not read"
                    .to_owned(),
            );
            places.iter_mut().for_each(|(_, at)| *at += 1);
            self.cells = row.len();
        } else if count > 1 && places.last().is_some_and(|(name, _)| name.is_empty()) {
            self.trailing = true;
            places.pop();
        }
        let is_unnamed = |(at, (name, _)): (usize, &(String, usize))| is_index(name, at);
        while let Some(at) = places.iter().enumerate().position(is_unnamed).filter(|_| !are_given) {
            let (name, _) = places.remove(at);
            notes.push(format!(
                "column {} ({name:?}) is taken for the number of its row and not read",
                at + 1
            ));
            if name.is_empty() {
                break;
            }
        }
        places
    }

    fn reader(&self) -> Result<(Reader<Box<dyn Read>>, Progress), TableError> {
        let bytes = Bytes::open(&self.file)
            .map_err(|source| TableError::Read { file: self.file.clone(), source })?;
        let progress = bytes.progress();
        let mut builder = ReaderBuilder::new();
        builder.delimiter(self.delimiter).has_headers(false).flexible(true).trim(Trim::All);
        builder.escape(self.escaped.then_some(b'\\'));
        let text: Box<dyn Read> = match self.delimiter {
            dialect::BLANKS => Box::new(Squeezed::new(bytes)),
            _ => Box::new(bytes),
        };
        Ok((builder.from_reader(text), progress))
    }

    /// Up to `max` lines behind the first `skip`.
    fn lines(&self, skip: usize, max: usize) -> Result<Vec<Vec<String>>, TableError> {
        let (mut reader, _) = self.reader()?;
        let mut lines = vec![];
        let mut record = StringRecord::new();
        while lines.len() < skip + max {
            match reader.read_record(&mut record) {
                Ok(true) => lines.push(record.iter().map(str::to_owned).collect::<Vec<_>>()),
                Ok(false) => break,
                // What is wrong with a row is told when it is read.
                Err(_) if lines.len() > skip => break,
                Err(error) => return Err(failed(&self.file, 0, &error)),
            }
        }
        Ok(lines.split_off(skip.min(lines.len())))
    }

    /// Shows every row, its cells as they stand.
    fn rows(
        &self,
        each: &mut dyn FnMut(u64, &StringRecord, f32) -> ControlFlow<()>,
    ) -> Result<(), TableError> {
        let (mut reader, progress) = self.reader()?;
        let mut record = StringRecord::new();
        let (mut number, mut names) = (0, vec![]);
        for _ in 0..self.head {
            reader.read_record(&mut record).map_err(|error| failed(&self.file, 0, &error))?;
            names = record.iter().map(str::to_owned).collect();
        }
        loop {
            let done = progress.row();
            number += 1;
            let more = reader.read_record(&mut record);
            if !more.map_err(|error| failed(&self.file, number, &error))? {
                return Ok(());
            }
            // The names again, where files were joined.
            if record.len() > 1 && record.iter().eq(names.iter().map(String::as_str)) {
                number -= 1;
                continue;
            }
            let refused = |found: String, advice: &str| {
                let (file, advice) = (self.file.clone(), advice.to_owned());
                Err(TableError::Row { file, row: number, found, advice })
            };
            // A last cell that nobody named and that is empty may also be left out.
            let short = self.trailing && record.len() + 1 == self.cells;
            if record.len() != self.cells && !short {
                return refused(
                    format!("has {} cells; there are {} names", record.len(), self.cells),
                    "quote cells that hold the delimiter, or say another --delimiter",
                );
            }
            if self.trailing
                && !short
                && record.get(self.cells - 1).is_some_and(|cell| !cell.is_empty())
            {
                return refused(
                    format!("has {:?} in a column without a name", &record[self.cells - 1]),
                    "give all names with --header a,b,c",
                );
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
