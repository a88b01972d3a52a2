//! What a run showed, as one line of JSON, and whether that is enough.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tripline::watch::JoinCounts;

use crate::answers::Joined;
use crate::failpoints::Window;
use crate::observer::Seen;
use crate::options::Options;
use crate::replay::Replay;
use crate::tally::Tally;

/// All that was measured.
pub struct Measured {
    pub tally: Tally,
    pub seen: Seen,
    /// What the checker said.
    pub checked: Result<Value, String>,
    pub replayed: Result<Replay, String>,
    /// What the topics say of pairs.
    pub joined: Result<Joined, String>,
    /// Commits that the log of offsets holds, and those that went back.
    pub went_back: Result<(u64, Vec<String>), String>,
    pub load: Value,
    /// What went wrong beside the invariants.
    pub problems: Vec<String>,
    pub caught_up: Option<Duration>,
    pub aborted_transactions: u64,
    pub replies_troubled: u64,
    pub bound_mb: u64,
    pub partitions: usize,
    pub disturbed: Duration,
    pub faults: Vec<Value>,
}

/// Prints it; true if every invariant holds and the run hit what it was meant to hit. With a bug
/// in the guards true if an invariant does not hold.
pub fn verdict(options: &Options, measured: Measured, took: Duration) -> bool {
    let Measured { tally, seen, checked, replayed, joined, mut problems, .. } = measured;
    let null = Value::Null;
    let report = checked.as_ref().unwrap_or(&null);
    if let Err(error) = &checked {
        problems.push(error.clone());
    }
    for (name, check) in report["checks"].as_object().into_iter().flatten() {
        if check["holds"] != true {
            problems.push(format!("{name}: {check}"));
        }
    }
    let exactly_once = options.delivery == "exactly_once";
    let mut violated = |name: &str, cases: &[String]| {
        let first = cases.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
        if !cases.is_empty() {
            problems.push(format!("{name}: {} times: {first}", cases.len()));
        }
    };
    let went_back = match &measured.went_back {
        Ok((_, went_back)) => went_back.clone(),
        Err(error) => vec![error.clone()],
    };
    violated("I2 committed went back", &went_back);
    if exactly_once {
        violated("I2 visible above committed", &seen.above_committed);
        violated("I8 a zombie", &tally.zombie_faults);
    }
    violated("I10 idle", &seen.idle);
    violated("panicked", &tally.panics);
    if tally.mysteries > 0 {
        violated("killed by nobody we know", &vec![String::new(); tally.mysteries as usize]);
    }
    let alerts = match &replayed {
        Ok(replay) => {
            if exactly_once {
                violated("I7 alerts", &replay.differences);
            }
            json!({"said": replay.alerts, "evidence": replay.evidence, "differences": replay.differences})
        }
        Err(error) => {
            violated("I7 replay", std::slice::from_ref(error));
            Value::Null
        }
    };
    match &joined {
        // What is read again may be told again where nothing is in one transaction.
        Ok(joined) if exactly_once => violated("I15 pairs", &joined.differences),
        Ok(_) => {}
        Err(error) => violated("I15 pairs", std::slice::from_ref(error)),
    }
    let rss_max_mb = tally.rss_max.div_ceil(1 << 20);
    if rss_max_mb > measured.bound_mb {
        problems
            .push(format!("I11: {rss_max_mb} MiB, at most {} were declared", measured.bound_mb));
    }
    let by_failpoint: u64 = tally.windows.values().sum();
    if options.long() && exactly_once {
        let zombies = seen.recoveries.iter().any(|(name, _)| name == "replace");
        let hits = [
            ("aborted transactions", measured.aborted_transactions),
            ("fencings", tally.fencings),
            ("rebalances", tally.rebalances),
            ("rebalances with a transaction open", tally.rebalances_in_flight),
            ("replies lost or late", measured.replies_troubled),
            ("zombies", tally.zombies.max(u64::from(!zombies))),
            ("alerts", replayed.as_ref().map_or(0, |replay| replay.alerts as u64)),
        ];
        let hits = hits.into_iter().chain(joined.iter().flat_map(|joined| {
            let JoinCounts { unanswered, orphan, doubled, .. } = joined.counts;
            [
                ("pairs", joined.pairs),
                ("unanswered", unanswered),
                ("orphans", orphan),
                ("doubled", doubled),
            ]
        }));
        let windows =
            Window::ALL.map(|w| (w.name(), tally.windows.get(w.name()).copied().unwrap_or(0)));
        for (what, n) in hits.chain(windows) {
            if n == 0 {
                problems.push(format!("not hit: {what}"));
            }
        }
    }

    if tally.exits > 0 && options.outages {
        problems.push(format!("{} processes ended by themselves", tally.exits));
    }
    if options.hostile {
        for kind in report["hostile_not_sent"].as_array().into_iter().flatten() {
            problems.push(format!("not hit: hostile records of the kind {kind}"));
        }
    }

    let (median, p99, longest) = spread(seen.recoveries.iter().map(|(_, took)| *took).collect());
    let mut slowest: BTreeMap<&str, f64> = BTreeMap::new();
    for (name, took) in &seen.recoveries {
        let known = slowest.entry(name).or_default();
        *known = took.as_secs_f64().max(*known);
    }
    for problem in &problems {
        println!("chaos: FAILED {problem}");
    }
    let mut checks = report["checks"].clone();
    for (name, holds) in [
        ("I2", went_back.is_empty() && seen.above_committed.is_empty()),
        ("I7", replayed.as_ref().is_ok_and(|replay| replay.differences.is_empty())),
        ("I8", tally.zombie_faults.is_empty()),
        ("I9", measured.caught_up.is_some()),
        ("I10", seen.idle.is_empty()),
        ("I11", rss_max_mb <= measured.bound_mb),
        ("I15", joined.as_ref().is_ok_and(|joined| joined.differences.is_empty())),
    ] {
        let before = checks[name]["holds"].as_bool().unwrap_or(true);
        checks[name]["holds"] = json!(before && holds);
    }
    checks["I12"]["holds"] = checks["I6"]["holds"].clone();
    let holds: BTreeMap<&str, &Value> = checks
        .as_object()
        .map(|all| all.iter().map(|(name, check)| (name.as_str(), &check["holds"])).collect())
        .unwrap_or_default();
    println!("chaos: checker: {report}");
    println!("chaos: recovery by fault, the slowest in s: {}", json!(slowest));
    println!("chaos: steps: {}", json!(measured.faults));
    let mut line = json!({
        "lost": report["lost"], "doubled": report["doubled"], "reordered": report["reordered"],
        "bytes_differ": report["bytes_differ"], "state_equal": report["state_equal"],
        "alerts_equal": replayed.as_ref().is_ok_and(|replay| replay.differences.is_empty()),
        "kills": tally.kills + by_failpoint,
        "kills_per_window": tally.windows, "kills_per_role": tally.roles,
        "aborted_transactions": measured.aborted_transactions,
        "aborted_records": report["aborted_records"],
        "fencings": tally.fencings, "given_up": tally.given_up, "exits": tally.exits,
        "rebalances": tally.rebalances, "rebalances_in_flight": tally.rebalances_in_flight,
        "zombies": tally.zombies, "duels": tally.duels, "unexplained_kills": tally.mysteries, "replies_troubled": measured.replies_troubled,
    });
    let more = json!({
        "idle_partitions": seen.idle.len(),
        "rss_max_mb": rss_max_mb, "rss_bound_mb": measured.bound_mb,
        "recovery_p50_s": median, "recovery_p99_s": p99, "recovery_max_s": longest,
        "caught_up_s": measured.caught_up.map(round),
        "records": report["records"], "partitions": measured.partitions,
        "answers": joined.as_ref().map_or(Value::Null, Joined::report),
        "alerts": alerts["said"], "evidence": alerts["evidence"],
        "steps": measured.faults.len(), "samples": seen.samples, "looks_without_offsets": seen.forgotten,
        "offsets_told_older": seen.told_older, "offset_commits": measured.went_back.as_ref().map_or(0, |(n, _)| *n),
        "offsets_behind_state": tally.behind, "visible_checks": seen.visible_checks,
        "latest_load_s": measured.load["latest_s"],
        "invariants": holds,
        "failed": problems.len(),
        "seed": options.seed, "nodes": options.nodes, "group_protocol": options.group_protocol,
        "delivery": options.delivery, "mutation": options.mutation, "hostile": options.hostile, "outages": options.outages,
        "minutes": round(measured.disturbed / 60), "took_minutes": round(took / 60),
    });
    if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
        line.extend(more);
    }
    println!("{line}");
    match options.mutation {
        None => problems.is_empty(),
        // A bug must be found by an invariant; that a window was not hit finds nothing.
        Some(_) => problems.iter().any(|problem| problem.starts_with('I')),
    }
}

fn round(time: Duration) -> f64 {
    (time.as_secs_f64() * 100.0).round() / 100.0
}

/// Median, 99th percentile, maximum, in seconds.
fn spread(mut times: Vec<Duration>) -> (Option<f64>, Option<f64>, Option<f64>) {
    times.sort();
    let at = |share: f64| {
        let nth = (share * times.len() as f64).ceil() as usize;
        times.get(nth.saturating_sub(1)).copied().map(round)
    };
    (at(0.5), at(0.99), at(1.0))
}
