//! The worker and the judge on a simulated cluster: some hundred worlds full of faults, and every
//! seeded bug found. A failure prints the line that replays it.

use tripline::sim::{self, Hits, Mutation, Options};

const SEEDS: u64 = 400;
/// Worlds in which a seeded bug must show.
const MUTANT_SEEDS: u64 = 300;

fn options(mutation: Option<Mutation>) -> Options {
    Options { mutation, steps_max: u64::MAX, trace: false }
}

#[test]
fn every_invariant_holds_in_some_hundred_worlds_and_what_should_strike_them_struck() {
    let mut hits = Hits::default();
    for seed in 0..SEEDS {
        let report = sim::run(seed, options(None));
        assert!(
            report.violations.is_empty(),
            "{}\nreplay: tripline simulate --seed {seed}",
            report.violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        );
        hits.add(&report.hits);
    }
    println!("{hits:#?}");
    for what in [
        "transactions aborted",
        "transactions timed out",
        "late ends executed",
        "members thrown out",
        "revoked, records in flight",
        "crash before at commit",
        "crash after at commit",
        "crash after at offsets",
        "request lost at commit",
        "reply lost at commit",
        "poison",
        "dead-lettered as crash",
        "undeliverable",
        "guard failed, closed",
        "at least once",
        "the cluster is gone",
        "the clock on the wall jumps",
        "one input partition more",
        "alerts",
    ] {
        let n = hits.0.get(what).copied().unwrap_or_default();
        assert!(n > 0, "{what} never happened: the worlds prove less than they say");
    }
}

#[test]
fn every_seeded_bug_is_found() {
    for mutation in Mutation::ALL {
        let found = (0..MUTANT_SEEDS)
            .find(|&seed| !sim::run(seed, options(Some(mutation))).violations.is_empty());
        println!("{mutation}: {found:?}");
        assert!(found.is_some(), "{mutation} passes {MUTANT_SEEDS} worlds");
    }
}

#[test]
fn a_seed_is_one_world_and_no_other() {
    for seed in 0..5 {
        let traced = || sim::run(seed, Options { trace: true, ..options(None) });
        let (one, other) = (traced(), traced());
        assert_eq!(one.trace, other.trace, "seed {seed}");
        assert_eq!(one.hits.0, other.hits.0, "seed {seed}");
    }
}
