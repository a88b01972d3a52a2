//! `tripline columns`: what the columns of a table are, and which of them point to people.

use std::path::PathBuf;

use super::Exit;
use super::columns;
use crate::fit::exposure::{Question, ROWS_MAX, look};
use crate::record::Probability;

/// Say which columns of a table point to people, alone and together, and which rounding would help
///
/// Values are read and never printed. Exit status: 0 no set is beyond the limit, 2 somebody must look.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A CSV, JSON lines or Parquet file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Look for quasi-identifiers and personal data; so far the only thing this command says
    #[arg(long, required = true)]
    privacy: bool,

    /// The column that says whose row it is; each row is another's unless given
    #[arg(long, value_name = "COLUMN")]
    subject: Option<String>,

    /// A group of fewer subjects is small
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=1000))]
    k: u32,

    /// The share of rows in small groups that is too many
    #[arg(long, value_name = "SHARE", default_value = "1%")]
    limit: Probability,

    /// Rows to look at, from the beginning: more rows make larger groups, so compare tables at the same number
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..ROWS_MAX as i64))]
    rows: u32,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    table: columns::File,
}

impl Args {
    pub fn run(self) -> Exit {
        let Self { file, subject, k, limit, rows, json, table, privacy: _ } = self;
        let limit = limit.get();
        let reading = table.reading();
        let question = Question { reading, rows_max: rows as usize, k, limit, subject };
        match look(&file, &question) {
            Err(error) => {
                eprintln!("error: {error}");
                Exit::Failed
            }
            Ok(report) => {
                match json {
                    true => {
                        println!("{}", serde_json::to_string_pretty(&report).expect("plain data"))
                    }
                    false => print!("{}: {report}", file.display()),
                }
                if report.proposed().is_empty() { Exit::Ok } else { Exit::Found }
            }
        }
    }
}
