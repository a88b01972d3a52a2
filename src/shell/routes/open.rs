//! The incidents of a partition that fire, as a route was told of them last.

use std::collections::BTreeMap;

use super::received::Received;
use crate::record::Offset;

/// Open incidents of a partition; the oldest are forgotten when they are too many.
#[derive(Debug, Default, PartialEq)]
pub struct Open {
    incidents: BTreeMap<String, (Offset, Received)>,
    bytes: usize,
}

/// Bytes of a partition's open incidents. Nobody has a thousand incidents open.
pub const OPEN_BYTES_MAX: usize = 4 << 20;

impl Open {
    /// What `alert` says holds now.
    pub fn hear(&mut self, offset: Offset, alert: Received) {
        self.forget(&alert.dedup_key);
        if alert.is_over() {
            return;
        }
        let alert = alert.without_value();
        self.bytes += alert.bytes();
        self.incidents.insert(alert.dedup_key.clone(), (offset, alert));
        while self.bytes > OPEN_BYTES_MAX {
            let oldest = self.incidents.iter().min_by_key(|(_, (offset, _))| *offset);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            self.forget(&key);
        }
    }

    /// The record `key` was deleted.
    pub fn hear_gone(&mut self, key: &[u8]) {
        self.forget(&key_text(key));
    }

    pub fn forget(&mut self, key: &str) {
        if let Some((_, alert)) = self.incidents.remove(key) {
            self.bytes -= alert.bytes();
        }
    }

    pub fn incidents(&self) -> impl ExactSizeIterator<Item = &Received> {
        self.incidents.values().map(|(_, alert)| alert)
    }

    pub fn get(&self, key: &str) -> Option<&Received> {
        self.incidents.get(key).map(|(_, alert)| alert)
    }

    /// The oldest record that says that something fires.
    pub fn oldest(&self) -> Option<Offset> {
        self.incidents.values().map(|(offset, _)| *offset).min()
    }
}

/// A record's key as text: that of an alert is its incident's.
pub fn key_text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Timestamp;

    fn firing(key: &str, summary: &str) -> Received {
        let read = Received::read(Some(key.as_bytes()), b"{}", Timestamp(1)).unwrap();
        Received { summary: summary.into(), ..read }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_is_forgotten() {
        let mut open = Open::default();
        for i in 0..200_i64 {
            open.hear(Offset(i), firing(&format!("{:03}", 199 - i), &"x".repeat(50_000)));
            assert!(open.bytes <= OPEN_BYTES_MAX);
        }
        let each = open.get("000").unwrap().bytes();
        assert_eq!(open.incidents().len(), OPEN_BYTES_MAX / each);
        assert!(open.get("000").is_some() && open.get("199").is_none());
    }
}
