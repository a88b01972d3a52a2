//! Several detectors' scores as one.

use crate::bundle::{Member, Role, TensorError, Tensors};
use crate::math::RankTail;

/// A weighted sum of surprises, and beside it the detectors of triggers, each alone.
///
/// The sum is Σ wᵢ · surpriseᵢ, a surprise being −ln of a rank p-value (Fisher's method when weights
/// are 1): several half-convinced detectors speak together, which is what a small perturbation
/// looks like; one that is certain still decides alone, because its surprise keeps growing beyond
/// the last reference score.
///
/// Attacks of our own making can say how much each of them counts, and would say that a detector of
/// triggers counts nothing: they carry none. So those stand beside the sum, each with a share of the
/// budget, and the loudest decides: with S the surprise of the sum itself among clean rows and c
/// what the shares leave, max(S, surpriseⱼ − ln(c / shareⱼ)). Without them it is the sum.
///
/// It is only an order: [`super::Calibration`] turns it into a probability, valid however the
/// detectors depend on each other.
///
/// # Source
/// R. A. Fisher, "Statistical Methods for Research Workers", 1932, §21.1; a weighted smallest p:
/// C. Genovese, K. Roeder, L. Wasserman, Biometrika 93, 2006.
#[derive(Clone, Debug)]
pub struct Merge {
    members: Vec<(Member, RankTail)>,
    /// Sums of clean rows, if there are members beside the sum.
    sums: Option<RankTail>,
}

impl Merge {
    /// Each member with its scores on clean rows that it did not learn from, one row after the
    /// other in all of them.
    pub fn new(members: Vec<(Member, RankTail)>, clean: &[Vec<f32>]) -> Self {
        assert!(!members.is_empty(), "nothing to merge");
        let mut merge = Self { members, sums: None };
        if merge.members.iter().any(|(member, _)| member.role == Role::Trigger) {
            merge.sums = Some(RankTail::new(clean.iter().map(|row| merge.sum(row)).collect()));
        }
        merge
    }

    pub(super) fn members(&self) -> Vec<Member> {
        self.members.iter().map(|(member, _)| member.clone()).collect()
    }

    /// Shape: `scores` `[k]`, one per member, finite and ≥ 0. At least 0. O(k log m).
    ///
    /// # Panics
    /// If there is not one score per member.
    pub fn score(&self, scores: &[f32]) -> f32 {
        let sum = self.sum(scores);
        let Some(sums) = &self.sums else { return sum };
        self.alone(scores).map(|(_, part)| part).fold(sums.surprise(sum), f32::max)
    }

    /// Index of the member that speaks loudest; the first of equals.
    pub(super) fn leading(&self, scores: &[f32]) -> usize {
        let first =
            |best: (usize, f32), next: (usize, f32)| if next.1 > best.1 { next } else { best };
        let summed = self.parts(scores).fold((0, f32::NEG_INFINITY), first);
        let Some(sums) = &self.sums else { return summed.0 };
        let start = (summed.0, sums.surprise(self.sum(scores)));
        self.alone(scores).fold(start, first).0
    }

    /// What each member adds to what is said, as a share of it.
    pub(super) fn shares(&self, scores: &[f32], shares: &mut Vec<f32>) {
        shares.clear();
        shares.resize(scores.len(), 0.0);
        self.parts(scores).for_each(|(i, part)| shares[i] = part);
        if let Some(sums) = &self.sums {
            // As loud together as their sum is among sums.
            let sum = self.sum(scores);
            let loud = if sum > 0.0 { sums.surprise(sum) / sum } else { 0.0 };
            shares.iter_mut().for_each(|share| *share *= loud);
            self.alone(scores).for_each(|(i, part)| shares[i] = part.max(0.0));
        }
        let sum: f32 = shares.iter().sum();
        if sum > 0.0 {
            shares.iter_mut().for_each(|share| *share /= sum);
        }
    }

    /// The slope, in each detector's score, of how far all that speak above `level` are above it
    /// together: what an attacker who wants a merged score below `level` descends. Shape: `[k]` both.
    pub(super) fn slopes(&self, scores: &[f32], level: f32) -> Vec<f32> {
        let mut slopes = vec![0.0; scores.len()];
        let sum = self.sum(scores);
        let (height, steep) = match &self.sums {
            Some(sums) => (sums.surprise(sum), sums.slope(sum)),
            None => (sum, 1.0),
        };
        let slope = |i: usize| self.members[i].1.slope(scores[i]);
        if height > level {
            let parts = self.of(Role::Attack, scores);
            parts.for_each(|(i, weight, _)| slopes[i] = steep * weight * slope(i));
        }
        if self.sums.is_some() {
            let loud = self.alone(scores).filter(|(_, part)| *part > level);
            loud.for_each(|(i, _)| slopes[i] = slope(i));
        }
        slopes
    }

    pub(super) fn role(&self, member: usize) -> Role {
        self.members[member].0.role
    }

    fn sum(&self, scores: &[f32]) -> f32 {
        self.parts(scores).map(|(_, part)| part).sum()
    }

    /// What each member of the sum adds to it.
    fn parts(&self, scores: &[f32]) -> impl Iterator<Item = (usize, f32)> {
        self.of(Role::Attack, scores).map(|(i, weight, surprise)| (i, weight * surprise))
    }

    /// What each member beside the sum says alone.
    fn alone(&self, scores: &[f32]) -> impl Iterator<Item = (usize, f32)> {
        let shares = self.members.iter().filter(|(member, _)| member.role == Role::Trigger);
        let left = 1.0 - shares.map(|(member, _)| member.weight).sum::<f32>();
        let triggers = self.of(Role::Trigger, scores);
        triggers.map(move |(i, share, surprise)| (i, surprise - (left / share).ln()))
    }

    fn of(&self, role: Role, scores: &[f32]) -> impl Iterator<Item = (usize, f32, f32)> {
        assert_eq!(scores.len(), self.members.len());
        let all = self.members.iter().zip(scores).enumerate();
        let these = all.filter(move |(_, ((member, _), _))| member.role == role);
        these.map(|(i, ((member, tail), &score))| (i, member.weight, tail.surprise(score)))
    }

    pub(super) fn load(tensors: &Tensors, members: &[Member]) -> Result<Self, TensorError> {
        let load = |member: &Member| Ok((member.clone(), positive(tensors, &tensor_name(member))?));
        let members: Vec<_> = members.iter().map(load).collect::<Result<_, _>>()?;
        let beside = members.iter().any(|(member, _)| member.role == Role::Trigger);
        let sums = if beside { Some(positive(tensors, SUMS)?) } else { None };
        Ok(Self { members, sums })
    }

    pub(super) fn save(&self, tensors: &mut Tensors) {
        for (member, tail) in &self.members {
            let scores = tail.sorted().to_vec();
            tensors.put(tensor_name(member), &[scores.len()], scores);
        }
        if let Some(sums) = &self.sums {
            tensors.put(SUMS, &[sums.sorted().len()], sums.sorted().to_vec());
        }
    }
}

const SUMS: &str = "ranks";

/// The ranks that a bundle keeps under this name.
fn positive(tensors: &Tensors, name: &str) -> Result<RankTail, TensorError> {
    let scores = tensors.vector(name, None)?.to_vec();
    match scores.iter().find(|score| **score < 0.0) {
        Some(&value) => {
            let name = name.to_owned();
            Err(TensorError::Value { name, value, expected: "scores of at least 0" })
        }
        None => Ok(RankTail::new(scores)),
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

    fn merge(roles: [Role; 3]) -> Merge {
        let [a, b, c] = roles;
        let members = vec![member("a", 1.0, a), member("b", 0.5, b), member("c", 0.2, c)];
        let clean: Vec<Vec<f32>> = (0..999).map(|i| vec![i as f32; 3]).collect();
        Merge::new(members, &clean)
    }

    #[test]
    fn without_detectors_of_triggers_the_merged_score_is_the_weighted_sum() {
        let merge = merge([Role::Attack; 3]);
        // Half of the reference is as large: ln 2 each.
        let expected = (1.0 + 0.5 + 0.2) * 2.0_f32.ln();
        assert!((merge.score(&[500.0; 3]) - expected).abs() < 0.01);
        assert_eq!(merge.leading(&[500.0, 900.0, 500.0]), 1);
    }

    #[test]
    fn a_detector_of_triggers_that_is_certain_decides_and_one_that_is_not_changes_nothing() {
        let merge = merge([Role::Attack, Role::Attack, Role::Trigger]);
        let quiet = merge.score(&[500.0, 500.0, 0.0]);
        assert!((quiet - 2.0_f32.ln()).abs() < 0.01, "{quiet}");
        assert_eq!(merge.leading(&[500.0, 500.0, 0.0]), 0);
        // 25 of 1000 are as large; its share of the budget is a fifth, four fifths are left.
        let loud = merge.score(&[500.0, 500.0, 975.0]);
        assert!((loud - (40.0_f32.ln() - 4.0_f32.ln())).abs() < 0.01, "{loud}");
        let leading = merge.leading(&[500.0, 500.0, 975.0]);
        assert_eq!((leading, merge.role(leading)), (2, Role::Trigger));
    }

    #[test]
    fn slopes_are_those_of_what_speaks_above_the_level() {
        let merge = merge([Role::Attack, Role::Attack, Role::Trigger]);
        assert_eq!(merge.slopes(&[100.0; 3], 1.0), [0.0; 3]);
        let loud = merge.slopes(&[900.0, 900.0, 100.0], 1.0);
        assert!(loud[0] > loud[1] && loud[1] > 0.0 && loud[2] == 0.0, "{loud:?}");
        let trigger = merge.slopes(&[100.0, 100.0, 2000.0], 1.0);
        assert!(trigger[0] == 0.0 && trigger[2] > 0.0, "{trigger:?}");
    }

    #[test]
    fn a_merge_saved_and_loaded_gives_the_same_bits() {
        let merge = merge([Role::Attack, Role::Trigger, Role::Trigger]);
        let mut tensors = Tensors::default();
        merge.save(&mut tensors);
        let loaded = Merge::load(&tensors, &merge.members()).unwrap();
        for scores in [[0.0; 3], [5.0, 998.0, 3.0], [1e9, 2.0, 700.0]] {
            assert_eq!(merge.score(&scores).to_bits(), loaded.score(&scores).to_bits());
        }
    }
}
