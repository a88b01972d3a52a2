//! A watch begins to fire: since when, what was seen since then, and how its end will be told.

use super::change::{Excess, excesses, hits, start_of_change};
use super::firing::{Firing, return_of};
use super::{Bets, Draws, Event, Measure, Reference, WindowStart};

/// What is known when a watch begins to fire.
#[derive(Debug)]
pub struct Onset {
    /// The change probably began in this window.
    pub since: WindowStart,
    /// Counts by bin since then.
    pub seen: Vec<u64>,
    pub firing: Firing,
}

/// Counts of a watch by bin, window after window as they were closed.
type Windows = [(WindowStart, Vec<u32>)];

impl Onset {
    /// The `number`th event happens in more rows than its bound.
    pub fn of_event(windows: &Windows, number: usize, event: &Event) -> Self {
        let Event { bins, bound, .. } = event;
        let excess = |counts: &[u32]| {
            let (hits, rows) = hits(counts, bins);
            let sum = (hits as f64 - bound * rows as f64).max(0.0);
            vec![Excess { sum, variance: rows as f64 }]
        };
        let windows = since_change(windows, excess);
        let (since, seen) = (earliest(windows), sums(windows));
        let (hits, rows): (u64, u64) = (seen[bins.clone()].iter().sum(), seen.iter().sum());
        let share = hits as f64 / rows.max(1) as f64;
        let firing = Firing::of_share(since, number, *bound, share.max(bound * 1.02));
        Self { since, seen, firing }
    }

    /// Bet `champion` won most on ranks. Takes what the change brought out of the reference, so that it does
    /// not become usual: counts subtract exactly. `draws` gives a window's rows as they were ranked.
    pub fn of_ranks(
        windows: &Windows,
        (bets, measure): (&Bets, Measure),
        champion: usize,
        reference: &mut Reference,
        draws: impl Fn(WindowStart, Vec<u32>) -> Draws,
    ) -> Self {
        let windows = since_change(windows, |counts| excesses(measure, reference, counts));
        let (since, seen) = (earliest(windows), sums(windows));
        windows.iter().for_each(|(_, counts)| reference.subtract(counts));
        let firing = match measure {
            Measure::Share { .. } => {
                let share = |of: u64, all: u64| (of as f64 + 0.5) / (all as f64 + 1.0);
                let usual = share(reference.bins()[1], reference.rows());
                let became = share(seen[1], seen.iter().sum());
                Firing::of_share(since, champion, usual, became)
            }
            Measure::Ranks | Measure::Tail => {
                let (mut paid, mut rows) = (0, 0);
                for (window, counts) in windows {
                    for (bin, u) in draws(*window, counts.clone()) {
                        paid += return_of(bets, reference, champion, (bin, u));
                        rows += 1;
                    }
                }
                Firing::of_bet(since, champion, paid / rows.max(1))
            }
        };
        Self { since, seen, firing }
    }
}

/// The windows since the change.
fn since_change(windows: &Windows, excess: impl Fn(&[u32]) -> Vec<Excess>) -> &Windows {
    let excesses: Vec<_> = windows.iter().map(|(_, counts)| excess(counts)).collect();
    &windows[start_of_change(&excesses)..]
}

/// A late window may be older than those before it.
fn earliest(windows: &Windows) -> WindowStart {
    windows.iter().map(|(window, _)| *window).min().expect("not empty")
}

fn sums(windows: &Windows) -> Vec<u64> {
    let mut sums = vec![0_u64; windows[0].1.len()];
    for (_, counts) in windows {
        sums.iter_mut().zip(counts).for_each(|(sum, &count)| *sum += u64::from(count));
    }
    sums
}
