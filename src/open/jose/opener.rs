//! What a stream opens values with, and seals them with again: its keys by their ids, and the algorithms that it takes.
//!
//! A value is sealed if its content type says so or it looks like a compact JWE. What was opened lies in an [`Arena`], which
//! is overwritten before it is used again. It cannot keep plaintext from who reads this process's memory, and lengths from
//! who reads the topic.

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use super::jwe::Sealer;
use super::jwk::KeyMaterial;
use super::opening::{Compact, JWE_ALGORITHMS, JweAlgorithm, ProtectedHeader};
use crate::open::{Arena, ContentHeaders, Header, KeyUse};
use crate::record::{Fault, Missing, Unread};
use openssl::error::ErrorStack;

/// Content type of a sealed value.
pub const JOSE: &str = "application/jose";
/// Content type of a sealed value in JSON, which is not opened.
const JOSE_JSON: &str = "application/jose+json";

/// What the configuration says of opening a stream's values.
#[derive(Clone, Debug, PartialEq)]
pub struct JweSpec {
    /// Each with its `kid`.
    pub keys: Vec<(String, KeyMaterial)>,
    /// Names of keys that are kept elsewhere: somebody tells us what they are ([`JweOpener::learn`]).
    pub elsewhere: Vec<String>,
    /// Algorithms that are accepted.
    pub algorithms: Vec<JweAlgorithm>,
    /// Whether a value in clear is a fault.
    pub required: bool,
    /// Every record that goes to the model is sealed anew with this key; unless given, what is corrected is sealed with
    /// the key that the record came with.
    pub reseal: Option<(String, KeyMaterial)>,
}

/// A stream's keys, ready to open values.
#[derive(Debug)]
pub struct JweOpener {
    keys: Vec<(String, KeyMaterial)>,
    /// What is known of each key that is kept elsewhere.
    elsewhere: Vec<RwLock<Option<KeySet>>>,
    algorithms: Vec<JweAlgorithm>,
    required: bool,
    reseal: Option<Sealer>,
    /// Of each key, those that are kept elsewhere last.
    uses: Vec<Arc<KeyUse>>,
}

/// Keys, each with its `kid`.
type KeySet = Vec<(String, KeyMaterial)>;

/// Why nothing can be opened so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOpener {
    #[error("the key {0:?} cannot seal: it is a private one, or a secret of other than 32 bytes")]
    Reseal(String),
}

/// Where in an [`Arena`] a value lies that was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Cleartext {
    /// What the sealed value says of it: `cty`, as a media type.
    pub content_type: Option<Range<usize>>,
    pub value: Range<usize>,
    /// What opened it.
    pub key: KeyMaterial,
    /// Which of the stream's keys that is, or which one brought it.
    pub key_at: usize,
}

/// Appends `plain` to `out`, sealed as `original` is, which `key` opened: the same header and key, a new IV. `scratch` is
/// overwritten.
///
/// # Errors
/// If OpenSSL cannot: it has no random numbers.
///
/// # Panics
/// If `original` is no value that `key` opens: that is our bug.
pub fn seal_as(
    (original, key): (&[u8], &KeyMaterial),
    plain: &[u8],
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), ErrorStack> {
    let (jwe, mut head) = (Compact::cut(original).expect("it was opened"), vec![]);
    let protected = jwe.header(&mut head, &JWE_ALGORITHMS).expect("it was opened");
    jwe.seal(&protected, key, plain, scratch, out)
}

impl JweSpec {
    /// # Errors
    /// If the key that seals cannot.
    pub fn build(&self) -> Result<JweOpener, BadOpener> {
        let sealer = |(id, key): &(String, KeyMaterial)| {
            Sealer::new(id, key).ok_or_else(|| BadOpener::Reseal(id.clone()))
        };
        let names = self.keys.iter().map(|(name, _)| name).chain(&self.elsewhere);
        Ok(JweOpener {
            uses: names.map(|name| Arc::new(KeyUse::new(name))).collect(),
            keys: self.keys.clone(),
            elsewhere: self.elsewhere.iter().map(|_| RwLock::default()).collect(),
            algorithms: self.algorithms.clone(),
            required: self.required,
            reseal: self.reseal.as_ref().map(sealer).transpose()?,
        })
    }
}

impl JweOpener {
    /// Opens `value` into `arena`. `None` if the value is in clear. After a fault the arena holds no byte of it.
    ///
    /// # Errors
    /// If the value cannot be opened, or if its key may be one that is not fetched yet.
    pub fn open(
        &self,
        value: &[u8],
        headers: &ContentHeaders<'_>,
        arena: &mut Arena,
    ) -> Result<Option<Cleartext>, Unread> {
        let says_so = matches!(headers.content_type, Header::Value(of) if is_jose(of));
        if !says_so && !is_compact(value) {
            return if self.required { Err(Fault::NotSealed.into()) } else { Ok(None) };
        }
        let Arena { bytes, head } = arena;
        let jwe = Compact::cut(value).map_err(Fault::from)?;
        let protected = jwe.header(head, &self.algorithms).map_err(Fault::from)?;
        let (key, key_at) = self.key(&protected)?;
        let opened = jwe.open(&protected, &key, bytes).map_err(Fault::from)?;
        let content_type = protected.cty.as_ref().map(|cty| {
            let start = bytes.len();
            // RFC 7516 §4.1.12: what all media types of data begin with may be left out.
            if !cty.0.contains('/') {
                bytes.extend_from_slice(b"application/");
            }
            bytes.extend_from_slice(cty.0.as_bytes());
            start..bytes.len()
        });
        Ok(Some(Cleartext { content_type, value: opened, key, key_at }))
    }

    /// How many values each key opened, and sealed as they came.
    pub fn uses(&self) -> &[Arc<KeyUse>] {
        &self.uses
    }

    /// The sealer of records that go to the model, if the model has a key of its own.
    pub fn sealer(&self) -> Option<&Sealer> {
        self.reseal.as_ref()
    }

    /// Sets a key that is kept elsewhere: `at` is its index.
    pub fn learn(&self, at: usize, keys: KeySet) {
        *self.elsewhere[at].write().unwrap_or_else(PoisonError::into_inner) = Some(keys);
    }

    /// Forgets the key with this index. Its bytes are overwritten once no open value uses it.
    pub fn forget(&self, at: usize) {
        *self.elsewhere[at].write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether the key with this index is not known.
    pub fn lacks(&self, at: usize) -> bool {
        self.elsewhere[at].read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Whether any key is not known.
    pub fn lacks_any(&self) -> bool {
        (0..self.elsewhere.len()).any(|at| self.lacks(at))
    }

    /// The key that a value names, and which one it is; the only one there is, if the value names none.
    ///
    /// # Errors
    /// If it has none of them, or that cannot be said yet.
    fn key(&self, protected: &ProtectedHeader<'_>) -> Result<(KeyMaterial, usize), Unread> {
        let (mut found, mut count) = (None, 0);
        // `from`: which one the first of `keys` is, and what the next ones add to that.
        let mut look = |keys: &[(String, KeyMaterial)], from: usize, step: usize| {
            count += keys.len();
            let is_it = |id: &str| protected.kid.as_ref().is_none_or(|kid| kid.0 == id);
            let mut keys = keys.iter().enumerate();
            let it = keys.find(|(_, (id, _))| found.is_none() && is_it(id));
            found = found.take().or(it.map(|(i, (_, key))| (key.clone(), from + i * step)));
        };
        look(&self.keys, 0, 1);
        let mut lacks = false;
        for (at, known) in self.elsewhere.iter().enumerate() {
            match &*known.read().unwrap_or_else(PoisonError::into_inner) {
                Some(keys) => look(keys, self.keys.len() + at, 0),
                None => lacks = true,
            }
        }
        match found {
            Some(key) if protected.kid.is_some() || count == 1 && !lacks => Ok(key),
            _ if lacks => Err(Missing::Key.into()),
            _ => Err(Fault::UnknownKey.into()),
        }
    }
}

/// Whether a content type is that of a sealed value.
pub fn is_jose(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    let is = |name: &str| essence.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
    is(JOSE) || is(JOSE_JSON)
}

/// Whether a value looks like a compact JWE: five parts, and the first begins as a brace in base64url does.
fn is_compact(value: &[u8]) -> bool {
    let is_letter = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    // Most values in clear are told by their first bytes.
    (value.starts_with(b"ey") || value.starts_with(b"ew"))
        && Compact::cut(value).is_ok_and(|jwe| jwe.head.iter().all(is_letter))
}
