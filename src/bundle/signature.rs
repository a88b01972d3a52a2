//! Who made a bundle: a signature in the format of OpenSSF Model Signing, by an EC key on P-256.
//!
//! The signature is a Sigstore bundle (v0.3) that holds a DSSE envelope. The envelope holds an in-toto statement that
//! lists the files and their SHA-256. Python's `model_signing` reads what [`Signer`] writes, and the other way round.
//! Everything is checked on the bytes that are loaded later, before any of them is parsed.
//!
//! It cannot see a stolen key, and says nothing of files that are not a bundle's.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::ec::EcKey;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private, Public};
use openssl::sign;
use serde::{Deserialize, Serialize};

use super::{Digest, FILES, Files};

/// Bytes of a signature that is read at all: one of 2,000 files is 400 kB.
pub const BYTES_MAX: u64 = 1 << 20;

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://model_signing/signature/v1.0";
const SHA256: &str = "sha256";

/// Why a bundle does not count as signed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    #[error("the key is no PEM of an EC key on P-256: {0}")]
    Key(String),
    #[error("not a signature of OpenSSF Model Signing: {0}")]
    Format(String),
    #[error("not signed by this key, or changed after it was signed")]
    Forged,
    #[error("{name} is not signed")]
    Unsigned { name: String },
    #[error("{name} was changed after it was signed")]
    Changed { name: String },
    #[error("{name} is signed and missing")]
    Missing { name: String },
}

/// Checks signatures by one public key.
pub struct Verifier(PKey<Public>);

/// Signs with one private key.
pub struct Signer(EcKey<Private>);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    media_type: String,
    verification_material: VerificationMaterial,
    dsse_envelope: Dsse,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerificationMaterial {
    public_key: PublicKeyHint,
    #[serde(default)]
    tlog_entries: Vec<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct PublicKeyHint {
    #[serde(default)]
    hint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dsse {
    payload: String,
    payload_type: String,
    signatures: Vec<Signed>,
}

#[derive(Serialize, Deserialize)]
struct Signed {
    sig: String,
    #[serde(default)]
    keyid: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    name: String,
    digest: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<SignedFile>,
}

/// How the files became digests.
#[derive(Serialize, Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    #[serde(default)]
    allow_symlinks: bool,
    #[serde(default)]
    ignore_paths: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct SignedFile {
    name: String,
    algorithm: String,
    digest: String,
}

impl Verifier {
    /// # Errors
    /// If `pem` is no public EC key on P-256.
    pub fn from_pem(pem: &[u8]) -> Result<Self, SignatureError> {
        let key = EcKey::public_key_from_pem(pem).map_err(key_error)?;
        on_p256(key.group().curve_name())?;
        PKey::from_ec_key(key).map(Self).map_err(key_error)
    }

    /// The SHA-256 of the key's PEM in hexadecimal: what a signature names its key by.
    ///
    /// # Errors
    /// If OpenSSL refuses.
    pub fn key_id(&self) -> Result<String, SignatureError> {
        let pem = self.0.public_key_to_pem().map_err(key_error)?;
        Ok(Digest::of(&pem).to_string())
    }

    /// Checks that `files`, those of a bundle that were read, are the signed ones: all of them, and no other.
    ///
    /// # Errors
    /// If the signature is not this key's, or a file is not signed, changed or missing.
    pub fn verify(&self, signature: &[u8], files: &Files) -> Result<(), SignatureError> {
        let format = |error: serde_json::Error| SignatureError::Format(error.to_string());
        let read: Signature = serde_json::from_slice(signature).map_err(format)?;
        same("media type", &read.media_type, MEDIA_TYPE)?;
        let envelope = read.dsse_envelope;
        same("payload type", &envelope.payload_type, PAYLOAD_TYPE)?;
        let payload = decode(&envelope.payload)?;
        let [signed] = &envelope.signatures[..] else {
            return Err(SignatureError::Format("one signature is wanted".into()));
        };
        let mut verifier =
            sign::Verifier::new(MessageDigest::sha256(), &self.0).map_err(key_error)?;
        let is_signed = verifier.verify_oneshot(&decode(&signed.sig)?, &authenticated(&payload));
        if !is_signed.unwrap_or(false) {
            return Err(SignatureError::Forged);
        }
        // From here on it is what the key's owner said.
        let statement: Statement = serde_json::from_slice(&payload).map_err(format)?;
        same("statement", &statement.kind, STATEMENT)?;
        same("predicate", &statement.predicate_type, PREDICATE)?;
        let serialization = &statement.predicate.serialization;
        same("method", &serialization.method, "files")?;
        same("hash", &serialization.hash_type, SHA256)?;
        let resources = &statement.predicate.resources;
        let mut listed = BTreeMap::new();
        for resource in resources {
            same("algorithm", &resource.algorithm, SHA256)?;
            let digest =
                Digest::try_from(resource.digest.clone()).map_err(SignatureError::Format)?;
            if listed.insert(resource.name.as_str(), digest).is_some() {
                return Err(SignatureError::Format(format!("{} is listed twice", resource.name)));
            }
        }
        check_root(&statement.subject, &resources_root(resources)?)?;
        for (name, bytes) in files {
            match listed.get(name.as_str()) {
                None => return Err(SignatureError::Unsigned { name: name.clone() }),
                Some(digest) if *digest != Digest::of(bytes) => {
                    return Err(SignatureError::Changed { name: name.clone() });
                }
                Some(_) => {}
            }
        }
        let ours = listed.keys().filter(|name| FILES.contains(name));
        match ours.copied().find(|name| !files.contains_key(*name)) {
            Some(name) => Err(SignatureError::Missing { name: name.to_owned() }),
            None => Ok(()),
        }
    }
}

impl Signer {
    /// # Errors
    /// If `pem` is no private EC key on P-256, or has a password.
    pub fn from_pem(pem: &[u8]) -> Result<Self, SignatureError> {
        // Without a password nobody is asked for one.
        let key = PKey::private_key_from_pem_callback(pem, |_| Ok(0)).map_err(key_error)?;
        let key = key.ec_key().map_err(key_error)?;
        on_p256(key.group().curve_name())?;
        Ok(Self(key))
    }

    /// The signature of a bundle's `files`, which lie in a folder of this `name`.
    ///
    /// # Errors
    /// If OpenSSL refuses.
    pub fn sign(&self, name: &str, files: &Files) -> Result<Vec<u8>, SignatureError> {
        let resource = |(name, bytes): (&String, &Vec<u8>)| SignedFile {
            name: name.clone(),
            algorithm: SHA256.into(),
            digest: Digest::of(bytes).to_string(),
        };
        let resources: Vec<SignedFile> = files.iter().map(resource).collect();
        let root = resources_root(&resources)?.to_string();
        let digest = BTreeMap::from([(SHA256.to_owned(), root)]);
        let serialization = Serialization {
            method: "files".into(),
            hash_type: SHA256.into(),
            allow_symlinks: false,
            ignore_paths: vec![],
        };
        let statement = Statement {
            kind: STATEMENT.into(),
            subject: vec![Subject { name: name.into(), digest }],
            predicate_type: PREDICATE.into(),
            predicate: Predicate { serialization, resources },
        };
        let payload = serde_json::to_vec(&statement).expect("texts and lists of them");
        let public = self.0.public_key_to_pem().map_err(key_error)?;
        let key = PKey::from_ec_key(self.0.clone()).map_err(key_error)?;
        let mut signer = sign::Signer::new(MessageDigest::sha256(), &key).map_err(key_error)?;
        let sig = signer.sign_oneshot_to_vec(&authenticated(&payload)).map_err(key_error)?;
        let signature = Signature {
            media_type: MEDIA_TYPE.into(),
            verification_material: VerificationMaterial {
                public_key: PublicKeyHint { hint: Digest::of(&public).to_string() },
                tlog_entries: vec![],
            },
            dsse_envelope: Dsse {
                payload: STANDARD.encode(&payload),
                payload_type: PAYLOAD_TYPE.into(),
                signatures: vec![Signed { sig: STANDARD.encode(sig), keyid: String::new() }],
            },
        };
        Ok(serde_json::to_vec(&signature).expect("texts and lists of them"))
    }
}

impl fmt::Debug for Signer {
    /// Nothing of the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

/// What is signed of a DSSE payload: its pre-authentication encoding.
fn authenticated(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// SHA-256 of all digests, in the order of the resources.
fn resources_root(resources: &[SignedFile]) -> Result<Digest, SignatureError> {
    let mut all = vec![];
    for resource in resources {
        let digest = Digest::try_from(resource.digest.clone()).map_err(SignatureError::Format)?;
        all.extend(digest.0);
    }
    Ok(Digest::of(&all))
}

fn check_root(subject: &[Subject], root: &Digest) -> Result<(), SignatureError> {
    let [subject] = subject else {
        return Err(SignatureError::Format("one subject is wanted".into()));
    };
    let said = subject.digest.get(SHA256).map(String::as_str).unwrap_or_default();
    same("digest of the subject", said, &root.to_string())
}

fn same(what: &str, got: &str, expected: &str) -> Result<(), SignatureError> {
    match got == expected {
        true => Ok(()),
        false => Err(SignatureError::Format(format!("its {what} is {got:?}, not {expected:?}"))),
    }
}

fn decode(text: &str) -> Result<Vec<u8>, SignatureError> {
    STANDARD.decode(text).map_err(|error| SignatureError::Format(error.to_string()))
}

fn on_p256(curve: Option<Nid>) -> Result<(), SignatureError> {
    match curve {
        Some(Nid::X9_62_PRIME256V1) => Ok(()),
        _ => Err(SignatureError::Key("it is on another curve".into())),
    }
}

fn key_error(error: openssl::error::ErrorStack) -> SignatureError {
    // Its own words have file names of OpenSSL's source; the first reason is enough.
    let reason = error.errors().first().and_then(|error| error.reason());
    SignatureError::Key(reason.unwrap_or("unknown").to_owned())
}

#[cfg(test)]
mod tests {
    use openssl::ec::EcGroup;

    use super::*;

    fn keys() -> (Signer, Verifier) {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let verifier = Verifier::from_pem(&key.public_key_to_pem().unwrap()).unwrap();
        (Signer::from_pem(&key.private_key_to_pem().unwrap()).unwrap(), verifier)
    }

    fn files() -> Files {
        let file = |(name, bytes): (&str, &[u8])| (name.to_owned(), bytes.to_vec());
        Files::from([("manifest.toml", &b"m"[..]), ("autoencoder.onnx", &b"weights"[..])].map(file))
    }

    #[test]
    fn what_was_signed_verifies_and_nothing_that_differs_by_a_bit_does() {
        let (signer, verifier) = keys();
        let signature = signer.sign("digits", &files()).unwrap();
        let named: Signature = serde_json::from_slice(&signature).unwrap();
        assert_eq!(named.verification_material.public_key.hint, verifier.key_id().unwrap());
        verifier.verify(&signature, &files()).unwrap();
        for name in files().keys() {
            for bit in 0..files()[name].len() * 8 {
                let mut changed = files();
                changed.get_mut(name).unwrap()[bit / 8] ^= 1 << (bit % 8);
                let refused = verifier.verify(&signature, &changed).unwrap_err().to_string();
                assert_eq!(refused, format!("{name} was changed after it was signed"));
            }
        }
    }

    /// But for bits that mean nothing: a name that is not read, the hint of the key.
    #[test]
    fn a_signature_that_differs_by_a_bit_never_verifies_other_files() {
        let (signer, verifier) = keys();
        let signature = signer.sign("digits", &files()).unwrap();
        let others = Files::from([("manifest.toml".to_owned(), b"other".to_vec())]);
        for bit in 0..signature.len() * 8 {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(verifier.verify(&changed, &others).is_err(), "bit {bit}");
        }
        let sig = signature.windows(6).position(|w| w == b"\"sig\":").unwrap();
        let payload = signature.windows(10).position(|w| w == b"\"payload\":").unwrap();
        for at in (payload + 12..payload + 400).chain(sig + 8..sig + 60) {
            let mut changed = signature.clone();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(verifier.verify(&changed, &files()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_file_more_a_file_less_and_another_key_are_refused_by_name() {
        let ((signer, verifier), (_, other)) = (keys(), keys());
        let signature = signer.sign("digits", &files()).unwrap();
        assert!(matches!(other.verify(&signature, &files()), Err(SignatureError::Forged)));
        let mut more = files();
        more.insert("restorer.onnx".into(), vec![]);
        let refused = verifier.verify(&signature, &more).unwrap_err().to_string();
        assert_eq!(refused, "restorer.onnx is not signed");
        let mut less = files();
        less.remove("autoencoder.onnx");
        let refused = verifier.verify(&signature, &less).unwrap_err().to_string();
        assert_eq!(refused, "autoencoder.onnx is signed and missing");
    }

    #[test]
    fn a_key_on_another_curve_and_text_that_is_no_key_are_refused() {
        let group = EcGroup::from_curve_name(Nid::SECP384R1).unwrap();
        let key = EcKey::generate(&group).unwrap();
        assert!(Verifier::from_pem(&key.public_key_to_pem().unwrap()).is_err());
        assert!(Signer::from_pem(&key.private_key_to_pem().unwrap()).is_err());
        assert!(Verifier::from_pem(b"-----BEGIN PUBLIC KEY-----\n").is_err());
    }
}
