//! What a table's file is packed in: gzip, Zstandard, or a zip that holds one file.
//!
//! Told by the first bytes, not by the name. A zip of arrays is an `.npz` and stays as it is. It cannot unpack what
//! is packed twice.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};

use flate2::read::{DeflateDecoder, MultiGzDecoder};
use zip::{CompressionMethod, ZipArchive};

/// How a file begins.
pub const ZIP: &[u8] = b"PK\x03\x04";
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTANDARD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 16;

/// What is told of packers that nobody unpacks here: how a file begins, what it is, and what to do.
const OTHERS: [(&[u8], &str, &str); 5] = [
    (b"BZh", "bzip2", "unpack it with bunzip2"),
    (b"\xfd7zXZ", "xz", "unpack it with unxz"),
    (b"7z\xbc\xaf", "7-Zip", "unpack it with 7z x"),
    (b"\xd0\xcf\x11\xe0", "an old workbook of Excel", "save the sheet as CSV"),
    (
        b"SQLite format 3",
        "a database of SQLite",
        "write the table as CSV with sqlite3 -csv -header",
    ),
];

/// The bytes of `file`, unpacked; `counted` sees the packed ones.
///
/// # Errors
/// If it cannot be read.
pub fn open(file: File, counted: impl Fn(File) -> Box<dyn Read>) -> io::Result<Box<dyn BufRead>> {
    let mut head = [0; 4];
    let mut looked = &file;
    let n = looked.read(&mut head)?;
    looked.rewind()?;
    let head = &head[..n];
    if head.starts_with(ZIP)
        && let Some(inner) = only_file(&file)?
    {
        looked.seek(SeekFrom::Start(inner.start))?;
        let packed = counted(file).take(inner.bytes);
        return Ok(match inner.deflated {
            true => buffered(DeflateDecoder::new(packed)),
            false => buffered(packed),
        });
    }
    looked.rewind()?;
    let bytes = buffered(counted(file));
    Ok(match () {
        () if head.starts_with(GZIP) => buffered(MultiGzDecoder::new(bytes)),
        () if head.starts_with(ZSTANDARD) => buffered(zstd::Decoder::with_buffer(bytes)?),
        () => bytes,
    })
}

/// What a file is that is packed in another way or is no text, and what to do; `head` is how it begins.
pub fn unreadable(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let other = OTHERS.iter().find(|(magic, ..)| head.starts_with(magic));
    other.map(|&(_, what, advice)| (what, advice))
}

/// What is said of a text that has no names for its columns.
pub fn nameless(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let text = head.trim_ascii();
    let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii();
    let second = text.iter().filter(|byte| !byte.is_ascii_whitespace()).nth(1);
    match (text.first(), second, first.last()) {
        // An array of objects.
        (Some(b'['), Some(b'{'), _) => None,
        (Some(b'['), Some(b'['), _) | (Some(b'['), _, Some(b']')) => Some((
            "JSON arrays without names",
            "write one object per row, with pandas to_json(orient=\"records\", lines=True)",
        )),
        (Some(b'<'), ..) => Some(("XML or HTML", "write the table as CSV or JSON lines")),
        _ => None,
    }
}

/// What is said of a zip that is neither an `.npz` nor one file.
///
/// # Errors
/// If it cannot be read.
pub fn of_zip(file: &File) -> io::Result<Option<(&'static str, &'static str)>> {
    let Ok(archive) = ZipArchive::new(BufReader::new(file)) else { return Ok(None) };
    let names: Vec<String> = archive.file_names().flatten().map(|name| name.into_owned()).collect();
    Ok(match () {
        () if names.iter().any(|name| name.ends_with(".npy")) => None,
        () if names.iter().any(|name| name.starts_with("xl/")) => {
            Some(("a workbook of Excel", "save the sheet as CSV"))
        }
        () => Some(("a zip of several files", "unpack it; a folder of part files is one table")),
    })
}

/// Where the one file in a zip lies.
struct Inner {
    start: u64,
    bytes: u64,
    deflated: bool,
}

fn only_file(file: &File) -> io::Result<Option<Inner>> {
    let Ok(mut archive) = ZipArchive::new(BufReader::new(file)) else { return Ok(None) };
    let mut found = None;
    for at in 0..archive.len() {
        let entry = archive.by_index_raw(at).map_err(io::Error::other)?;
        let name = entry.name().map_err(io::Error::other)?.into_owned();
        // Notes of an archiver, such as `__MACOSX/`.
        let is_note = name.split('/').any(|part| part.starts_with(['.', '_']));
        if entry.is_dir() || is_note {
            continue;
        }
        let deflated = match entry.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            _ => return Ok(None),
        };
        let Some(start) = entry.data_start() else { return Ok(None) };
        if name.ends_with(".npy") || entry.encrypted() || found.is_some() {
            return Ok(None);
        }
        found = Some(Inner { start, bytes: entry.compressed_size(), deflated });
    }
    Ok(found)
}

fn buffered(reader: impl Read + 'static) -> Box<dyn BufRead> {
    Box::new(BufReader::with_capacity(BUFFER, reader))
}
