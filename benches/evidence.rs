//! Whether the alarm keeps its budget, and how soon it rings: on synthetic rows, fixed seeds.
//!
//!     cargo bench --profile dev --bench evidence            # everything, some minutes
//!     cargo bench --profile dev --bench evidence -- delay   # a part: clean, delay, ramp, partitions

#![allow(clippy::disallowed_methods, reason = "a benchmark measures")]

use std::time::Instant;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tripline::record::{Feature, Probability, Schema, Timestamp};
use tripline::watch::{
    Counts, Flagged, Panel, Share, Signals, Tally, Terms, Times, Transition, hypotheses,
};

#[path = "evidence/adwin.rs"]
mod adwin;
#[path = "evidence/partitions.rs"]
mod partitions;

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|asked| part.contains(&**asked));
    let parts: [(&str, fn()); 4] =
        [("clean", clean), ("delay", delay), ("ramp", ramp), ("partitions", by_partition)];
    parts.iter().filter(|(name, _)| wanted(name)).for_each(|(_, part)| part());
}

/// Standard normal numbers, by Box and Muller.
struct Normal {
    rng: ChaCha8Rng,
    spare: Option<f64>,
}

impl Normal {
    fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), spare: None }
    }

    fn next(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let (u, v): (f64, f64) = (1.0 - self.rng.random::<f64>(), self.rng.random());
        let (radius, angle) = ((-2.0 * u.ln()).sqrt(), std::f64::consts::TAU * v);
        self.spare = Some(radius * angle.sin());
        radius * angle.cos()
    }
}

/// `d` numbers a row; those that have moved by `shift` deviations, and by how much all are wider.
#[derive(Clone, Copy)]
struct Law {
    d: usize,
    /// Correlation between any two.
    rho: f64,
    shifted: usize,
    shift: f64,
    spread: f64,
}

impl Law {
    const fn of(d: usize, rho: f64) -> Self {
        Self { d, rho, shifted: 0, shift: 0.0, spread: 1.0 }
    }

    /// Clean rows with all signals' values.
    fn rows(&self, n: usize, seed: u64) -> Vec<Vec<f32>> {
        let (mut normal, mut row) = (Normal::new(seed), vec![]);
        let each = (0..n).map(|_| {
            self.row(&mut normal, &mut row);
            // The merged score, which nobody asks for here.
            row.iter().copied().chain([0.0]).collect()
        });
        each.collect()
    }

    fn row(&self, normal: &mut Normal, row: &mut Vec<f32>) {
        row.clear();
        let common = if self.rho > 0.0 { normal.next() * self.rho.sqrt() } else { 0.0 };
        for i in 0..self.d {
            let own = normal.next() * (1.0 - self.rho).sqrt() + common;
            let x = if i < self.shifted { own * self.spread + self.shift } else { own };
            row.push(x as f32);
        }
    }
}

/// Where bins end: learned once, from rows that are never counted.
struct Base {
    law: Law,
    signals: Signals,
}

impl Base {
    fn of(law: Law) -> Self {
        let features = (0..law.d).map(|i| Feature::number(format!("f{i}"), -1e9, 1e9)).collect();
        let mut signals = Signals::of(&Schema { features }, &[], 1);
        signals.learn_edges(&law.rows(20_000, 99));
        Self { law, signals }
    }
}

/// A stream with one row per millisecond, judged in windows of `window` rows.
struct Stream {
    terms: Terms,
    panel: Panel,
    signals: Signals,
    normal: Normal,
    at: i64,
    row: Vec<f32>,
}

impl Stream {
    /// One false alarm per `budget` rows; `m` clean rows to begin with; watches of the kinds.
    fn new(base: &Base, m: usize, budget: u64, window: u64, names: &[&str], seed: u64) -> Self {
        let mut signals = base.signals.clone();
        signals.count_clean(&base.law.rows(m, seed * 2 + 1));
        let one = Probability::new(0.01).expect("a share");
        let flagged = Flagged { budget: one, rows: 2000, flagged: 20 };
        let watches = hypotheses(&signals, flagged, |watch| names.contains(&watch.name()));
        let times = Times { window_ms: window, false_page_ms: budget, keep_firing_for_ms: budget };
        let terms = Terms::new("bench", &format!("{seed}"), watches, times);
        let panel = Panel::new(&terms);
        Self { terms, panel, signals, normal: Normal::new(seed * 2), at: 0, row: vec![] }
    }

    /// One window of rows.
    fn window(&mut self, law: Law) -> Vec<Transition> {
        let rows = self.terms.window_ms;
        let mut tally = Tally { counts: Counts { rows, ..Counts::default() }, ..Tally::default() };
        for _ in 0..rows {
            law.row(&mut self.normal, &mut self.row);
            for (i, &x) in self.row.iter().enumerate() {
                tally.cells.push(self.signals.cell(i, x));
            }
        }
        let window = Timestamp(self.at);
        self.at += rows as i64;
        self.panel.close(window, &tally, Share::WHOLE, &self.terms)
    }
}

fn alarms(transitions: &[Transition]) -> u64 {
    // Several watches may be named by one ring of the bell.
    u64::from(transitions.iter().any(|t| matches!(t, Transition::Fired { .. })))
}

/// Upper 99 % bound of a Poisson law; of a large mean by the normal law.
fn poisson_99(mean: f64) -> u64 {
    if mean > 500.0 {
        return (mean + 2.326 * mean.sqrt()).ceil() as u64;
    }
    let (mut term, mut sum, mut k) = ((-mean).exp(), 0.0, 0);
    loop {
        sum += term;
        if sum >= 0.99 {
            return k;
        }
        k += 1;
        term *= mean / k as f64;
    }
}

const RANKS: &[&str] = &["input-drift"];
const BOTH: &[&str] = &["input-drift", "slow-drift"];

/// False alarms on clean rows against the budget.
fn clean() {
    println!("\nfalse alarms: streams of clean rows, m = 2000, windows of 100 rows");
    println!("features   budget  streams      rows  alarms  allowed  ratio  99 % bound  ns/row");
    let (mut rows_of_all, mut broken) = (0, 0);
    for (law, name, kinds, share) in [
        (Law::of(1, 0.0), "1", RANKS, 1.0),
        (Law::of(8, 0.8), "8, rho .8", RANKS, 0.05),
        (Law::of(8, 0.8), "8 + slow", BOTH, 0.05),
    ] {
        let base = Base::of(law);
        for (budget, streams, rows) in
            [(1_000, 1500, 20_000), (10_000, 150, 200_000), (100_000, 16, 2_500_000)]
        {
            let streams = ((f64::from(streams) * share) as u64).max(1);
            let (mut seen, start) = (0, Instant::now());
            for seed in 0..streams {
                let mut stream = Stream::new(&base, 2000, budget, 100, kinds, 1000 + seed);
                for _ in 0..rows / 100 {
                    seen += alarms(&stream.window(law));
                }
            }
            let all = streams * rows;
            rows_of_all += all;
            let allowed = all as f64 / budget as f64;
            let bound = poisson_99(allowed);
            broken += u64::from(seen > bound);
            let (ratio, ns) =
                (seen as f64 / allowed, start.elapsed().as_nanos() as f64 / all as f64);
            println!(
                "{name:>9} {budget:>8} {streams:>8} {all:>9} {seen:>7} {allowed:>8.0} {ratio:>6.2} {bound:>11} {ns:>7.0}"
            );
        }
    }
    println!("{rows_of_all} clean rows in all; bounds broken: {broken}");
}

/// Rows from a change to the alarm.
fn delay() {
    println!("\ndelay in rows: budget 1 per 10,000, m = 2000, change after 2000 rows, 400 runs");
    println!("change               median    90 %  missed   left out   named right   ADWIN median");
    for (d, shifted) in [(1, 1), (30, 1)] {
        let base = Base::of(Law::of(d, 0.0));
        for (shift, spread) in
            [(0.25, 1.0), (0.5, 1.0), (1.0, 1.0), (2.0, 1.0), (0.0, 0.5), (0.0, 2.0)]
        {
            let clean = Law::of(d, 0.0);
            let changed = Law { shifted, shift, spread, ..clean };
            let (mut delays, mut before, mut named, mut adwins) = (vec![], 0, 0, vec![]);
            for seed in 0.. {
                let mut stream = Stream::new(&base, 2000, 10_000, 1, RANKS, seed);
                let mut adwin = adwin::Adwin::new(0.002);
                let mut rang = 0;
                for _ in 0..2000 {
                    rang += alarms(&stream.window(clean));
                    if d == 1 && adwin.add(f64::from(stream.row[0])) {
                        adwin = adwin::Adwin::new(0.002);
                    }
                }
                // A false alarm before the change is frozen, and tells nothing of its delay.
                before += u64::from(rang > 0);
                if rang > 0 {
                    continue;
                }
                let (mut found, mut heard) = (None, None);
                for n in 1..=6000 {
                    let transitions = stream.window(changed);
                    if let (None, Some(Transition::Fired { watch, .. })) =
                        (found, transitions.iter().find(|t| matches!(t, Transition::Fired { .. })))
                    {
                        found = Some(n);
                        named += u64::from(*watch < shifted);
                    }
                    if d == 1 && heard.is_none() && adwin.add(f64::from(stream.row[0])) {
                        heard = Some(n);
                    }
                    if found.is_some() && (heard.is_some() || d > 1) {
                        break;
                    }
                }
                delays.push(found.unwrap_or(u64::MAX));
                adwins.push(heard.unwrap_or(u64::MAX));
                if delays.len() == runs() {
                    break;
                }
            }
            delays.sort_unstable();
            adwins.sort_unstable();
            let missed = delays.iter().filter(|&&d| d == u64::MAX).count();
            let what = match shift {
                0.0 => format!("spread x {spread}"),
                _ => format!("shift {shift}"),
            };
            let what = format!("{what}, {shifted} of {d}");
            let adwin = match adwins[adwins.len() / 2] {
                _ if d > 1 => "-".into(),
                u64::MAX => "never".into(),
                median => median.to_string(),
            };
            println!(
                "{what:<20} {:>6} {:>7} {missed:>7} {before:>13} {named:>12} {adwin:>14}",
                delays[delays.len() / 2],
                delays[delays.len() * 9 / 10]
            );
        }
    }
}

/// A slow ramp: the slow watch rings although ranks might have got used to it.
fn ramp() {
    println!(
        "\na ramp of 0 to 1 sigma over 200,000 rows, budget 1 per 100,000: record of the first alarm"
    );
    println!("watch              m  median   90 %  missed");
    let base = Base::of(Law::of(1, 0.0));
    for (name, kinds) in [("slow", &["slow-drift"][..]), ("ranks", RANKS)] {
        for m in [2000, 10_000] {
            let mut firsts: Vec<u64> = (0..40)
                .map(|seed| {
                    let law = Law::of(1, 0.0);
                    let mut stream = Stream::new(&base, m, 100_000, 100, kinds, seed);
                    let first = (0..2000_u64).find(|&w| {
                        let shift = w as f64 / 2000.0;
                        alarms(&stream.window(Law { shifted: 1, shift, ..law })) > 0
                    });
                    first.map_or(u64::MAX, |w| (w + 1) * 100)
                })
                .collect();
            firsts.sort_unstable();
            let missed = firsts.iter().filter(|&&f| f == u64::MAX).count();
            println!("{name:<12} {m:>8} {:>7} {:>6} {missed:>7}", firsts[20], firsts[36]);
        }
    }
}
fn runs() -> usize {
    std::env::var("RUNS").ok().and_then(|r| r.parse().ok()).unwrap_or(400)
}

/// Twelve partitions, one panel each or one over all.
fn by_partition() {
    use partitions::{PARTITIONS, all, delays, false_alarms, some};

    println!(
        "\nwindows of 12 × 100 rows from a change to the page, 60 seeds: by partition, merged"
    );
    let one = [0.02, 0.03, 0.05, 0.1, 0.3].map(|share| (3..4, share));
    let every = [0.015, 0.02, 0.05].map(|share| (0..PARTITIONS, share));
    for change in one.into_iter().chain(every) {
        for per_partition in [true, false] {
            let (delays, named) = delays(60, per_partition, &change);
            let at = |part: f64| delays.get((part * 60.0) as usize);
            println!(
                "{change:?}, by partition {per_partition}: {} of 60 found, median {:?}, 90 % {:?}, {named} named right",
                delays.len(),
                at(0.5),
                at(0.9),
            );
        }
    }
    println!(
        "\nfalse alarms on clean partitions: 50 streams, 1000 allowed, 99 % bound {}",
        poisson_99(1000.0)
    );
    for (how, per_partition, told) in [
        ("merged", false, all as fn(i64, i64) -> bool),
        ("by partition", true, all),
        ("by partition, which come and go", true, some),
    ] {
        println!("{how}: {}", false_alarms(50, per_partition, told));
    }
}
