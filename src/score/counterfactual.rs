//! A small change of a flagged record with which it would have passed: what the field calls a *counterfactual*.
//!
//! The parts of the most suspicious row that carry its score become typical, the heaviest first, until the record
//! passes. That is a small change, found in this order; a smaller one may exist.

use super::unseal::Cover;
use super::{Batch, Guard, GuardFailure};
use crate::model::Networks;
use crate::record::{Action, Part, Record};

/// Parts that are changed at most: what takes more is no explanation for people.
const PARTS_MAX: usize = 256;
/// Tries at most: each is a score of the record.
const STEPS_MAX: usize = 64;
/// So many are changed one by one; then each step changes twice as many as the one before, as images need.
const ONE_BY_ONE: usize = 16;

/// One part that would have to be another.
#[derive(Clone, Debug, PartialEq)]
pub struct PartSwap {
    /// The row of the record, from 0, and the part of it.
    pub row: usize,
    pub part: Part,
    /// What it says, and what it would have to say.
    pub seen: String,
    pub typical: String,
}

/// The changes with which `record` would pass; none of one that passes. `None` if no such changes are found, or it cannot
/// be read.
///
/// # Errors
/// If the networks score nothing.
pub fn counterfactual(
    guard: &Guard,
    networks: &mut Networks,
    record: &Record<'_>,
) -> Result<Option<Vec<PartSwap>>, GuardFailure> {
    guard.unsealed(record, |record, cover| match cover {
        Cover::Shut(_) => Ok(None),
        _ => of_inner(guard, networks, record),
    })
}

/// The changes for a record whose value is in clear.
fn of_inner(
    guard: &Guard,
    networks: &mut Networks,
    record: &Record<'_>,
) -> Result<Option<Vec<PartSwap>>, GuardFailure> {
    let (schema, mut batch) = (guard.schema(), Batch::default());
    let Some(mut rows) = guard.inner_rows(record) else { return Ok(None) };
    let (parts, width) = (schema.parts(), schema.width());
    let (mut changes, mut value): (Vec<PartSwap>, _) = (vec![], record.value.map(<[u8]>::to_vec));
    let (mut each, mut steps, mut typical) = (1, 0, vec![]);
    loop {
        let now = Record { value: value.as_deref(), ..*record };
        batch.score_inner(guard, networks, &[now], &[Cover::Bare])?;
        let outcome = &batch.outcomes()[0];
        if outcome.judged.is_ok_and(|verdict| verdict.action == Action::Pass) {
            return Ok((!outcome.unscored).then_some(changes));
        }
        let Some(explanation) = batch.explain(guard, 0) else { return Ok(None) };
        let (heat, row) = (explanation.heat(), explanation.row());
        explanation.reasons(&mut typical);
        let seen = &rows[row * width..][..width];
        let differs = |part: &&Part| seen[part.columns.clone()] != typical[part.columns.clone()];
        let weight = |part: &Part| heat[part.columns.clone()].iter().sum::<f32>();
        let mut left: Vec<&Part> = parts.iter().filter(differs).collect();
        left.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
        left.truncate(each);
        if left.is_empty() || steps == STEPS_MAX || changes.len() > PARTS_MAX {
            return Ok(None);
        }
        steps += 1;
        for part in left {
            let row_of_it = &mut rows[row * width..][..width];
            let before = schema.part_text(part, row_of_it);
            schema.set_part(part, row_of_it, &typical);
            let after = schema.part_text(part, row_of_it);
            // What another detector finds typical may be something else again.
            match changes.iter_mut().find(|known| known.row == row && known.part == *part) {
                Some(known) => known.typical = after,
                None => {
                    changes.push(PartSwap { row, part: part.clone(), seen: before, typical: after })
                }
            }
        }
        each = if steps < ONE_BY_ONE { 1 } else { 2 * each };
        value = Some(guard.rewritten(record, &rows));
    }
}
