//! A bundle's directory.
//!
//! Whoever filled it may be hostile. Each file is opened once and read once, within a bound; what was
//! checked, tried and loaded are these bytes, whatever becomes of the files meanwhile. Only regular
//! files count, and only those that lie within the directory: a link may lead from one place in it to
//! another, as Kubernetes' `..data` does, and nowhere else. It cannot see who may replace the
//! directory as a whole.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::bundle::signature::{self, SignatureError, Signer, Verifier};
use crate::bundle::{Bundle, BundleError, FILES, Files, MANIFEST};

/// Why a bundle cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BundleDirError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{path} already exists: a bundle is never overwritten; choose another directory, or remove it", path = path.display())]
    Exists { path: PathBuf },
    #[error("{path} is larger than {max} bytes", path = path.display())]
    TooLarge { path: PathBuf, max: u64 },
    #[error("{path} is {what}; a bundle holds regular files", path = path.display())]
    NotAFile { path: PathBuf, what: &'static str },
    #[error(
        "{path} leads to {target}, outside the bundle's directory; copy the file into it",
        path = path.display(), target = target.display()
    )]
    Outside { path: PathBuf, target: PathBuf },
    #[error("{path}: {error}", path = path.display())]
    Bundle { path: PathBuf, error: BundleError },
    #[error("{path}: {error}", path = path.display())]
    Signature { path: PathBuf, error: SignatureError },
    #[error(
        "{path} is not there: a bundle with a `bundle_key` needs its signature beside its folder", path = path.display()
    )]
    NotSigned { path: PathBuf },
}

/// Bytes of a manifest: a schema of 10,000 features is 1 MiB.
const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// Bytes of any other file.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Bytes of all files together: what reading a hostile directory can cost.
const BYTES_MAX: u64 = 2 << 30;

/// Reads the bundle in `dir` and checks it against its manifest. Files that are not a bundle's are
/// not looked at: a README or a slice of data may lie beside them.
///
/// # Errors
/// If a file cannot be read, is none, or the bundle refuses it.
pub fn read(dir: &Path) -> Result<Bundle, BundleDirError> {
    let files = read_files(dir)?;
    Bundle::from_files(files).map_err(|error| BundleDirError::Bundle { path: dir.into(), error })
}

/// Reads a bundle that the owner of `key` signed: a PEM with a public EC key on P-256. The signature lies beside the
/// folder and is checked before anything of the bundle is parsed.
///
/// # Errors
/// As [`read`], and if the bundle is not signed by this key.
pub fn read_signed(dir: &Path, key: &Path) -> Result<Bundle, BundleDirError> {
    let refused = |path: &Path| {
        let path = path.to_owned();
        move |error| BundleDirError::Signature { path, error }
    };
    let verifier = Verifier::from_pem(&read_small(key)?).map_err(refused(key))?;
    let path = signature_of(dir);
    let signature = match read_small(&path) {
        Err(BundleDirError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            return Err(BundleDirError::NotSigned { path });
        }
        signature => signature?,
    };
    let files = read_files(dir)?;
    verifier.verify(&signature, &files).map_err(refused(dir))?;
    Bundle::from_files(files).map_err(|error| BundleDirError::Bundle { path: dir.into(), error })
}

/// What a signature names the public key in `key` by.
///
/// # Errors
/// If it cannot be read or is none.
pub fn key_id(key: &Path) -> Result<String, BundleDirError> {
    let refused = |error| BundleDirError::Signature { path: key.to_owned(), error };
    Verifier::from_pem(&read_small(key)?).and_then(|verifier| verifier.key_id()).map_err(refused)
}

/// Where the signature of the bundle in `dir` lies: beside it, as `dir.sig`.
pub fn signature_of(dir: &Path) -> PathBuf {
    let mut path = dir.components().as_path().as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// Signs the files of the bundle in `dir` with the private key in `key`; gives where the signature lies.
///
/// # Errors
/// If key or files cannot be read, the key is none, or there is a signature already.
pub fn sign(dir: &Path, key: &Path) -> Result<PathBuf, BundleDirError> {
    let refused = |error| BundleDirError::Signature { path: key.to_owned(), error };
    let signer = Signer::from_pem(&read_small(key)?).map_err(refused)?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let signature = signer.sign(&name, &read_files(dir)?).map_err(refused)?;
    let path = signature_of(dir);
    let write = || {
        let mut file = fs::File::create_new(&path)?;
        file.write_all(&signature)?;
        file.sync_all()
    };
    match write() {
        Ok(()) => Ok(path),
        Err(error) => Err(BundleDirError::Io { path, error }),
    }
}

/// Whether `key` can sign a bundle that will be in `dir`: asked before the hours that the bundle takes.
///
/// # Errors
/// If the key cannot be read or is none, or there is a signature already.
pub fn check_signer(dir: &Path, key: &Path) -> Result<(), BundleDirError> {
    let refused = |error| BundleDirError::Signature { path: key.to_owned(), error };
    Signer::from_pem(&read_small(key)?).map_err(refused)?;
    let path = signature_of(dir);
    if path.exists() { Err(BundleDirError::Exists { path }) } else { Ok(()) }
}

/// A key or a signature.
fn read_small(path: &Path) -> Result<Vec<u8>, BundleDirError> {
    let failed = |error| BundleDirError::Io { path: path.into(), error };
    let max = signature::BYTES_MAX;
    let mut bytes = vec![];
    open_regular(path)?.take(max + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > max {
        true => Err(BundleDirError::TooLarge { path: path.into(), max }),
        false => Ok(bytes),
    }
}

/// The files of a bundle that lie in `dir`, none of them parsed.
fn read_files(dir: &Path) -> Result<Files, BundleDirError> {
    let root =
        dir.canonicalize().map_err(|error| BundleDirError::Io { path: dir.into(), error })?;
    let (mut files, mut left) = (Files::new(), BYTES_MAX);
    for name in FILES {
        let path = dir.join(name);
        let file = match open(&path, &root) {
            Ok(file) => file,
            Err(BundleDirError::Io { error, .. })
                if error.kind() == io::ErrorKind::NotFound && name != MANIFEST =>
            {
                continue;
            }
            Err(error) => return Err(error),
        };
        let max = if name == MANIFEST { MANIFEST_BYTES_MAX } else { FILE_BYTES_MAX.min(left) };
        let mut bytes = vec![];
        let read = file.take(max + 1).read_to_end(&mut bytes);
        if let Err(error) = read {
            return Err(BundleDirError::Io { path, error });
        }
        if bytes.len() as u64 > max {
            return Err(BundleDirError::TooLarge { path, max });
        }
        left = left.saturating_sub(bytes.len() as u64);
        files.insert(name.to_owned(), bytes);
    }
    Ok(files)
}

/// Opens a regular file that lies within `root`.
fn open(path: &Path, root: &Path) -> Result<File, BundleDirError> {
    let file = open_regular(path)?;
    let failed = |error| BundleDirError::Io { path: path.into(), error };
    let lies = match fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) {
        Ok(target) => target,
        // Without /proc: as good as it gets.
        Err(_) => path.canonicalize().map_err(failed)?,
    };
    match lies.starts_with(root) {
        true => Ok(file),
        false => Err(BundleDirError::Outside { path: path.into(), target: lies }),
    }
}

/// Opens a regular file.
pub(super) fn open_regular(path: &Path) -> Result<File, BundleDirError> {
    let failed = |error| BundleDirError::Io { path: path.into(), error };
    let check = |found: &Metadata| match kind(found) {
        None => Ok(()),
        Some(what) => Err(BundleDirError::NotAFile { path: path.into(), what }),
    };
    // Before it is opened, because opening a device may do something; and then what was opened, which
    // may be another. A FIFO that nobody writes to is not waited for.
    check(&fs::metadata(path).map_err(failed)?)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = File::options();
    options.read(true).custom_flags(flags.bits() as i32);
    let file = options.open(path).map_err(failed)?;
    check(&file.metadata().map_err(failed)?)?;
    Ok(file)
}

/// What it is, unless it is a regular file.
fn kind(found: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = found.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a directory"),
        () if kind.is_fifo() => Some("a FIFO"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

/// What of the bundle in `dir` everybody on this machine may write to: its directory, its files, and
/// the directories that they lie in once links are followed. A digest does not help there: whoever writes a network can
/// write the manifest too.
pub fn writable_by_all(dir: &Path) -> Vec<PathBuf> {
    const OTHERS_WRITE: u32 = 0o002;
    let mut places = vec![dir.to_owned()];
    for path in FILES.map(|name| dir.join(name)) {
        let lies = path.canonicalize().ok();
        let folder = lies.as_deref().and_then(Path::parent);
        places.extend(folder.map(Path::to_owned));
        places.push(path);
    }
    let writable = |path: &PathBuf| {
        let found = fs::metadata(path);
        found.is_ok_and(|found| found.permissions().mode() & OTHERS_WRITE != 0)
    };
    places.retain(writable);
    let root = dir.canonicalize().ok();
    let mut named: Vec<PathBuf> = vec![];
    for path in places {
        // The directory under one name.
        let path = if Some(&path) == root.as_ref() { dir.to_owned() } else { path };
        if !named.contains(&path) {
            named.push(path);
        }
    }
    named
}

/// Whether a bundle can be written to `dir`: there must be none yet. Other files may lie there.
///
/// # Errors
/// If there is a file of a bundle already.
pub fn check_free(dir: &Path) -> Result<(), BundleDirError> {
    let taken = FILES.iter().map(|name| dir.join(name)).find(|path| path.exists());
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
mod tests;
