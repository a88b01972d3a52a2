//! A folder of part files, as Spark, Dask and data lakes write a table: read as one table.
//!
//! Files whose names begin with a dot or an underscore are notes of the writer. Columns are found by
//! their names in every file. A folder called `country=DE` says what its rows have in the column `country`. It cannot
//! see that a file is left over from an earlier write.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::source::{Reading, Row, Source, TableError};
use crate::codec::Scalar;

/// Part files, in the order of their names.
pub struct Folder {
    parts: Vec<Box<dyn Source>>,
    names: Vec<String>,
    /// For each part, where each name stands.
    places: Vec<Vec<Place>>,
    notes: Vec<String>,
}

/// Where a part has a column.
enum Place {
    Cell(usize),
    /// In all rows the same, said by the folder's name.
    Said(String),
    /// Nowhere: each row of it lacks the value.
    Nowhere,
}

impl Place {
    fn cell<'a>(&'a self, row: &Row<'a>) -> Scalar<'a> {
        match self {
            Self::Cell(at) => row.cells[*at],
            // What Hive and Spark write for a row without a value.
            Self::Said(value) if value == "__HIVE_DEFAULT_PARTITION__" => Scalar::Null,
            Self::Said(value) => Scalar::Text(value),
            Self::Nowhere => Scalar::Null,
        }
    }
}

/// Files of one table: more have many small ones, which should be joined first.
const FILES_MAX: usize = 10_000;

/// The part files of a folder and of those within, in the order of their names.
///
/// # Errors
/// If it cannot be read, or there are none or too many.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, TableError> {
    let read = |source| TableError::Read { file: folder.to_owned(), source };
    let (mut files, mut folders) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(['.', '_']) {
                continue;
            }
            match path.is_dir() {
                true => folders.push(path),
                false => _ = files.insert(path),
            }
        }
        if files.len() > FILES_MAX {
            break;
        }
    }
    let refused = |found: String, advice: &str| TableError::Refused {
        file: folder.to_owned(),
        found,
        advice: advice.into(),
    };
    match files.len() {
        0 => Err(refused("a folder without part files".into(), "bring the files of one table")),
        n if n > FILES_MAX => {
            Err(refused(format!("a folder of more than {FILES_MAX} files"), "join them to fewer"))
        }
        _ => Ok(files.into_iter().collect()),
    }
}

impl Folder {
    pub fn open(
        folder: &Path,
        reading: &Reading,
        open: impl Fn(&Path, &Reading) -> Result<Box<dyn Source>, TableError>,
    ) -> Result<Self, TableError> {
        let files = files(folder)?;
        let said: Vec<Vec<(String, String)>> =
            files.iter().map(|file| said(folder, file)).collect();
        let keys = common_keys(&said);
        // No part has these columns itself.
        let mut inner = reading.clone();
        inner.ignore.retain(|name| !keys.contains(name));
        let mut parts = vec![];
        for file in &files {
            parts.push(open(file, &inner)?);
        }
        let mut names = parts[0].names().to_vec();
        let is_sparse = parts.iter().all(|part| part.is_sparse());
        if is_sparse {
            let mut known: HashSet<String> = names.iter().cloned().collect();
            let all = parts.iter().flat_map(|part| part.names());
            names.extend(
                all.filter(|name| known.insert((*name).clone())).cloned().collect::<Vec<_>>(),
            );
        }
        let keys: Vec<String> = keys
            .into_iter()
            .filter(|key| !names.contains(key) && !reading.ignore.contains(key))
            .collect();
        let mut places = vec![];
        for ((part, file), said) in parts.iter().zip(&files).zip(said) {
            let all: HashMap<&String, usize> = part.names().iter().zip(0..).collect();
            let odd = part.names().iter().find(|name| !names.contains(name));
            let lacking = names.iter().find(|name| !all.contains_key(name)).filter(|_| !is_sparse);
            if let Some(name) = odd.or(lacking) {
                let (found, other) = match odd {
                    Some(_) => ("has", files[0].display()),
                    None => ("lacks", files[0].display()),
                };
                return Err(TableError::Refused {
                    file: file.clone(),
                    found: format!("it {found} the column {name:?}, unlike {other}"),
                    advice: "bring part files of one table".into(),
                });
            }
            let cell = |name| all.get(name).map_or(Place::Nowhere, |&at| Place::Cell(at));
            let of_folder = said.into_iter().filter(|(key, _)| keys.contains(key));
            places.push(
                names
                    .iter()
                    .map(cell)
                    .chain(of_folder.map(|(_, value)| Place::Said(value)))
                    .collect(),
            );
        }
        let mut notes = parts[0].notes().to_vec();
        if !keys.is_empty() {
            notes
                .push(format!("the names of the folders say {}: read as columns", keys.join(", ")));
            names.extend(keys);
        }
        Ok(Self { parts, names, places, notes })
    }
}

/// What the folders between `folder` and `file` say: `country=DE`.
fn said(folder: &Path, file: &Path) -> Vec<(String, String)> {
    let between = file.strip_prefix(folder).ok().and_then(Path::parent);
    let names = between.into_iter().flat_map(Path::components);
    let pair = |name: std::path::Component<'_>| {
        let (key, value) = name.as_os_str().to_str()?.split_once('=')?;
        Some((decoded(key), decoded(value)))
    };
    names.filter_map(pair).collect()
}

/// The keys that stand over every file, in their order; none if they differ.
fn common_keys(said: &[Vec<(String, String)>]) -> Vec<String> {
    let keys = |said: &Vec<(String, String)>| -> Vec<String> {
        said.iter().map(|(key, _)| key.clone()).collect()
    };
    let first = said.first().map(keys).unwrap_or_default();
    if said.iter().all(|said| keys(said) == first) { first } else { vec![] }
}

/// The text of which `%2F` and others stand for bytes that a name of a folder cannot have.
fn decoded(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), vec![], 0);
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

impl Source for Folder {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn has_types(&self) -> bool {
        self.parts.iter().all(|part| part.has_types())
    }

    fn visit(&self, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), TableError> {
        let (mut rows, mut ended) = (0, false);
        for (i, (part, places)) in self.parts.iter().zip(&self.places).enumerate() {
            let before = rows;
            part.visit(&mut |row| {
                rows = before + row.number;
                let cells: Vec<Scalar<'_>> = places.iter().map(|place| place.cell(row)).collect();
                let done = (i as f32 + row.done) / self.parts.len() as f32;
                let next = each(&Row { number: rows, cells: &cells, done });
                ended = next.is_break();
                next
            })?;
            if ended {
                break;
            }
        }
        Ok(())
    }
}
