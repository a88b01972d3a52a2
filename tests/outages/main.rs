//! What befalls the log itself, and what is said of it: each act on a stream of its own, on real brokers.
//!
//! `make outages` plays them all and prints a table: of the records that were acknowledged, how many never left, how
//! many of those the guard told, how many left twice, and how soon it said so. An act fails if records are gone
//! unsaid, if anything leaves twice, or if the process ends by itself. `cargo test` plays some;
//! `cargo test --test outages -- retention` those whose names begin so; `make outages MINUTES=45 SEED=7` for so long
//! acts that a seed draws, while guards are killed.

#![allow(clippy::disallowed_methods, reason = "tests measure and wait")]

mod acts;
mod alerts;
#[allow(dead_code, reason = "shared with the chaos runs")]
#[path = "../chaos/cluster.rs"]
mod cluster;
mod guard;
#[path = "../harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "shared with the chaos runs")]
#[path = "../chaos/proxy.rs"]
mod proxy;
mod soak;
mod stream;

use std::process::ExitCode;

fn main() -> ExitCode {
    let all = std::env::args().any(|argument| argument == "--all");
    let names: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |act: &&acts::Act| match names.is_empty() {
        true => all || acts::SHORT.contains(&act.name),
        false => names.iter().any(|name| act.name.starts_with(name.as_str())),
    };
    if let Some(minutes) = number("--minutes") {
        // Numbers among the arguments are no names of acts.
        let named = acts::ALL.iter().filter(|act| wanted(act) && !names.is_empty());
        let named: Vec<&acts::Act> = named.collect();
        let some = if named.is_empty() { acts::ALL.iter().collect() } else { named };
        return soak::soak(&some, minutes, number("--seed").unwrap_or(1.0) as u64);
    }
    let mut failed = vec![];
    println!("| what happens | lost | told | twice | said within | goes on within |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for act in acts::ALL.iter().filter(wanted) {
        let row = (act.play)(None);
        if !row.skipped {
            println!("{}", row.line(act.what));
        }
        failed.extend(row.problems.iter().map(|problem| format!("{}: {problem}", act.name)));
    }
    failed.iter().for_each(|problem| println!("outages: FAILED {problem}"));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The number behind an argument.
fn number(name: &str) -> Option<f64> {
    let value = std::env::args().skip_while(|argument| argument != name).nth(1)?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} {value}: a number")))
}
