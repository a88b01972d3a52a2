//! A bundle's directory: appears whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::bundle::{Bundle, BundleError, Files};

/// Why a bundle's directory cannot be written or read back.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("{} already exists; a bundle is never overwritten: choose another, or remove it", .0.display())]
    Exists(PathBuf),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Bundle { path: PathBuf, source: BundleError },
}

/// Whether a bundle can be written to `folder`: it must not exist, or be empty.
///
/// # Errors
/// If there is something in it already.
pub fn check_free(folder: &Path) -> Result<(), FolderError> {
    match fs::read_dir(folder).map(|mut entries| entries.next()) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(FolderError::Exists(folder.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(FolderError::Io { path: folder.to_owned(), source }),
    }
}

/// Writes the files beside `folder`, syncs them and renames the whole to `folder`: whoever looks
/// sees nothing or everything, also after a power cut.
///
/// # Errors
/// If there is a bundle already, or the disk refuses.
pub fn write(folder: &Path, files: &Files) -> Result<(), FolderError> {
    check_free(folder)?;
    let mut partial = folder.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FolderError::Io { path, source }
    };
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(failed(&partial))?;
    }
    fs::create_dir_all(&partial).map_err(failed(&partial))?;
    for (name, bytes) in files {
        let path = partial.join(name);
        let write = || {
            let mut file = File::create_new(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(failed(&path))?;
    }
    let sync = |path: &Path| File::open(path)?.sync_all();
    sync(&partial).map_err(failed(&partial))?;
    fs::rename(&partial, folder).map_err(failed(folder))?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    sync(parent).map_err(failed(parent))
}

/// Reads the bundle in `folder` and checks it.
///
/// # Errors
/// If a file cannot be read, or the bundle is not what its manifest says.
pub fn read(folder: &Path) -> Result<Bundle, FolderError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FolderError::Io { path, source }
    };
    let mut files = Files::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(name, fs::read(&path).map_err(failed(&path))?);
    }
    let path = folder.to_owned();
    Bundle::from_files(files).map_err(|source| FolderError::Bundle { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_in_it_is_never_written_to() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("models/a");
        let files = Files::from([("x".to_owned(), vec![1])]);
        write(&folder, &files).unwrap();
        assert_eq!(fs::read(folder.join("x")).unwrap(), [1]);
        let again = write(&folder, &Files::from([("y".to_owned(), vec![2])]));
        assert!(matches!(again, Err(FolderError::Exists(_))), "{again:?}");
        let names: Vec<_> = fs::read_dir(folder.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }

    #[test]
    fn what_an_interrupted_run_left_behind_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a");
        fs::create_dir(place.path().join("a.partial")).unwrap();
        fs::write(place.path().join("a.partial/old"), "half").unwrap();
        write(&folder, &Files::from([("x".to_owned(), vec![1])])).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert!(read(&folder).unwrap_err().to_string().ends_with("manifest.toml is missing"));
    }
}
