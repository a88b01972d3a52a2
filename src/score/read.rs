//! A record's rows: decoded and validated. Sealed values are opened before, in `unseal.rs`.

use super::Guard;
use super::unseal::Cover;
use crate::codec::ContentHeaders;
use crate::record::{Fault, Record, Unread};

/// The rows of a record, and whether a value of them stands in for a missing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    pub rows: usize,
    pub imputed: bool,
}

/// Appends the record's rows to `rows`, `[n · d]`, if they are valid. Of a record that is not, nothing is appended.
///
/// # Errors
/// What is wrong with the record, or missing to read it.
pub fn read(guard: &Guard, record: &Record<'_>, rows: &mut Vec<f32>) -> Result<Read, Unread> {
    if let Some(excess) = record.headers.excess() {
        return Err(Fault::from(excess).into());
    }
    let value = record.value.ok_or(Fault::NullValue)?;
    if value.len() > guard.value_bytes_max {
        let (bytes, bytes_max) = (value.len(), guard.value_bytes_max);
        return Err(Fault::TooLarge { bytes, bytes_max }.into());
    }
    let start = rows.len();
    let content = ContentHeaders::of(record.headers);
    let n = guard.codecs.pick(&content, value)?.decode(value, &content, rows)?;
    let imputed = rows[start..].iter().fold(false, |any, x| any | x.is_nan());
    let each = rows[start..].chunks_exact_mut(guard.schema.width());
    let valid = each.into_iter().try_for_each(|row| guard.bounds.check_row(row));
    valid.inspect_err(|_| rows.truncate(start))?;
    Ok(Read { rows: n, imputed })
}

impl Guard {
    /// Whether the record can be read, or why not, in words; `None` if it is no input of the model.
    pub fn preview(&self, record: &Record<'_>) -> Option<Result<(), String>> {
        self.unsealed(record, |record, cover| {
            let takes = self.select.takes(record.headers, record.value);
            // What was sealed is not for the terminal.
            let values = !matches!(cover, Cover::Sealed(..));
            let told = |fault: Fault| Err(fault.told(&self.schema, record.value, values));
            takes.then(|| match (cover, read(self, record, &mut vec![])) {
                (Cover::Shut(Unread::Fault(fault)), _) | (_, Err(Unread::Fault(fault))) => {
                    told(fault)
                }
                (Cover::Shut(Unread::Missing(missing)), _) | (_, Err(Unread::Missing(missing))) => {
                    Err(format!("{missing} is missing"))
                }
                (_, Ok(_)) => Ok(()),
            })
        })
    }

    /// The record's rows, `[n · d]`, if it can be read.
    pub fn rows(&self, record: &Record<'_>) -> Option<Vec<f32>> {
        self.unsealed(record, |record, cover| match cover {
            Cover::Shut(_) => None,
            _ => self.inner_rows(record),
        })
    }

    /// The rows of a record whose value is in clear, if they can be read.
    pub(super) fn inner_rows(&self, record: &Record<'_>) -> Option<Vec<f32>> {
        let mut rows = vec![];
        read(self, record, &mut rows).ok().map(|_| rows)
    }

    /// The value of an open record that can be read, with these rows, `[n · d]`, in its own format.
    pub(super) fn rewritten(&self, record: &Record<'_>, rows: &[f32]) -> Vec<u8> {
        let original = record.value.expect("it was read");
        let content = ContentHeaders::of(record.headers);
        let codec = self.codecs.pick(&content, original).expect("it was read with one");
        let mut value = vec![];
        codec.encode(original, &content, rows, &mut value);
        value
    }
}
