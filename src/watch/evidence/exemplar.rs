//! Flagged records that stand for the others of a window: where a person begins to look.
//!
//! The first flagged record of an attack is often a clean one, flagged because the budget allows some. So the most
//! suspicious ones are kept, a few of each oddity. Which those are depends neither on the order in which records
//! and messages come nor on how they were cut: kept(A ∪ B) = kept(kept(A) ∪ kept(B)).

use serde::{Deserialize, Serialize};

use crate::record::{Oddity, Offset, Partition};

/// One flagged record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exemplar {
    /// Its p-value, in billionths: the smaller, the more suspicious.
    pub p: u32,
    /// Where it is in the input.
    pub partition: Partition,
    pub offset: Offset,
    /// What is most odd about it.
    pub oddity: Oddity,
}

/// The most suspicious of many, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Exemplars(Vec<Exemplar>);

/// How many are kept of one oddity, and in all.
const EACH_MAX: usize = 3;
const ALL_MAX: usize = 9;

impl Exemplar {
    /// The p-value as it is kept.
    pub fn billionths(p: f32) -> u32 {
        (f64::from(p).clamp(0.0, 1.0) * 1e9).round() as u32
    }
}

impl Exemplars {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Exemplar> {
        self.0.iter()
    }

    /// One more flagged record.
    pub fn offer(&mut self, one: Exemplar) {
        let Err(at) = self.0.binary_search(&one) else { return };
        let alike = |known: &&Exemplar| known.oddity.is_like(one.oddity);
        if at == ALL_MAX || self.0[..at].iter().filter(alike).count() == EACH_MAX {
            return;
        }
        self.0.insert(at, one);
        let last_alike = self.0.iter().rposition(|known| known.oddity.is_like(one.oddity));
        if self.0.iter().filter(alike).count() > EACH_MAX {
            self.0.remove(last_alike.expect("it is one itself"));
        }
        self.0.truncate(ALL_MAX);
    }

    /// Adds the exemplars of `other`.
    pub fn join(&mut self, other: &Self) {
        other.0.iter().for_each(|&one| self.offer(one));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::Manner;

    fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
        let one = (0_u32..6, 0_i32..3, 0_i64..30, 0_u32..4).prop_map(
            |(p, partition, offset, feature)| {
                let oddity = Oddity { feature, manner: Manner::High, with: None };
                Exemplar { p, partition: Partition(partition), offset: Offset(offset), oddity }
            },
        );
        proptest::collection::vec(one, 0..60)
    }

    fn kept(of: &[Exemplar]) -> Exemplars {
        let mut kept = Exemplars::default();
        of.iter().for_each(|&one| kept.offer(one));
        kept
    }

    proptest! {
        #[test]
        fn what_is_kept_hangs_neither_on_order_nor_on_cuts(mut all in exemplars(), at in 0_usize..60) {
            // A record has one p-value.
            all.sort_by_key(|one| (one.partition, one.offset));
            all.dedup_by_key(|one| (one.partition, one.offset));
            let whole = kept(&all);
            let (a, b) = all.split_at(at.min(all.len()));
            let (mut there, mut back) = (kept(a), kept(b));
            there.join(&kept(b));
            back.join(&kept(a));
            prop_assert_eq!(&there, &whole);
            prop_assert_eq!(&back, &whole);
            all.reverse();
            prop_assert_eq!(&kept(&all), &whole);
            prop_assert!(whole.0.len() <= ALL_MAX);
        }

        #[test]
        fn the_most_suspicious_record_is_always_kept(all in exemplars()) {
            let kept = kept(&all);
            prop_assert_eq!(kept.iter().next(), all.iter().min());
        }
    }
}
