//! Delivery on a simulated cluster: no seed breaks an invariant, every bug that is put in breaks
//! one, and what happened can be replayed by its number.
//!
//! `tripline simulate --seeds 100000` is the same over more seeds.

use std::fmt::Write as _;

use tripline::sim::{self, Hits, Mutation, Options, Report};

/// Enough that every kind of fault below strikes.
const SEEDS: u64 = 300;

fn run(seed: u64, mutation: Option<Mutation>) -> Report {
    sim::run(seed, Options { mutation, ..Options::default() })
}

#[test]
fn no_seed_breaks_an_invariant_and_together_they_meet_every_fault() {
    let mut hits = Hits::default();
    for seed in 0..SEEDS {
        let report = run(seed, None);
        let mut text = String::new();
        for violation in &report.violations {
            writeln!(text, "{violation}").unwrap();
        }
        assert!(text.is_empty(), "{text}replay: tripline simulate --seed {seed}");
        hits.add(&report.hits);
    }
    let met = [
        "exactly once",
        "at least once",
        "transactions aborted",
        "transactions timed out",
        "late ends executed",
        "ends without markers",
        "what hangs is ended",
        "nothing committed where something hangs",
        "fenced",
        "lost",
        "lost, records in flight",
        "revoked, records in flight",
        "members thrown out",
        "offset unstable",
        "state unstable",
        "a coordinator tells old offsets",
        "crash before at commit",
        "crash after at commit",
        "crash before at offsets",
        "crash after at offsets",
        "reply lost at commit",
        "executed late at commit",
        "request lost at commit",
        "stands still in a step",
        "another process takes its ids over",
        "one input partition more",
        "guard failed, closed",
        "dead-lettered as crash",
        "undeliverable",
        "refused-timestamp",
        "refused-record",
        "what was refused is undone at once",
        "request lost at undo",
        "executed late at undo",
        "dead letter is a pointer",
        "alerts",
        "the input: Retention",
        "the input: Elected",
        "the input: Truncated",
        "the input: Anew",
        "told under two bundles",
        "another revision",
        "visits",
        "findings about clients",
        "pages of clients",
    ];
    for what in met {
        assert!(hits.0.contains_key(what), "{SEEDS} seeds and no {what:?}: {hits:#?}");
    }
}

#[test]
fn worlds_that_once_broke_an_invariant_hold() {
    for (seed, what) in [
        (6573, "the log loses aborted records that were passed over"),
        (12045, "a new leader's record stands where the next one was to be"),
        (5821, "retention deletes records of a partition of which nothing was committed"),
        (28485, "the group tells an offset from before the log became shorter"),
        (30653, "at least once: retention deletes what left and is in no state"),
        (6345, "a kept producer's markers end what hung before it"),
        (88455, "a kept producer's transaction has reached no partition of its own"),
    ] {
        assert_eq!(run(seed, None).violations, [], "{what}: tripline simulate --seed {seed}");
    }
}

/// How many seeds it takes to catch a mutation; none takes more than this many.
fn check_caught(mutation: Mutation, seeds_max: u64) {
    let caught = (0..seeds_max).find(|&seed| !run(seed, Some(mutation)).violations.is_empty());
    assert!(caught.is_some(), "{mutation}: not caught by {seeds_max} seeds");
}

#[test]
fn offsets_committed_before_their_records_are_caught() {
    check_caught(Mutation::CommitBeforeProduce, 3);
}

#[test]
fn reading_on_after_an_aborted_transaction_is_caught() {
    check_caught(Mutation::NoRewind, 10);
}

#[test]
fn a_producer_that_goes_on_after_a_timeout_is_caught() {
    check_caught(Mutation::ReuseProducer, 100);
}

#[test]
fn state_that_is_believed_to_cover_what_it_does_not_is_caught() {
    check_caught(Mutation::RestoreUnchecked, 100);
}

#[test]
fn a_partition_handed_over_without_its_commit_is_caught() {
    check_caught(Mutation::ForgetOnRevoke, 300);
}

#[test]
fn a_monitor_that_commits_before_it_says_what_follows_is_caught() {
    check_caught(Mutation::MonitorCommitsFirst, 60);
}

#[test]
fn waiting_for_a_group_that_tells_old_offsets_is_caught() {
    check_caught(Mutation::WaitForTheGroup, 100);
}

#[test]
fn taking_every_record_of_a_refused_request_for_refused_is_caught() {
    check_caught(Mutation::BlameTheRequest, 60);
}

#[test]
fn records_that_are_refused_double_nothing_where_nothing_else_fails() {
    let options = Options { steps_max: 0, ..Options::default() };
    let mut hits = Hits::default();
    for seed in 0..SEEDS {
        let report = sim::run(seed, options);
        assert_eq!(report.violations, [], "tripline simulate --seed {seed} --steps 0");
        hits.add(&report.hits);
    }
    for what in ["at least once", "undeliverable", "refused-timestamp", "refused-record"] {
        assert!(hits.0.contains_key(what), "{SEEDS} seeds and no {what:?}: {hits:#?}");
    }
}

#[test]
fn believing_a_broker_that_a_transaction_ended_is_caught() {
    check_caught(Mutation::BelieveTheEnd, 100);
}

#[test]
fn reading_on_in_another_log_is_caught() {
    check_caught(Mutation::BelieveTheLog, 100);
}

#[test]
fn a_hold_that_ends_itself_once_the_log_has_grown_again_is_caught() {
    check_caught(Mutation::LongEnough, 200);
}

#[test]
fn committing_without_asking_whether_the_topic_was_made_anew_is_caught() {
    // Of the worlds whose input changes.
    let caught = (5..2000).step_by(8).any(|seed| {
        let report = run(seed, Some(Mutation::CommitUnasked));
        !report.violations.is_empty()
    });
    assert!(caught, "commit-unasked: not caught by the first 250 such seeds");
}

#[test]
fn the_same_seed_gives_the_same_world_to_the_last_step() {
    let options = Options { trace: true, ..Options::default() };
    for seed in [0, 4, 18, 38, 171] {
        let report = sim::run(seed, options);
        assert!(report.trace.len() > 5, "{:?}", report.trace);
        assert_eq!(report, sim::run(seed, options), "seed {seed}");
    }
}

#[test]
fn faults_end_after_the_steps_that_were_asked_for() {
    let options = Options { steps_max: 0, ..Options::default() };
    let hits = sim::run(38, options).hits;
    let struck = hits.0.keys().find(|what| what.contains("crash") || what.contains(" lost at"));
    assert_eq!(struck.filter(|what| !what.ends_with("as crash")), None);
}
