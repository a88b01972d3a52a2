//! Scores records without Kafka: the shipped bundle, real images, and what the guard makes of each.
//!
//!     cargo run --example score_records
//!
//! This is all that stands between a poll and a transaction: bytes in, outcomes out. It needs what
//! `scripts/setup build` puts in place.

use std::error::Error;
use std::path::Path;

use tripline::codec::{self, Format};
use tripline::decide::{Mode, OnFlagged, OnGuardFailure, Policy};
use tripline::emit::ReadTrace;
use tripline::model::{Networks, Runtime};
use tripline::record::{Action, Offset, Partition, Position, Record};
use tripline::score::{Batch, Destination, Guard, Outcome};
use tripline::shell::bundle;

const PIXELS: usize = 784;

pub fn main() -> Result<(), Box<dyn Error>> {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/fashion-mnist");
    let bundle = bundle::read(&model)?;
    // What to do with what is flagged is the stream's to say, not the bundle's.
    let policy = Policy {
        mode: Mode::Enforce,
        on_flagged: OnFlagged::Quarantine,
        on_guard_failure: OnGuardFailure::Closed,
    };
    let reading = codec::Config { format: Format::U8, ..codec::Config::default() };
    let guard = Guard::new(&bundle, None, policy, &reading)?;
    // Networks and buffers are one worker's; the guard is shared by all.
    let mut networks = Networks::load(&Runtime::load(None)?, &bundle)?;
    let mut batch = Batch::default();

    let mut score = |file: &str| -> Result<(usize, usize), Box<dyn Error>> {
        let images = std::fs::read(model.join("slice").join(file))?;
        let values = images.chunks_exact(PIXELS).take(256);
        let record = |(i, value)| Record::bare(place(i), Some(value));
        let records: Vec<Record<'_>> = values.enumerate().map(record).collect();
        batch.score(&guard, &mut networks, &records)?;
        let outcomes = batch.outcomes();
        let flagged: Vec<&Outcome> = outcomes.iter().filter(|o| is_flagged(o)).collect();
        println!("{file}: {} of {} flagged", flagged.len(), outcomes.len());
        // Why, in the header that travels with the record.
        if let Some(first) = flagged.first() {
            assert_eq!(first.destination, Destination::Quarantine);
            let trace = &batch.traces()[first.trace.clone()];
            let trace = ReadTrace::unpack(trace).ok_or("no trace")?;
            let pixels: Vec<_> = trace.reasons.iter().map(|reason| reason.feature.0).collect();
            println!("  the first: {}, p = {:.5}, for pixels {pixels:?}", first.text, trace.p);
        }
        Ok((flagged.len(), outcomes.len()))
    };
    let (flagged, n) = score("clean.u8")?;
    assert!(flagged * 20 < n, "the budget is 1 % of clean records");
    let (flagged, n) = score("trigger.u8")?;
    assert!(flagged * 2 > n, "a trigger is what this bundle is there for");

    // What cannot be read is an outcome too, not an error.
    batch.score(&guard, &mut networks, &[Record::bare(place(0), Some(b"no image"))])?;
    let outcome = &batch.outcomes()[0];
    println!("8 bytes of text: {:?}, {:?}", outcome.destination, outcome.judged);
    assert_eq!(outcome.destination, Destination::DeadLetter);
    Ok(())
}

fn place(i: usize) -> Position {
    Position { partition: Partition(0), offset: Offset(i as i64) }
}

fn is_flagged(outcome: &Outcome) -> bool {
    outcome.judged.is_ok_and(|verdict| verdict.action != Action::Pass)
}
