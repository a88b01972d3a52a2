//! A checkpoint: how many entries a log has and the digest of the last one, signed.
//!
//! It is a signed note of C2SP (`signed-note`, `tlog-checkpoint`) by an Ed25519 key, so other programs check it too. The line
//! that such notes have for the root of a tree holds the digest of the last entry: the log is a chain, not a tree.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::pkey::{HasPublic, Id, PKey, Private, Public};
use openssl::sign::{Signer, Verifier};
use sha2::{Digest as _, Sha256};

use super::chain::Chain;
use super::digest::EntryDigest;

/// No note has more bytes.
const NOTE_BYTES_MAX: usize = 4096;
/// Bytes before a signature that say by which key it is.
const KEY_ID: usize = 4;
/// What a signed note calls Ed25519.
const ED25519: u8 = 1;
const DASH: &str = "\u{2014} ";

/// Why a checkpoint does not count, or a key is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error("the key is no PEM of an Ed25519 key")]
    Key,
    #[error("not a checkpoint: {0}")]
    Format(&'static str),
    #[error("the checkpoint is of {found:?}, not of {expected:?}")]
    Origin { expected: String, found: String },
    #[error("the checkpoint is not signed by this key, or was changed")]
    Forged,
}

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub origin: String,
    pub chain: Chain,
}

/// Signs checkpoints.
pub struct AuditSigner(PKey<Private>);

/// Checks them.
pub struct AuditVerifier(PKey<Public>);

impl AuditSigner {
    /// # Errors
    /// If `pem` is no private Ed25519 key in PEM.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CheckpointError> {
        let key = PKey::private_key_from_pem(pem).map_err(|_| CheckpointError::Key)?;
        if key.id() == Id::ED25519 { Ok(Self(key)) } else { Err(CheckpointError::Key) }
    }

    /// The note that says where `chain` ends.
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        let text = checkpoint.text();
        let mut signer = Signer::new_without_digest(&self.0).expect("Ed25519 signs");
        let signature = signer.sign_oneshot_to_vec(text.as_bytes()).expect("Ed25519 signs");
        let origin = &checkpoint.origin;
        let signed = [&key_id(origin, &self.0)[..], &signature].concat();
        format!("{text}\n{DASH}{origin} {}\n", STANDARD.encode(signed))
    }
}

impl AuditVerifier {
    /// # Errors
    /// If `pem` is no public Ed25519 key in PEM; of a private one the public half is taken.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CheckpointError> {
        let public = PKey::public_key_from_pem(pem).or_else(|_| {
            let private = PKey::private_key_from_pem(pem)?;
            PKey::public_key_from_raw_bytes(&private.raw_public_key()?, Id::ED25519)
        });
        let key = public.map_err(|_| CheckpointError::Key)?;
        if key.id() == Id::ED25519 { Ok(Self(key)) } else { Err(CheckpointError::Key) }
    }

    /// Reads a note of the log `origin`.
    ///
    /// # Errors
    /// If it is none, of another log, or not signed by this key.
    pub fn read(&self, note: &[u8], origin: &str) -> Result<Checkpoint, CheckpointError> {
        let format = CheckpointError::Format;
        if note.len() > NOTE_BYTES_MAX {
            return Err(format("it is too long"));
        }
        let note = std::str::from_utf8(note).map_err(|_| format("it is not UTF-8"))?;
        let (text, signatures) = note.split_once("\n\n").ok_or(format("it has no signature"))?;
        let text = format!("{text}\n");
        let checkpoint = Checkpoint::from_text(&text)?;
        if checkpoint.origin != origin {
            let (expected, found) = (origin.to_owned(), checkpoint.origin);
            return Err(CheckpointError::Origin { expected, found });
        }
        // A note may have more signatures: of witnesses.
        let ours = |line: &str| {
            let signed = line.strip_prefix(DASH)?.strip_prefix(origin)?.strip_prefix(' ')?;
            let signed = STANDARD.decode(signed).ok()?;
            let (id, signature) = signed.split_at_checked(KEY_ID)?;
            let mut verifier = Verifier::new_without_digest(&self.0).ok()?;
            let good = verifier.verify_oneshot(signature, text.as_bytes()).unwrap_or(false);
            (good && id == key_id(origin, &self.0)).then_some(())
        };
        match signatures.lines().find_map(ours) {
            Some(()) => Ok(checkpoint),
            None => Err(CheckpointError::Forged),
        }
    }
}

impl Checkpoint {
    fn text(&self) -> String {
        let Chain { entries, last } = self.chain;
        format!("{}\n{entries}\n{}\n", self.origin, STANDARD.encode(last.0))
    }

    fn from_text(text: &str) -> Result<Self, CheckpointError> {
        let format = CheckpointError::Format;
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or(format("it lacks a line"));
        let origin = line()?.to_owned();
        let entries = line()?.parse().map_err(|_| format("its second line is no number"))?;
        let last = STANDARD.decode(line()?).ok().and_then(|bytes| bytes.try_into().ok());
        let last = EntryDigest(last.ok_or(format("its third line is no SHA-256"))?);
        let checkpoint = Self { origin, chain: Chain { entries, last } };
        // Only one spelling is signed.
        if checkpoint.text() != text {
            return Err(format("it is spelled otherwise"));
        }
        Ok(checkpoint)
    }
}

/// The first bytes of SHA-256 of the key's name, a line feed, the algorithm and the key.
fn key_id<K: HasPublic>(name: &str, key: &PKey<K>) -> [u8; KEY_ID] {
    let public = key.raw_public_key().expect("it is an Ed25519 key");
    let hash = Sha256::digest([name.as_bytes(), &[b'\n', ED25519], &public].concat());
    [hash[0], hash[1], hash[2], hash[3]]
}
