//! Several detectors' scores as one.

use crate::bundle::{Member, Role, TensorError, Tensors};
use crate::math::RankTail;

/// A weighted sum of surprises, and beside it a sum of those of the detectors of triggers.
///
/// The sum is Σ wᵢ · surpriseᵢ. A surprise is −ln of a rank p-value; with all weights 1 this is Fisher's method. A small
/// perturbation gives several detectors a moderate surprise each, and these add up. One detector with a surprise of 20
/// still decides alone, because its surprise keeps growing beyond the last reference score.
///
/// The weights come from attacks of our own. These carry no triggers, so a detector of triggers would get weight 0.
/// Therefore these detectors have a sum of their own, with equal weights, and a share t of the budget. The larger sum decides:
/// with S and T the surprises of the two sums among clean rows, the merged score is max(S, T − ln((1 − t) / t)). Without such
/// detectors it is the first sum.
///
/// The merged score is only an order. [`super::Calibration`] turns it into a probability, which is valid however the detectors
/// depend on each other.
///
/// # Source
/// R. A. Fisher, "Statistical Methods for Research Workers", 1932, §21.1; a weighted smallest p:
/// C. Genovese, K. Roeder, L. Wasserman, Biometrika 93, 2006.
#[derive(Clone, Debug)]
pub struct Merge {
    members: Vec<(Member, RankTail)>,
    triggers: Option<Triggers>,
}

/// The detectors of triggers, in a sum of their own, and the ranks of both sums among clean rows.
#[derive(Clone, Debug)]
struct Triggers {
    sums: RankTail,
    trigger_sums: RankTail,
    /// Of the budget.
    share: f32,
}

/// From this surprise of one detector of triggers on, a row counts as one with a trigger: p ≤ .01. Of attacks of our own few
/// reach it (8 % of PGD on the shipped bundle), of triggers nearly all.
const TRIGGER_SURPRISE: f32 = 4.6;

impl Merge {
    /// Each member with its scores on clean rows that it did not learn from, one row after the
    /// other in all of them. `triggers` is the share of those that are not in the sum, or in both.
    pub fn new(
        members: Vec<(Member, RankTail)>,
        clean: &[Vec<f32>],
        triggers: Option<f32>,
    ) -> Self {
        assert!(!members.is_empty(), "nothing to merge");
        let mut merge = Self { members, triggers: None };
        merge.triggers = triggers.map(|share| {
            let sums = clean.iter().map(|row| merge.sum(row)).collect();
            let trigger_sums = clean.iter().map(|row| merge.trigger_sum(row)).collect();
            let (sums, trigger_sums) = (RankTail::of_sums(sums), RankTail::of_sums(trigger_sums));
            Triggers { sums, trigger_sums, share }
        });
        merge
    }

    pub(super) fn members(&self) -> Vec<Member> {
        self.members.iter().map(|(member, _)| member.clone()).collect()
    }

    /// The share of the budget that detectors of triggers have together.
    pub(super) fn triggers(&self) -> Option<f32> {
        self.triggers.as_ref().map(|triggers| triggers.share)
    }

    /// Shape: `scores` `[k]`, one per member, finite and ≥ 0. At least 0. O(k log m).
    ///
    /// # Panics
    /// If there is not one score per member.
    pub fn score(&self, scores: &[f32]) -> f32 {
        let (sum, beside) = self.both_sums(scores);
        sum.max(beside)
    }

    /// Both sums, as surprises if there are two; the second is −∞ if there is no detector of triggers.
    fn both_sums(&self, scores: &[f32]) -> (f32, f32) {
        let sum = self.sum(scores);
        match &self.triggers {
            None => (sum, f32::NEG_INFINITY),
            Some(Triggers { sums, trigger_sums, share }) => {
                let together = trigger_sums.surprise(self.trigger_sum(scores));
                (sums.surprise(sum), together - price(*share))
            }
        }
    }

    /// What member `i` adds to the sum with this score; 0 if it stands beside it.
    pub(super) fn part(&self, i: usize, score: f32) -> f32 {
        let (member, tail) = &self.members[i];
        let weight = if member.role == Role::Trigger { 0.0 } else { member.weight };
        weight * tail.surprise(score)
    }

    /// Index of the member with the largest part; the first of equals.
    pub(super) fn leading(&self, scores: &[f32]) -> usize {
        let first =
            |best: (usize, f32), next: (usize, f32)| if next.1 > best.1 { next } else { best };
        let start = (0, f32::NEG_INFINITY);
        let (sum, beside) = self.both_sums(scores);
        match beside > sum {
            false => self.parts(scores).fold(start, first).0,
            true => self.surprises_beside(scores).fold(start, first).0,
        }
    }

    /// The part of each member in the sum that decides, as a share of it.
    pub(super) fn shares(&self, scores: &[f32], shares: &mut Vec<f32>) {
        shares.clear();
        shares.resize(scores.len(), 0.0);
        let (sum, beside) = self.both_sums(scores);
        match beside > sum {
            false => self.parts(scores).for_each(|(i, part)| shares[i] = part),
            true => self.surprises_beside(scores).for_each(|(i, part)| shares[i] = part),
        }
        let sum: f32 = shares.iter().sum();
        if sum > 0.0 {
            shares.iter_mut().for_each(|share| *share /= sum);
        }
    }

    /// The slope, in each detector's score, of how far the sums above `level` exceed it together. An attacker who wants a
    /// merged score below `level` descends it. Shape: `[k]` both.
    pub(super) fn slopes(&self, scores: &[f32], level: f32) -> Vec<f32> {
        let mut slopes = vec![0.0; scores.len()];
        let (height, beside) = self.both_sums(scores);
        let triggers = self.triggers.as_ref();
        let steep = triggers.map_or(1.0, |triggers| triggers.sums.slope(self.sum(scores)));
        let slope = |i: usize| self.members[i].1.slope(scores[i]);
        if height > level {
            let parts = self.parts(scores);
            parts.for_each(|(i, _)| slopes[i] = steep * self.members[i].0.weight * slope(i));
        }
        if let Some(triggers) = triggers.filter(|_| beside > level) {
            let steep = triggers.trigger_sums.slope(self.trigger_sum(scores));
            self.surprises_beside(scores).for_each(|(i, _)| slopes[i] += steep * slope(i));
        }
        slopes
    }

    /// Whether a flagged row counts as one with a trigger: a detector that is for triggers alone has a large surprise.
    pub(super) fn hears_trigger(&self, scores: &[f32]) -> bool {
        self.of(Role::Trigger, scores).any(|(_, _, surprise)| surprise >= TRIGGER_SURPRISE)
    }

    fn sum(&self, scores: &[f32]) -> f32 {
        self.parts(scores).map(|(_, part)| part).sum()
    }

    fn trigger_sum(&self, scores: &[f32]) -> f32 {
        self.surprises_beside(scores).map(|(_, surprise)| surprise).sum()
    }

    /// What each member of the sum adds to it.
    fn parts(&self, scores: &[f32]) -> impl Iterator<Item = (usize, f32)> {
        let both = self.of(Role::Attack, scores).chain(self.of(Role::Both, scores));
        both.map(|(i, weight, surprise)| (i, weight * surprise))
    }

    /// What each member of the sum of triggers adds to that.
    fn surprises_beside(&self, scores: &[f32]) -> impl Iterator<Item = (usize, f32)> {
        let both = self.of(Role::Trigger, scores).chain(self.of(Role::Both, scores));
        both.map(|(i, _, surprise)| (i, surprise))
    }

    fn of(&self, role: Role, scores: &[f32]) -> impl Iterator<Item = (usize, f32, f32)> {
        assert_eq!(scores.len(), self.members.len());
        let all = self.members.iter().zip(scores).enumerate();
        let these = all.filter(move |(_, ((member, _), _))| member.role == role);
        these.map(|(i, ((member, tail), &score))| (i, member.weight, tail.surprise(score)))
    }

    /// `triggers` as the manifest says.
    pub(super) fn load(
        tensors: &Tensors,
        members: &[Member],
        triggers: Option<f32>,
    ) -> Result<Self, TensorError> {
        let ranks = |member: &Member| {
            let scores = positive(tensors, &tensor_name(member))?;
            Ok((member.clone(), RankTail::new(scores)))
        };
        let members: Vec<_> = members.iter().map(ranks).collect::<Result<_, _>>()?;
        let beside = |share| {
            Ok(Triggers {
                sums: RankTail::of_sums(positive(tensors, SUMS)?),
                trigger_sums: RankTail::of_sums(positive(tensors, TRIGGERS)?),
                share,
            })
        };
        Ok(Self { members, triggers: triggers.map(beside).transpose()? })
    }

    pub(super) fn save(&self, tensors: &mut Tensors) {
        for (member, tail) in &self.members {
            put(tensors, &tensor_name(member), tail);
        }
        if let Some(Triggers { sums, trigger_sums, .. }) = &self.triggers {
            put(tensors, SUMS, sums);
            put(tensors, TRIGGERS, trigger_sums);
        }
    }
}

/// What a share of the budget costs a voice beside the one that has the rest, in nats.
fn price(share: f32) -> f32 {
    ((1.0 - share) / share).ln()
}

const SUMS: &str = "ranks";
/// No detector has this name.
const TRIGGERS: &str = "ranks.+triggers";

fn put(tensors: &mut Tensors, name: &str, tail: &RankTail) {
    tensors.put(name, &[tail.sorted().len()], tail.sorted().to_vec());
}

/// The scores that a bundle keeps under this name.
fn positive(tensors: &Tensors, name: &str) -> Result<Vec<f32>, TensorError> {
    let scores = tensors.vector(name, None)?.to_vec();
    match scores.iter().find(|score| **score < 0.0) {
        Some(&value) => {
            let name = name.to_owned();
            Err(TensorError::Value { name, value, expected: "scores of at least 0" })
        }
        None => Ok(scores),
    }
}

fn tensor_name(member: &Member) -> String {
    format!("ranks.{}", member.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(kind: &str, weight: f32, role: Role) -> (Member, RankTail) {
        let tail = RankTail::new((0..999).map(|i| i as f32).collect());
        (Member { kind: kind.into(), weight, role }, tail)
    }

    /// Clean rows on which the members agree.
    fn merge(roles: [Role; 3], triggers: Option<f32>) -> Merge {
        let [a, b, c] = roles;
        let members = vec![member("a", 1.0, a), member("b", 0.5, b), member("c", 0.2, c)];
        let clean: Vec<Vec<f32>> = (0..999).map(|i| vec![i as f32; 3]).collect();
        Merge::new(members, &clean, triggers)
    }

    const ONE: [Role; 3] = [Role::Attack, Role::Attack, Role::Trigger];
    const TWO: [Role; 3] = [Role::Attack, Role::Both, Role::Trigger];

    #[test]
    fn without_detectors_of_triggers_the_merged_score_is_the_weighted_sum() {
        let merge = merge([Role::Attack; 3], None);
        // Half of the reference is as large: ln 2 each.
        let expected = (1.0 + 0.5 + 0.2) * 2.0_f32.ln();
        assert!((merge.score(&[500.0; 3]) - expected).abs() < 0.01);
        assert_eq!(merge.leading(&[500.0, 900.0, 500.0]), 1);
    }

    #[test]
    fn detectors_of_triggers_that_are_certain_decide_and_if_they_are_not_change_nothing() {
        {
            let merge = merge(ONE, Some(0.2));
            let quiet = merge.score(&[500.0, 500.0, 0.0]);
            assert!((quiet - 2.0_f32.ln()).abs() < 0.01, "{quiet}");
            assert_eq!(merge.leading(&[500.0, 500.0, 0.0]), 0);
            assert!(!merge.hears_trigger(&[500.0, 500.0, 0.0]));
            // 25 of 1000 are as large; a fifth of the budget is theirs.
            let loud = merge.score(&[500.0, 500.0, 975.0]);
            assert!((loud - (40.0_f32.ln() - 4.0_f32.ln())).abs() < 0.01, "{loud}");
            assert_eq!(merge.leading(&[500.0, 500.0, 975.0]), 2);
            assert!(merge.hears_trigger(&[500.0, 500.0, 998.0]));
        }
    }

    #[test]
    fn what_two_detectors_of_triggers_hear_is_louder_than_what_one_hears() {
        let merge = merge(TWO, Some(0.2));
        let [one, two] = [[0.0, 500.0, 990.0], [0.0, 990.0, 990.0]].map(|row| merge.score(&row));
        assert!(two > one + 1.0, "{one} {two}");
        // And it keeps growing beyond the last reference score.
        let [near, far] = [[0.0, 2e3, 2e3], [0.0, 2e4, 2e4]].map(|row| merge.score(&row));
        assert!(far > near + 1.0, "{near} {far}");
    }

    #[test]
    fn shares_are_of_the_louder_sum() {
        let merge = merge(TWO, Some(0.2));
        let mut shares = vec![];
        merge.shares(&[2000.0, 0.0, 0.0], &mut shares);
        assert_eq!(shares, [1.0, 0.0, 0.0]);
        merge.shares(&[0.0, 500.0, 2000.0], &mut shares);
        assert!(shares[0] == 0.0 && shares[2] > shares[1] && shares[1] > 0.0, "{shares:?}");
        assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn slopes_are_those_of_what_speaks_above_the_level() {
        {
            let merge = merge(ONE, Some(0.2));
            assert_eq!(merge.slopes(&[100.0; 3], 1.0), [0.0; 3]);
            let loud = merge.slopes(&[900.0, 900.0, 100.0], 1.0);
            assert!(loud[0] > loud[1] && loud[1] > 0.0 && loud[2] == 0.0, "{loud:?}");
            let trigger = merge.slopes(&[100.0, 100.0, 2000.0], 1.0);
            assert!(trigger[0] == 0.0 && trigger[2] > 0.0, "{trigger:?}");
        }
    }

    #[test]
    fn a_merge_saved_and_loaded_gives_the_same_bits() {
        for merge in [merge(TWO, Some(0.1)), merge([Role::Attack; 3], None)] {
            let mut tensors = Tensors::default();
            merge.save(&mut tensors);
            let loaded = Merge::load(&tensors, &merge.members(), merge.triggers()).unwrap();
            for scores in [[0.0; 3], [5.0, 998.0, 3.0], [1e9, 2.0, 700.0]] {
                assert_eq!(merge.score(&scores).to_bits(), loaded.score(&scores).to_bits());
            }
        }
    }
}
