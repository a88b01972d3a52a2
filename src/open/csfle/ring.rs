//! Data keys that are known, and those that are known not to exist.
//!
//! The ring holds 1,024 keys. A new key replaces the one that was used the longest time ago. The ring reads no clock: the
//! code that fetches keys says when one is too old.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::cipher::DataKey;
use crate::record::DataKeyId;

/// Keys that are kept at most: those of a stream with a rotation each day are not so many in two years.
pub const KEYS_MAX: usize = 1024;

/// What is known of data keys.
#[derive(Debug, Default)]
pub struct KeyRing {
    known: RwLock<HashMap<DataKeyId, KnownKey>>,
    /// Counts uses.
    uses: AtomicU64,
}

#[derive(Debug)]
struct KnownKey {
    /// None if the registry does not have it.
    key: Option<Arc<DataKey>>,
    used: AtomicU64,
}

impl KeyRing {
    /// `None` if nothing is known of it; `Some(None)` if there is no such key.
    pub fn get(&self, id: DataKeyId) -> Option<Option<Arc<DataKey>>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&id)?;
        known.used.store(self.uses.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        Some(known.key.clone())
    }

    /// Whether it is known what it is.
    pub fn knows(&self, id: DataKeyId) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }

    /// Takes in a key, or that there is none.
    pub fn learn(&self, id: DataKeyId, key: Option<DataKey>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEYS_MAX && !known.contains_key(&id) {
            let oldest = known.iter().min_by_key(|(_, key)| key.used.load(Ordering::Relaxed));
            if let Some(oldest) = oldest.map(|(&id, _)| id) {
                known.remove(&oldest);
            }
        }
        let used = AtomicU64::new(self.uses.fetch_add(1, Ordering::Relaxed) + 1);
        known.insert(id, KnownKey { key: key.map(Arc::new), used });
    }

    /// Nothing is known of it any more. A key is overwritten when nobody opens with it.
    pub fn forget(&self, id: DataKeyId) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}
