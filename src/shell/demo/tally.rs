//! What came out, against what went in.

use std::collections::BTreeSet;
use std::time::Instant;

use super::plan::Truth;
use crate::emit::ReadTrace;
use crate::monitor::{Alert, Cause, Status};
use crate::score::Destination;

/// Counts of everything that came out so far.
#[derive(Clone, Debug)]
pub struct Tally {
    /// By route: sanitized, quarantine, dead letter.
    pub routes: [u64; 3],
    /// By truth.
    pub kinds: [Kind; 5],
    /// Records that came out more than once: there should be none.
    pub twice: u64,
    pub alerts: Vec<Alert>,
    /// Flagged suspects, to be shown.
    pub caught: Vec<Caught>,
    /// When a record last came out for the first time.
    pub newest: Instant,
    seen: Vec<bool>,
}

/// Counts of one kind of record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    pub n: u64,
    pub flagged: u64,
    pub dead: u64,
}

/// A suspect that the guard held back.
#[derive(Clone, Debug, PartialEq)]
pub struct Caught {
    /// Its number in the plan.
    pub number: usize,
    pub truth: Truth,
    pub trace: ReadTrace,
}

impl Kind {
    /// Share of its records that were flagged; 0 of none.
    pub fn flagged_share(&self) -> f64 {
        self.flagged as f64 / self.n.max(1) as f64
    }
}

impl Tally {
    /// Nothing yet, of so many `records`.
    pub fn new(records: usize) -> Self {
        Self {
            routes: [0; 3],
            kinds: [Kind::default(); 5],
            twice: 0,
            alerts: vec![],
            caught: vec![],
            newest: Instant::now(),
            seen: vec![false; records],
        }
    }

    /// Records that came out at least once.
    pub fn out(&self) -> u64 {
        self.routes.iter().sum()
    }

    pub fn kind(&self, truth: Truth) -> Kind {
        self.kinds[truth as usize]
    }

    /// Counts record `number`, which is a `truth` and came out by `route`.
    pub fn count(
        &mut self,
        number: usize,
        truth: Truth,
        route: Destination,
        trace: Option<ReadTrace>,
    ) {
        match self.seen.get_mut(number) {
            Some(seen) if !*seen => *seen = true,
            _ => {
                self.twice += 1;
                return;
            }
        }
        self.newest = Instant::now();
        self.routes[route as usize] += 1;
        let kind = &mut self.kinds[truth as usize];
        kind.n += 1;
        kind.dead += u64::from(route == Destination::DeadLetter);
        let Some(trace) = trace.filter(|trace| trace.flagged) else { return };
        kind.flagged += 1;
        if matches!(truth, Truth::Trigger | Truth::Pgd) {
            self.caught.push(Caught { number, truth, trace });
        }
    }

    /// Whether all was told that there is to tell: the attack and its end, who searches, and that another model answers.
    pub fn is_told(&self) -> bool {
        let told = |status, cause: Cause, of_clients| {
            self.alerts.iter().any(|alert| {
                (alert.status, &*alert.kind) == (status, cause.name())
                    && alert.evidence.iter().any(|found| found.client.is_some()) == of_clients
            })
        };
        told(Status::Resolved, Cause::Attack, false)
            && told(Status::Firing, Cause::Attack, true)
            && told(Status::Firing, Cause::Tampering, false)
    }

    /// Pseudonyms that alerts name.
    pub fn pseudonyms(&self) -> BTreeSet<&str> {
        let found = self.alerts.iter().flat_map(|alert| &alert.evidence);
        found.filter_map(|found| found.client.as_ref()?.pseudonym.as_deref()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_comes_out_twice_counts_once_and_is_told() {
        let mut tally = Tally::new(2);
        for _ in 0..2 {
            tally.count(1, Truth::Malformed, Destination::DeadLetter, None);
        }
        tally.count(7, Truth::Clean, Destination::Sanitized, None);
        assert_eq!((tally.out(), tally.twice), (1, 2));
        assert_eq!(tally.kind(Truth::Malformed), Kind { n: 1, flagged: 0, dead: 1 });
    }
}
