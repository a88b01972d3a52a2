//! JSON lines: one object per line, its keys are the columns; or one array of such objects.
//!
//! A key that a row does not have is missing there, as `null` is. Objects within objects are opened: what
//! stands in them is called by its JSON pointer, `/customer/age`, which is how a record is read too. Of
//! Kafka Connect's `{"schema": …, "payload": …}` the payload is read. Columns stand in the order in which
//! their keys first appear, which takes one reading of the file before the first.

use std::collections::HashMap;
use std::fmt;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::file::Bytes;
use super::objects::Texts;
use super::source::{Reading, Row, Source, TableError, is_index, kept, option};
use crate::codec::Scalar;

/// A file of JSON objects.
pub struct JsonLines {
    file: PathBuf,
    names: Vec<String>,
    /// Which column a key is; none for those that are ignored.
    places: HashMap<String, Option<usize>>,
    /// Objects that are not opened.
    ignore: Vec<String>,
}

/// Most keys of a table: what has more has them by accident, such as ids for keys.
const NAMES_MAX: usize = 10_000;

/// The members of an object, in their order.
struct Members(Vec<(String, JsonValue)>);

/// A value of JSON, its objects in the order of the file.
enum JsonValue {
    Object(Members),
    Value(Value),
}

impl Members {
    /// Whether each is a column rather than a value: all of them objects or arrays.
    fn are_columns(&self) -> bool {
        let is_column = |(_, value): &(String, JsonValue)| {
            matches!(value, JsonValue::Object(_) | JsonValue::Value(Value::Array(_)))
        };
        !self.0.is_empty() && self.0.iter().all(is_column) && !is_connect(&self.0)
    }
}

impl JsonLines {
    pub fn open(file: &Path, reading: &Reading) -> Result<Self, TableError> {
        let mut all: Vec<String> = vec![];
        let mut places: HashMap<String, Option<usize>> = HashMap::new();
        let mut opened: Vec<String> = vec![];
        let (mut rows, mut is_whole_table) = (0, false);
        objects(file, &mut |row, members, _| {
            rows = row;
            is_whole_table = row == 1 && members.are_columns();
            let names = &mut |name: &str, _: &Value| {
                if !places.contains_key(name) {
                    places.insert(name.to_owned(), None);
                    all.push(name.to_owned());
                }
            };
            leaves(&members, &reading.ignore, names, &mut opened);
            match all.len() > NAMES_MAX && !is_whole_table {
                true => Err(TableError::Row {
                    file: file.to_owned(),
                    row,
                    found: format!("brings the keys to more than {NAMES_MAX}"),
                    advice: "bring objects whose keys are columns".into(),
                }),
                false => Ok(ControlFlow::Continue(())),
            }
        })?;
        if rows == 1 && is_whole_table {
            return Err(TableError::Refused {
                file: file.to_owned(),
                found: "one object that holds whole columns".into(),
                advice:
                    "write one object per row, with pandas to_json(orient=\"records\", lines=True)"
                        .into(),
            });
        }
        // An object that is ignored is no column, and neither is one that is opened.
        all.retain(|name| !opened.contains(name));
        let mut columns = reading.clone();
        columns.ignore.retain(|name| all.contains(name) || !opened.contains(name));
        let mut kept = kept(file, &all, &columns)?;
        kept.retain(|&at| !is_index(&all[at], usize::MAX));
        let names: Vec<String> = kept.iter().map(|&at| all[at].clone()).collect();
        for (at, name) in names.iter().enumerate() {
            places.insert(name.clone(), Some(at));
        }
        Ok(Self { file: file.to_owned(), names, places, ignore: reading.ignore.clone() })
    }
}

impl Source for JsonLines {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn has_types(&self) -> bool {
        true
    }

    fn is_sparse(&self) -> bool {
        true
    }

    fn visit(&self, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), TableError> {
        objects(&self.file, &mut |number, members, done| {
            let mut values: Vec<Option<&Value>> = vec![None; self.names.len()];
            let mut found = vec![];
            leaves(
                &members,
                &self.ignore,
                &mut |name, value| found.push((name.to_owned(), value)),
                &mut vec![],
            );
            for (name, value) in found {
                let Some(at) = self.places.get(&name).copied().flatten() else { continue };
                values[at] = Some(value);
            }
            // Everything that is wrong with a row at once.
            let (mut cells, mut problems) = (vec![], vec![]);
            for (value, name) in values.into_iter().zip(&self.names) {
                match value.map_or(Some(Scalar::Null), scalar) {
                    Some(cell) => cells.push(cell),
                    None => problems.push(TableError::Row {
                        file: self.file.clone(),
                        row: number,
                        found: format!("has an array under {name:?}"),
                        advice: format!(
                            "make columns of what is in it, or {}",
                            option("--ignore", name)
                        ),
                    }),
                }
            }
            if !problems.is_empty() {
                return Err(TableError::of_all(problems));
            }
            Ok(each(&Row { number, cells: &cells, done }))
        })
    }
}

/// Whether it is Kafka Connect's `{"schema": …, "payload": …}`.
fn is_connect(members: &[(String, JsonValue)]) -> bool {
    let is_payload = |(key, value): &(String, JsonValue)| {
        key == "payload" && matches!(value, JsonValue::Object(_))
    };
    members.len() == 2
        && members.iter().any(|(key, _)| key == "schema")
        && members.iter().any(is_payload)
}

/// Shows every value of an object under its name: its key, or its pointer if it is not at the top.
/// Names of objects that were opened, or left closed because they are ignored, go into `opened`.
fn leaves<'v>(
    Members(members): &'v Members,
    ignore: &[String],
    each: &mut dyn FnMut(&str, &'v Value),
    opened: &mut Vec<String>,
) {
    let is_connect = is_connect(members);
    for (key, value) in members {
        if is_connect && key == "schema" {
            continue;
        }
        leaf(key.clone(), value, ignore, each, opened);
    }
}

fn leaf<'v>(
    name: String,
    value: &'v JsonValue,
    ignore: &[String],
    each: &mut dyn FnMut(&str, &'v Value),
    opened: &mut Vec<String>,
) {
    let Members(members) = match value {
        JsonValue::Object(members) => members,
        JsonValue::Value(value) => return each(&name, value),
    };
    if !opened.contains(&name) {
        opened.push(name.clone());
    }
    if ignore.contains(&name) {
        return;
    }
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    let outer = if name.starts_with('/') { name } else { format!("/{}", escaped(&name)) };
    for (key, value) in members {
        leaf(format!("{outer}/{}", escaped(key)), value, ignore, each, opened);
    }
}

fn scalar(value: &Value) -> Option<Scalar<'_>> {
    match value {
        Value::Null => Some(Scalar::Null),
        Value::Bool(x) => Some(Scalar::Bool(*x)),
        Value::Number(x) => x.as_f64().map(Scalar::Number),
        Value::String(word) => Some(Scalar::Text(word)),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// What hears of every object: its row, its members and the share of the file behind it.
type Hear<'a> = dyn FnMut(u64, Members, f32) -> Result<ControlFlow<()>, TableError> + 'a;

/// Every object of the file; empty lines do not count.
fn objects(file: &Path, each: &mut Hear<'_>) -> Result<(), TableError> {
    let read = |source| TableError::Read { file: file.to_owned(), source };
    let bytes = Bytes::open(file).map_err(read)?;
    let progress = bytes.progress();
    let mut texts = Texts::new(BufReader::new(bytes));
    let (mut text, mut row) = (vec![], 0);
    loop {
        let done = progress.row();
        if !texts.next(&mut text).map_err(read)? {
            return Ok(());
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        row += 1;
        let members = parsed(&text).map_err(|error| TableError::Row {
            file: file.to_owned(),
            row,
            found: format!("is no JSON object: {error}"),
            advice: "write one object per line".into(),
        })?;
        if each(row, members, done)?.is_break() {
            return Ok(());
        }
    }
}

/// The value in `text`, also if it holds numbers that are none, as Python and others write them.
fn parsed<T: for<'t> Deserialize<'t>>(text: &[u8]) -> serde_json::Result<T> {
    match serde_json::from_slice(text) {
        Ok(value) => Ok(value),
        Err(error) => serde_json::from_slice(&without_nan(text)).map_err(|_| error),
    }
}

/// `NaN` as `null`, and infinities in quotes, outside of strings.
fn without_nan(text: &[u8]) -> Vec<u8> {
    let names: [(&[u8], &[u8]); 3] =
        [(b"NaN", b"null"), (b"-Infinity", b"\"-Infinity\""), (b"Infinity", b"\"Infinity\"")];
    let mut out = Vec::with_capacity(text.len());
    let (mut at, mut inside) = (0, false);
    while at < text.len() {
        let found = names.iter().find(|(name, _)| !inside && text[at..].starts_with(name));
        if let Some((name, written)) = found {
            out.extend_from_slice(written);
            at += name.len();
            continue;
        }
        if inside && text[at] == b'\\' {
            out.push(text[at]);
            at += 1;
        } else if text[at] == b'"' {
            inside = !inside;
        }
        out.extend(text.get(at));
        at += 1;
    }
    out
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = vec![];
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'de> Deserialize<'de> for JsonValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = JsonValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonValue, A::Error> {
                let mut members = vec![];
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(JsonValue::Object(Members(members)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<JsonValue, A::Error> {
                while array.next_element::<IgnoredAny>()?.is_some() {}
                Ok(JsonValue::Value(Value::Array(vec![])))
            }

            fn visit_str<E>(self, word: &str) -> Result<JsonValue, E> {
                Ok(JsonValue::Value(word.into()))
            }

            fn visit_bool<E>(self, truth: bool) -> Result<JsonValue, E> {
                Ok(JsonValue::Value(truth.into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<JsonValue, E> {
                Ok(JsonValue::Value(number.into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<JsonValue, E> {
                Ok(JsonValue::Value(number.into()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<JsonValue, E> {
                Ok(JsonValue::Value(number.into()))
            }

            fn visit_unit<E>(self) -> Result<JsonValue, E> {
                Ok(JsonValue::Value(Value::Null))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
