//! CSV: cells between delimiters, names in the first line unless they are given.
//!
//! Blanks around a cell are not part of it. What is between two delimiters has no type: whether
//! `7` is a number or a code, the schema decides.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use csv::{Reader, ReaderBuilder, StringRecord, Trim};

use super::file::{Bytes, Progress};
use super::source::{Reading, Row, Source, TableError, kept};
use crate::codec::Scalar;

/// A CSV file.
pub struct Csv {
    file: PathBuf,
    /// Cells of a row, the ignored among them.
    cells: usize,
    names: Vec<String>,
    /// Which cells of a row are read.
    kept: Vec<usize>,
    delimiter: u8,
    headless: bool,
    missing: Vec<String>,
}

/// What may stand between cells without being asked for.
const DELIMITERS: &[u8] = b",;\t|";

impl Csv {
    pub fn open(file: &Path, reading: &Reading) -> Result<Self, TableError> {
        let delimiter = match reading.delimiter {
            Some(delimiter) => delimiter,
            None => likely(&first_line(file)?),
        };
        let all: Vec<String> = match &reading.header {
            Some(names) => names.iter().map(|name| name.trim().to_owned()).collect(),
            None => {
                let (mut reader, _) = reader(file, delimiter)?;
                let mut first = StringRecord::new();
                reader.read_record(&mut first).map_err(|error| failed(file, 0, &error))?;
                let names: Vec<String> = first.iter().map(str::to_owned).collect();
                if let Some(number) = names.iter().find(|name| name.parse::<f64>().is_ok()) {
                    return Err(TableError::Refused {
                        file: file.to_owned(),
                        found: format!("the first line holds {number:?} where a name belongs"),
                        advice: "give the names with --header a,b,c if the file has none".into(),
                    });
                }
                names
            }
        };
        let kept = kept(file, &all, reading)?;
        Ok(Self {
            file: file.to_owned(),
            cells: all.len(),
            names: kept.iter().map(|&at| all[at].clone()).collect(),
            kept,
            delimiter,
            headless: reading.header.is_some(),
            missing: reading.missing.clone(),
        })
    }

    fn cell<'a>(&self, text: &'a str) -> Scalar<'a> {
        match text.is_empty() || self.missing.iter().any(|missing| missing == text) {
            true => Scalar::Null,
            false => Scalar::Text(text),
        }
    }
}

impl Source for Csv {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn typed(&self) -> bool {
        false
    }

    fn visit(&self, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), TableError> {
        let (mut reader, progress) = reader(&self.file, self.delimiter)?;
        let mut record = StringRecord::new();
        let mut number = 0;
        if !self.headless {
            reader.read_record(&mut record).map_err(|error| failed(&self.file, 0, &error))?;
        }
        loop {
            let done = progress.row();
            number += 1;
            let more = reader.read_record(&mut record);
            if !more.map_err(|error| failed(&self.file, number, &error))? {
                return Ok(());
            }
            if record.len() != self.cells {
                return Err(TableError::Row {
                    file: self.file.clone(),
                    row: number,
                    found: format!("has {} cells; there are {} names", record.len(), self.cells),
                    advice: "quote cells that hold the delimiter, or say another --delimiter"
                        .into(),
                });
            }
            let cells: Vec<_> = self.kept.iter().map(|&at| self.cell(&record[at])).collect();
            if each(&Row { number, cells: &cells, done }).is_break() {
                return Ok(());
            }
        }
    }
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
            advice: "convert the file, for example with iconv".into(),
        },
        _ => TableError::Row { file, row, found: error.to_string(), advice: "mend it".into() },
    }
}

/// The first line of the file, as far as it is short.
fn first_line(file: &Path) -> Result<Vec<u8>, TableError> {
    use std::io::{BufRead, BufReader, Read};
    let read = || {
        let mut line = vec![];
        BufReader::new(Bytes::open(file)?.take(1 << 16)).read_until(b'\n', &mut line)?;
        Ok(line)
    };
    read().map_err(|source| TableError::Read { file: file.to_owned(), source })
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
