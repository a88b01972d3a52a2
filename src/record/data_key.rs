//! The registry's name for a data key, which encrypts values. The registry stores the key encrypted.

use std::fmt;

/// A data key (DEK) of a stream's subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataKeyId {
    /// Which of the stream's keys wraps it.
    pub wrapped_by: u16,
    pub algorithm: DataKeyAlgorithm,
    pub version: u32,
}

/// `encrypt.dek.algorithm`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DataKeyAlgorithm {
    Aes128Gcm,
    Aes256Gcm,
    Aes256Siv,
}

impl DataKeyAlgorithm {
    pub const ALL: [Self; 3] = [Self::Aes256Gcm, Self::Aes128Gcm, Self::Aes256Siv];

    /// What a registry calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "AES128_GCM",
            Self::Aes256Gcm => "AES256_GCM",
            Self::Aes256Siv => "AES256_SIV",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Bytes of a key: SIV has two of 32.
    pub fn key_bytes(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm => 32,
            Self::Aes256Siv => 64,
        }
    }
}

impl fmt::Display for DataKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wrapped_by, algorithm, version } = self;
        write!(
            f,
            "{} version {version}, wrapped by key {} of its stream",
            algorithm.name(),
            wrapped_by + 1
        )
    }
}
