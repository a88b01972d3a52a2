//! The words of a record that no category has: a row holds nothing of them, and a person wants to read them.
//!
//! The record is read once more by codecs that note such words. Only what explains a flagged record asks, and only
//! where values of records may be told. There is a lock around the notes: codecs are shared by all workers of a
//! stream, and no record that passes ever waits for it. Framed values are not read: their schemas belong to others.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Codecs, Config, ContentHeaders, Layout, Scalar};
use crate::record::Schema;

/// Words in the order in which they were read, each with the first column of its category.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Vec<(usize, String)>>);

/// Words of one record that are kept, and characters of each: a record may have many rows.
const WORDS_MAX: usize = 4096;
const CHARS_MAX: usize = 64;

impl Notes {
    /// The category whose columns begin at `column` does not have `value`.
    pub fn add(&self, column: usize, value: Scalar<'_>) {
        let word: String = match value {
            Scalar::Text(word) => word.chars().take(CHARS_MAX).collect(),
            Scalar::Number(x) => x.to_string(),
            Scalar::Bool(truth) => truth.to_string(),
            Scalar::Null => return,
        };
        let mut words = self.words();
        if words.len() < WORDS_MAX {
            words.push((column, word));
        }
    }

    fn words(&self) -> std::sync::MutexGuard<'_, Vec<(usize, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads records again for their words.
#[derive(Debug)]
pub struct Spelling {
    codecs: Codecs,
    notes: Arc<Notes>,
    width: usize,
    /// One record at a time: the notes are its.
    turn: Mutex<()>,
}

impl Spelling {
    pub fn new(schema: &Schema, config: &Config) -> Self {
        let notes = Arc::new(Notes::default());
        let config = Config { registry: false, ..config.clone() };
        let layout = Layout::new(schema, config.value_bytes_max)
            .with_rows_max(config.rows_per_record_max)
            .noting(notes.clone());
        let width = layout.width();
        Self {
            codecs: Codecs::over(Arc::new(layout), &config),
            notes,
            width,
            turn: Mutex::default(),
        }
    }

    /// What `value` says in row `row` for the category with these `columns`, which does not have that. `None` if the
    /// category has it, or the value cannot be read.
    pub fn word(
        &self,
        value: &[u8],
        headers: &ContentHeaders<'_>,
        row: usize,
        columns: Range<usize>,
    ) -> Option<String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.notes.words().clear();
        let mut rows = vec![];
        self.codecs.pick(headers, value).ok()?.decode(value, headers, &mut rows).ok()?;
        // Of one category words come in the order of rows, whatever else lies between them.
        let is_unseen = |row: &&[f32]| row[columns.clone()].iter().all(|&x| x == 0.0);
        let own = rows.chunks_exact(self.width).nth(row).filter(is_unseen)?;
        debug_assert_eq!(own.len(), self.width);
        let before = rows.chunks_exact(self.width).take(row).filter(is_unseen).count();
        let words = self.notes.words();
        let mut noted = words.iter().filter(|(column, _)| *column == columns.start);
        noted.nth(before).map(|(_, word)| word.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Format;
    use crate::record::Feature;

    fn schema() -> Schema {
        let values = ["Audi", "BMW"].map(String::from).to_vec();
        let make = Feature::Category { name: "Make".into(), values, impute: None };
        Schema { features: vec![Feature::number("Age", 0.0, 99.0), make] }
    }

    fn check(format: Format, value: &str, row: usize, expected: Option<&str>) {
        let spelling = Spelling::new(&schema(), &Config { format, ..Config::default() });
        let word = spelling.word(value.as_bytes(), &ContentHeaders::default(), row, 1..3);
        assert_eq!(word.as_deref(), expected, "{value}, row {row}");
    }

    #[test]
    fn a_word_that_no_category_has_is_read_from_the_row_that_has_it() {
        let json = Format::Json;
        check(json, r#"{"Age": 7, "Make": "Tesla"}"#, 0, Some("Tesla"));
        check(json, r#"{"Age": 7, "Make": 3.0}"#, 0, Some("3"));
        check(json, r#"{"Age": 7, "Make": "BMW"}"#, 0, None);
        check(json, r#"{"Age": 7, "Make": "Tesla"}"#, 1, None);
        check(json, "no JSON", 0, None);
        let several = r#"{"instances": [[1, "Fiat"], [2, "BMW"], [3, "Lada"]]}"#;
        for (row, word) in [(0, Some("Fiat")), (1, None), (2, Some("Lada"))] {
            check(Format::KserveV1, several, row, word);
        }
        let by_column = r#"{"inputs": [
            {"name": "Age", "shape": [2, 1], "datatype": "FP32", "data": [1, 2]},
            {"name": "Make", "shape": [2, 1], "datatype": "BYTES", "data": ["Fiat", "Lada"]}]}"#;
        check(Format::OipJson, by_column, 1, Some("Lada"));
    }
}
