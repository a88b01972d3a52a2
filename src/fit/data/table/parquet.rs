//! Parquet: columns with types, read row by row.
//!
//! Numbers, words, truth values and decimals are cells; dates, times, bytes and nested values are
//! not: nobody could say how a record would write them.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use super::source::{Reading, Row, Source, TableError, is_index, kept, option};
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
        let index = |at: &usize| !is_index(&all[*at], usize::MAX);
        let kept: Vec<usize> = kept(file, &all, reading)?.into_iter().filter(index).collect();
        let problem = |&at: &usize| {
            let what = unreadable(&fields[at])?;
            let name = &all[at];
            Some(TableError::Refused {
                file: file.to_owned(),
                found: format!("column {name:?} holds {what}"),
                advice: format!(
                    "write it as a number, a word or a bool, or {}",
                    option("--ignore", name)
                ),
            })
        };
        let problems: Vec<_> = kept.iter().filter_map(problem).collect();
        if !problems.is_empty() {
            return Err(TableError::of_all(problems));
        }
        let names = kept.iter().map(|&at| all[at].clone()).collect();
        Ok(Self { file: file.to_owned(), names, kept, rows })
    }
}

impl Source for Parquet {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn has_types(&self) -> bool {
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
                    advice: format!("write it as one of these, or {}", option("--ignore", name)),
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

/// What a column holds that is no cell, if that is so.
fn unreadable(field: &Type) -> Option<&'static str> {
    if field.is_group() {
        return Some("arrays or objects");
    }
    let info = field.get_basic_info();
    let (converted, logical) = (info.converted_type(), info.logical_type_ref());
    let is_time = matches!(
        logical,
        Some(LogicalType::Timestamp { .. } | LogicalType::Date | LogicalType::Time { .. })
    ) || matches!(
        converted,
        ConvertedType::DATE
            | ConvertedType::TIME_MILLIS
            | ConvertedType::TIME_MICROS
            | ConvertedType::TIMESTAMP_MILLIS
            | ConvertedType::TIMESTAMP_MICROS
            | ConvertedType::INTERVAL
    );
    let bytes = [PhysicalType::BYTE_ARRAY, PhysicalType::FIXED_LEN_BYTE_ARRAY];
    let kind = field.get_physical_type();
    let has_meaning = logical.is_some() || converted != ConvertedType::NONE;
    match kind {
        _ if is_time => Some("dates or times, which say when and measure nothing"),
        PhysicalType::INT96 => Some("dates or times, which say when and measure nothing"),
        kind if bytes.contains(&kind) && !has_meaning => Some("bytes"),
        _ => None,
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
