//! The first stage: opens sealed values, so that the later stages read the records in clear.
//!
//! The values of a batch are opened into one arena, which is overwritten when the batch is done. `leave.rs` decides whether a record
//! leaves as it came or sealed again.

use std::sync::Arc;

use super::Guard;
use crate::codec::ContentHeaders;
use crate::open::{Arena, CsfleOpener, JweOpener, Jwk, KeyUse, Lock, OpenedValue, Opener, is_jose};
use crate::record::{Headers, Record, Unread};
use crate::sanitize::OutputTables;

/// How a record came.
#[derive(Clone, Copy, Debug)]
pub enum Cover<'r> {
    /// In clear.
    Bare,
    /// Sealed: this was the value, and how it was sealed. The stages see the opened value.
    Sealed(&'r [u8], &'r Lock),
    /// Sealed and not opened, for this reason. Or in clear, although the stream takes only sealed values.
    Shut(Unread),
}

/// The headers of an opened record: its content type is that of the opened value.
#[derive(Clone, Copy)]
pub struct InnerHeaders<'r> {
    headers: &'r dyn Headers,
    content_type: Option<&'r [u8]>,
}

/// What was opened of one batch; reused.
#[derive(Debug, Default)]
pub struct Unsealing {
    arena: Arena,
    results: Vec<Result<Option<OpenedValue>, Unread>>,
}

impl Unsealing {
    /// Opens the values of `records`.
    pub fn open(&mut self, guard: &Guard, opener: &Opener, records: &[Record<'_>]) {
        self.results.clear();
        let sizes = records.iter().map(|record| record.value.map_or(0, <[u8]>::len));
        // An opened value is a quarter shorter than the sealed one. Its content type is in the sealed value's header.
        self.arena.reserve(sizes.sum());
        let open = |record: &Record<'_>| {
            let value = record.value.filter(|value| value.len() <= guard.value_bytes_max);
            match value.filter(|_| record.headers.excess().is_none()) {
                Some(value) => {
                    opener.open(value, &ContentHeaders::of(record.headers), &mut self.arena)
                }
                // The next stage says what is wrong with it.
                None => Ok(None),
            }
        };
        self.results.extend(records.iter().map(open));
    }

    /// Counts what was opened, for the audit log.
    pub fn count(&self, opener: &Opener) {
        let opened = self.results.iter().filter_map(|result| result.as_ref().ok()?.as_ref());
        opened.for_each(|opened| opener.count_opened(&opened.lock));
    }

    /// The headers of `records`, which were opened.
    pub fn headers<'r>(&'r self, records: &[Record<'r>]) -> Vec<InnerHeaders<'r>> {
        let headers = |(record, opened): (&Record<'r>, &'r Result<Option<OpenedValue>, Unread>)| {
            let content_type = opened.as_ref().ok().and_then(|opened| {
                Some(&self.arena.bytes()[opened.as_ref()?.content_type.clone()?])
            });
            InnerHeaders { headers: record.headers, content_type }
        };
        records.iter().zip(&self.results).map(headers).collect()
    }

    /// The records with their opened values, and how each came.
    pub fn records<'r>(
        &'r self,
        records: &[Record<'r>],
        headers: &'r [InnerHeaders<'r>],
    ) -> (Vec<Record<'r>>, Vec<Cover<'r>>) {
        let seen = |(i, record): (usize, &Record<'r>)| match &self.results[i] {
            Ok(Some(OpenedValue { value, lock, .. })) => {
                let sealed = record.value.expect("it was opened");
                let value = Some(&self.arena.bytes()[value.clone()]);
                (Record { value, headers: &headers[i], ..*record }, Cover::Sealed(sealed, lock))
            }
            Ok(None) => (*record, Cover::Bare),
            Err(unread) => (*record, Cover::Shut(*unread)),
        };
        records.iter().enumerate().map(seen).unzip()
    }

    /// Overwrites what was opened, and lets go of the keys that opened it.
    pub fn wipe(&mut self) {
        self.arena.wipe();
        self.results.clear();
    }
}

impl Guard {
    /// Opens one record, if it came sealed, and calls `then` with it and with how it came.
    pub(super) fn unsealed<T>(
        &self,
        record: &Record<'_>,
        then: impl FnOnce(&Record<'_>, Cover<'_>) -> T,
    ) -> T {
        let Some(opener) = &self.opener else { return then(record, Cover::Bare) };
        let (mut unsealing, raw) = (Unsealing::default(), [*record]);
        unsealing.open(self, opener, &raw);
        let headers = unsealing.headers(&raw);
        let (records, covers) = unsealing.records(&raw, &headers);
        then(&records[0], covers[0])
    }

    /// Sets a key that is kept elsewhere: `at` is its index among those of the stream.
    pub fn learn_key(&self, at: usize, keys: Vec<Jwk>) {
        let name = |jwk: Jwk| (jwk.id.unwrap_or_else(|| self.elsewhere[at].clone()), jwk.material);
        if let Some(jwe) = self.jwe() {
            jwe.learn(at, keys.into_iter().map(name).collect());
        }
    }

    /// Forgets the key with this index.
    pub fn forget_key(&self, at: usize) {
        self.jwe().inspect(|jwe| jwe.forget(at));
    }

    /// How often each key was used: those that open, and those that outputs are sealed with.
    pub fn key_uses(&self) -> Vec<Arc<KeyUse>> {
        let OutputTables { sanitized, quarantine, dead_letter } = &self.outputs;
        let outputs = [sanitized, quarantine, dead_letter].into_iter().flatten();
        let sealing = outputs.filter_map(|output| output.uses().cloned());
        let opening = self.opener.iter().flat_map(Opener::uses);
        opening.chain(sealing).collect()
    }

    /// Whether the key with this index is not known.
    pub fn lacks_key(&self, at: usize) -> bool {
        self.jwe().is_some_and(|jwe| jwe.lacks(at))
    }

    fn jwe(&self) -> Option<&JweOpener> {
        self.opener.as_ref().and_then(Opener::jwe)
    }

    /// The opener of encrypted fields, if the stream has one.
    pub fn csfle(&self) -> Option<&CsfleOpener> {
        self.opener.as_ref().and_then(Opener::csfle).map(|csfle| &**csfle)
    }

    /// The opened value of a record that came sealed, if it can be opened.
    pub fn sealed_in(&self, record: &Record<'_>) -> Option<Vec<u8>> {
        self.unsealed(record, |inner, cover| match cover {
            Cover::Sealed(..) => inner.value.map(<[u8]>::to_vec),
            _ => None,
        })
    }
}

impl Headers for InnerHeaders<'_> {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [u8], Option<&'a [u8]>)) {
        let replaced = self.content_type.is_some();
        self.headers.visit(&mut |name, value| {
            let is_type = name.eq_ignore_ascii_case(b"content-type");
            if !(is_type && (replaced || value.is_some_and(is_jose))) {
                see(name, value);
            }
        });
        if let Some(content_type) = self.content_type {
            see(b"content-type", Some(content_type));
        }
    }
}
