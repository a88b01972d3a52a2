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

/// The same of a bundle that the owner of `key` signed: a PEM with a public EC key on P-256. The signature lies beside the
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
mod tests {
    use super::*;
    use crate::bundle::{AUTOENCODER, TENSORS};

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

    /// The shipped bundle of tables, in a directory of its own.
    fn shuttle(into: &Path) {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/shuttle");
        fs::create_dir_all(into).unwrap();
        for name in FILES.map(|name| shipped.join(name)).iter().filter(|path| path.exists()) {
            fs::copy(name, into.join(name.file_name().unwrap())).unwrap();
        }
    }

    #[test]
    fn a_bundle_that_python_signed_verifies_and_one_bit_elsewhere_refuses_it() {
        let place = tempfile::tempdir().unwrap();
        let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen/model-signing");
        let dir = place.path().join("shuttle");
        shuttle(&dir);
        let key = frozen.join("signer.pem");
        let refused = || read_signed(&dir, &key).unwrap_err().to_string();
        assert!(refused().contains("shuttle.sig is not there"), "{}", refused());
        fs::copy(frozen.join("shuttle.sig"), place.path().join("shuttle.sig")).unwrap();
        read_signed(&dir, &key).unwrap();
        let stranger = frozen.join("stranger.pem");
        assert!(read_signed(&dir, &stranger).unwrap_err().to_string().contains("not signed by"));
        for name in FILES.iter().filter(|name| dir.join(name).exists()) {
            let path = dir.join(name);
            let whole = fs::read(&path).unwrap();
            let mut changed = whole.clone();
            let at = changed.len() / 2;
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert!(refused().contains(&format!("{name} was changed")), "{}", refused());
            fs::write(&path, whole).unwrap();
        }
        fs::write(dir.join(crate::bundle::RESTORER), "not signed").unwrap();
        assert!(refused().contains("restorer.onnx is not signed"), "{}", refused());
    }

    #[test]
    fn what_was_signed_here_verifies_here_and_a_signature_is_never_overwritten() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("shuttle");
        shuttle(&dir);
        let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1);
        let pair = openssl::ec::EcKey::generate(&group.unwrap()).unwrap();
        let (key, public) = (place.path().join("key.pem"), place.path().join("public.pem"));
        fs::write(&key, pair.private_key_to_pem().unwrap()).unwrap();
        fs::write(&public, pair.public_key_to_pem().unwrap()).unwrap();
        check_signer(&dir, &key).unwrap();
        assert_eq!(sign(&dir, &key).unwrap(), place.path().join("shuttle.sig"));
        read_signed(&dir, &public).unwrap();
        assert!(sign(&dir, &key).is_err() && check_signer(&dir, &key).is_err());
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_not_waited_for() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};

        let place = tempfile::tempdir().unwrap();
        let file = place.path().join(AUTOENCODER);
        let refused = || read(place.path()).unwrap_err().to_string();
        shuttle(place.path());
        read(place.path()).unwrap();
        fs::remove_file(&file).unwrap();
        mknodat(CWD, &file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(refused().contains("is a FIFO"), "{}", refused());
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(refused().contains("is a directory"), "{}", refused());
        fs::remove_dir(&file).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
        assert!(refused().contains("is a device"), "{}", refused());
        fs::remove_file(&file).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(&file).unwrap();
        assert!(refused().contains("is a socket"), "{}", refused());
    }

    #[test]
    fn a_link_may_stay_within_the_directory_and_not_leave_it() {
        use std::os::unix::fs::symlink;

        // As Kubernetes mounts a volume: every file a link through `..data`.
        let place = tempfile::tempdir().unwrap();
        let mount = place.path().join("mount");
        shuttle(&mount.join("..2026_01_01"));
        symlink("..2026_01_01", mount.join("..data")).unwrap();
        for name in FILES.iter().filter(|name| mount.join("..data").join(name).exists()) {
            symlink(Path::new("..data").join(name), mount.join(name)).unwrap();
        }
        read(&mount).unwrap();
        // A link to the directory itself is the operator's own.
        symlink(&mount, place.path().join("current")).unwrap();
        read(&place.path().join("current")).unwrap();
        let outside = place.path().join("elsewhere.onnx");
        fs::copy(mount.join(AUTOENCODER), &outside).unwrap();
        for target in [outside.as_path(), Path::new("../elsewhere.onnx")] {
            fs::remove_file(mount.join(AUTOENCODER)).unwrap();
            symlink(target, mount.join(AUTOENCODER)).unwrap();
            let refused = read(&mount).unwrap_err().to_string();
            assert!(refused.contains("outside the bundle's directory"), "{refused}");
        }
    }

    #[test]
    fn a_manifest_of_gigabytes_is_not_read() {
        let place = tempfile::tempdir().unwrap();
        let file = File::create(place.path().join(MANIFEST)).unwrap();
        file.set_len(1 << 40).unwrap();
        let refused = read(place.path()).unwrap_err().to_string();
        assert!(refused.contains("larger than 4194304 bytes"), "{refused}");
    }

    #[test]
    fn what_everybody_may_write_to_is_named_once() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("a");
        shuttle(&dir);
        let allow = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        allow(&dir, 0o755);
        for name in FILES.map(|name| dir.join(name)).iter().filter(|path| path.exists()) {
            allow(name, 0o644);
        }
        assert_eq!(writable_by_all(&dir), Vec::<PathBuf>::new());
        allow(&dir, 0o777);
        allow(&dir.join(TENSORS), 0o666);
        assert_eq!(writable_by_all(&dir), [dir.clone(), dir.join(TENSORS)]);
    }
}
