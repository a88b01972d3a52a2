//! How well one score tells suspects from clean rows, each number with its 95 % interval.
//!
//! Intervals know how many rows there are and nothing else: those of the shares take the threshold as
//! given, though it was read off the clean rows too.

use serde::Serialize;

use crate::math::{auroc, auroc_interval, average_precision, exceeding, threshold, wilson};

/// One score on one file of suspects. Intervals: Newcombe's method 5 for AUROC, Wilson's for shares;
/// for AP too, with the suspects as its n (the binomial interval of Boyd, Eng, Page 2013).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// Probability that a suspect scores higher than a clean row, ties counting half.
    pub auroc: f64,
    pub auroc_interval: (f64, f64),
    /// Average precision; depends on how many rows there are of either kind.
    pub ap: f64,
    pub ap_interval: (f64, f64),
    /// Share of suspects beyond the score that at most 1 % of the clean rows exceed; ties with it
    /// are not beyond.
    pub tpr_at_1pct: f64,
    pub tpr_at_1pct_interval: (f64, f64),
    /// Share of suspects beyond the score that at most 0.1 % of the clean rows exceed.
    pub tpr_at_01pct: f64,
    pub tpr_at_01pct_interval: (f64, f64),
}

impl Measure {
    /// Scores of clean rows and of suspects, neither empty.
    pub fn of(clean: &[f32], suspects: &[f32]) -> Self {
        let n = suspects.len();
        let area = auroc(clean, suspects);
        let ap = average_precision(clean, suspects);
        let tpr = |fpr| exceeding(suspects, threshold(clean, fpr)) as f64 / n as f64;
        let (tpr_at_1pct, tpr_at_01pct) = (tpr(0.01), tpr(0.001));
        Self {
            auroc: area,
            auroc_interval: auroc_interval(area, clean.len(), n),
            ap,
            ap_interval: wilson(ap, n),
            tpr_at_1pct,
            tpr_at_1pct_interval: wilson(tpr_at_1pct, n),
            tpr_at_01pct,
            tpr_at_01pct_interval: wilson(tpr_at_01pct, n),
        }
    }
}
