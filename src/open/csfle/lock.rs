//! How an opened value was sealed, and what seals another in its place.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::cipher::DataKey;
use super::fields::{EncryptedFields, FieldPlace, rewrite};
use super::rules::Encryption;
use crate::open::framed::Language;

/// A schema whose values are encrypted.
#[derive(Debug)]
pub struct SealedSchema {
    pub language: Language,
    pub encryption: Encryption,
    pub fields: Option<EncryptedFields>,
}

/// How an opened value was sealed: enough to seal another in its place.
#[derive(Clone, Debug)]
pub struct CsfleLock {
    pub(super) schema: Arc<SealedSchema>,
    /// Where a message of Protobuf stands in its file.
    pub(super) message: Vec<u32>,
    /// Bytes of the frame.
    pub(super) frame: usize,
    /// What opened it: of each rule the newest key; that of the payload has no rule.
    pub(super) keys: Vec<(Option<u8>, UsedKey)>,
}

#[derive(Clone, Debug)]
pub struct UsedKey {
    pub key: Arc<DataKey>,
    /// Which of the stream's keys wraps it.
    pub wrapped_by: u16,
    /// It stands in front of each ciphertext.
    pub version: Option<u32>,
}

/// Why a value cannot be sealed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotSeal {
    #[error("it is no value of its schema")]
    Value,
    #[error("a field is to be encrypted that came without a ciphertext: nobody knows its key")]
    Key,
    #[error("OpenSSL cannot")]
    OpenSsl,
}

#[cfg(test)]
impl CsfleLock {
    pub(super) fn without_keys(self) -> Self {
        Self { keys: vec![], ..self }
    }
}

impl CsfleLock {
    /// Which of the stream's keys wrap what it was opened with, each once.
    pub fn wrapped_by(&self) -> impl Iterator<Item = u16> {
        let at = |(_, used): &(Option<u8>, UsedKey)| used.wrapped_by;
        let is_first =
            move |&i: &usize| !self.keys[..i].iter().any(|key| at(key) == at(&self.keys[i]));
        (0..self.keys.len()).filter(is_first).map(move |i| at(&self.keys[i]))
    }

    /// Appends `plain` to `out`, a value of the same schema in the same frame, sealed as the one was that this is of: the
    /// same data keys, new nonces. `scratch` is overwritten.
    ///
    /// # Errors
    /// If it cannot be sealed; `out` may then end in pieces.
    pub fn seal(
        &self,
        plain: &[u8],
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), CannotSeal> {
        let Self { schema, frame, .. } = self;
        let (frame, text) = plain.split_at_checked(*frame).ok_or(CannotSeal::Value)?;
        out.extend_from_slice(frame);
        let sealed;
        let mut payload = text;
        if let Some(fields) = &schema.fields {
            sealed = self.seal_fields(fields, text, scratch)?;
            payload = &sealed;
        }
        match &schema.encryption.payload {
            Some(_) => self.encrypt(None, payload, scratch, out),
            None => {
                out.extend_from_slice(payload);
                Ok(())
            }
        }
    }

    fn seal_fields(
        &self,
        fields: &EncryptedFields,
        text: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, CannotSeal> {
        let places = fields.places(text, &self.message).map_err(|_| CannotSeal::Value)?;
        // Each field becomes longer by a nonce, a tag and a version at most, and by a third and a length.
        let mut out =
            Zeroizing::new(Vec::with_capacity(text.len() * 4 / 3 + 64 * places.len() + 64));
        let (mut written, mut ciphertext) = (vec![], vec![]);
        for place in &places {
            let FieldPlace::Field { rule, content, is_text, .. } = place else { continue };
            let plain = fields.read(&text[content.clone()]).map_err(|_| CannotSeal::Value)?;
            ciphertext.clear();
            self.encrypt(Some(*rule), &plain, scratch, &mut ciphertext)?;
            if *is_text {
                ciphertext = STANDARD.encode(&ciphertext).into_bytes();
            }
            let mut field = Zeroizing::new(Vec::with_capacity(ciphertext.len() + 10));
            fields.write(&ciphertext, &mut field);
            written.push(field);
        }
        rewrite(text, &places, &written, |piece| out.extend_from_slice(piece));
        Ok(out)
    }

    fn encrypt(
        &self,
        rule: Option<u8>,
        plain: &[u8],
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), CannotSeal> {
        let used = self.keys.iter().find(|(of, _)| *of == rule);
        let (_, UsedKey { key, version, .. }) = used.ok_or(CannotSeal::Key)?;
        if let Some(version) = version {
            out.push(0);
            out.extend_from_slice(&version.to_be_bytes());
        }
        key.seal(plain, scratch, out).map_err(|_| CannotSeal::OpenSsl)
    }
}
