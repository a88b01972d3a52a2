//! Numbers at given places of a JSON document, read without building the document.
//!
//! The places are JSON pointers (RFC 6901); each leads to a number or to nested arrays of
//! numbers, and in the order of the configuration they fill the row. Whatever else the document
//! holds is skipped, and kept to the byte when the row is written back.
//!
//! What it cannot do: tell `[1, [2, 3]]` from `[[1, 2], 3]`, because only the count of numbers is
//! checked, not their shape; read a number beyond `f64` (`1e400` is unreadable, while `1e39` is
//! infinite and left to validation); read base64 or numbers inside strings.

mod plan;
mod walk;

use std::sync::Arc;

use serde_json::Deserializer;

use self::plan::Plan;
use self::walk::{Fill, Harvest, Run, Spans, Walk};
use super::{Codec, Fields, Headers, Layout};
use crate::record::Fault;

/// `application/json`, and every `+json` type.
#[derive(Debug)]
pub struct Json {
    width: usize,
    plan: Plan,
}

impl Json {
    pub fn new(layout: Arc<Layout>, fields: Option<&Fields>) -> Self {
        let whole = Fields::new(vec![String::new()]).expect("a pointer");
        Self { width: layout.width(), plan: Plan::new(fields.unwrap_or(&whole)) }
    }

    /// Reads all of `text` once and gives what the pointers lead to to `harvest`.
    fn walk<'de>(&self, text: &'de str, harvest: &mut impl Harvest<'de>) -> Result<(), Fault> {
        let mut document = Deserializer::from_str(text);
        let read = Walk::over(&self.plan, harvest, &mut document);
        let read = read.and_then(|()| document.end());
        read.map_err(|error| Fault::Unreadable { at: byte_of(&error, text) })
    }

    /// As `decode`, but on a fault `rows` may hold part of a row.
    fn fill(&self, value: &[u8], rows: &mut Vec<f32>) -> Result<(), Fault> {
        // serde_json does not look into strings it skips, but a value that is not UTF-8 is not
        // JSON, and writing it back would fail where reading it had not.
        let text = std::str::from_utf8(value)
            .map_err(|error| Fault::Unreadable { at: error.valid_up_to() })?;
        let mut fill = Fill::new(rows, self.width);
        self.walk(text, &mut fill)?;
        match fill.finish() {
            got if got == self.width => Ok(()),
            got => Err(Fault::WrongArity { got, expected: self.width }),
        }
    }
}

impl Codec for Json {
    fn decode(&self, value: &[u8], _: &Headers<'_>, rows: &mut Vec<f32>) -> Result<usize, Fault> {
        let start = rows.len();
        let read = self.fill(value, rows);
        if read.is_err() {
            rows.truncate(start);
        }
        read.map(|()| 1)
    }

    /// Replaces the numbers that changed, each in its place, by the shortest decimal of the `f32`;
    /// a number that kept its value keeps its spelling. serde_json reads decimals to within one
    /// bit of an `f64`: all 2³¹ non-negative `f32` were written and read back once, without loss.
    fn encode(&self, original: &[u8], _: &Headers<'_>, row: &[f32], out: &mut Vec<u8>) {
        assert_eq!(row.len(), self.width, "the row has another width");
        assert!(row.iter().all(|x| x.is_finite()), "the row is not finite");
        let text = std::str::from_utf8(original).expect("the original is not JSON");
        let mut spans = Spans::new(text);
        self.walk(text, &mut spans).expect("the original does not hold a row");

        // The row goes by pointers, the bytes go by the document.
        let mut row = row;
        let mut places: Vec<(&str, &[f32])> = Vec::with_capacity(spans.runs.len());
        for Run { span, .. } in spans.in_order() {
            let raw = &text[span];
            let (numbers, rest) = row.split_at(tokens(raw).count());
            places.push((raw, numbers));
            row = rest;
        }
        assert!(row.is_empty(), "the original holds fewer numbers than the row");
        places.sort_unstable_by_key(|(raw, _)| raw.as_ptr().addr());

        let mut kept = 0;
        for (raw, numbers) in places {
            for (token, x) in tokens(raw).zip(numbers) {
                if read(token).to_bits() == x.to_bits() {
                    continue;
                }
                let at = offset(token, text);
                out.extend_from_slice(&original[kept..at]);
                serde_json::to_writer(&mut *out, x).expect("a vector takes every byte");
                kept = at + token.len();
            }
        }
        out.extend_from_slice(&original[kept..]);
    }
}

/// The numbers in `raw`, which holds nothing but numbers and nested arrays of them.
fn tokens(raw: &str) -> impl Iterator<Item = &str> {
    raw.split(['[', ']', ',', ' ', '\t', '\n', '\r']).filter(|token| !token.is_empty())
}

/// The value of a number as `decode` reads it: an `f64` first, as everywhere JSON is read.
fn read(token: &str) -> f32 {
    serde_json::from_str::<f64>(token).expect("the original holds something else") as f32
}

/// Where `part` begins in `text`, of which it is a slice.
fn offset(part: &str, text: &str) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
}

/// serde_json counts lines and columns; a fault counts bytes.
fn byte_of(error: &serde_json::Error, text: &str) -> usize {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    (lines.map(str::len).sum::<usize>() + error.column()).min(text.len())
}

#[cfg(test)]
mod tests;
