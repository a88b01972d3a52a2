//! What stands at one place of many documents, and what it may be as a feature.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::template::quoted;
use crate::privacy::{TextShape, shape_of};

/// What stands at one JSON pointer.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub records: usize,
    numbers: usize,
    min: f64,
    max: f64,
    whole: bool,
    different: BTreeSet<u64>,
    words: BTreeMap<String, usize>,
    texts: usize,
    bools: usize,
    nulls: usize,
    /// How many numbers an array held, least and most.
    cells: Option<(usize, usize)>,
    /// Arrays of something else than numbers.
    lists: usize,
    /// Texts that look like personal data, by [`TextShape::ALL`].
    shapes: [usize; TextShape::ALL.len()],
}

/// Different texts kept of one field, and the longest.
const WORDS_MAX: usize = 24;
const WORD_CHARS_MAX: usize = 24;
/// Fewer records than these could be one person's.
pub(super) const FEW: usize = 5;
impl Default for Field {
    fn default() -> Self {
        Self {
            records: 0,
            numbers: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            whole: true,
            different: BTreeSet::new(),
            words: BTreeMap::new(),
            texts: 0,
            bools: 0,
            nulls: 0,
            cells: None,
            lists: 0,
            shapes: [0; TextShape::ALL.len()],
        }
    }
}

impl Field {
    /// Takes what stands there in one document.
    pub fn take(&mut self, value: &Value) {
        self.records += 1;
        match value {
            Value::Null => self.nulls += 1,
            Value::Bool(_) => self.bools += 1,
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or(f64::NAN);
                self.numbers += 1;
                self.range(number);
                self.different.insert(number.to_bits());
            }
            Value::String(text) => {
                self.texts += 1;
                let shape = shape_of(text);
                if let Some(at) = TextShape::ALL.iter().position(|&known| Some(known) == shape) {
                    self.shapes[at] += 1;
                }
                if let Some(count) = self.words.get_mut(text) {
                    *count += 1;
                } else if self.words.len() <= WORDS_MAX {
                    // A long text counts as one more, and is not kept.
                    let short = text.chars().count() <= WORD_CHARS_MAX;
                    let word =
                        if short { text.clone() } else { format!("\u{0}{}", self.words.len()) };
                    self.words.insert(word, 1);
                }
            }
            Value::Array(_) => match self.array(value) {
                Some(count) => {
                    let (least, most) = self.cells.unwrap_or((count, count));
                    self.cells = Some((least.min(count), most.max(count)));
                }
                None => self.lists += 1,
            },
            Value::Object(_) => {}
        }
    }

    fn range(&mut self, number: f64) {
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        self.whole &= number.fract() == 0.0;
    }

    /// How many numbers are in these nested arrays, if nothing else is.
    fn array(&mut self, value: &Value) -> Option<usize> {
        match value {
            Value::Number(number) => {
                self.range(number.as_f64()?);
                Some(1)
            }
            Value::Array(items) => items.iter().map(|item| self.array(item)).sum(),
            _ => None,
        }
    }

    /// What it may be as a feature, or why it is none, for `documents` that were read.
    pub fn verdict(&self, documents: usize) -> Result<String, String> {
        let there = self.records - self.nulls;
        let kinds = [self.numbers, self.texts, self.bools, self.lists];
        let arrays = there - kinds.iter().sum::<usize>();
        let many = kinds.iter().chain([&arrays]).filter(|count| **count > 0).count();
        if there < FEW.min(documents) || there * 2 < documents {
            return Err(format!("in {there} of {documents} records"));
        }
        if many > 1 {
            return Err("of several types".into());
        }
        if self.lists > 0 {
            return Err("an array of something else than numbers: rows of their own?".into());
        }
        let missing = match documents - there {
            0 => String::new(),
            n => format!(", missing in {n}: `fit` must know what to do"),
        };
        let kind = if self.numbers > 0 {
            let id = self.whole && self.different.len() == there && there >= 20 && self.max > 1e4;
            if id {
                return Err("a whole number, another in every record: an id or a time".into());
            }
            match self.different.len() {
                1 => format!("number, always {}", self.min),
                n => format!("number, {} to {}, {n} different", self.min, self.max),
            }
        } else if self.bools > 0 {
            "category: true, false".to_owned()
        } else if let Some((least, most)) = self.cells {
            if least != most {
                return Err(format!("arrays of {least} to {most} numbers: a row has one length"));
            }
            format!("{least} numbers, {} to {}", self.min, self.max)
        } else if let Some((shape, _)) = self.personal() {
            return Err(format!("texts that look like {}: personal data", shape.name()));
        } else {
            self.category()?
        };
        Ok(kind + &missing)
    }

    /// What most of its texts look like, if that is personal data, and how many do.
    pub fn personal(&self) -> Option<(TextShape, usize)> {
        let (at, &count) = self.shapes.iter().enumerate().max_by_key(|(_, count)| **count)?;
        let is_most = count >= FEW && count * 10 >= self.texts * 9;
        is_most.then(|| (TextShape::ALL[at], count))
    }

    /// The values of a category; only those that several records have are repeated.
    fn category(&self) -> Result<String, String> {
        let different = self.words.len();
        if different > WORDS_MAX || self.words.keys().any(|word| word.starts_with('\u{0}')) {
            return Err(format!("text, more than {WORDS_MAX} different or long: an id or prose"));
        }
        if self.texts < 2 * different {
            return Err(format!("text, {different} different in {} records", self.texts));
        }
        let common: Vec<String> = self
            .words
            .iter()
            .filter(|(_, count)| **count >= FEW)
            .map(|(word, _)| quoted(word))
            .collect();
        let rare = match different - common.len() {
            0 => String::new(),
            n => format!(" and {n} rarer"),
        };
        Ok(format!("category of {different}: {}{rare}", common.join(", ")))
    }
}
