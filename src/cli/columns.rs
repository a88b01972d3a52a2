//! What the command line says about a table: how it is read and what its columns are.

use std::path::PathBuf;

use crate::fit::data::hints::{Hints, Label};
use crate::fit::data::table::Reading;
use crate::record::Schema;

/// Options for CSV, JSON lines and Parquet.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Tables")]
pub struct Columns {
    #[command(flatten)]
    file: File,

    /// Identifies the record: travels with it, is never scored nor changed
    #[arg(long, value_name = "COLUMN")]
    id: Vec<String>,

    /// Its numbers are codes, not quantities
    #[arg(long, value_name = "COLUMN")]
    category: Vec<String>,

    /// Hard bounds of a number: a record beyond them is a dead letter [default: the range seen, and
    /// as much again on each side]
    #[arg(long, value_name = "COLUMN=MIN..MAX", value_parser = bounds, allow_hyphen_values = true)]
    bounds: Vec<(String, f32, f32)>,

    /// What is missing in clean rows may be missing in records: the median or the most frequent
    /// value of the training rows stands in for it
    #[arg(long)]
    impute: bool,

    /// Most values of a column of words that is taken for a category
    #[arg(long, value_name = "NUMBER", default_value_t = Hints::VALUES_MAX)]
    values_max: usize,

    /// The features as TOML, as --schema-only prints them; other columns are not looked at
    #[arg(long, value_name = "FILE",
        conflicts_with_all = ["id", "category", "bounds", "impute"])]
    schema: Option<PathBuf>,
}

/// Options that fitting and evaluating share.
#[derive(clap::Args, Clone, Debug)]
pub struct File {
    /// Names of a CSV's columns, if its first line does not have them
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    header: Option<Vec<String>>,

    /// What stands between the cells of a CSV [default: told from its first line]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,

    /// What stands before the decimals of a CSV's numbers [default: told from the numbers]
    #[arg(long, value_name = "CHARACTER", value_parser = decimal)]
    decimal: Option<u8>,

    /// A word that says nothing, beside the empty one
    #[arg(long, value_name = "TEXT")]
    missing: Vec<String>,

    /// Is not read
    #[arg(long, value_name = "COLUMN")]
    ignore: Vec<String>,

    /// Says what a row is; never a feature
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,

    /// What the label says of clean rows [default: normal, 0 or false]
    #[arg(long, value_name = "VALUE", requires = "label")]
    normal: Option<String>,
}

impl Columns {
    pub fn reading(&self) -> Reading {
        self.file.reading()
    }

    /// # Errors
    /// If the schema's file cannot be read as one.
    pub fn hints(&self) -> Result<Hints, String> {
        let read = |path: &PathBuf| -> Result<Schema, String> {
            let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
            let schema: Schema = toml::from_str(&text).map_err(|error| failed(&error))?;
            schema.check().map_err(|error| failed(&error))?;
            Ok(schema)
        };
        Ok(Hints {
            ids: self.id.clone(),
            categories: self.category.clone(),
            bounds: self.bounds.clone(),
            impute: self.impute,
            values_max: self.values_max,
            schema: self.schema.as_ref().map(read).transpose()?,
            label: self.file.label(),
        })
    }
}

impl File {
    pub fn reading(&self) -> Reading {
        Reading {
            header: self.header.clone(),
            delimiter: self.delimiter,
            decimal: self.decimal,
            missing: self.missing.clone(),
            ignore: self.ignore.clone(),
            ..Reading::default()
        }
    }

    pub fn label(&self) -> Option<Label> {
        let name = self.label.clone()?;
        Some(Label { name, normal: self.normal.clone() })
    }
}

fn bounds(text: &str) -> Result<(String, f32, f32), String> {
    let split = || {
        let (name, range) = text.rsplit_once('=')?;
        let (min, max) = range.split_once("..")?;
        Some((name.to_owned(), min.trim().parse().ok()?, max.trim().parse().ok()?))
    };
    split().ok_or_else(|| format!("{text:?} is no COLUMN=MIN..MAX, such as amount=0..1e6"))
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        &[byte] => Ok(byte),
        _ => Err(format!("{text:?} is not one ASCII character; a tab is \\t")),
    }
}

fn decimal(text: &str) -> Result<u8, String> {
    match text {
        "," | "." => Ok(text.as_bytes()[0]),
        _ => Err(format!("{text:?} is neither a comma nor a point")),
    }
}
