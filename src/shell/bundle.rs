//! A bundle's directory.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::bundle::{
    AUTOENCODER, Bundle, BundleError, Files, GUARDED_MODEL, LIKELIHOOD, MANIFEST, RESTORER, TENSORS,
};

/// The files of a bundle.
const NAMES: [&str; 6] = [MANIFEST, AUTOENCODER, GUARDED_MODEL, RESTORER, LIKELIHOOD, TENSORS];

/// Why a bundle cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BundleDirError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{path} already exists: a bundle is never overwritten; choose another directory, or remove it", path = path.display())]
    Exists { path: PathBuf },
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
    for name in NAMES {
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

/// Whether a bundle can be written to `dir`: there must be none yet. Other files may lie there.
///
/// # Errors
/// If there is a file of a bundle already.
pub fn check_free(dir: &Path) -> Result<(), BundleDirError> {
    let taken = NAMES.iter().map(|name| dir.join(name)).find(|path| path.exists());
    taken.map_or(Ok(()), |path| Err(BundleDirError::Exists { path }))
}

/// Writes the files of a bundle into `dir`, each synced, the manifest last: a directory without
/// one is not a bundle, so whoever looks sees a whole bundle or none.
///
/// # Errors
/// If there is a bundle already, or the disk refuses.
pub fn write(dir: &Path, files: &Files) -> Result<(), BundleDirError> {
    check_free(dir)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| BundleDirError::Io { path, error }
    };
    fs::create_dir_all(dir).map_err(failed(dir))?;
    let manifest_last = |name: &&String| *name == MANIFEST;
    let (manifest, others): (Vec<&String>, Vec<_>) = files.keys().partition(manifest_last);
    for name in others.into_iter().chain(manifest) {
        let path = dir.join(name);
        let write = || {
            let mut file = fs::File::create_new(&path)?;
            file.write_all(&files[name])?;
            file.sync_all()
        };
        write().map_err(failed(&path))?;
    }
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_never_overwritten_and_other_files_are_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("models/a");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("README.md"), "mine").unwrap();
        let files = Files::from([(MANIFEST.to_owned(), vec![1]), (TENSORS.to_owned(), vec![2])]);
        write(&dir, &files).unwrap();
        assert_eq!(fs::read(dir.join(MANIFEST)).unwrap(), [1]);
        let again = write(&dir, &files).unwrap_err().to_string();
        assert!(again.contains("never overwritten"), "{again}");
        assert_eq!(fs::read(dir.join("README.md")).unwrap(), b"mine");
    }

    #[test]
    fn a_directory_without_a_manifest_is_not_a_bundle() {
        let place = tempfile::tempdir().unwrap();
        write(place.path(), &Files::from([(TENSORS.to_owned(), vec![2])])).unwrap();
        let message = read(place.path()).unwrap_err().to_string();
        assert!(message.contains(MANIFEST), "{message}");
    }
}
