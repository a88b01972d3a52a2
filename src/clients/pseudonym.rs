//! The pseudonym of a client: eight bytes that only the owner of a key can make from an id.
//!
//! HMAC-SHA-256 of the id, the first 64 bits. A key has a time from which on it is used: the start of a record's window
//! decides, so a replay gives the same pseudonyms. Another key unlinks what came before.
//!
//! It cannot hide how often a client comes. Who has the key can try all ids of a small set.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::alarm::WindowStart;

/// A client by its pseudonym: 16 hexadecimal digits to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientName(pub u64);

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for ClientName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let name = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        name.map(Self).ok_or_else(|| "a pseudonym is 16 hexadecimal digits".to_owned())
    }
}

/// Keys that pseudonyms are made with, by the time from which on each is used.
#[derive(Clone)]
pub struct ClientNames(Vec<(WindowStart, Hmac<Sha256>)>);

impl fmt::Debug for ClientNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientNames({} keys)", self.0.len())
    }
}

/// Keys are the same if they name alike.
impl PartialEq for ClientNames {
    fn eq(&self, other: &Self) -> bool {
        self.all(b"").eq(other.all(b""))
    }
}

impl ClientNames {
    /// `keys` by the time from which on each is used; the earliest is used before its time too.
    ///
    /// # Panics
    /// If there is none.
    pub fn new<'k>(keys: impl IntoIterator<Item = (WindowStart, &'k [u8])>) -> Self {
        let made = |(from, key): (WindowStart, &[u8])| {
            (from, Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length"))
        };
        let mut keys: Vec<_> = keys.into_iter().map(made).collect();
        keys.sort_by_key(|(from, _)| *from);
        assert!(!keys.is_empty(), "a key is wanted");
        Self(keys)
    }

    /// What the client of `id` is called in a window.
    pub fn name(&self, window: WindowStart, id: &[u8]) -> ClientName {
        let at = self.0.partition_point(|(from, _)| *from <= window).saturating_sub(1);
        ClientName(self.hash(at, &[id]))
    }

    /// Where it comes from, in a window: 16 bits, of another hash than its name.
    pub fn origin(&self, window: WindowStart, origin: &[u8]) -> u16 {
        let at = self.0.partition_point(|(from, _)| *from <= window).saturating_sub(1);
        self.hash(at, &[b"\0origin\0", origin]) as u16
    }

    /// What the client of `id` is called by each key, and from when on.
    pub fn all(&self, id: &[u8]) -> impl Iterator<Item = (WindowStart, ClientName)> {
        self.0
            .iter()
            .enumerate()
            .map(move |(at, (from, _))| (*from, ClientName(self.hash(at, &[id]))))
    }

    /// A secret for fingerprints, made from the earliest key: it stays when another key is added.
    pub fn print_key(&self) -> [u8; 32] {
        let mut mac = self.0[0].1.clone();
        mac.update(b"\0prints\0");
        mac.finalize().into_bytes().into()
    }

    fn hash(&self, at: usize, parts: &[&[u8]]) -> u64 {
        let mut mac = self.0[at].1.clone();
        parts.iter().for_each(|part| mac.update(part));
        let hash = mac.finalize().into_bytes();
        u64::from_be_bytes(hash[..8].try_into().expect("eight of them"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Timestamp;

    /// Python 3.11: `hmac.digest(bytes(range(32)), b"alice@example.org", "sha256")[:8].hex()`
    #[test]
    fn a_pseudonym_is_the_hmac_that_python_computes_and_the_window_decides_by_which_key() {
        let (first, second): (Vec<u8>, Vec<u8>) = ((0..32).collect(), (32..64).collect());
        let keys = [(Timestamp(1000), second.as_slice()), (Timestamp(0), first.as_slice())];
        let names = ClientNames::new(keys);
        let at = |window| names.name(Timestamp(window), b"alice@example.org").to_string();
        assert_eq!(at(-5), PYTHON[0]);
        assert_eq!(at(999), PYTHON[0]);
        assert_eq!(at(1000), PYTHON[1]);
        let all: Vec<String> =
            names.all(b"alice@example.org").map(|(_, n)| n.to_string()).collect();
        assert_eq!(all, PYTHON);
        assert_eq!(PYTHON[0].parse(), Ok(names.name(Timestamp(0), b"alice@example.org")));
        assert!("9f3c".parse::<ClientName>().is_err());
    }

    const PYTHON: [&str; 2] = ["03a2cceef95fc1b3", "79519d3557a4e77b"];

    #[test]
    fn nothing_of_a_key_is_printed() {
        let names = ClientNames::new([(Timestamp(0), [77_u8; 32].as_slice())]);
        assert_eq!(format!("{names:?}"), "ClientNames(1 keys)");
    }
}
