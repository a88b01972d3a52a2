//! The members of an object that a reader knows by name.
//!
//! Readers disagree about a member that stands there twice, and about one whose name differs from a
//! known one in the case of its letters alone. Neither may decide what is scored: both are faults.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fold;
use crate::record::{Ambiguity, Fault};

/// Why a document is refused, kept beside serde's error, which can hold nothing but text.
#[derive(Debug, Default)]
pub struct Doubt(Cell<Option<Fault>>);

impl Doubt {
    /// Ends the reading if `checked` is a fault, and keeps it.
    pub fn refuse<T, E: Error>(&self, checked: Result<T, Fault>) -> Result<T, E> {
        checked.map_err(|fault| {
            self.0.set(Some(fault));
            E::custom("a fault")
        })
    }

    /// What became of the reading: what was kept here goes before what serde says.
    pub fn resolve<T, E>(
        &self,
        read: Result<T, E>,
        unreadable: impl FnOnce(&E) -> Fault,
    ) -> Result<T, Fault> {
        read.map_err(|error| self.0.take().unwrap_or_else(|| unreadable(&error)))
    }
}

/// The names that are known of one object, and which were met.
pub struct Members<'n> {
    names: &'n [&'n str],
    seen: u32,
}

impl<'n> Members<'n> {
    /// # Panics
    /// If there are more than 32 names.
    pub fn new(names: &'n [&'n str]) -> Self {
        assert!(names.len() <= 32, "more names than bits");
        Self { names, seen: 0 }
    }

    /// Which of the names `key` is, if any.
    pub fn meet<E: Error>(&mut self, key: &str, doubt: &Doubt) -> Result<Option<usize>, E> {
        let Some(which) = self.names.iter().position(|name| fold::is_same(name, key)) else {
            return Ok(None);
        };
        if self.names[which] != key {
            doubt.refuse::<(), E>(Err(Fault::Ambiguous(Ambiguity::Case)))?;
        }
        if self.seen & 1 << which != 0 {
            return Err(E::custom("a key appears twice"));
        }
        self.seen |= 1 << which;
        Ok(Some(which))
    }
}

/// Gives `take` the object at each member of a known name, to read its value; passes over the others.
pub fn members<'de, A: MapAccess<'de>>(
    mut object: A,
    names: &[&str],
    doubt: &Doubt,
    mut take: impl FnMut(usize, &mut A) -> Result<(), A::Error>,
) -> Result<(), A::Error> {
    let mut members = Members::new(names);
    while let Some(which) = object.next_key_seed(Key { members: &mut members, doubt })? {
        match which {
            Some(which) => take(which, &mut object)?,
            None => drop(object.next_value::<IgnoredAny>()?),
        }
    }
    Ok(())
}

/// The text of each member of `text` that has one of these names.
///
/// # Errors
/// If `text` is no object, or two of its members could be taken for one.
pub fn raw<'t, const N: usize>(
    text: &'t str,
    names: [&str; N],
) -> Result<[Option<&'t RawValue>; N], Fault> {
    read(text, names, false)
}

/// The text of each member of `text`, which has no others than these.
///
/// # Errors
/// As [`raw`], or if there is another member.
pub fn exactly<'t, const N: usize>(
    text: &'t str,
    names: [&str; N],
) -> Result<[Option<&'t RawValue>; N], Fault> {
    read(text, names, true)
}

fn read<'t, const N: usize>(
    text: &'t str,
    names: [&str; N],
    closed: bool,
) -> Result<[Option<&'t RawValue>; N], Fault> {
    let doubt = Doubt::default();
    let mut document = serde_json::Deserializer::from_str(text);
    let read = document.deserialize_map(Raw { names, closed, doubt: &doubt });
    let read = read.and_then(|found| document.end().map(|()| found));
    doubt.resolve(read, |error| unreadable(error, text, text))
}

/// Where `part` begins in `text`, of which it is a slice.
pub fn offset(part: &str, text: &str) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
}

/// What serde_json found wrong with `raw`, a part of `text`.
pub fn unreadable(error: &serde_json::Error, raw: &str, text: &str) -> Fault {
    Fault::Unreadable { at: offset(raw, text) + byte_of(error, raw.as_bytes()) }
}

/// Where in `value` serde_json gave up: it counts lines and columns, a fault counts bytes.
pub fn byte_of(error: &serde_json::Error, value: &[u8]) -> usize {
    let lines = value.split_inclusive(|&byte| byte == b'\n');
    let lines = lines.take(error.line().saturating_sub(1));
    (lines.map(<[u8]>::len).sum::<usize>() + error.column()).min(value.len())
}

struct Raw<'a, 'n, const N: usize> {
    names: [&'n str; N],
    /// Whether an object may have no other members.
    closed: bool,
    doubt: &'a Doubt,
}

impl<'de, const N: usize> Visitor<'de> for Raw<'_, '_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        let mut members = Members::new(&self.names);
        while let Some(which) =
            object.next_key_seed(Key { members: &mut members, doubt: self.doubt })?
        {
            match which {
                Some(which) => found[which] = Some(object.next_value()?),
                None if self.closed => return Err(A::Error::custom("a member too many")),
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

struct Key<'a, 'n> {
    members: &'a mut Members<'n>,
    doubt: &'a Doubt,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Option<usize>, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Option<usize>, E> {
        self.members.meet(key, self.doubt)
    }
}
