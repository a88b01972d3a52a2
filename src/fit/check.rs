//! The finished bundle, read back from the disk and put on the record path.
//!
//! What `fit` measured was measured on matrices; what an operator runs are records. This walks the
//! test rows through the same code that will score the stream and holds the two to each other.

use std::path::Path;

use ndarray::Array2;

use super::data::record::Writer;
use super::error::FitError;
use crate::bundle::CleanShare;
use crate::decide::{Mode, OnFlagged, OnGuardFailure, Policy};
use crate::model::{Networks, Runtime};
use crate::record::{Action, Offset, Partition, Position, Record};
use crate::score::{Batch, Guard};
use crate::shell;

/// Rows per batch; not a divisor of anything, so that cuts would show.
const BATCH_ROWS: usize = 100;

/// Sends the rows `test` of `x` [·, d] through the bundle in `folder` as records; counts the
/// flagged.
///
/// # Errors
/// If the bundle does not load, a row does not get through, or other rows are flagged than `clean`
/// says.
pub fn check(
    runtime: &Runtime,
    folder: &Path,
    x: &Array2<f32>,
    test: &[usize],
) -> Result<String, FitError> {
    let bundle = shell::bundle::read(folder)?;
    let policy = Policy {
        mode: Mode::Enforce,
        on_flagged: OnFlagged::Quarantine,
        on_guard_failure: OnGuardFailure::Closed,
    };
    let writer = Writer::new(&bundle.manifest.schema);
    let reading = writer.reading();
    let wrong = |what: String| FitError::SelfCheck(what);
    let guard = Guard::new(&bundle, None, policy, &reading).map_err(|e| wrong(e.to_string()))?;
    let mut networks = Networks::load(runtime, &bundle)?;
    let (mut batch, mut flagged) = (Batch::default(), 0);
    for rows in test.chunks(BATCH_ROWS) {
        let row = |&i: &usize| writer.row(x.row(i).as_slice().expect("rows lie in one piece"));
        let values: Vec<Vec<u8>> = rows.iter().map(row).collect();
        let record = |(i, value)| {
            let at = Position { partition: Partition(0), offset: Offset(i as i64) };
            Record::bare(at, Some(value))
        };
        let values = values.iter().map(Vec::as_slice).enumerate();
        let records: Vec<Record<'_>> = values.map(record).collect();
        batch.score(&guard, &mut networks, &records).map_err(|e| wrong(e.to_string()))?;
        for outcome in batch.outcomes() {
            match outcome.judged {
                Ok(verdict) => flagged += u64::from(verdict.action != Action::Pass),
                Err(fault) => {
                    return Err(wrong(format!(
                        "a test row is refused: {}",
                        fault.told(guard.schema(), None, true)
                    )));
                }
            }
        }
    }
    let got = CleanShare { rows: test.len() as u64, flagged };
    let clean = bundle.manifest.clean;
    if got != clean {
        return Err(wrong(format!("{got:?} on the record path; the manifest says {clean:?}")));
    }
    Ok(bundle.digest.to_string())
}
