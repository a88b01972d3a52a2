//! The delivery of `deliver`, on a cluster in memory, under everything that can go wrong.
//!
//! Workers, monitors, client monitors, readers and joins of answers are the ones that Kafka drives; so are lanes, evidence
//! and alerts. Everything around them is small and made from one seed: brokers, clock, machines, records, answers, faults. The
//! same seed gives the same world, to the last step, so the number of a world replays its violation.
//!
//! The simulator cannot see what only a client library or a real broker does (`make chaos` runs those). It does not contain the
//! model either: scoring is a toy, because it tests what becomes of a record and not its score.

mod check;
mod cluster;
mod expect;
mod faults;
mod ground;
mod mutation;
mod names;
mod scorer;
mod scene;
mod session;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use check::Violation;
pub use faults::Hits;
pub use mutation::{Mutant, Mutation, Reuse};

use self::cluster::{End, Ms};
use self::faults::Faults;
use self::scene::Scene;
use self::world::World;
use crate::clients::ClientMonitor;
use crate::deliver::{Follower as _, POINTER};

/// What a world is run with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub mutation: Option<Mutation>,
    /// Faults strike only in this many steps: the way to find the one that matters.
    pub steps_max: u64,
    /// Keep what happened in words.
    pub trace: bool,
}

/// What came of a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub violations: Vec<Violation>,
    pub hits: Hits,
    pub trace: Vec<String>,
}

/// After the faults, this long until everything is read: two rounds of the longest wait that a
/// worker knows (32 s for a guard that failed again and again), and restarts of a poisoned one.
const PATIENCE: Ms = 150_000;

impl Default for Options {
    fn default() -> Self {
        Self { mutation: None, steps_max: u64::MAX, trace: false }
    }
}

/// Runs the world of `seed` to its rest, and checks what its log holds then.
pub fn run(seed: u64, options: Options) -> Report {
    let faults = Faults::new(seed, options.steps_max, options.trace);
    let world = World::new(Scene::new(seed), faults, options.mutation);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let rests = world.run(PATIENCE);
        let mut violations = vec![];
        if !rests {
            let unread = world.behind().into_iter();
            violations.extend(unread.map(|what| Violation { invariant: check::LIVENESS, what }));
            let idle = world.idle().into_iter();
            violations.extend(idle.map(|what| Violation { invariant: check::IDLE, what }));
            let unsettled = world.ground.cluster.borrow().unsettled().into_iter();
            violations.extend(unsettled.map(|what| Violation { invariant: check::LIVENESS, what }));
            if violations.is_empty() {
                let what = "there is no peace".into();
                violations.push(Violation { invariant: check::LIVENESS, what });
            }
        }
        // What was not read is not lost; but what was is checked all the same.
        let checked = check::check(&world).into_iter();
        violations.extend(checked.filter(|found| rests || !found.what.ends_with("is lost")));
        violations
    }));
    let violations = ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let what = text.unwrap_or("a panic without words").to_owned();
        vec![Violation { invariant: check::PANIC, what }]
    });
    let (hits, trace) = sum_up(&world);
    Report { violations, hits, trace }
}

fn sum_up(world: &World) -> (Hits, Vec<String>) {
    let mut faults = world.ground.faults.borrow_mut();
    let trace = faults.trace.take().unwrap_or_default();
    let mut hits = std::mem::take(&mut faults.hits);
    let cluster = world.ground.cluster.borrow();
    let ended = |wanted: fn(&End) -> bool| {
        cluster.txns.iter().filter(|txn| wanted(&txn.end)).count() as u64
    };
    hits.count("transactions committed", ended(|end| matches!(end, End::Committed(_))));
    hits.count("transactions aborted", ended(|end| *end == End::Aborted));
    hits.count("transactions timed out", cluster.timed_out);
    hits.count("late ends executed", cluster.late_ends);
    hits.count("ends without markers", cluster.endless);
    hits.count("members thrown out", cluster.evicted);
    hits.count(if world.scene.exactly_once { "exactly once" } else { "at least once" }, 1);
    let read = |name: &str| {
        let topic = &cluster.topics[cluster.topic(name)];
        let records = topic.partitions.iter().flat_map(|log| log.committed(0));
        records.map(|(_, record)| record.clone()).collect::<Vec<_>>()
    };
    let stream = &world.scene.stream;
    hits.count("records", read(&stream.input).len() as u64);
    hits.count("alerts", read(&stream.alerts.topic).len() as u64);
    hits.count("visits", read(&stream.topics.visits).len() as u64);
    hits.count("pages of clients", read(&stream.topics.clients).len() as u64);
    let evidence = read(&stream.topics.evidence);
    let keys = evidence.iter().filter_map(|record| record.key.as_deref());
    let of_clients = keys.filter(|key| *key == ClientMonitor::KEY).count();
    hits.count("findings about clients", of_clients as u64);
    let names = |text: &str, baseline: &str| text.contains(&format!("\"baseline\":\"{baseline}\""));
    let by = |baseline: &str| {
        let texts = evidence.iter().filter_map(|record| record.value.as_deref());
        texts.filter(|text| names(&String::from_utf8_lossy(text), baseline)).count() as u64
    };
    if by(names::BASELINE) > 0 {
        hits.count("told under two bundles", by(names::OTHER_BASELINE));
    }
    let letters = read(&stream.topics.dead_letter);
    let of = |end: &str| letters.iter().filter(|r| expect::text(r).ends_with(end)).count() as u64;
    hits.count("dead-lettered as crash", of(":crash"));
    for name in ["undeliverable", "refused-timestamp", "refused-record"] {
        hits.count(name, of(&format!(":{name}")));
    }
    let pointers = letters.iter().filter(|r| r.header("content-type") == Some(POINTER.as_bytes()));
    hits.count("dead letter is a pointer", pointers.count() as u64);
    (hits, trace)
}

#[cfg(test)]
mod tests {
    use super::cluster::log;
    use super::names::kind;
    use super::scene::Arrival;
    use super::*;
    use crate::decide::OnGuardFailure;
    use crate::record::Partition;

    /// What is said of incidents in a world in which no model scores anything before `ms`, and a record
    /// has come to a partition, or none has.
    fn said(ms: Ms, arrives: bool) -> Vec<(String, String)> {
        let mut scene = Scene::new(0);
        let record = log::record(None, Some(&[kind::PASS]));
        let (at, partition, records, committed) = (500, Partition(0), vec![record], None);
        let arrival = Arrival { at, partition, records, committed };
        scene.arrivals = arrives.then_some(arrival).into_iter().collect();
        scene.outages = vec![(0, ms)];
        scene.heal_at = 10_000;
        let mut stream = (*scene.stream).clone();
        stream.policy.on_guard_failure = OnGuardFailure::Closed;
        scene.stream = std::sync::Arc::new(stream);
        let world = World::new(scene, Faults::new(0, 0, false), None);
        assert!(world.run(PATIENCE), "{:?}", world.behind());
        assert_eq!(check::check(&world), []);
        let cluster = world.ground.cluster.borrow();
        let alerts = &cluster.topics[cluster.topic(&world.scene.stream.alerts.topic)];
        let records = alerts.partitions.iter().flat_map(|log| log.committed(0));
        let read = records.map(|(_, record)| {
            let value = record.value.as_ref().expect("an alert");
            let alert: crate::monitor::Alert = serde_json::from_slice(value).expect("JSON");
            (alert.kind, alert.status.name().to_owned())
        });
        read.collect()
    }

    #[test]
    fn a_partition_that_stands_still_is_an_incident_until_it_moves() {
        let stall = |status: &str| ("stall".to_owned(), status.to_owned());
        assert_eq!(said(9_000, true), [stall("firing"), stall("resolved")]);
    }

    #[test]
    fn a_partition_that_waits_for_a_moment_or_for_nothing_is_no_incident() {
        assert_eq!(said(1_500, true), []);
        assert_eq!(said(9_000, false), []);
    }
}
