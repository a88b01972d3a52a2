//! Samples of groups, added up by day, and what follows from a day that is over. A plain rule, outside of the budget.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Monitor;
use crate::math::LevelSample;
use crate::monitor::incident::{CoarserSet, ExposedSet};
use crate::monitor::{Alert, Cause};
use crate::privacy::{Exposure, QuasiPlan};
use crate::record::Timestamp;
use crate::watch::Quasi;

/// Samples of the spans of time that are not over; `every` of the configuration is their length, a day.
///
/// With one set of three features and a subject a day is 105 KB at most, without a subject 25 KB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuasiDays {
    plan: String,
    /// Days that start before this are over.
    closed: Timestamp,
    /// The first of the days that are counted in the oldest one here, because they had too few rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    days: BTreeMap<Timestamp, BTreeMap<u16, LevelSample>>,
}

/// Days that are added up until there are rows enough to compare.
const DAYS_MAX: i64 = 30;

impl QuasiDays {
    fn new(plan: &QuasiPlan) -> Self {
        Self { plan: plan.id().to_owned(), closed: Timestamp(0), since: None, days: [].into() }
    }

    fn add<'s>(
        &mut self,
        day: Timestamp,
        samples: impl IntoIterator<Item = (u16, &'s LevelSample)>,
    ) {
        let known = self.days.entry(day).or_default();
        for (sample, more) in samples {
            match known.get_mut(&sample) {
                Some(own) => own.merge(more),
                None => drop(known.insert(sample, more.clone())),
            }
        }
    }

    /// Takes the oldest day out if it is over; of one with too few rows nothing comes out, and it is counted in the next.
    fn close(&mut self, watermark: Timestamp, plan: &QuasiPlan) -> Option<ClosedDays> {
        let every = plan.spec().every_ms as i64;
        while let Some((&day, _)) = self.days.first_key_value() {
            let end = Timestamp(day.0.saturating_add(every));
            if end > watermark {
                return None;
            }
            let (_, samples) = self.days.pop_first().expect("it has one");
            self.closed = self.closed.max(end);
            let since = self.since.take().unwrap_or(day);
            let rows = samples.values().map(LevelSample::total).max().unwrap_or(0);
            if rows >= plan.spec().at {
                return Some(ClosedDays { since, until: end, samples });
            }
            if end.0 - since.0 < DAYS_MAX * every {
                self.add(end, samples.iter().map(|(&at, sample)| (at, sample)));
                self.since = Some(since);
            }
        }
        None
    }
}

/// Days with rows enough.
struct ClosedDays {
    since: Timestamp,
    until: Timestamp,
    samples: BTreeMap<u16, LevelSample>,
}

impl Monitor {
    /// Adds samples to those of their day; what is late or ahead of the clock, to those of the present one.
    pub(super) fn hear_quasi(&mut self, quasi: &Quasi) {
        let Some(plan) = self.frame.quasi.clone() else { return };
        let Quasi { partition, from, to, begins, day, .. } = *quasi;
        let known = self.state.partitions.get(&partition);
        let is_known = known.is_some_and(|heard| {
            (from, to) == (heard.from, heard.to) || from < heard.to && !begins
        });
        if plan.id() != quasi.plan || is_known {
            return;
        }
        let (current, clock) = (self.current(), self.state.clock);
        let present = Timestamp(current.0 - current.0.rem_euclid(plan.spec().every_ms as i64));
        let days = self.state.quasi.get_or_insert_with(|| QuasiDays::new(&plan));
        if days.plan != quasi.plan {
            *days = QuasiDays::new(&plan);
        }
        let is_present = day < days.closed || day > clock;
        let day = if is_present { present.max(days.closed) } else { day };
        days.add(day, quasi.samples.iter().map(|(at, sample)| (*at, sample)));
    }

    /// Rows in the first sample of the days that are not over.
    pub fn sampled(&self) -> u64 {
        let days = self.state.quasi.iter().flat_map(|quasi| quasi.days.values());
        days.filter_map(|samples| samples.get(&0)).map(LevelSample::total).sum()
    }

    /// Says which sets point to people, once a day is over.
    pub(super) fn close_days(&mut self, alerts: &mut Vec<Alert>) {
        let watermark = self.watermark();
        let Self { frame, state, .. } = self;
        let about = &frame.about;
        let Some(plan) = &frame.quasi else {
            state.quasi = None;
            if state.incidents.is_open(Cause::Privacy) {
                let note = "sets of features are not watched any more";
                state.incidents.end(about, Cause::Privacy, Some(note), alerts);
            }
            return;
        };
        let Some(days) = &mut state.quasi else { return };
        while let Some(closed) = days.close(watermark, plan) {
            let exposed = exposed(plan, &closed.samples);
            let keep_firing_for_ms = frame.terms.keep_firing_for_ms as i64;
            let span = (closed.since, closed.until);
            state.incidents.expose(about, span, exposed, keep_firing_for_ms, alerts);
        }
    }
}

/// The sets of which more rows than the limit stand in small groups, and what would help.
fn exposed(plan: &QuasiPlan, samples: &BTreeMap<u16, LevelSample>) -> Vec<ExposedSet> {
    let spec = plan.spec();
    let limit = spec.limit.get();
    let each = plan.names().iter().enumerate().filter_map(|(at, name)| {
        let sample = samples.get(&u16::try_from(at).ok()?)?;
        Some((name, Exposure::of(sample, spec.k, spec.at)))
    });
    let each: Vec<_> = each.collect();
    let mut exposed = vec![];
    for (set, features) in spec.sets.iter().enumerate() {
        let of_set = || each.iter().filter(move |(name, _)| name.set == set);
        let Some((_, whole)) = of_set().find(|(name, _)| name.coarser.is_none()) else { continue };
        if !whole.exceeds(limit) {
            continue;
        }
        // One feature coarser before all of them, the best of those.
        let coarser = of_set().filter_map(|(name, exposure)| {
            let how = name.coarser.clone()?;
            Some(CoarserSet {
                how,
                small: short(exposure.small),
                is_enough: exposure.small <= limit,
            })
        });
        let coarser: Vec<CoarserSet> = coarser.collect();
        let (all, single) = match coarser.split_last() {
            Some((all, single)) if !single.is_empty() => (Some(all), single),
            _ => (None, &coarser[..]),
        };
        let best = single.iter().min_by(|a, b| a.small.total_cmp(&b.small));
        let helps = best.filter(|best| best.is_enough).or(all).or(best).cloned();
        exposed.push(ExposedSet {
            features: features.clone(),
            k: spec.k,
            limit,
            rows: whole.rows,
            compared_at: spec.at,
            unique: short(whole.unique),
            small: short(whole.small),
            coarser: helps,
        });
    }
    exposed
}

/// Three digits: the sample knows no more.
fn short(share: f64) -> f64 {
    format!("{share:.2e}").parse().unwrap_or(share)
}
