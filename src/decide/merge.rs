//! Several detectors' scores as one.

use crate::bundle::{Member, TensorError, Tensors};
use crate::math::RankTail;

/// Σ wᵢ · surpriseᵢ: a weighted sum of −ln rank p-values (Fisher's method when weights are 1).
/// `fit` lets detectors that repeat each other on clean rows share one voice.
///
/// A sum lets several half-convinced detectors speak together, which is what a small perturbation
/// looks like; one detector that is certain still decides alone, because its surprise keeps
/// growing beyond the last reference score. The sum is only an order: [`super::Calibration`]
/// turns it into a probability, valid however the detectors depend on each other.
///
/// # Source
/// R. A. Fisher, "Statistical Methods for Research Workers", 1932, §21.1.
#[derive(Clone, Debug)]
pub struct Merge {
    members: Vec<(Member, RankTail)>,
}

impl Merge {
    /// Each member with its scores on clean rows that it did not learn from.
    pub fn new(members: Vec<(Member, RankTail)>) -> Self {
        assert!(!members.is_empty(), "nothing to merge");
        Self { members }
    }

    pub(super) fn members(&self) -> Vec<Member> {
        self.members.iter().map(|(member, _)| member.clone()).collect()
    }

    /// Shape: `scores` `[k]`, one per member, finite and ≥ 0. O(k log m).
    ///
    /// # Panics
    /// If there is not one score per member.
    pub fn score(&self, scores: &[f32]) -> f32 {
        self.parts(scores).sum()
    }

    /// Index of the member that adds most; the first of equals.
    pub(super) fn leading(&self, scores: &[f32]) -> usize {
        let mut best = (0, f32::NEG_INFINITY);
        for (i, part) in self.parts(scores).enumerate() {
            if part > best.1 {
                best = (i, part);
            }
        }
        best.0
    }

    /// What each member adds, as a share of the score.
    pub(super) fn shares(&self, scores: &[f32], shares: &mut Vec<f32>) {
        shares.clear();
        shares.extend(self.parts(scores));
        let sum: f32 = shares.iter().sum();
        if sum > 0.0 {
            shares.iter_mut().for_each(|share| *share /= sum);
        }
    }

    fn parts(&self, scores: &[f32]) -> impl Iterator<Item = f32> {
        assert_eq!(scores.len(), self.members.len());
        let pairs = self.members.iter().zip(scores);
        pairs.map(|((member, tail), &score)| member.weight * tail.surprise(score))
    }

    pub(super) fn load(tensors: &Tensors, members: &[Member]) -> Result<Self, TensorError> {
        let load = |member: &Member| {
            let name = tensor_name(member);
            let scores = tensors.vector(&name, None)?.to_vec();
            if let Some(&value) = scores.iter().find(|s| **s < 0.0) {
                return Err(TensorError::Value { name, value, expected: "scores of at least 0" });
            }
            Ok((member.clone(), RankTail::new(scores)))
        };
        Ok(Self { members: members.iter().map(load).collect::<Result<_, _>>()? })
    }

    pub(super) fn save(&self, tensors: &mut Tensors) {
        for (member, tail) in &self.members {
            let scores = tail.sorted().to_vec();
            tensors.put(tensor_name(member), &[scores.len()], scores);
        }
    }
}

fn tensor_name(member: &Member) -> String {
    format!("ranks.{}", member.kind)
}
