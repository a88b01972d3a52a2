//! Rows of a bundle's slice, each scored once; what a shop receives is drawn from them.

use std::path::Path;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::{CampaignError, RECORDS, WINDOW_MS};
use crate::deliver::Scorer as _;
use crate::record::{Offset, Partition, Position, Record};
use crate::score::{GuardFailure, Lane};
use crate::shell::scorer::StreamScorer;
use crate::watch::{Evidence, Tally, Window};

/// Records that are scored together.
const BATCH: usize = 256;

/// What each row of the slice comes to when it is scored.
pub struct ScoredRows {
    pub clean: Vec<Tally>,
    pub attacks: Vec<Tally>,
}

impl ScoredRows {
    pub fn read(bundle: &Path, scorer: &mut StreamScorer) -> Result<Self, CampaignError> {
        let path = bundle.join("slice/held-out.csv");
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| CampaignError::File { path, error })?;
        let (mut clean, mut attacks) = (vec![], vec![]);
        for line in text.lines().skip(1) {
            if let Some((row, label)) = line.rsplit_once(',') {
                let side = if label == "normal" { &mut clean } else { &mut attacks };
                side.push(format!("[{row}]"));
            }
        }
        if clean.is_empty() || attacks.is_empty() {
            return Err(CampaignError::Empty);
        }
        Ok(Self { clean: score(&clean, scorer)?, attacks: score(&attacks, scorer)? })
    }

    /// What a shop receives in a window; one of it is an attack if it is attacked.
    pub fn window(&self, attacked: bool, draw: &mut ChaCha8Rng) -> Tally {
        let mut sum = Tally::default();
        for i in 0..RECORDS {
            let from = if attacked && i == 0 { &self.attacks } else { &self.clean };
            sum.add(&from[draw.random_range(0..from.len())]);
        }
        sum
    }
}

/// What a lane counts of each row.
fn score(rows: &[String], scorer: &mut StreamScorer) -> Result<Vec<Tally>, GuardFailure> {
    let mut tallies = Vec::with_capacity(rows.len());
    for batch in rows.chunks(BATCH) {
        let at = |i| Position { partition: Partition(0), offset: Offset(i) };
        let records: Vec<Record<'_>> =
            (0..).zip(batch).map(|(i, row)| Record::bare(at(i), Some(row.as_bytes()))).collect();
        scorer.score(&records)?;
        for (record, outcome) in records.iter().zip(scorer.outcomes()) {
            let mut lane =
                Lane::new(scorer.baseline(), Partition(0), record.at.offset, WINDOW_MS as u64);
            let cells = &scorer.cells()[outcome.cells.clone()];
            lane.count(record.at, record.stamp, outcome, cells);
            let mut evidence: Vec<Evidence> = vec![];
            lane.drain_evidence(&mut evidence);
            let windows = evidence.into_iter().flat_map(|evidence| evidence.windows);
            let mut tally = Tally::default();
            windows.for_each(|Window { tally: more, .. }| tally.add(&more));
            tally.counts.misdated = 0;
            tallies.push(tally);
        }
    }
    Ok(tallies)
}
