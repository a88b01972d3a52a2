//! Parquet: columns with types, read row by row.
//!
//! Numbers, words, truth values and decimals are cells; dates, times, bytes and nested values are
//! not: nobody could say how a record would write them.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::source::{Reading, Row, Source, TableError, kept};
use crate::codec::Scalar;

/// A Parquet file.
pub struct Parquet {
    file: PathBuf,
    names: Vec<String>,
    /// Which columns are read.
    kept: Vec<usize>,
    rows: u64,
}

impl Parquet {
    pub fn open(file: &Path, reading: &Reading) -> Result<Self, TableError> {
        let reader = reader(file)?;
        let meta = reader.metadata().file_metadata();
        let fields = meta.schema().get_fields();
        let all: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
        let rows = u64::try_from(meta.num_rows()).unwrap_or(0);
        let kept = kept(file, &all, reading)?;
        let names = kept.iter().map(|&at| all[at].clone()).collect();
        Ok(Self { file: file.to_owned(), names, kept, rows })
    }
}

impl Source for Parquet {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn typed(&self) -> bool {
        true
    }

    fn visit(&self, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), TableError> {
        let reader = reader(&self.file)?;
        let rows = reader.get_row_iter(None).map_err(|error| failed(&self.file, &error))?;
        for (number, row) in (1..).zip(rows) {
            let row = row.map_err(|error| failed(&self.file, &error))?;
            let columns = row.into_columns();
            let mut cells = Vec::with_capacity(self.kept.len());
            for &at in &self.kept {
                let (name, field) = &columns[at];
                cells.push(scalar(field).ok_or_else(|| TableError::Row {
                    file: self.file.clone(),
                    row: number,
                    found: format!("has {field} under {name:?}, which is no number, word or bool"),
                    advice: format!("write it as one of these, or --ignore {name}"),
                })?);
            }
            let done = (number as f64 / self.rows.max(1) as f64).min(1.0) as f32;
            if each(&Row { number, cells: &cells, done }).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn reader(file: &Path) -> Result<SerializedFileReader<File>, TableError> {
    let opened = File::open(file);
    let opened = opened.map_err(|source| TableError::Read { file: file.to_owned(), source })?;
    SerializedFileReader::new(opened).map_err(|error| failed(file, &error))
}

fn failed(file: &Path, error: &ParquetError) -> TableError {
    TableError::Refused {
        file: file.to_owned(),
        found: error.to_string(),
        advice: "write it again, uncompressed or with snappy, gzip, zstd or lz4".into(),
    }
}

fn scalar(field: &Field) -> Option<Scalar<'_>> {
    Some(match field {
        Field::Null => Scalar::Null,
        Field::Bool(x) => Scalar::Bool(*x),
        Field::Byte(x) => Scalar::Number((*x).into()),
        Field::Short(x) => Scalar::Number((*x).into()),
        Field::Int(x) => Scalar::Number((*x).into()),
        // Above 2⁵³ neighbours become one, as they do in JSON.
        Field::Long(x) => Scalar::Number(*x as f64),
        Field::UByte(x) => Scalar::Number((*x).into()),
        Field::UShort(x) => Scalar::Number((*x).into()),
        Field::UInt(x) => Scalar::Number((*x).into()),
        Field::ULong(x) => Scalar::Number(*x as f64),
        Field::Float16(x) => Scalar::Number(x.to_f64()),
        Field::Float(x) => Scalar::Number((*x).into()),
        Field::Double(x) => Scalar::Number(*x),
        Field::Decimal(_) => Scalar::Number(field.to_string().parse().ok()?),
        Field::Str(word) => Scalar::Text(word),
        _ => return None,
    })
}
