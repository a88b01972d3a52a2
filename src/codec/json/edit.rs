//! Changes to rows, written back into the pieces of a document that they were read from.
//!
//! What is written back has been read before, so splitting it takes no parser: brackets, commas and
//! blanks separate scalars.

use super::run::{Place, Run};
use crate::codec::datatype::Datatype;
use crate::codec::edits::Edits;
use crate::codec::{Cell, Layout, picture};
use crate::open::object::offset;

/// Notes in `edits` the changes between `before` and `after`, both `[n · width]`, to what `run`
/// holds of `text`.
///
/// A value that did not change keeps its spelling; one that did is written in the JSON type it had
/// where that can hold it. Numbers are the shortest decimal of the `f32`.
///
/// # Panics
/// If the run does not hold its part of `before`, or a number is not finite.
pub fn edit(
    layout: &Layout,
    text: &str,
    run: &Run<'_>,
    before: &[f32],
    after: &[f32],
    edits: &mut Edits,
) {
    let width = layout.width();
    let mut place = Place::new(run);
    for token in tokens(run.raw) {
        if let Some(image) = picture_in(layout, token, place.cell) {
            let cells = place.row * width + place.cell
                ..place.row * width + place.cell + image.iter().product::<usize>();
            let scale = layout.scale_of(place.cell);
            (0..cells.len()).for_each(|_| place.step());
            let pixel = |x: &f32| (x * scale).round().clamp(0.0, 255.0) as u8;
            let [old, new] = [before, after]
                .map(|rows| rows[cells.clone()].iter().map(pixel).collect::<Vec<_>>());
            if let Some(file) = picture::encode(&new, image).filter(|_| old != new) {
                let at = offset(token, text);
                edits.put(at..at + token.len(), format!("\"{file}\"").as_bytes());
            }
            continue;
        }
        let (row, cell) = (place.row * width..(place.row + 1) * width, place.cell);
        place.step();
        if let Some(change) = layout.change(&before[row.clone()], &after[row], cell) {
            let at = offset(token, text);
            let with = respell(token, change, run.datatype, layout.scale_of(cell));
            edits.put(at..at + token.len(), with.as_deref().unwrap_or(token).as_bytes());
        }
    }
}

/// The shape of the image that `token` is the file of, if it is one.
fn picture_in(layout: &Layout, token: &str, cell: usize) -> Option<[usize; 3]> {
    let image = layout.image_at(cell).filter(|_| token.starts_with('"'))?;
    let text: String = serde_json::from_str(token).ok()?;
    picture::decode(&text, image)?.ok().map(|_| image)
}

/// How many scalars `raw` has.
pub fn count(raw: &str) -> usize {
    tokens(raw).count()
}

/// `cell` as `token` would have been written; nothing if its datatype cannot say it.
fn respell(token: &str, cell: Cell<'_>, datatype: Option<Datatype>, scale: f32) -> Option<String> {
    if let Cell::Number(x) = cell {
        assert!(x.is_finite(), "the row is not finite");
    }
    let truth = matches!(token.as_bytes()[0], b't' | b'f');
    match datatype {
        None | Some(Datatype::Bytes) => Some(spelling(token, cell)),
        Some(datatype) => datatype.number(cell, scale).map(|number| match (datatype, cell) {
            (Datatype::Bool, _) if truth => (number != 0.0).to_string(),
            (Datatype::Fp16 | Datatype::Bf16, _) => {
                let mut bytes = Vec::with_capacity(2);
                datatype.write(number, &mut bytes);
                shortest(datatype.read(&bytes) as f32)
            }
            (Datatype::Fp32 | Datatype::Fp64, Cell::Number(x)) => shortest(x),
            (Datatype::Fp32 | Datatype::Fp64, Cell::Word(_)) => number.to_string(),
            (Datatype::Uint64, _) => (number as u64).to_string(),
            _ => (number as i64).to_string(),
        }),
    }
}

/// `cell` in the JSON type of `token`, if that can hold it: a truth value stays one, and a word
/// that was a number is one if it reads as the same word again.
fn spelling(token: &str, cell: Cell<'_>) -> String {
    let first = token.as_bytes()[0];
    match cell {
        Cell::Number(x) if first == b'"' => format!("\"{}\"", in_quotes(&token[1..], x)),
        Cell::Number(x) if matches!(first, b't' | b'f') => (x >= 0.5).to_string(),
        Cell::Number(x) => shortest(x),
        Cell::Word(word) => {
            let number = word.parse::<f64>().ok().filter(|x| x.is_finite());
            let bare = match first {
                b'"' => false,
                b't' | b'f' => matches!(word, "true" | "false"),
                _ => number.is_some_and(|x| x.to_string() == word),
            };
            if bare { word.to_owned() } else { serde_json::Value::from(word).to_string() }
        }
    }
}

/// `x` as the word that `token` ends with is written: a truth value stays one.
fn in_quotes(token: &str, x: f32) -> String {
    let word = token.strip_suffix('"').unwrap_or(token);
    let truth = if x >= 0.5 { ["true", "True", "TRUE"] } else { ["false", "False", "FALSE"] };
    match word {
        "true" | "false" => truth[0].to_owned(),
        "True" | "False" => truth[1].to_owned(),
        "TRUE" | "FALSE" => truth[2].to_owned(),
        _ => shortest(x),
    }
}

/// The shortest decimal that reads as `x`.
fn shortest(x: f32) -> String {
    serde_json::to_string(&x).expect("a number can be written")
}

/// The scalars of `raw`, which is valid JSON; of an object, whatever comes between its commas.
fn tokens(raw: &str) -> impl Iterator<Item = &str> {
    let bytes = raw.as_bytes();
    let between = |byte: u8| matches!(byte, b'[' | b']' | b',' | b' ' | b'\t' | b'\n' | b'\r');
    let mut at = 0;
    std::iter::from_fn(move || {
        at += bytes[at..].iter().position(|&byte| !between(byte))?;
        let start = at;
        at += match bytes[at] {
            b'"' => string(&bytes[at..]),
            _ => bytes[at..].iter().position(|&b| between(b)).unwrap_or(bytes.len() - at),
        };
        Some(&raw[start..at])
    })
}

/// Length of the string that `bytes` begin with, its quotes included.
fn string(bytes: &[u8]) -> usize {
    let mut escaped = false;
    let end = bytes.iter().skip(1).position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(bytes.len(), |end| end + 2)
}
