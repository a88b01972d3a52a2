//! The bytes of a table's file: what they are, unpacked, and how far we are.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use super::source::TableError;
use super::{folder, packed, unicode};
use crate::fit::data::array::NPY_MAGIC;

/// What a file is, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Csv,
    JsonLines,
    Parquet,
    /// `.npy`, `.npz` or IDX.
    Arrays,
}

/// How much of a file its kind is told by.
const HEAD_BYTES: usize = 4096;

/// Bytes of one row: a quote that is never closed ends here, not with the memory.
const ROW_BYTES_MAX: u64 = 64 << 20;

impl Kind {
    /// # Errors
    /// If the file cannot be read, or begins like nothing we read.
    pub fn of(file: &Path) -> Result<Self, TableError> {
        if file.is_dir() {
            let files = folder::files(file)?;
            return match Self::of(&files[0])? {
                Self::Arrays => Err(TableError::Refused {
                    file: file.to_owned(),
                    found: "a folder of arrays".into(),
                    advice: "bring one file of arrays, or part files of a table".into(),
                }),
                kind => Ok(kind),
            };
        }
        let read = |source| TableError::Read { file: file.to_owned(), source };
        let mut head = vec![];
        let bytes = Bytes::open(file).map_err(read)?;
        bytes.take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(read)?;
        let what = match head.starts_with(packed::ZIP) {
            true => File::open(file).and_then(|file| packed::of_zip(&file)).map_err(read)?,
            false => packed::unreadable(&head),
        };
        if let Some((what, advice)) = what.or(packed::nameless(&head)) {
            let found = format!("it is {what}");
            return Err(TableError::Refused {
                file: file.to_owned(),
                found,
                advice: advice.into(),
            });
        }
        Self::of_head(&head).ok_or_else(|| TableError::Refused {
            file: file.to_owned(),
            found: format!("it begins with {:02x?}", &head[..head.len().min(4)]),
            advice: "bring CSV, JSON lines, Parquet, .npy, .npz or IDX; CSV and JSON also in gzip, Zstandard \
                     or zip, arrays in gzip"
                .into(),
        })
    }

    fn of_head(head: &[u8]) -> Option<Self> {
        let text = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
        let mut letters = head.iter().filter(|byte| !byte.is_ascii_whitespace());
        let (first, second) = (letters.next(), letters.next());
        match head {
            _ if head.starts_with(b"PAR1") => Some(Self::Parquet),
            _ if head.starts_with(NPY_MAGIC) || head.starts_with(packed::ZIP) => Some(Self::Arrays),
            [0, 0, ..] => Some(Self::Arrays),
            _ if first == Some(&b'{') => Some(Self::JsonLines),
            // An array of objects; a line that begins with one bracket is text.
            _ if first == Some(&b'[') && second == Some(&b'{') => Some(Self::JsonLines),
            [_, ..] if head.iter().all(text) => Some(Self::Csv),
            _ => None,
        }
    }
}

/// SHA-256 of the file as it lies on the disk; of a folder, of the digests of its part files.
///
/// # Errors
/// If it cannot be read.
pub fn digest(file: &Path) -> Result<[u8; 32], TableError> {
    if file.is_dir() {
        let mut hash = Sha256::new();
        for part in folder::files(file)? {
            hash.update(digest(&part)?);
        }
        return Ok(hash.finalize().into());
    }
    let hash = || {
        let mut hash = Sha256::new();
        let (mut file, mut buffer) = (File::open(file)?, vec![0; 1 << 16]);
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hash.finalize().into()),
                n => hash.update(&buffer[..n]),
            }
        }
    };
    hash().map_err(|source| TableError::Read { file: file.to_owned(), source })
}

/// A file's bytes, unpacked if they were packed.
pub(super) struct Bytes {
    reader: Box<dyn Read>,
    row: Rc<Cell<u64>>,
    packed: Rc<Cell<u64>>,
    packed_len: u64,
}

/// Where the reading of a file stands; stays behind when a parser takes the bytes.
pub(super) struct Progress {
    row: Rc<Cell<u64>>,
    packed: Rc<Cell<u64>>,
    packed_len: u64,
}

/// Counts what is read through it.
struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl Bytes {
    pub fn open(file: &Path) -> io::Result<Self> {
        let file = File::open(file)?;
        let packed_len = file.metadata()?.len();
        let packed = Rc::new(Cell::new(0));
        let counted =
            |file| -> Box<dyn Read> { Box::new(Counted { inner: file, count: packed.clone() }) };
        let reader = unicode::utf8(packed::open(file, counted)?)?;
        Ok(Self { reader, row: Rc::default(), packed, packed_len })
    }

    pub fn progress(&self) -> Progress {
        let Self { row, packed, packed_len, .. } = self;
        Progress { row: row.clone(), packed: packed.clone(), packed_len: *packed_len }
    }
}

impl Progress {
    /// Share of the file that was read, and a new row begins.
    pub fn row(&self) -> f32 {
        self.row.set(0);
        (self.packed.get() as f64 / self.packed_len.max(1) as f64) as f32
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.row.get() > ROW_BYTES_MAX {
            let text =
                format!("one row of more than {ROW_BYTES_MAX} bytes: is a quote never closed?");
            return Err(io::Error::other(text));
        }
        let n = self.reader.read(buffer)?;
        self.row.set(self.row.get() + n as u64);
        Ok(n)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count.set(self.count.get() + n as u64);
        Ok(n)
    }
}
