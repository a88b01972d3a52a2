//! How values come sealed: what opens those of a stream, and seals them again.

use std::ops::Range;
use std::sync::Arc;

use super::csfle::{CsfleLock, CsfleOpener, CsfleSpec};
use super::jose::{BadOpener, Cleartext, JweOpener, JweSpec, Sealer, seal_as};
use super::{Arena, ContentHeaders, KeyMaterial};
use crate::record::Unread;

/// What the configuration says of opening a stream's values.
#[derive(Clone, Debug, PartialEq)]
pub enum OpenerSpec {
    Jwe(JweSpec),
    Csfle(CsfleSpec),
}

/// The same, ready.
#[derive(Debug)]
pub enum Opener {
    Jwe(JweOpener),
    Csfle(Arc<CsfleOpener>),
}

/// A value that was opened: where in an [`Arena`] it lies, and how it was sealed.
#[derive(Clone, Debug)]
pub struct OpenedValue {
    /// What the sealed value says of it, as a media type.
    pub content_type: Option<Range<usize>>,
    pub value: Range<usize>,
    pub lock: Lock,
}

/// How a value was sealed: what seals another in its place.
#[derive(Clone, Debug)]
pub enum Lock {
    Jwe(KeyMaterial),
    Csfle(CsfleLock),
}

/// A value cannot be sealed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be sealed again")]
pub struct NotSealable;

impl OpenerSpec {
    /// # Errors
    /// If the key that seals cannot.
    pub fn build(&self) -> Result<Opener, BadOpener> {
        match self {
            Self::Jwe(spec) => spec.build().map(Opener::Jwe),
            Self::Csfle(spec) => Ok(Opener::Csfle(Arc::new(spec.build()))),
        }
    }

    /// Whether a value in clear is a fault.
    pub fn required(&self) -> bool {
        match self {
            Self::Jwe(spec) => spec.required,
            Self::Csfle(spec) => spec.required,
        }
    }

    /// The names of the keys that open.
    pub fn key_names(&self) -> Vec<&str> {
        match self {
            Self::Jwe(JweSpec { keys, elsewhere, .. }) => {
                let here = keys.iter().map(|(name, _)| name);
                here.chain(elsewhere).map(String::as_str).collect()
            }
            Self::Csfle(spec) => spec.keys.iter().map(String::as_str).collect(),
        }
    }

    pub fn jwe(&self) -> Option<&JweSpec> {
        if let Self::Jwe(spec) = self { Some(spec) } else { None }
    }

    pub fn csfle(&self) -> Option<&CsfleSpec> {
        if let Self::Csfle(spec) = self { Some(spec) } else { None }
    }
}

impl Opener {
    /// Opens `value` into `arena`; `None` of one in clear. After a fault nothing of it is in the arena.
    ///
    /// # Errors
    /// What is wrong with the value, or missing to open it.
    pub fn open(
        &self,
        value: &[u8],
        headers: &ContentHeaders<'_>,
        arena: &mut Arena,
    ) -> Result<Option<OpenedValue>, Unread> {
        Ok(match self {
            Self::Jwe(jwe) => {
                jwe.open(value, headers, arena)?.map(|Cleartext { content_type, value, key }| {
                    OpenedValue { content_type, value, lock: Lock::Jwe(key) }
                })
            }
            Self::Csfle(csfle) => csfle.open(value, headers, arena)?.map(|(value, lock)| {
                OpenedValue { content_type: None, value, lock: Lock::Csfle(lock) }
            }),
        })
    }

    /// What seals every record that goes to the model, if that has a key of its own.
    pub fn sealer(&self) -> Option<&Sealer> {
        self.jwe().and_then(JweOpener::sealer)
    }

    pub fn jwe(&self) -> Option<&JweOpener> {
        if let Self::Jwe(jwe) = self { Some(jwe) } else { None }
    }

    pub fn csfle(&self) -> Option<&Arc<CsfleOpener>> {
        if let Self::Csfle(csfle) = self { Some(csfle) } else { None }
    }
}

impl Lock {
    /// Appends `plain` to `out`, sealed as `original` is, which this lock was opened of. `scratch` is overwritten.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn seal(
        &self,
        original: &[u8],
        plain: &[u8],
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), NotSealable> {
        match self {
            Self::Jwe(key) => {
                seal_as((original, key), plain, scratch, out).map_err(|_| NotSealable)
            }
            Self::Csfle(lock) => lock.seal(plain, scratch, out).map_err(|_| NotSealable),
        }
    }
}
