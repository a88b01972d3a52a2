//! The digest of an entry, which the next entry names.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

const BYTES: usize = 32;
const NAME: &str = "sha256:";

/// SHA-256 of the bytes of an entry; zeros stand before the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryDigest(pub [u8; BYTES]);

impl EntryDigest {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for EntryDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for EntryDigest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.strip_prefix(NAME).ok_or(())?.as_bytes();
        let lower = |c: u8| (c as char).to_digit(16).filter(|_| !c.is_ascii_uppercase());
        if digits.len() != 2 * BYTES {
            return Err(());
        }
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (lower(pair[0]).ok_or(())?, lower(pair[1]).ok_or(())?);
            *byte = (high << 4 | low) as u8;
        }
        Ok(Self(bytes))
    }
}
