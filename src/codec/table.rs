//! A small table with everything a schema can have, in two versions: as a sender wrote it, and as
//! it shall be after a correction. Every codec with names is tested on it.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::Layout;
use crate::record::{Feature, MISSING, Schema};

pub const NAMES: [&str; 5] = ["order", "x", "y", "word", "image"];
pub const WORDS: [&str; 3] = ["7", "tcp", "a \"b\" \\"];
pub const WIDTH: usize = 7;

pub fn schema() -> Schema {
    let values = WORDS.map(String::from).to_vec();
    let features = vec![
        Feature::Id { name: "order".into() },
        Feature::number("x", -1e30, 1e30),
        Feature::Number { name: "y".into(), min: -1e30, max: 1e30, impute: Some(0.0) },
        Feature::Category { name: "word".into(), values, impute: Some("tcp".into()) },
        Feature::Image { name: "image".into(), channels: 1, height: 1, width: 2, scale: 255.0 },
    ];
    Schema { features }
}

pub fn layout() -> Arc<Layout> {
    Arc::new(Layout::new(&schema(), 10_000))
}

/// A row of the matrix; without a word, one that was never seen.
pub fn row_of(x: f32, y: f32, word: Option<usize>, image: [f32; 2]) -> Vec<f32> {
    let mut row = vec![x, y, 0.0, 0.0, 0.0, image[0], image[1]];
    if let Some(word) = word {
        row[2 + word] = 1.0;
    }
    row
}

/// A row of the matrix as a test's reader wants it: `?` is missing, `!` never seen.
pub fn show(row: &[f32]) -> String {
    let number = |x: f32| if x.to_bits() == MISSING.to_bits() { "?".into() } else { x.to_string() };
    let word = match row[2..5].iter().position(|&x| x == 1.0) {
        Some(word) => WORDS[word],
        None if row[2].is_nan() => "?",
        None => "!",
    };
    let (x, y) = (number(row[0]), number(row[1]));
    format!("x={x} y={y} word={word} image={},{}", number(row[5]), number(row[6]))
}

pub fn bits(row: &[f32]) -> Vec<u32> {
    row.iter().map(|x| x.to_bits()).collect()
}

/// A row as its sender thinks of it.
#[derive(Clone, Debug)]
pub struct Row {
    pub order: String,
    pub x: f32,
    pub y: Option<f32>,
    pub word: Word,
    /// Pixels, 0 to 255.
    pub image: [u8; 2],
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Word {
    Missing,
    NeverSeen,
    Learned(usize),
}

#[derive(Clone, Debug)]
pub struct Table {
    pub rows: Vec<Row>,
    /// Between values.
    pub blank: String,
    /// By how much members are turned around.
    pub turn: usize,
}

impl Row {
    pub fn units(&self) -> [f32; 2] {
        self.image.map(|pixel| f32::from(pixel) / 255.0)
    }

    pub fn word(&self) -> Option<&'static str> {
        match self.word {
            Word::Missing => None,
            Word::NeverSeen => Some("n\u{e9}ver"),
            Word::Learned(at) => Some(WORDS[at]),
        }
    }

    /// The values in order, as JSON.
    pub fn cells(&self) -> Vec<String> {
        let text = |text: &str| serde_json::to_string(text).unwrap();
        let null = || "null".to_owned();
        let [a, b] = self.units().map(number);
        vec![
            text(&self.order),
            number(self.x),
            self.y.map_or_else(null, number),
            self.word().map_or_else(null, text),
            format!("[{a},{b}]"),
        ]
    }

    /// The members of an object, as JSON.
    pub fn members(&self) -> Vec<String> {
        let cells = self.cells().into_iter();
        NAMES.iter().zip(cells).map(|(name, cell)| format!("\"{name}\" :{cell}")).collect()
    }
}

/// A number as JSON.
pub fn number(x: f32) -> String {
    serde_json::to_string(&x).unwrap()
}

impl Table {
    /// What a decoder should make of it, `[n · WIDTH]`.
    pub fn matrix(&self) -> Vec<f32> {
        let row = |row: &Row| {
            let word = if let Word::Learned(at) = row.word { Some(at) } else { None };
            let mut out = row_of(row.x, row.y.unwrap_or(MISSING), word, row.units());
            if row.word == Word::Missing {
                out[2..5].fill(MISSING);
            }
            out
        };
        self.rows.iter().flat_map(row).collect()
    }

    pub fn first(mut self) -> Self {
        self.rows.truncate(1);
        self
    }
}

fn finite() -> impl Strategy<Value = f32> {
    use proptest::num::f32::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    prop_oneof![POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO, -9.0..9.0_f32]
}

/// A table, and the same after some of it was corrected: ids and what is missing stay.
pub fn tables() -> impl Strategy<Value = (Table, Table)> {
    let word = prop_oneof![
        Just(Word::Missing),
        Just(Word::NeverSeen),
        (0..3_usize).prop_map(Word::Learned),
    ];
    let changes = (
        proptest::option::of(finite()),
        proptest::option::of(finite()),
        proptest::option::of(0..3_usize),
        proptest::option::of(any::<[u8; 2]>()),
    );
    let row = ("[a-z\"\\\\\u{e4}]{0,3}", finite(), proptest::option::of(finite()), word);
    let row = (row, any::<[u8; 2]>(), changes).prop_map(|(row, image, changes)| {
        let (order, x, y, word) = row;
        let before = Row { order, x, y, word, image };
        let mut after = before.clone();
        after.x = changes.0.unwrap_or(x);
        after.y = y.map(|y| changes.1.unwrap_or(y));
        if word != Word::Missing {
            after.word = changes.2.map_or(word, Word::Learned);
        }
        after.image = changes.3.unwrap_or(image);
        (before, after)
    });
    (vec(row, 1..5), "[ \n\t\r]{0,2}", 0..5_usize).prop_map(|(rows, blank, turn)| {
        let (before, after) = rows.into_iter().unzip();
        let table = |rows| Table { rows, blank: blank.clone(), turn };
        (table(before), table(after))
    })
}
