//! Files, read within bounds and written whole or not at all.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::FederateError;
use crate::shell::bundle::open_regular;

pub fn failed(path: &Path) -> impl Fn(std::io::Error) -> FederateError + use<> {
    let path = path.to_owned();
    move |error| FederateError::Io { path: path.clone(), error }
}

/// At most `max` bytes.
pub fn read(path: &Path, max: usize) -> Result<Vec<u8>, FederateError> {
    let mut bytes = vec![];
    open_regular(path)?.take(max as u64 + 1).read_to_end(&mut bytes).map_err(failed(path))?;
    match bytes.len() > max {
        true => Err(FederateError::TooLarge { path: path.to_owned(), max }),
        false => Ok(bytes),
    }
}

/// Writes a file that is not there yet: nobody sees a part of it.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FederateError> {
    let part = write_part(path, bytes, mode)?;
    // A link, because renaming would replace what somebody else wrote meanwhile.
    let linked = fs::hard_link(&part, path);
    fs::remove_file(&part).map_err(failed(&part))?;
    match linked {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(FederateError::Exists { path: path.to_owned() })
        }
        Err(error) => Err(failed(path)(error)),
    }
}

/// Writes a file in place of the one that is there: the old one or the new one is seen.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FederateError> {
    let part = write_part(path, bytes, mode)?;
    fs::rename(&part, path).map_err(failed(path))?;
    sync_folder(path)
}

fn write_part(path: &Path, bytes: &[u8], mode: u32) -> Result<PathBuf, FederateError> {
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(part);
    // Left behind by a process of the same number that fell.
    match fs::remove_file(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&part)(error)),
        _ => {}
    }
    let mut options = File::options();
    let mut file =
        options.write(true).create_new(true).mode(mode).open(&part).map_err(failed(&part))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    match written {
        Ok(()) => Ok(part),
        Err(error) => {
            let _ = fs::remove_file(&part);
            Err(failed(path)(error))
        }
    }
}

fn sync_folder(path: &Path) -> Result<(), FederateError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))
}
