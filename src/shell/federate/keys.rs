//! Key files: mode 0600, read by their owner alone. A trustee's list of opened windows lies beside its key.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use zeroize::Zeroizing;

use super::{FederateError, chance, files};
use crate::federate::{MemberSecret, OpenedWindows, Rejection, SiteSecret, TrusteeSecret};
use crate::shell::bundle::open_regular;

/// Of its owner alone.
const MODE: u32 = 0o600;
/// Bytes of a key file.
const BYTES_MAX: usize = 256;
/// Bytes of a list of opened windows.
const LIST_BYTES_MAX: usize = 1 << 20;

/// Makes the key of site `name` in a new file; gives the lines that the federation's file needs.
///
/// # Errors
/// If the file is there, or `name` is none.
pub fn generate_site(name: &str, path: &Path) -> Result<String, FederateError> {
    let secret = SiteSecret::generate(name, &mut chance()).map_err(rejected(path))?;
    files::write_new(path, secret.to_text().as_bytes(), MODE)?;
    Ok(secret.public_lines())
}

/// As [`generate_site`], of a trustee. Beside the key, its list of opened windows is made, with none in it.
///
/// # Errors
/// If one of the files is there, or `name` is none.
pub fn generate_trustee(name: &str, path: &Path) -> Result<String, FederateError> {
    let mut chance = chance();
    let secret = TrusteeSecret::generate(name, &mut chance).map_err(rejected(path))?;
    files::write_new(&list_of(path), OpenedWindows::default().to_text().as_bytes(), MODE)?;
    files::write_new(path, secret.to_text().as_bytes(), MODE)?;
    Ok(secret.public_lines(&mut chance))
}

/// The lines that the federation's file needs, of a key that is there.
///
/// # Errors
/// If the file cannot be read, is no key, or is in use.
pub fn public_lines(path: &Path) -> Result<String, FederateError> {
    match Keyring::open(path)?.secret {
        MemberSecret::Site(site) => Ok(site.public_lines()),
        MemberSecret::Trustee(trustee) => Ok(trustee.public_lines(&mut chance())),
    }
}

/// An open key file. While it is open no other process opens windows with this key.
pub struct Keyring {
    path: PathBuf,
    _locked: File,
    secret: MemberSecret,
}

impl Keyring {
    /// # Errors
    /// If the file cannot be read, others can read it too, it is no key, or it is in use.
    pub fn open(path: &Path) -> Result<Self, FederateError> {
        let file = open_regular(path)?;
        let mode = file.metadata().map_err(files::failed(path))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(FederateError::Readable { path: path.to_owned(), mode });
        }
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| FederateError::Busy { path: path.to_owned() })?;
        // At its full size from the start: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_MAX + 1));
        let mut limited = (&file).take(BYTES_MAX as u64 + 1);
        limited.read_to_end(&mut bytes).map_err(files::failed(path))?;
        let none = |why| Rejection::Key { expected: "site or trustee", why };
        let read = match std::str::from_utf8(&bytes) {
            _ if bytes.len() > BYTES_MAX => Err(none("it is too long")),
            Err(_) => Err(none("it is not UTF-8")),
            Ok(text) => MemberSecret::from_text(text),
        };
        let secret = read.map_err(rejected(path))?;
        Ok(Self { path: path.to_owned(), _locked: file, secret })
    }

    /// # Errors
    /// If it is a trustee's.
    pub fn site(&self) -> Result<&SiteSecret, FederateError> {
        match &self.secret {
            MemberSecret::Site(site) => Ok(site),
            MemberSecret::Trustee(_) => Err(self.role("trustee", "site")),
        }
    }

    /// # Errors
    /// If it is a site's.
    pub fn trustee(&self) -> Result<&TrusteeSecret, FederateError> {
        match &self.secret {
            MemberSecret::Trustee(trustee) => Ok(trustee),
            MemberSecret::Site(_) => Err(self.role("site", "trustee")),
        }
    }

    fn role(&self, got: &'static str, expected: &'static str) -> FederateError {
        FederateError::Role { path: self.path.clone(), got, expected }
    }

    /// What this trustee has opened.
    ///
    /// # Errors
    /// If the list is gone or damaged.
    pub fn opened(&self) -> Result<OpenedWindows, FederateError> {
        let path = list_of(&self.path);
        if !path.exists() {
            return Err(FederateError::NoList { path });
        }
        let bytes = files::read(&path, LIST_BYTES_MAX)?;
        OpenedWindows::from_text(&String::from_utf8_lossy(&bytes)).map_err(rejected(&path))
    }

    /// Writes the list; it is on the disk when this returns.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn keep(&self, opened: &OpenedWindows) -> Result<(), FederateError> {
        files::replace(&list_of(&self.path), opened.to_text().as_bytes(), MODE)
    }

    pub fn rejected(&self, rejection: Rejection) -> FederateError {
        rejected(&self.path)(rejection)
    }
}

/// Where the list of opened windows of a key lies.
fn list_of(key: &Path) -> PathBuf {
    let mut path = key.as_os_str().to_owned();
    path.push(".opened");
    path.into()
}

fn rejected(path: &Path) -> impl Fn(Rejection) -> FederateError + use<> {
    let path = path.to_owned();
    move |rejection| FederateError::Rejected { path: path.clone(), rejection }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_file_is_its_owners_alone_and_never_overwritten() {
        let place = tempfile::tempdir().unwrap();
        let (site, trustee) = (place.path().join("a.key"), place.path().join("t.key"));
        let lines = generate_site("a", &site).unwrap() + &generate_trustee("t", &trustee).unwrap();
        for path in [&site, &trustee, &list_of(&trustee)] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        for path in [&site, &trustee] {
            let text = fs::read_to_string(path).unwrap();
            let digits = text.split_ascii_whitespace().last().unwrap();
            assert!(!lines.contains(digits), "a secret is printed");
            assert!(generate_site("b", path).is_err());
            assert_eq!(fs::read_to_string(path).unwrap(), text);
        }
        assert!(Keyring::open(&site).unwrap().trustee().is_err());
        assert_eq!(Keyring::open(&trustee).unwrap().trustee().unwrap().name(), "t");
    }

    #[test]
    fn a_key_that_others_can_read_is_in_use_or_lost_its_list_opens_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("t.key");
        generate_trustee("t", &path).unwrap();
        let first = Keyring::open(&path).unwrap();
        assert!(matches!(Keyring::open(&path), Err(FederateError::Busy { .. })));
        drop(first);
        fs::remove_file(list_of(&path)).unwrap();
        let opened = Keyring::open(&path).unwrap().opened();
        assert!(matches!(opened, Err(FederateError::NoList { .. })));
        fs::write(list_of(&path), "nonsense").unwrap();
        let opened = Keyring::open(&path).unwrap().opened();
        assert!(opened.unwrap_err().to_string().ends_with("[opened]"));
        for mode in [0o640, 0o604, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(
                matches!(Keyring::open(&path), Err(FederateError::Readable { .. })),
                "{mode:o}"
            );
        }
    }
}
