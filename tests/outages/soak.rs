//! Acts in an order that a seed draws, for so many minutes, and each guard is killed while its act is played.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::acts::Act;
use crate::stream::Row;

/// Plays `acts` and prints; the last line is JSON. An act that has begun is played to its end.
pub fn soak(acts: &[&Act], minutes: f64, seed: u64) -> ExitCode {
    let (began, whole) = (Instant::now(), Duration::from_secs_f64(minutes * 60.0));
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut deck: Vec<&Act> = vec![];
    let mut played: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut kills, mut lost, mut slowest) = (0, 0, Duration::ZERO);
    let mut failed = vec![];
    println!("| what happens | lost | told | twice | said within | goes on within | kills |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    while began.elapsed() < whole {
        // Every act comes before any comes again.
        if deck.is_empty() {
            deck = acts.to_vec();
            deck.shuffle(&mut dice);
        }
        let (act, draw) = (deck.pop().expect("it was filled"), dice.random());
        // What an act could not go on without is said already.
        let played_to_its_end = std::panic::catch_unwind(|| (act.play)(Some(draw)));
        let row = played_to_its_end.unwrap_or_else(|_| Row {
            problems: vec!["the act could not be played to its end".into()],
            ..Row::default()
        });
        if row.skipped {
            continue;
        }
        println!("{} {} |", row.line(act.name), row.kills);
        let problems = row.problems.iter().map(|problem| format!("{}: {problem}", act.name));
        problems.clone().for_each(|problem| println!("outages: FAILED {problem}"));
        failed.extend(problems);
        *played.entry(act.name).or_default() += 1;
        (kills, lost) = (kills + row.kills, lost + row.lost);
        slowest = slowest.max(row.said.unwrap_or_default());
    }
    let line = json!({
        "seed": seed, "took_minutes": (began.elapsed().as_secs_f64() / 6.0).round() / 10.0,
        "acts": played.values().sum::<u64>(), "played": played, "kills": kills, "lost_and_told": lost,
        "said_within_s": slowest.as_secs(), "failed": failed.len(),
    });
    println!("{line}");
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
