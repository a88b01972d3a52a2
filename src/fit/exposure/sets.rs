//! Groups of rows by pairs and triples of columns.

use rayon::prelude::*;

use super::look::{Coded, CodedTable, ColumnReport, Hint};
use super::{PrivacyReport, Question, RoundedSet, SetReport};
use crate::fit::data::hints::bounds;
use crate::privacy::step_of;

/// Columns that are combined: 24 make 2,024 triples.
const COLUMNS_MAX: usize = 24;
/// Sets that are told, of pairs and of triples.
const TOLD: usize = 10;
/// From this share of unique rows on a column is an identifier, and from this share of rows in small groups on it
/// points to people alone: with it every set would.
const IDENTIFIER: f64 = 0.9;
const REVEALING: f64 = 0.2;
/// Bits of a code; there are fewer rows, so fewer codes.
const BITS: u32 = 21;

/// How many rows and groups are small.
#[derive(Clone, Copy, Debug, Default)]
struct Smallness {
    groups: usize,
    unique: usize,
    small: usize,
}

pub(super) fn report(look: &CodedTable, question: &Question) -> PrivacyReport {
    let share = |rows: usize| rows as f64 / look.rows as f64;
    let alone = |column: &Coded| {
        let found = smallness(look, &[&column.codes], question.k);
        let hint = match column.distinct {
            0 | 1 => Some(Hint::Constant),
            _ if share(found.unique) >= IDENTIFIER => Some(Hint::Identifier),
            _ if share(found.small) >= REVEALING => Some(Hint::Revealing),
            _ => None,
        };
        ColumnReport {
            name: column.name.clone(),
            missing: column.missing,
            distinct: column.distinct,
            distinct_share: share(column.distinct),
            unique: share(found.unique),
            small: share(found.small),
            shape: column.shape,
            hint,
        }
    };
    let columns: Vec<ColumnReport> = look.columns.par_iter().map(alone).collect();
    let mut combined: Vec<usize> =
        (0..columns.len()).filter(|&at| columns[at].hint.is_none()).collect();
    // Those with most values, in the table's order.
    combined.sort_by_key(|&at| std::cmp::Reverse(columns[at].distinct));
    let left_out = combined.split_off(combined.len().min(COLUMNS_MAX));
    combined.sort_unstable();
    let mut pairs = vec![];
    let mut triples = vec![];
    for (i, &a) in combined.iter().enumerate() {
        for (j, &b) in combined.iter().enumerate().skip(i + 1) {
            pairs.push(vec![a, b]);
            triples.extend(combined[j + 1..].iter().map(|&c| vec![a, b, c]));
        }
    }
    let told = |sets: Vec<Vec<usize>>| -> Vec<SetReport> {
        let each = sets.into_par_iter().map(|set| {
            let codes: Vec<&[u32]> = set.iter().map(|&at| &look.columns[at].codes[..]).collect();
            (smallness(look, &codes, question.k), set)
        });
        let mut each: Vec<(Smallness, Vec<usize>)> = each.collect();
        each.sort_by_key(|(found, set)| {
            (std::cmp::Reverse((found.small, found.unique)), set.clone())
        });
        each.truncate(TOLD);
        let tell = |(found, set): (Smallness, Vec<usize>)| SetReport {
            columns: set.iter().map(|&at| look.columns[at].name.clone()).collect(),
            groups: found.groups,
            unique: share(found.unique),
            small: share(found.small),
            coarser: if share(found.small) > question.limit {
                coarser(look, &set, question)
            } else {
                vec![]
            },
        };
        each.into_par_iter().map(tell).collect()
    };
    let left_out = left_out.into_iter().map(|at| columns[at].name.clone()).collect();
    let (rows, k, limit) = (look.rows, question.k, question.limit);
    let (pairs, triples) = (told(pairs), told(triples));
    PrivacyReport { rows, k, limit, columns, pairs, triples, left_out }
}

/// The set with each column coarser, and with all of them.
fn coarser(look: &CodedTable, set: &[usize], question: &Question) -> Vec<RoundedSet> {
    let rough: Vec<(String, Vec<u32>)> = set.iter().map(|&at| rough(&look.columns[at])).collect();
    let tried = |is_coarse: &dyn Fn(usize) -> bool| {
        let pick = |(i, &at): (usize, &usize)| match is_coarse(i) {
            true => &rough[i].1[..],
            false => &look.columns[at].codes[..],
        };
        let codes: Vec<&[u32]> = set.iter().enumerate().map(pick).collect();
        let words = (0..set.len()).filter(|&i| is_coarse(i)).map(|i| rough[i].0.clone());
        let small = smallness(look, &codes, question.k).small as f64 / look.rows as f64;
        RoundedSet { how: words.collect::<Vec<_>>().join(", "), small }
    };
    let single = (0..set.len()).map(|one| tried(&|i| i == one));
    single.chain([tried(&|_| true)]).collect()
}

/// A number in steps, as the stream's own sets have them; of another column nothing.
fn rough(column: &Coded) -> (String, Vec<u32>) {
    let name = &column.name;
    let Some(numbers) = &column.numbers else {
        return (format!("{name} left out"), vec![0; column.codes.len()]);
    };
    let there = || numbers.iter().copied().filter(|number| !number.is_nan());
    let (min, max) =
        bounds(there().fold(f64::INFINITY, f64::min), there().fold(f64::NEG_INFINITY, f64::max));
    let step = step_of(min.into(), max.into());
    let mut steps: Vec<i64> = there().map(|number| (number / step).floor() as i64).collect();
    steps.sort_unstable();
    steps.dedup();
    let code = |&code: &u32| match numbers[code as usize] {
        missing if missing.is_nan() => 0,
        number => {
            let at =
                steps.binary_search(&((number / step).floor() as i64)).expect("it is among them");
            at as u32 + 1
        }
    };
    (format!("{name} rounded to {step}"), column.codes.iter().map(code).collect())
}

/// Rows of small groups, by the values in `codes` of one to three columns.
fn smallness(look: &CodedTable, codes: &[&[u32]], k: u32) -> Smallness {
    let key =
        |row: usize| codes.iter().fold(0_u64, |key, column| key << BITS | u64::from(column[row]));
    let mut found = Smallness::default();
    let mut count = |rows: usize, subjects: usize| {
        found.groups += 1;
        found.unique += if subjects == 1 { rows } else { 0 };
        found.small += if subjects < k as usize { rows } else { 0 };
    };
    match &look.subjects {
        None => {
            let mut keys: Vec<u64> = (0..look.rows).map(key).collect();
            keys.sort_unstable();
            keys.chunk_by(|a, b| a == b).for_each(|group| count(group.len(), group.len()));
        }
        Some(subjects) => {
            let mut keys: Vec<(u64, u32)> =
                (0..look.rows).map(|row| (key(row), subjects[row])).collect();
            keys.sort_unstable();
            for group in keys.chunk_by(|a, b| a.0 == b.0) {
                count(group.len(), group.chunk_by(|a, b| a == b).count());
            }
        }
    }
    found
}
