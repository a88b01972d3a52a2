//! The chaos harness: a stream on a real Kafka, disturbed by a seed, and its topics held against the law.
//!
//! `make chaos MINUTES=5 SEED=7`. Guards, the broker and the replies that commits wait for are killed, stopped,
//! delayed; the load goes on as it was fixed before. Then a checker that shares no code with Tripline reads the
//! topics, a calm guard reads the same input again, and the last line printed is JSON. The run fails if an
//! invariant does (I1 to I15), or, from five minutes on, if it did not hit what it was meant to hit.
//!
//! `HOSTILE=1`: a tenth of the records is what somebody sends who wants to stop, blind or flood the guard
//! (`tests/clients/hostile.py`); the topics refuse some of them, and a network answers NaN for others.
//!
//! `OUTAGES=1`: brokers also stand still for up to a minute, are away for up to three, and answer commits after
//! seconds; no guard may end by itself. What befalls the log itself is played by `tests/outages`.
//!
//! It cannot lose a disk or a page cache, and clocks are one clock.

#![allow(clippy::disallowed_methods, reason = "tests measure and wait")]

mod acts;
mod answers;
mod cluster;
mod failpoints;
mod fleet;
mod guard;
#[path = "../harness/mod.rs"]
mod harness;
mod hostile;
mod observer;
mod offsets;
mod options;
mod programs;
mod proxy;
#[allow(dead_code, reason = "shared with the readers' table")]
#[path = "../readers/record.rs"]
mod record;
mod replay;
mod run;
mod schedule;
mod tally;
#[allow(dead_code, reason = "shared with the readers' table")]
#[path = "../readers/tricks/mod.rs"]
mod tricks;
mod verdict;

use std::process::ExitCode;

use options::Options;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == guard::GUARD
    {
        return guard::guard(rest);
    }
    match Options::read(&arguments) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(options)) => match run::run(&options) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        },
        Err(problem) => {
            eprintln!("chaos: {problem}");
            ExitCode::from(2)
        }
    }
}
