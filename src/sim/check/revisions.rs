//! Worlds in which the configuration changes at any step: every process is told of the next revision, and each of its workers
//! adopts it between two of its transactions.

use std::collections::BTreeMap;

use super::violation::Violation;
use crate::emit::TRACE;
use crate::record::{OwnedRecord, Partition, Position};
use crate::sim::expect::{self, Left};
use crate::sim::names::REVISIONS;
use crate::watch::Evidence;

const REVISION: &str = "I16 a record's header names the revision that counted it, and no worker goes back to an older one";

/// The number of the process that sent a record, and of the revision that it was scored by.
fn scored_by(record: &OwnedRecord) -> Option<(u32, usize)> {
    let trace = std::str::from_utf8(record.header(TRACE)?).ok()?;
    let mut words = trace.rsplit(' ');
    let revision = words.next()?.parse().ok()?;
    Some((words.next()?.parse().ok()?, revision))
}

/// What became of each record, and what was told of a partition, as far as revisions go.
pub fn check<'a>(
    left: impl Iterator<Item = (Position, &'a [Left])>,
    told: &[Evidence],
) -> Vec<Violation> {
    let mut found = vec![];
    let mut violated = |what| found.push(Violation { invariant: REVISION, what });
    let mut newest: BTreeMap<(Partition, u32), usize> = BTreeMap::new();
    for (at, left) in left {
        let [left] = left else { continue };
        let Some((process, revision)) = scored_by(&left.record) else {
            violated(format!("{at:?} names no revision: {}", expect::text(&left.record)));
            continue;
        };
        let newest = newest.entry((at.partition, process)).or_default();
        if revision < *newest {
            violated(format!("{at:?}: process {process} went from {newest} back to {revision}"));
        }
        *newest = revision.max(*newest);
        let evidence = told.iter().find(|told| {
            told.partition == at.partition && (told.from..told.to).contains(&at.offset)
        });
        if evidence.is_some_and(|evidence| evidence.baseline != REVISIONS[revision]) {
            violated(format!("{at:?} was scored by {revision} and counted by {evidence:?}"));
        }
    }
    found
}
