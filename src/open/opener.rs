//! Sealed values: [`Opener`] opens them, [`Lock`] seals another value in the place of an opened one.

use std::ops::Range;
use std::sync::Arc;

use super::csfle::{CsfleLock, CsfleOpener, CsfleSpec};
use super::jose::{BadOpener, Cleartext, JweOpener, JweSpec, Sealer, seal_as};
use super::{Arena, ContentHeaders, KeyMaterial, KeyUse};
use crate::record::Unread;

/// What the configuration says of opening a stream's values.
#[derive(Clone, Debug, PartialEq)]
pub enum OpenerSpec {
    Jwe(JweSpec),
    Csfle(CsfleSpec),
}

/// Opens the values of a stream, and says how to seal them again.
#[derive(Debug)]
pub enum Opener {
    Jwe(JweOpener),
    Csfle(Arc<CsfleOpener>),
}

/// A value that was opened: where in an [`Arena`] it lies, and how it was sealed.
#[derive(Clone, Debug)]
pub struct OpenedValue {
    /// Its media type, if the sealed value names one.
    pub content_type: Option<Range<usize>>,
    pub value: Range<usize>,
    pub lock: Lock,
}

/// How a value was sealed: what seals another in its place.
#[derive(Clone, Debug)]
pub enum Lock {
    /// The key, and which of the stream's it is.
    Jwe(KeyMaterial, usize),
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
    /// Opens `value` into `arena`. `None` if the value is in clear. After a fault the arena holds no byte of it.
    ///
    /// # Errors
    /// If the value cannot be opened, or a schema or key is missing.
    pub fn open(
        &self,
        value: &[u8],
        headers: &ContentHeaders<'_>,
        arena: &mut Arena,
    ) -> Result<Option<OpenedValue>, Unread> {
        Ok(match self {
            Self::Jwe(jwe) => jwe.open(value, headers, arena)?.map(|opened| {
                let Cleartext { content_type, value, key, key_at } = opened;
                OpenedValue { content_type, value, lock: Lock::Jwe(key, key_at) }
            }),
            Self::Csfle(csfle) => csfle.open(value, headers, arena)?.map(|(value, lock)| {
                OpenedValue { content_type: None, value, lock: Lock::Csfle(lock) }
            }),
        })
    }

    /// The sealer of records that go to the model, if the model has a key of its own.
    pub fn sealer(&self) -> Option<&Sealer> {
        self.jwe().and_then(JweOpener::sealer)
    }

    /// Counts one opened value for the keys of `lock`.
    pub fn count_opened(&self, lock: &Lock) {
        self.count(lock, KeyUse::opened);
    }

    /// Counts one sealed value for the keys of `lock`.
    pub fn count_sealed(&self, lock: &Lock) {
        self.count(lock, KeyUse::sealed);
    }

    fn count(&self, lock: &Lock, add: fn(&KeyUse)) {
        match (self, lock) {
            (Self::Jwe(jwe), Lock::Jwe(_, at)) => jwe.uses().get(*at).map_or((), |one| add(one)),
            (Self::Csfle(csfle), Lock::Csfle(lock)) => {
                let known = lock.wrapped_by().filter_map(|at| csfle.uses().get(usize::from(at)));
                known.for_each(|one| add(one));
            }
            _ => {}
        }
    }

    /// How often each key was used. The key that seals for the model has its own count.
    pub fn uses(&self) -> Vec<Arc<KeyUse>> {
        let opening = match self {
            Self::Jwe(jwe) => jwe.uses(),
            Self::Csfle(csfle) => csfle.uses(),
        };
        opening.iter().chain(self.sealer().map(Sealer::uses)).cloned().collect()
    }

    pub fn jwe(&self) -> Option<&JweOpener> {
        if let Self::Jwe(jwe) = self { Some(jwe) } else { None }
    }

    pub fn csfle(&self) -> Option<&Arc<CsfleOpener>> {
        if let Self::Csfle(csfle) = self { Some(csfle) } else { None }
    }
}

impl Lock {
    /// Seals `plain` as `original` was sealed, and appends it to `out`. This lock came from opening `original`. `scratch` is
    /// overwritten.
    ///
    /// # Errors
    /// If `plain` cannot be sealed.
    pub fn seal(
        &self,
        original: &[u8],
        plain: &[u8],
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), NotSealable> {
        match self {
            Self::Jwe(key, _) => {
                seal_as((original, key), plain, scratch, out).map_err(|_| NotSealable)
            }
            Self::Csfle(lock) => lock.seal(plain, scratch, out).map_err(|_| NotSealable),
        }
    }
}
