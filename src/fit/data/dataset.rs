//! What `fit` learns from: rows of numbers in a file, and their labels if there are any.
//!
//! Reads `.npy`, `.npz` (see `ROWS_NAMES` for what rows may be called, `LABELS_NAMES` for labels) and IDX, each also
//! gzipped; the format is told by the first bytes, not by the name. It cannot tell clean rows from attacked ones: what is
//! in the file is what the guard will call normal.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use ndarray::{Array2, Axis};
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::array::{Kind, NPY_MAGIC, Raw};
use super::hints::Label;
use crate::record::Schema;

/// Rows as they were found: values are not scaled yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Raw values, finite, `[n, d]` with n and d at least 1.
    pub x: Array2<f32>,
    /// One label per row, `[n]`.
    pub y: Option<Vec<i64>>,
    /// Another whole number per row, if one was asked for, `[n]`: 0 and 1 of what were booleans.
    pub marks: Option<Vec<i64>>,
    /// Whether the file holds integers: pixels then want dividing by the schema's scale.
    pub integer: bool,
    /// Shape of one row in the file, `[28, 28]` for MNIST; its product is d.
    pub shape: Vec<usize>,
    /// SHA-256 of the data file as it lies on the disk; the labels file is not in it.
    pub digest: [u8; 32],
}

/// Why a data file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("{}: cannot read: {source}", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("{}: found {found}; accepted: {accepted}", file.display())]
    Refused { file: PathBuf, found: String, accepted: &'static str },
}

/// Bytes of a file, and of what comes out of its compression: 8 GiB hold the largest array we
/// accept as `f64`. Whatever a small file unpacks to, it stops here.
const BYTES_MAX: u64 = 8 << 30;

const FORMATS: &str = ".npy, .npz with one array of rows, or a key such as x, X_train or arr_0, or IDX, each also gzipped; \
                       integers or floats of 1 to 8 bytes (rows not of bool, complex or object)";
/// What the rows of an `.npz` may be called: by people, and by `numpy.savez` of what has no name.
const ROWS_NAMES: [&str; 10] =
    ["x", "X", "x_train", "X_train", "data", "images", "features", "inputs", "x_test", "arr_0"];

/// What labels may be called beside them.
const LABELS_NAMES: [&str; 6] = ["y", "y_train", "labels", "label", "target", "y_test"];

const ROWS: &str = "at least one row of at least one finite number, two or more dimensions, \
                    rows at most 1048576 wide";
const MARKS: &str = "one dimension with one boolean or whole number per row";
const LABELS: &str = "one dimension with one whole number per row";

impl Dataset {
    /// Reads rows from `file`, and labels from `labels` if it is given, else from key `y` of an
    /// `.npz` that has one.
    ///
    /// Holds the file, what it unpacks to and the `f32` rows in memory at the same time.
    ///
    /// # Errors
    /// The file, what was found in it and what is accepted.
    pub fn load(file: &Path, labels: Option<&Path>) -> Result<Self, DataError> {
        Self::load_marked(file, labels, None, false)
    }

    /// Loads a file with the array of an `.npz` that is called `marks`; numbers that are not finite stay
    /// as they are if there may be `gaps`.
    ///
    /// # Errors
    /// As [`Dataset::load`], and if there is no such array.
    pub fn load_marked(
        file: &Path,
        labels: Option<&Path>,
        marks: Option<&str>,
        gaps: bool,
    ) -> Result<Self, DataError> {
        let refuse = |accepted| {
            let file = file.to_owned();
            move |found| DataError::Refused { file, found, accepted }
        };
        let bytes = read(file)?;
        let digest = Sha256::digest(&bytes).into();
        let Parts { x, y, marks } = Parts::of(bytes, marks).map_err(refuse(FORMATS))?;
        let raw = parse(&x).map_err(refuse(FORMATS))?;
        let (shape, integer) = (raw.shape.get(1..).unwrap_or(&[]).to_vec(), raw.kind.is_integer());
        let x = rows(&raw, gaps).map_err(refuse(ROWS))?;

        let y = match (labels, y) {
            (Some(labels), _) => {
                let refuse =
                    |found| DataError::Refused { file: labels.to_owned(), found, accepted: LABELS };
                let Parts { x: only, y, .. } = Parts::of(read(labels)?, None).map_err(refuse)?;
                Some(labels_of(&y.unwrap_or(only), x.nrows()).map_err(refuse)?)
            }
            (None, Some(y)) => Some(labels_of(&y, x.nrows()).map_err(refuse(LABELS))?),
            (None, None) => None,
        };
        let marks = marks.map(|marks| labels_of(&marks, x.nrows())).transpose();
        Ok(Self { x, y, marks: marks.map_err(refuse(MARKS))?, integer, shape, digest })
    }

    /// Keeps the clean rows; gives back the others, each with what its label says.
    ///
    /// # Errors
    /// If there are no labels, or they call no row clean.
    pub fn set_aside(
        &mut self,
        file: &Path,
        label: &Label,
    ) -> Result<(Self, Vec<String>), DataError> {
        let refuse = |found: String| DataError::Refused {
            file: file.to_owned(),
            found,
            accepted: "--label y with labels in a key y, and --normal VALUE for what clean rows say",
        };
        let y = self.y.take().filter(|_| label.name == "y");
        let y = y.ok_or_else(|| refuse(format!("no labels called {:?}", label.name)))?;
        let words: Vec<String> = y.iter().map(i64::to_string).collect();
        let (clean, dirty): (Vec<usize>, Vec<usize>) =
            (0..y.len()).partition(|&i| label.is_normal(&words[i]));
        if clean.is_empty() {
            return Err(refuse(format!("labels such as {:?} and no clean row", words[0])));
        }
        let aside = self.x.select(Axis(0), &dirty);
        self.x = self.x.select(Axis(0), &clean);
        self.marks = self.marks.take().map(|marks| clean.iter().map(|&i| marks[i]).collect());
        let words = dirty.iter().map(|&i| words[i].clone()).collect();
        let Self { integer, digest, ref shape, .. } = *self;
        Ok((Self { x: aside, y: None, marks: None, integer, shape: shape.clone(), digest }, words))
    }
}

/// The arrays of a file, unpacked but not parsed.
struct Parts {
    x: Vec<u8>,
    y: Option<Vec<u8>>,
    marks: Option<Vec<u8>>,
}

impl Parts {
    fn of(bytes: Vec<u8>, marks: Option<&str>) -> Result<Self, String> {
        let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
            unpack(MultiGzDecoder::new(&bytes[..]), "the gzip stream")?
        } else {
            bytes
        };
        if !bytes.starts_with(b"PK") {
            return match marks {
                None => Ok(Self { x: bytes, y: None, marks: None }),
                Some(name) => Err(format!("no array {name:?}: it is no .npz")),
            };
        }
        let mut archive = ZipArchive::new(Cursor::new(&bytes[..]))
            .map_err(|e| format!("an .npz that is no archive ({e})"))?;
        let single = match (archive.len(), marks) {
            (1, None) => archive.file_names().flatten().next().map(|name| name.into_owned()),
            _ => None,
        };
        let mut member = |name: &str| match archive.by_name(name) {
            Ok(entry) => unpack(entry, name).map(Some),
            Err(zip::result::ZipError::FileNotFound) => Ok(None),
            Err(e) => Err(format!("a damaged {name} ({e})")),
        };
        let mut first = |names: &[&str]| {
            for name in names {
                if let Some(bytes) = member(&format!("{name}.npy"))? {
                    return Ok::<_, String>(Some(bytes));
                }
            }
            Ok(None)
        };
        let y = first(&LABELS_NAMES)?;
        let x = match (first(&ROWS_NAMES)?, single) {
            (Some(x), _) => Some(x),
            // One array, whatever it is called, unless it is the labels.
            (None, Some(name)) if y.is_none() => member(&name)?,
            (None, _) => None,
        };
        let marks = match marks {
            None => None,
            Some(name) => match member(&format!("{name}.npy"))? {
                Some(marks) => Some(marks),
                None => {
                    let names: Vec<_> = archive.file_names().flatten().take(8).collect();
                    return Err(format!("no array {name:?} among {names:?}"));
                }
            },
        };
        match (x, y) {
            (Some(x), y) => Ok(Self { x, y, marks }),
            // A file of labels only: the caller that wants rows will refuse its one dimension.
            (None, Some(y)) => Ok(Self { x: y, y: None, marks }),
            (None, None) => {
                let names: Vec<_> = archive.file_names().flatten().take(8).collect();
                Err(format!("an .npz with {names:?}"))
            }
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, DataError> {
    let bytes = File::open(file).and_then(|f| {
        let mut bytes = Vec::new();
        f.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    let bytes = bytes.map_err(|source| DataError::Read { file: file.to_owned(), source })?;
    if bytes.len() as u64 > BYTES_MAX {
        let found = format!("more than {BYTES_MAX} bytes");
        return Err(DataError::Refused { file: file.to_owned(), found, accepted: "8 GiB" });
    }
    Ok(bytes)
}

fn unpack(packed: impl Read, what: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut bounded = packed.take(BYTES_MAX + 1);
    bounded.read_to_end(&mut bytes).map_err(|e| format!("{what} damaged ({e})"))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!("{what} unpacking to more than {BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Raw<'_>, String> {
    match bytes {
        _ if bytes.starts_with(NPY_MAGIC) => Raw::npy(bytes),
        [0, 0, ..] => Raw::idx(bytes),
        _ => {
            let first = &bytes[..bytes.len().min(4)];
            Err(format!("a file that starts with {first:02x?}"))
        }
    }
}

fn rows(raw: &Raw<'_>, gaps: bool) -> Result<Array2<f32>, String> {
    if raw.kind == Kind::Bool {
        return Err("rows of booleans".into());
    }
    let d = match raw.shape[..] {
        [_, ref row @ ..] if !row.is_empty() && !raw.is_empty() => row.iter().product::<usize>(),
        _ => return Err(format!("the shape {:?}", raw.shape)),
    };
    if d as u64 > Schema::WIDTH_MAX {
        return Err(format!("rows {d} wide"));
    }
    let n = raw.shape[0];
    let x = raw.to_f32().into_shape_with_order((n, d)).expect("row-major, and n · d values");
    if gaps {
        return Ok(x);
    }
    for (i, row) in x.axis_iter(Axis(0)).enumerate() {
        if let Some(j) = row.iter().position(|value| !value.is_finite()) {
            return Err(format!("{} in row {i}, column {j}, as a 32-bit float", row[j]));
        }
    }
    Ok(x)
}

fn labels_of(bytes: &[u8], n: usize) -> Result<Vec<i64>, String> {
    let raw = parse(bytes)?;
    if raw.shape != [n] {
        return Err(format!("labels of shape {:?} for {n} rows", raw.shape));
    }
    raw.to_i64()
}

#[cfg(test)]
mod tests;
