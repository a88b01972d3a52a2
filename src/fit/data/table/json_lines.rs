//! JSON lines: one object per line, its keys are the columns.
//!
//! A key that a row does not have is missing there, as `null` is. Columns stand in the order in
//! which their keys first appear, which takes one reading of the file before the first.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::file::Bytes;
use super::source::{Reading, Row, Source, TableError, kept};
use crate::codec::Scalar;

/// A file of JSON objects.
pub struct JsonLines {
    file: PathBuf,
    names: Vec<String>,
    /// Which column a key is; none for those that are ignored.
    places: HashMap<String, Option<usize>>,
}

/// Most keys of a table: what has more has them by accident, such as ids for keys.
const NAMES_MAX: usize = 10_000;

/// The members of an object, in their order.
struct Members(Vec<(String, Value)>);

impl JsonLines {
    pub fn open(file: &Path, reading: &Reading) -> Result<Self, TableError> {
        let mut all: Vec<String> = vec![];
        let mut places: HashMap<String, Option<usize>> = HashMap::new();
        objects(file, &mut |row, Members(members), _| {
            for (key, _) in members {
                if !places.contains_key(&key) {
                    places.insert(key.clone(), None);
                    all.push(key);
                }
            }
            match all.len() > NAMES_MAX {
                true => Err(TableError::Row {
                    file: file.to_owned(),
                    row,
                    found: format!("brings the keys to more than {NAMES_MAX}"),
                    advice: "bring objects whose keys are columns".into(),
                }),
                false => Ok(ControlFlow::Continue(())),
            }
        })?;
        let kept = kept(file, &all, reading)?;
        let names: Vec<String> = kept.iter().map(|&at| all[at].clone()).collect();
        for (at, name) in names.iter().enumerate() {
            places.insert(name.clone(), Some(at));
        }
        Ok(Self { file: file.to_owned(), names, places })
    }
}

impl Source for JsonLines {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn typed(&self) -> bool {
        true
    }

    fn visit(&self, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), TableError> {
        objects(&self.file, &mut |number, Members(members), done| {
            let mut cells = vec![Scalar::Null; self.names.len()];
            for (key, value) in &members {
                let Some(at) = self.places.get(key).copied().flatten() else { continue };
                cells[at] = scalar(value).ok_or_else(|| TableError::Row {
                    file: self.file.clone(),
                    row: number,
                    found: format!("has an array or an object under {key:?}"),
                    advice: format!("make columns of what is in it, or --ignore {key}"),
                })?;
            }
            Ok(each(&Row { number, cells: &cells, done }))
        })
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
    let mut reader = BufReader::new(bytes);
    let (mut line, mut row) = (vec![], 0);
    loop {
        line.clear();
        let done = progress.row();
        if reader.read_until(b'\n', &mut line).map_err(read)? == 0 {
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        row += 1;
        let members = serde_json::from_slice(&line).map_err(|error| TableError::Row {
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
