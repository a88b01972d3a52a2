//! Rows that are there twice: with one label, with two, and in a test file.

use std::collections::HashMap;

use ndarray::{Array2, ArrayView1};
use sha2::{Digest as _, Sha256};

use super::{AuditError, Rows};

/// Rows with the same numbers to the last bit.
#[derive(Debug, Default)]
pub struct Duplicates {
    /// Rows of one group, each group in order: those with one label.
    pub alike: Vec<Vec<usize>>,
    /// Rows of one group, each group in order: those with more than one label.
    pub disputed: Vec<Vec<usize>>,
    /// Rows that the test file has too: which row there.
    pub leaked: Vec<(usize, usize)>,
}

impl Duplicates {
    /// # Errors
    /// If rows of `test` are of another width.
    pub fn find(rows: &Rows, test: Option<&Array2<f32>>) -> Result<Self, AuditError> {
        let mut places: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
        for (i, row) in rows.x.rows().into_iter().enumerate() {
            places.entry(digest(row)).or_default().push(i);
        }
        let mut found = Self::default();
        if let Some(test) = test {
            if test.ncols() != rows.x.ncols() {
                return Err(AuditError::Width { test: test.ncols(), data: rows.x.ncols() });
            }
            for (i, row) in test.rows().into_iter().enumerate() {
                let twins = places.get(&digest(row)).into_iter().flatten();
                found.leaked.extend(twins.map(|&own| (own, i)));
            }
            found.leaked.sort_unstable();
        }
        for group in places.into_values().filter(|group| group.len() > 1) {
            let is_disputed = group.iter().any(|&i| rows.y[i] != rows.y[group[0]]);
            if is_disputed { &mut found.disputed } else { &mut found.alike }.push(group);
        }
        found.alike.sort_unstable();
        found.disputed.sort_unstable();
        Ok(found)
    }
}

fn digest(row: ArrayView1<'_, f32>) -> [u8; 32] {
    let mut hash = Sha256::new();
    // −0 and 0 are one number.
    row.iter().for_each(|x| hash.update((x + 0.0).to_bits().to_le_bytes()));
    hash.finalize().into()
}
