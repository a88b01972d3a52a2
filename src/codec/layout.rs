//! Cells ↔ columns: where what a record holds goes in a row, and what a row says it should hold.
//!
//! A *cell* is one value as the wire has it: a number, a word, a pixel, an id. A *column* is one
//! number of a row. Formats speak of cells; this is the only place that knows what a cell becomes.
//! It cannot tell a value in the wrong unit from one in the right unit: both are numbers.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::unseen::Notes;
use super::word::{self, INTEGERS_BELOW, Meaning};
use crate::record::{Ambiguity, Fault, Feature, FeatureId, MISSING, Schema};

/// One value of a record, as its format wrote it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    Number(f64),
    Text(&'a str),
    Bool(bool),
    /// Written down as absent.
    Null,
}

/// The cells of one row, in the schema's order, and the columns they fill.
#[derive(Debug)]
pub struct Layout {
    width: usize,
    rows_max: usize,
    /// One per cell.
    slots: Vec<Slot>,
    /// One per feature.
    places: Vec<Place>,
    categories: Vec<Category>,
    /// What an integer of each column is divided by, `[width]`; 1 but for pixels.
    scales: Vec<f32>,
    plain: bool,
    numeric: bool,
    /// Where words that no category has are noted, if anybody asks for them.
    notes: Option<Arc<Notes>>,
}

/// A feature's name and its cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub name: String,
    pub cells: Range<usize>,
    /// Channels, height and width, if the cells are an image's pixels.
    pub image: Option<[usize; 3]>,
    /// Whether it may be absent: it is scored as the value that the schema imputes.
    pub is_imputed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    /// A number or a pixel, in this column.
    Number(usize),
    /// A value of the category at this index.
    Category(usize),
    Id,
}

#[derive(Debug)]
struct Category {
    columns: Range<usize>,
    values: Vec<String>,
    index: HashMap<String, usize>,
}

impl Layout {
    /// `value_bytes_max` bounds a record's rows: together they hold at most as many numbers as the
    /// largest value has bytes, and one row is always allowed. Thus no format, however terse, makes
    /// more than four times its size limit.
    pub fn new(schema: &Schema, value_bytes_max: usize) -> Self {
        let width = schema.width();
        let mut layout = Self {
            width,
            rows_max: (value_bytes_max / width.max(1)).max(1),
            slots: Vec::with_capacity(width),
            places: vec![],
            categories: vec![],
            scales: vec![1.0; width],
            plain: false,
            numeric: false,
            notes: None,
        };
        for (feature, columns) in schema.columns() {
            let first = layout.slots.len();
            match feature {
                Feature::Number { .. } => layout.slots.push(Slot::Number(columns.start)),
                Feature::Image { scale, .. } => {
                    layout.scales[columns.clone()].fill(*scale);
                    layout.slots.extend(columns.map(Slot::Number));
                }
                Feature::Category { values, .. } => {
                    layout.slots.push(Slot::Category(layout.categories.len()));
                    let mut index: HashMap<String, usize> =
                        values.iter().cloned().zip(0..).collect();
                    for (at, value) in values.iter().enumerate() {
                        if let Some(one) = word::canonical(value) {
                            index.entry(one.into_owned()).or_insert(at);
                        }
                    }
                    layout.categories.push(Category { columns, values: values.clone(), index });
                }
                Feature::Id { .. } => layout.slots.push(Slot::Id),
            }
            let cells = first..layout.slots.len();
            let image = match *feature {
                Feature::Image { channels, height, width, .. } => {
                    Some([channels, height, width].map(|length| length as usize))
                }
                _ => None,
            };
            let is_imputed = matches!(
                feature,
                Feature::Number { impute: Some(_), .. } | Feature::Category { impute: Some(_), .. }
            );
            layout.places.push(Place { name: feature.name().to_owned(), cells, image, is_imputed });
        }
        let number = |slot: &Slot| matches!(slot, Slot::Number(_));
        layout.plain = layout.slots.iter().all(number);
        layout.numeric = layout.slots.iter().all(|slot| match *slot {
            Slot::Number(_) => true,
            Slot::Category(i) => {
                layout.categories[i].values.iter().all(|value| value.parse::<f64>().is_ok())
            }
            Slot::Id => false,
        });
        layout
    }

    /// This layout with at most `rows_max` rows in a record.
    pub fn with_rows_max(mut self, rows_max: usize) -> Self {
        self.rows_max = self.rows_max.min(rows_max.max(1));
        self
    }

    /// This layout, which adds words that no category has to `notes`.
    pub fn noting(self, notes: Arc<Notes>) -> Self {
        Self { notes: Some(notes), ..self }
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows that one record may hold.
    pub fn rows_max(&self) -> usize {
        self.rows_max
    }

    /// Values of a row on the wire, ids among them.
    pub fn cells(&self) -> usize {
        self.slots.len()
    }

    /// Whether `cell` says which record it is: nothing reads it, nothing writes it.
    pub fn is_id(&self, cell: usize) -> bool {
        matches!(self.slots[cell], Slot::Id)
    }

    /// The features in the schema's order.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// What an integer of each column is divided by to reach model units, `[width]`.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// Whether the cells are the columns, one by one.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// What an integer in `cell` is divided by.
    pub fn scale_of(&self, cell: usize) -> f32 {
        match self.slots[cell] {
            Slot::Number(column) => self.scales[column],
            Slot::Category(_) | Slot::Id => 1.0,
        }
    }

    /// Whether a row of bare numbers can be a record: no category of words, no id.
    pub fn is_numeric(&self) -> bool {
        self.numeric
    }

    /// Appends `n` rows in which everything is missing, and lends them.
    ///
    /// # Errors
    /// If a record may not hold `n` rows, or `n` is 0; `rows` is then as it was.
    pub fn begin<'r>(&self, rows: &'r mut Vec<f32>, n: usize) -> Result<&'r mut [f32], Fault> {
        if n == 0 {
            return Err(Fault::WrongArity { got: 0, expected: self.cells() });
        }
        if n > self.rows_max {
            return Err(Fault::TooManyRows { rows: n, rows_max: self.rows_max });
        }
        let start = rows.len();
        rows.resize(start + n * self.width, MISSING);
        Ok(&mut rows[start..])
    }

    /// Channels, height and width of the image whose first pixel `cell` is.
    pub fn image_at(&self, cell: usize) -> Option<[usize; 3]> {
        self.places.iter().find(|place| place.cells.start == cell)?.image
    }

    /// Whether all that is read of a record is one image.
    pub fn is_one_image(&self) -> bool {
        let mut read = self.places.iter().filter(|p| !p.cells.clone().all(|cell| self.is_id(cell)));
        read.next().is_some_and(|place| place.image.is_some()) && read.next().is_none()
    }

    /// The value that a word in `cell` stands for where numbers may be written as words.
    pub fn read_word<'v>(&self, cell: usize, value: Scalar<'v>) -> Scalar<'v> {
        let (Slot::Number(_), Scalar::Text(word)) = (self.slots[cell], value) else { return value };
        match word::meaning(word) {
            Meaning::Number(x) => Scalar::Number(x),
            Meaning::Truth(truth) => Scalar::Bool(truth),
            Meaning::Nothing => Scalar::Null,
            Meaning::Word => value,
        }
    }

    /// Puts a value into its columns of `row` `[width]`. A value that a category does not have is 0
    /// in all of them. Whatever means one value is one value: `7`, `7.0`, `"7"` and `"7.0"`.
    ///
    /// # Errors
    /// If the value is of another type than the feature.
    #[inline]
    pub fn put(&self, row: &mut [f32], cell: usize, value: Scalar<'_>) -> Result<(), Fault> {
        match self.slots[cell] {
            Slot::Id => {}
            Slot::Number(column) => {
                row[column] = match value {
                    Scalar::Number(x) => x as f32,
                    Scalar::Bool(x) => f32::from(u8::from(x)),
                    Scalar::Null => MISSING,
                    Scalar::Text(_) => {
                        return Err(Fault::WrongType { feature: FeatureId(column as u32) });
                    }
                };
            }
            Slot::Category(i) => {
                let category = &self.categories[i];
                let columns = &mut row[category.columns.clone()];
                let found = match value {
                    Scalar::Null => {
                        columns.fill(MISSING);
                        return Ok(());
                    }
                    Scalar::Number(x) if x.is_nan() => {
                        columns.fill(x as f32);
                        return Ok(());
                    }
                    // Some readers keep integers to the last digit, others read the nearest double.
                    Scalar::Number(x) if x.abs() >= INTEGERS_BELOW => {
                        return Err(Fault::Ambiguous(Ambiguity::Number));
                    }
                    Scalar::Text(word) => match category.index.get(word) {
                        Some(at) => Some(at),
                        None => match word::canonical(word) {
                            Some(one) => category.index.get(&*one),
                            None => {
                                columns.fill(MISSING);
                                return Ok(());
                            }
                        },
                    },
                    Scalar::Bool(true) => category.index.get("true"),
                    Scalar::Bool(false) => category.index.get("false"),
                    // `Display` writes 7.0 as 7.
                    Scalar::Number(x) => category.index.get(&x.to_string()),
                };
                columns.fill(0.0);
                match (found, &self.notes) {
                    (Some(&at), _) => columns[at] = 1.0,
                    (None, Some(notes)) => notes.add(category.columns.start, value),
                    (None, None) => {}
                }
            }
        }
        Ok(())
    }

    /// What the cell should hold so that it reads as `row` `[width]`; nothing for an id, for what
    /// is missing, and for a category without a value.
    pub fn get(&self, row: &[f32], cell: usize) -> Option<Cell<'_>> {
        match self.slots[cell] {
            Slot::Id => None,
            Slot::Number(column) => Some(row[column]).filter(|x| !x.is_nan()).map(Cell::Number),
            Slot::Category(i) => {
                let category = &self.categories[i];
                let at = row[category.columns.clone()].iter().position(|&x| x == 1.0)?;
                Some(Cell::Word(&category.values[at]))
            }
        }
    }

    /// What the cell should hold instead, if `row` differs from `before`, how the record reads now.
    /// What was missing stays missing: nothing is written where the sender wrote nothing.
    pub fn change(&self, before: &[f32], row: &[f32], cell: usize) -> Option<Cell<'_>> {
        let columns = match self.slots[cell] {
            Slot::Id => return None,
            Slot::Number(column) => column..column + 1,
            Slot::Category(i) => self.categories[i].columns.clone(),
        };
        let (before, after) = (&before[columns.clone()], &row[columns]);
        let same = before.iter().zip(after).all(|(a, b)| a.to_bits() == b.to_bits());
        if same || before[0].is_nan() { None } else { self.get(row, cell) }
    }
}

/// One value to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    Number(f32),
    Word(&'a str),
}

#[cfg(test)]
mod tests;
