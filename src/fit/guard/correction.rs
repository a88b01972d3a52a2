//! What correcting does to the protected model's answers, clean and attacked.
//!
//! Measured once, on rows that nothing was trained on, as if every one of them were corrected: the loss
//! on clean rows is what correction costs where it is not needed. Labels that corrected attacks seldom
//! have rightly are not trusted: a record whose corrected version has one is held back instead. The
//! attacks are our own; those of others may be restored less often.

use super::columns::Table;
use super::detectors::{Detectors, label_of};
use crate::bundle::Correction;
use crate::decide::Decider;
use crate::record::Probability;

/// Corrected attacks a label needs before it can be distrusted.
const ROWS_MIN: usize = 20;

/// Clean rows with the label that each should have, if that is known.
pub struct Clean<'a> {
    pub table: &'a Table,
    pub labels: Option<Vec<i64>>,
}

/// Attacked rows with the label that each had before.
pub struct Attacked<'a> {
    pub table: &'a Table,
    pub labels: &'a [u32],
}

/// Measures it; `None` without a protected model. `loss_max` is what an operator can bear.
pub fn measure(
    (detectors, decider): (&Detectors, &Decider),
    clean: &[Clean<'_>],
    attacked: &[Attacked<'_>],
    loss_max: Probability,
) -> Option<Correction> {
    let (mut rows, mut before, mut after) = (0_u64, 0_u64, 0_u64);
    for Clean { table, labels } in clean {
        let columns = table.rows();
        if columns.answer.ncols() < 2 {
            return None;
        }
        for (i, version) in detectors.versions(decider, table).into_iter().enumerate() {
            let own = columns.label(i) as i64;
            let right = labels.as_ref().map_or(own, |labels| labels[i]);
            rows += 1;
            before += u64::from(own == right);
            after += u64::from(label_of(&columns, version, i) as i64 == right);
        }
    }
    let k = clean.first()?.table.rows().answer.ncols();
    // Of the attacks whose corrected version has a label: how many rightly, how many at all.
    let mut counts = vec![[0_usize; 2]; k];
    for Attacked { table, labels } in attacked {
        let columns = table.rows();
        for (i, version) in detectors.versions(decider, table).into_iter().enumerate() {
            let got = label_of(&columns, version, i);
            counts[got][0] += usize::from(got == labels[i] as usize);
            counts[got][1] += 1;
        }
    }
    let total = |which: usize| counts.iter().map(|count| count[which]).sum::<usize>();
    let restored = (total(1) > 0).then(|| total(0) as f64 / total(1) as f64);
    let is_distrusted = |[right, all]: &[usize; 2]| *all >= ROWS_MIN && 2 * right < *all;
    let distrusted = counts.iter().enumerate().filter(|(_, count)| is_distrusted(count));
    let distrusted = distrusted.map(|(label, _)| label as u32).collect();
    let lost = (before as f64 - after as f64) / rows.max(1) as f64;
    Some(Correction { rows, lost, loss_max, restored, distrusted })
}
