//! The shops' evidence as files, to try `tripline federate` on.

use std::path::Path;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::{Campaign, CampaignError, SHOPS, START, Street, WINDOW_MS, config_text};
use crate::record::{Offset, Partition, Timestamp};
use crate::watch::{Evidence, Message, Presence, Tick, Window};

/// Writes `tripline.toml` and the evidence of each shop: what its evidence topic would hold, a value per line.
///
/// # Errors
/// If the bundle cannot be read, or a file not be written.
pub fn write_evidence(options: &Campaign, dir: &Path) -> Result<(), CampaignError> {
    let Street { guard, rows, .. } = &Street::new(&options.bundle)?;
    let mut draw = ChaCha8Rng::seed_from_u64(options.seed);
    let mut lines = SHOPS.map(|_| String::new());
    for minute in 0..options.windows {
        let start = START + i64::from(minute) * WINDOW_MS;
        let tallies = options.tallies(rows, minute, &mut draw);
        for (lines, tally) in lines.iter_mut().zip(tallies) {
            let records = i64::try_from(tally.counts.rows).expect("there are few");
            let from = i64::from(minute) * records;
            let window = Window { tally, ..Window::empty(Timestamp(start)) };
            let evidence = Evidence {
                baseline: guard.baseline().to_owned(),
                partition: Partition(0),
                from: Offset(from),
                to: Offset(from + records),
                begins: minute == 0,
                head: None,
                read_out: false,
                windows: vec![window],
            };
            // Three windows later by the clock, as a partition that lags is waited for.
            let tick = Tick { at: Timestamp(start + 3 * WINDOW_MS) };
            for message in [Message::Tick(tick), Message::Evidence(evidence)] {
                *lines += &String::from_utf8_lossy(&message.to_bytes());
                lines.push('\n');
            }
        }
    }
    let quiet = Message::Presence(Presence { partition: Partition(0), quiet: true });
    for lines in &mut lines {
        *lines += &String::from_utf8_lossy(&quiet.to_bytes());
        lines.push('\n');
    }
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|error| CampaignError::File { path, error })
    };
    for (shop, lines) in SHOPS.iter().zip(&lines) {
        write(&format!("{shop}.jsonl"), lines)?;
    }
    write("tripline.toml", &config_text(&options.bundle))
}
