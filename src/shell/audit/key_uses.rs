//! How often the keys of this process were used, over all its streams and revisions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::audit_log::DETAILS_MAX;
use crate::open::{KeyCounts, KeyUse};

/// Counters of each revision that is in use or was since they were taken, and its stream.
#[derive(Default)]
pub struct KeyCounters(Mutex<Vec<(String, Arc<KeyUse>)>>);

impl KeyCounters {
    pub fn add(&self, stream: &str, uses: Vec<Arc<KeyUse>>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(uses.into_iter().map(|one| (stream.to_owned(), one)));
    }

    /// What was counted since this was asked the last time: details of as many entries as it takes. Keys that were not used
    /// are not in them.
    pub fn take(&self) -> Vec<BTreeMap<String, String>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: BTreeMap<String, KeyCounts> = BTreeMap::new();
        known.retain(|(stream, one)| {
            // Asked before the count is taken: what nobody else holds counts no more.
            let is_used = Arc::strong_count(one) > 1;
            let count = one.take();
            if count != KeyCounts::default() {
                *counts.entry(format!("stream {stream}, key {}", one.id())).or_default() += count;
            }
            is_used
        });
        let told = |(name, KeyCounts { opened, sealed }): (String, KeyCounts)| {
            (name, format!("opened {opened}, sealed {sealed}"))
        };
        let told: Vec<_> = counts.into_iter().map(told).collect();
        told.chunks(DETAILS_MAX).map(|part| part.iter().cloned().collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_a_key_are_added_up_over_revisions_and_told_once() {
        let counters = KeyCounters::default();
        let [old, new, idle] = ["k", "k", "idle"].map(|id| Arc::new(KeyUse::new(id)));
        counters.add("s", vec![old.clone(), idle.clone()]);
        counters.add("s", vec![new.clone()]);
        counters.add("t", vec![Arc::new(KeyUse::new("k"))]);
        old.opened();
        new.opened();
        new.sealed();
        drop(old);
        let told = [("stream s, key k".to_owned(), "opened 2, sealed 1".to_owned())];
        assert_eq!(counters.take(), [BTreeMap::from(told)]);
        assert_eq!(counters.take(), []);
        // Those that nobody uses any more are let go.
        assert_eq!(counters.0.lock().unwrap().len(), 2);
    }

    #[test]
    fn no_count_is_left_out_of_an_entry_because_there_are_many_keys() {
        let counters = KeyCounters::default();
        let uses: Vec<_> = (0..100).map(|i| Arc::new(KeyUse::new(&format!("key-{i}")))).collect();
        uses.iter().for_each(|one| one.sealed());
        counters.add("s", uses);
        let sizes: Vec<_> = counters.take().iter().map(BTreeMap::len).collect();
        assert_eq!(sizes, [64, 36]);
    }
}
