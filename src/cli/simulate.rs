//! `tripline simulate`

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::Exit;
use crate::sim::{self, Hits, Mutation, Options, Violation};

/// Run the delivery on a simulated cluster under seeded faults, and check what came of it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The world to run, or the first of several
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Run this many worlds, on all cores
    #[arg(long)]
    seeds: Option<u64>,
    /// Of the seeds from the first on only every nth: 8, from 5 on, are the worlds whose input changes
    #[arg(long, default_value_t = 1)]
    every: u64,
    /// Put a known bug in: the checks must find it
    #[arg(long)]
    mutation: Option<Mutation>,
    /// Let faults strike only in this many steps
    #[arg(long, default_value_t = u64::MAX)]
    steps: u64,
}

/// Violations shown of a sweep.
const SHOWN_MAX: usize = 5;

impl Args {
    pub fn run(self) -> Exit {
        match self.seeds {
            None => self.one(),
            Some(seeds) => self.sweep(seeds),
        }
    }

    fn options(&self, trace: bool) -> Options {
        Options { mutation: self.mutation, steps_max: self.steps, trace }
    }

    fn one(&self) -> Exit {
        let report = sim::run(self.seed, self.options(true));
        report.trace.iter().for_each(|line| println!("{line}"));
        println!();
        print_hits(&report.hits);
        println!();
        if report.violations.is_empty() {
            println!("seed {}: every invariant holds", self.seed);
            return Exit::Ok;
        }
        self.print_violations(self.seed, &report.violations);
        Exit::Failed
    }

    fn sweep(&self, seeds: u64) -> Exit {
        let began = Instant::now();
        let bar = ProgressBar::new(seeds).with_style(
            ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left{msg}")
                .expect("a template of ours"),
        );
        let next = AtomicU64::new(0);
        let caught = AtomicBool::new(false);
        let found = Mutex::new((Hits::default(), Vec::new()));
        let work = || {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                // One is enough to know a bug that was put in.
                if i >= seeds || self.mutation.is_some() && caught.load(Ordering::Relaxed) {
                    break;
                }
                let seed = self.seed.wrapping_add(i.wrapping_mul(self.every));
                let report = sim::run(seed, self.options(false));
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.0.add(&report.hits);
                if !report.violations.is_empty() {
                    caught.store(true, Ordering::Relaxed);
                    found.1.push((seed, report.violations));
                    bar.set_message(format!(", {} with violations", found.1.len()));
                }
                bar.inc(1);
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        let ran = bar.position();
        bar.finish_and_clear();
        let (hits, mut violated) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        violated.sort_by_key(|(seed, _)| *seed);
        let took = began.elapsed().as_secs_f64();
        print_hits(&hits);
        println!();
        for (seed, violations) in violated.iter().take(SHOWN_MAX) {
            self.print_violations(*seed, violations);
        }
        let more: Vec<String> =
            violated.iter().skip(SHOWN_MAX).map(|(seed, _)| seed.to_string()).collect();
        if !more.is_empty() {
            println!("also: {}", more.join(", "));
        }
        println!(
            "{ran} seeds in {took:.1} s ({:.0} per second): {} with violations",
            ran as f64 / took,
            violated.len()
        );
        if violated.is_empty() { Exit::Ok } else { Exit::Failed }
    }

    fn print_violations(&self, seed: u64, violations: &[Violation]) {
        println!("seed {seed}:");
        for violation in violations.iter().take(SHOWN_MAX) {
            println!("  violated: {violation}");
        }
        if violations.len() > SHOWN_MAX {
            println!("  and {} more", violations.len() - SHOWN_MAX);
        }
        print!("  replay: tripline simulate --seed {seed}");
        if let Some(mutation) = self.mutation {
            print!(" --mutation {mutation}");
        }
        if self.steps != u64::MAX {
            print!(" --steps {}", self.steps);
        }
        println!();
    }
}

fn print_hits(hits: &Hits) {
    for (what, n) in &hits.0 {
        println!("{n:>12}  {what}");
    }
}
