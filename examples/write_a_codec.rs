//! A codec of one's own: a record's value is one line of CSV, its cells in the schema's order.
//!
//!     cargo run --example write_a_codec
//!
//! In the tree it would be `src/codec/csv.rs`, with its name in `format.rs`, its line in the list of
//! `src/codec/mod.rs` and a fuzz target.

use std::error::Error;
use std::path::Path;

use tripline::codec::{Cell, Codec, ContentHeaders, Layout, Scalar};
use tripline::record::{Fault, Unread};
use tripline::shell::bundle;

/// Cells are found at commas; nothing is quoted. An empty cell is missing.
#[derive(Debug)]
struct Csv {
    /// Knows which cell fills which columns, and what a category's words are.
    layout: Layout,
}

impl Codec for Csv {
    fn decode(
        &self,
        value: &[u8],
        _: &ContentHeaders<'_>,
        rows: &mut Vec<f32>,
    ) -> Result<usize, Unread> {
        let line = std::str::from_utf8(value)
            .map_err(|error| Fault::Unreadable { at: error.valid_up_to() })?;
        let cells = line.split(',').count();
        if cells != self.layout.cells() {
            return Err(Fault::WrongArity { got: cells, expected: self.layout.cells() }.into());
        }
        let before = rows.len();
        let row = self.layout.begin(rows, 1)?;
        let put = |(cell, word): (usize, &str)| {
            let value = match word.parse() {
                _ if word.is_empty() => Scalar::Null,
                Ok(number) => Scalar::Number(number),
                Err(_) => Scalar::Text(word),
            };
            self.layout.put(row, cell, value)
        };
        // A fault leaves nothing behind.
        match line.split(',').enumerate().try_for_each(put) {
            Ok(()) => Ok(1),
            Err(fault) => {
                rows.truncate(before);
                Err(fault.into())
            }
        }
    }

    fn encode(
        &self,
        original: &[u8],
        headers: &ContentHeaders<'_>,
        rows: &[f32],
        out: &mut Vec<u8>,
    ) {
        let mut before = vec![];
        self.decode(original, headers, &mut before).expect("the original is a line");
        for (cell, word) in original.split(|&byte| byte == b',').enumerate() {
            if cell > 0 {
                out.push(b',');
            }
            // What did not change stays byte for byte as it was.
            match self.layout.change(&before, rows, cell) {
                None => out.extend_from_slice(word),
                Some(Cell::Number(number)) => out.extend(number.to_string().bytes()),
                Some(Cell::Word(word)) => out.extend(word.bytes()),
            }
        }
    }
}

pub fn main() -> Result<(), Box<dyn Error>> {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/nsl-kdd");
    let schema = bundle::read(&model)?.manifest.schema;
    let csv = Csv { layout: Layout::new(&schema, 4096) };
    let none = ContentHeaders::default();
    let text = std::fs::read_to_string(model.join("slice/test.csv"))?;
    // The last cell is the label, which a request would not have.
    let lines = text.lines().skip(1).filter_map(|line| Some(line.rsplit_once(',')?.0));

    let mut read = 0;
    for line in lines {
        let mut row = vec![];
        csv.decode(line.as_bytes(), &none, &mut row).map_err(|fault| fault.to_string())?;
        let same = encoded(&csv, line, &row);
        assert_eq!(same, line, "what did not change stays as it was");
        // A correction, as a sanitizer makes one, reads back as what it says.
        row[0] = 12.5;
        let changed = encoded(&csv, line, &row);
        let mut again = vec![];
        csv.decode(changed.as_bytes(), &none, &mut again).map_err(|fault| fault.to_string())?;
        assert_eq!(again, row, "{changed}");
        read += 1;
    }
    println!("{read} lines read, corrected and read again");
    for bad in ["", "1,2", "\u{fffd}", &text[..40]] {
        let mut rows = vec![7.0];
        let fault = csv.decode(bad.as_bytes(), &none, &mut rows).expect_err("it was read");
        assert_eq!(rows, [7.0], "a fault left numbers behind");
        println!("{bad:?}: {fault}");
    }
    Ok(())
}

fn encoded(csv: &Csv, line: &str, row: &[f32]) -> String {
    let mut out = vec![];
    csv.encode(line.as_bytes(), &ContentHeaders::default(), row, &mut out);
    String::from_utf8(out).expect("text")
}
