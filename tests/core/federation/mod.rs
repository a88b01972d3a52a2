//! A federation: its monitor hears what one with the plaintext would hear, and its commands lead from nothing to an alert.

mod commands;
mod equality;

use std::path::Path;

use rand::Rng;
use rand_chacha::ChaCha20Rng;
use tripline::config::{Config, Secret, Stream};
use tripline::watch::{Cells, Counts, Signals, Tally};

pub const WINDOW_MS: i64 = 10_000;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn text(bundle: &str) -> String {
    format!(
        "instance = \"f\"\n[kafka]\nbrokers = \"127.0.0.1:1\"\n[[stream]]\nname = \"shop\"\n\
         input = \"shop.requests\"\nbundle = \"{}\"\nbudget = \"1%\"\nmode = \"enforce\"\n\
         [stream.alerts]\nwindow_ms = {WINDOW_MS}\n",
        root().join("models").join(bundle).display()
    )
}

pub fn stream(bundle: &str) -> Stream {
    let none = |_: Secret<'_>| Err("there are no secrets".to_owned());
    let config = Config::read(Path::new("f.toml"), &text(bundle), [], &none);
    config.expect("it is sound").streams.remove(0)
}

/// Clean rows as a bundle knows them: of each signal its first cell, and how many rows are in or before each bin.
pub struct CleanRows(Vec<(usize, Vec<u64>)>);

impl CleanRows {
    pub fn new(signals: &Signals) -> Self {
        let of = |i| {
            let (mut sum, clean) = (0, signals.clean(i));
            let below = clean.bins().iter().map(|count| {
                sum += count;
                sum
            });
            (signals.range(i).start, below.collect())
        };
        Self((0..signals.list().len()).map(of).collect())
    }

    /// Rows of a site in one window; of attacks every signal is anything.
    pub fn draw(&self, rows: u64, attacks: u64, chance: &mut ChaCha20Rng) -> Tally {
        let mut cells = Cells::default();
        let mut flagged = attacks;
        for row in 0..rows {
            flagged += u64::from(row >= attacks && chance.random_bool(0.009));
            for (start, below) in &self.0 {
                let bin = match row < attacks {
                    true => chance.random_range(0..below.len()),
                    false => {
                        let at = chance.random_range(0..(*below.last().expect("a bin")).max(1));
                        below.partition_point(|&below| below <= at).min(below.len() - 1)
                    }
                };
                cells.push(start + bin);
            }
        }
        let counts = Counts { rows, flagged, quarantined: flagged, ..Counts::default() };
        Tally { counts, cells, ..Tally::default() }
    }
}
