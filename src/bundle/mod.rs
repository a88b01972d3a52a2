//! The learned artefact: a directory that `fit` writes and everything else only reads.
//!
//! A bundle is its files: up to seven networks, one file of tensors, one manifest that names the SHA-256
//! of each. The digest of the manifest is the digest of the bundle. Digests catch a file that was
//! changed or mixed up; they do not say who made it: a [`signature`] does.

mod manifest;
mod networks;
pub mod signature;
mod tensors;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use manifest::{
    AnswerKind, CleanShare, Correction, Dependence, Manifest, Member, Provenance, Role, RowsUsed,
};
pub use networks::{
    AUTOENCODER, COPIES, COPIES_A_ROW, FILES, LAYER_ODDS, LIKELIHOOD, NETWORKS, NetworkKind,
    NetworkOutputs, PIXEL_ODDS, PROTECTED_MODEL, RESTORER, with_what_they_read,
};
pub use tensors::{TensorError, Tensors};

/// File names of a bundle, beside those of its networks.
pub const MANIFEST: &str = "manifest.toml";
pub const TENSORS: &str = "reference.safetensors";

/// Format version that this build writes and reads.
pub const VERSION: u32 = 4;

/// A bundle's files by name, as read from disk.
pub type Files = BTreeMap<String, Vec<u8>>;

/// SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest(pub [u8; 32]);

/// A bundle whose files match its manifest.
#[derive(Debug)]
pub struct Bundle {
    pub manifest: Manifest,
    pub digest: Digest,
    /// ONNX bytes by file name, of those of [`NETWORKS`] that it has.
    pub networks: BTreeMap<&'static str, Vec<u8>>,
    pub tensors: Tensors,
}

/// Why a bundle is refused.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("{name} is missing")]
    Missing { name: String },
    #[error("{name} is in the bundle but not in its manifest")]
    Unlisted { name: String },
    #[error("the manifest lists {name:?}, which is not a file of a bundle")]
    NotOurs { name: String },
    #[error("{name} has digest {got}; the manifest says {expected}: it was changed after fit")]
    Changed { name: String, got: Digest, expected: Digest },
    #[error("the manifest is version {got}; this build reads {VERSION}")]
    Version { got: u32 },
    #[error("cannot read {MANIFEST}: {0}")]
    Manifest(String),
    #[error("{MANIFEST}: {0}")]
    Nonsense(String),
    #[error("{TENSORS}: {0}")]
    Tensors(#[from] TensorError),
}

impl Bundle {
    /// Checks every file against the manifest and takes the bundle apart.
    ///
    /// # Errors
    /// If a file is missing, unlisted or changed, or the manifest makes no sense.
    pub fn from_files(mut files: Files) -> Result<Self, BundleError> {
        let missing = |name: &str| BundleError::Missing { name: name.to_owned() };
        let manifest_bytes = files.remove(MANIFEST).ok_or_else(|| missing(MANIFEST))?;
        let manifest = Manifest::read(&manifest_bytes)?;
        for (name, &expected) in &manifest.files {
            if name == MANIFEST || !FILES.contains(&name.as_str()) {
                return Err(BundleError::NotOurs { name: name.clone() });
            }
            let bytes = files.get(name).ok_or_else(|| missing(name))?;
            let got = Digest::of(bytes);
            if got != expected {
                return Err(BundleError::Changed { name: name.clone(), got, expected });
            }
        }
        if let Some(name) = files.keys().find(|name| !manifest.files.contains_key(*name)) {
            return Err(BundleError::Unlisted { name: name.clone() });
        }
        let mut networks = BTreeMap::new();
        for kind in &NETWORKS {
            // Without the manifest's word nobody knows what its numbers mean.
            if kind.outputs == NetworkOutputs::Labels && manifest.answer.is_none() {
                continue;
            }
            match files.remove(kind.file) {
                Some(onnx) => drop(networks.insert(kind.file, onnx)),
                None if kind.is_required => return Err(missing(kind.file)),
                None => {}
            }
        }
        let tensors = files.remove(TENSORS).ok_or_else(|| missing(TENSORS))?;
        Ok(Self {
            networks,
            tensors: Tensors::from_bytes(&tensors)?,
            digest: Digest::of(&manifest_bytes),
            manifest,
        })
    }

    /// ONNX bytes of the network in `file`, if there is one.
    pub fn network(&self, file: &str) -> Option<&[u8]> {
        self.networks.get(file).map(Vec::as_slice)
    }

    /// The files of this bundle with the digests filled in: what [`Bundle::from_files`] reads.
    pub fn into_files(mut self) -> Files {
        let networks = self.networks.into_iter();
        let mut files: Files = networks.map(|(file, onnx)| (file.to_owned(), onnx)).collect();
        files.insert(TENSORS.into(), self.tensors.to_bytes());
        self.manifest.files =
            files.iter().map(|(name, bytes)| (name.clone(), Digest::of(bytes))).collect();
        files.insert(MANIFEST.into(), self.manifest.write());
        files
    }
}

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The first eight bytes: enough to tell two bundles apart in a header.
    pub fn prefix(&self) -> [u8; 8] {
        self.0[..8].try_into().expect("a digest has 32 bytes")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bad = || format!("{text:?} is not a SHA-256 in 64 hexadecimal digits");
        if text.len() != 64 || !text.is_ascii() {
            return Err(bad());
        }
        let mut digest = [0; 32];
        for (i, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(digest))
    }
}

#[cfg(test)]
mod tests;
