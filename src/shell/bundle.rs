//! A bundle's directory.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::bundle::{AUTOENCODER, Bundle, BundleError, Files, GUARDED_MODEL, MANIFEST, TENSORS};

/// Why a bundle cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BundleDirError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{path} is larger than {max} bytes", path = path.display())]
    TooLarge { path: PathBuf, max: u64 },
    #[error("{path}: {error}", path = path.display())]
    Bundle { path: PathBuf, error: BundleError },
}

/// A file of a bundle may be this large: 1 GiB. Hostile directories stop here.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Reads the bundle in `dir` and checks it against its manifest. Files that are not a bundle's are
/// not looked at: a README or a slice of data may lie beside them.
///
/// # Errors
/// If a file cannot be read or the bundle refuses it.
pub fn read(dir: &Path) -> Result<Bundle, BundleDirError> {
    let mut files = Files::new();
    for name in [MANIFEST, AUTOENCODER, GUARDED_MODEL, TENSORS] {
        let path = dir.join(name);
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && name != MANIFEST => continue,
            Err(error) => return Err(BundleDirError::Io { path, error }),
        };
        let mut bytes = vec![];
        let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
        if let Err(error) = read {
            return Err(BundleDirError::Io { path, error });
        }
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(BundleDirError::TooLarge { path, max: FILE_BYTES_MAX });
        }
        files.insert(name.to_owned(), bytes);
    }
    Bundle::from_files(files).map_err(|error| BundleDirError::Bundle { path: dir.into(), error })
}

/// Writes `bundle` into `dir`, the manifest last: a directory without one is not a bundle.
///
/// # Errors
/// If the directory or a file cannot be written.
pub fn write(dir: &Path, bundle: Bundle) -> Result<(), BundleDirError> {
    let io_error = |path: &Path, error| BundleDirError::Io { path: path.to_owned(), error };
    fs::create_dir_all(dir).map_err(|e| io_error(dir, e))?;
    let mut files = bundle.into_files();
    let manifest = files.remove(MANIFEST).expect("a bundle has a manifest");
    let stale = dir.join(MANIFEST);
    match fs::remove_file(&stale) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error(&stale, error));
        }
        _ => {}
    }
    for (name, bytes) in files.into_iter().chain([(MANIFEST.to_owned(), manifest)]) {
        let path = dir.join(name);
        fs::write(&path, bytes).map_err(|e| io_error(&path, e))?;
    }
    Ok(())
}
