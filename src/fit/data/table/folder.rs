//! A folder of part files, as Spark, Dask and data lakes write a table: read as one table.
//!
//! Files whose names begin with a dot or an underscore are notes of the writer. Columns are found by
//! their names in every file. It cannot see that a file is left over from an earlier write.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::source::{Reading, Row, Source, TableError};
use crate::codec::Scalar;

/// Part files, in the order of their names.
pub struct Folder {
    parts: Vec<Box<dyn Source>>,
    names: Vec<String>,
    /// For each part, where each name stands.
    places: Vec<Vec<usize>>,
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
        let mut parts = vec![];
        for file in &files {
            parts.push(open(file, reading)?);
        }
        let names = parts[0].names().to_vec();
        let mut places = vec![];
        for (part, file) in parts.iter().zip(&files) {
            let place = |name: &String| part.names().iter().position(|other| other == name);
            let all: Vec<Option<usize>> = names.iter().map(place).collect();
            let odd = part.names().iter().find(|name| !names.contains(name));
            let lacking = names.iter().zip(&all).find(|(_, at)| at.is_none()).map(|(name, _)| name);
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
            places.push(all.into_iter().flatten().collect());
        }
        Ok(Self { parts, names, places })
    }
}

impl Source for Folder {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn notes(&self) -> &[String] {
        self.parts[0].notes()
    }

    fn visit(&self, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), TableError> {
        let (mut rows, mut ended) = (0, false);
        for (i, (part, places)) in self.parts.iter().zip(&self.places).enumerate() {
            let before = rows;
            part.visit(&mut |row| {
                rows = before + row.number;
                let cells: Vec<Scalar<'_>> = places.iter().map(|&at| row.cells[at]).collect();
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
