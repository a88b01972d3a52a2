//! A row as the record that a client would send: numbers alone as they are, anything else as a JSON
//! object with the features by name.

use crate::codec::{Cell, Config, Format, Layout, Scalar};
use crate::record::Schema;

/// Writes rows of one schema.
pub struct Writer {
    layout: Layout,
}

/// The largest record we write: room for a row of the widest schema, sixteen bytes a number.
const VALUE_BYTES_MAX: usize = 16 << 20;

/// A word that is nobody's: stands for a value that a category does not have.
const NEVER_SEEN: &str = "\u{0}never seen";

impl Writer {
    pub fn new(schema: &Schema) -> Self {
        Self { layout: Layout::new(schema, VALUE_BYTES_MAX) }
    }

    /// How the guard has to read what we write.
    pub fn reading(&self) -> Config {
        let format = if self.layout.is_plain() { Format::F32Le } else { Format::Json };
        Config { format, value_bytes_max: VALUE_BYTES_MAX, ..Config::default() }
    }

    /// The record of a row of the matrix, `[width]`.
    pub fn row(&self, row: &[f32]) -> Vec<u8> {
        let cell = |cell| match self.layout.get(row, cell) {
            Some(Cell::Number(x)) => Scalar::Number(x.into()),
            Some(Cell::Word(word)) => Scalar::Text(word),
            None => Scalar::Text(NEVER_SEEN),
        };
        let cells: Vec<_> = (0..self.layout.cells()).map(cell).collect();
        self.cells(&cells)
    }

    /// The record of the cells, one for each of the schema's.
    pub fn cells(&self, cells: &[Scalar<'_>]) -> Vec<u8> {
        if self.layout.is_plain() {
            let mut value = Vec::with_capacity(4 * cells.len());
            let mut row = [0.0];
            for &cell in cells {
                // A word in place of a number has no bits: it leaves the record a number short.
                row[0] = match cell {
                    Scalar::Number(x) => x as f32,
                    Scalar::Bool(x) => f32::from(u8::from(x)),
                    Scalar::Null => crate::record::MISSING,
                    Scalar::Text(_) => continue,
                };
                value.extend(row[0].to_le_bytes());
            }
            return value;
        }
        let mut value = vec![b'{'];
        for (place, range) in self.layout.places().iter().map(|place| (place, place.cells.clone()))
        {
            if value.len() > 1 {
                value.push(b',');
            }
            write(&mut value, Scalar::Text(&place.name));
            value.push(b':');
            let image = range.len() != 1;
            if image {
                value.push(b'[');
            }
            for at in range.clone() {
                if at > range.start {
                    value.push(b',');
                }
                write(&mut value, cells[at]);
            }
            if image {
                value.push(b']');
            }
        }
        value.push(b'}');
        value
    }
}

/// Appends one value of JSON; a number that JSON does not have becomes a word, which is no number
/// there either.
fn write(value: &mut Vec<u8>, cell: Scalar<'_>) {
    let written = match cell {
        Scalar::Number(x) if x.is_finite() => serde_json::to_writer(&mut *value, &x),
        Scalar::Number(x) => serde_json::to_writer(&mut *value, &x.to_string()),
        Scalar::Text(word) => serde_json::to_writer(&mut *value, word),
        Scalar::Bool(x) => serde_json::to_writer(&mut *value, &x),
        Scalar::Null => serde_json::to_writer(&mut *value, &()),
    };
    written.expect("a vector takes every byte");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Feature;

    #[test]
    fn a_row_with_words_is_an_object_by_name_and_one_of_numbers_its_bits() {
        let values = vec!["tcp".into(), "udp".into()];
        let category = Feature::Category { name: "protocol".into(), values, impute: None };
        let number = Feature::number("x", 0.0, 9.0);
        let words = Writer::new(&Schema { features: vec![number.clone(), category] });
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert_eq!(text(words.row(&[0.5, 0.0, 1.0])), r#"{"x":0.5,"protocol":"udp"}"#);
        let cells = [Scalar::Number(f64::INFINITY), Scalar::Null];
        assert_eq!(text(words.cells(&cells)), r#"{"x":"inf","protocol":null}"#);
        assert!(text(words.row(&[0.5, 0.0, 0.0])).contains("never seen"));
        let numbers = Writer::new(&Schema { features: vec![number] });
        assert_eq!(numbers.row(&[0.5]), 0.5_f32.to_le_bytes());
    }
}
