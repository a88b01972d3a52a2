//! Every watch of a stream, and its share of the one budget of false pages.

use std::borrow::Cow;
use std::ops::Range;

use super::{Bag, Bets, Bins, Counts, Odds, Of, Reference, Signals, Tally, Usual};
use crate::record::Probability;

/// What is watched for; what an alert calls it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Kind {
    /// A feature of the inputs, or a detector's score, is distributed in another way.
    InputDrift,
    /// More records than usual have a merged score among the largest.
    ScoreTail,
    /// The protected model gives other labels, or is less or more certain.
    AnswerDrift,
    /// One place of the image is the strangest one of a label more often than in any clean data.
    TriggerRecurrence,
    /// A feature differs from the reference by more than the tolerance.
    SlowDrift,
    /// More records are flagged than the budget says.
    FlaggedShare,
    /// Records that cannot be read, miss values, have implausible timestamps, or categories that no clean row had.
    DataQuality,
}

impl Kind {
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Hundredths of the budget; those of the watches that a stream lacks go to the others.
    fn hundredths(self) -> u64 {
        match self {
            Self::InputDrift => 30,
            Self::ScoreTail => 20,
            Self::AnswerDrift => 15,
            Self::TriggerRecurrence | Self::SlowDrift | Self::FlaggedShare => 10,
            Self::DataQuality => 5,
        }
    }
}

/// One watch: frozen for a baseline.
#[derive(Clone, Debug)]
pub struct Watch {
    pub kind: Kind,
    /// What is watched, in a person's words.
    pub feature: String,
    pub source: Source,
    pub game: Game,
    /// Share of the budget, in 2⁻²⁰.
    pub stake: u64,
}

/// Which counts of a window a watch looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The bins of a signal.
    Signal { index: usize, cells: Range<usize> },
    /// One bin of a signal against its others: rows in the others, rows in it.
    Bin { index: usize, cells: Range<usize>, bin: usize },
    /// Records that this bundle did not flag, and those that it did.
    Flagged,
    /// The same of records that another bundle judged.
    Others,
    /// Records that could be read, and those that could not.
    Faults,
    /// Records that were complete, and those that lacked values.
    Imputed,
    /// Records with a plausible timestamp, and those without.
    Misdated,
}

/// What is bet on.
#[derive(Clone, Debug)]
pub enum Game {
    /// Rows are ranked among clean rows and all earlier ones.
    Ranks {
        bets: Cow<'static, Bets>,
        clean: Bag,
        /// What is counted of a change to find its start and to see it end.
        measure: Measure,
    },
    /// Shares of rows are held against fixed bounds.
    Bounds(Vec<Event>),
}

/// How far a window is from the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// By mean and spread of its ranks.
    Ranks,
    /// By the share of rows in its highest bin or, `down`, also by that being smaller.
    Share { down: bool },
    /// By the share of rows among the highest hundredth.
    Tail,
}

/// Rows in `bins` are more than the share `bound` of all.
#[derive(Clone, Debug)]
pub struct Event {
    pub bins: Range<usize>,
    pub bound: f64,
    /// What a row pays that is in them, and one that is not; one pair per bet.
    pub bets: Vec<(Odds, Odds)>,
}

/// 1.0 of a stake.
pub const STAKE_ONE: u64 = 1 << 20;

/// A share of unreadable records, or of values that no clean row had, that is nobody's alarm.
const QUALITY_BOUND: f64 = 0.001;
/// How far a feature's distribution may be from the reference, at every point, for the slow watch.
pub const TOLERANCE: f64 = 0.1;

impl Watch {
    /// Counts by bin of what is usual: clean rows, or rows at the bound.
    pub fn usual(&self) -> Vec<u64> {
        match &self.game {
            Game::Ranks { clean, .. } => clean.bins().to_vec(),
            Game::Bounds(events) => at_bound(events[0].bound),
        }
    }

    /// Of records of other bundles, if those flagged as many as this one.
    pub(super) fn bound(&self) -> Usual {
        match &self.game {
            Game::Bounds(events) => Usual::of(events[0].bound),
            Game::Ranks { .. } => Usual::UNKNOWN,
        }
    }

    /// What is held against bounds: records of other bundles against what those usually flag.
    pub(super) fn events<'a>(&self, events: &'a [Event], usual: Usual) -> Cow<'a, [Event]> {
        match self.source {
            Source::Others => Cow::Owned(vec![others(usual)]),
            _ => Cow::Borrowed(events),
        }
    }
}

impl Source {
    /// The counts of a window; for everything but a signal "no, yes".
    pub fn counts(&self, tally: &Tally) -> Vec<u32> {
        let Counts { rows, flagged, faults, imputed, misdated, .. } = tally.counts;
        let others = &tally.others;
        let pair = |all: u64, of: u64| {
            let fit = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
            vec![fit(all.saturating_sub(of)), fit(of)]
        };
        match self {
            Self::Signal { cells, .. } => tally.cells.slice(cells.start, cells.end),
            Self::Bin { cells, bin, .. } => {
                let counts = tally.cells.slice(cells.start, cells.end);
                let all = counts.iter().map(|&count| u64::from(count)).sum();
                pair(all, counts[*bin].into())
            }
            Self::Flagged => {
                pair(rows.saturating_sub(others.rows), flagged.saturating_sub(others.flagged))
            }
            Self::Others => pair(others.rows, others.flagged),
            Self::Faults => pair(rows + faults, faults),
            Self::Imputed => pair(rows, imputed),
            Self::Misdated => pair(rows + faults, misdated),
        }
    }
}

impl Event {
    /// Bets that the share is the bound times or plus so much, at most half-way to 1.
    fn new(bins: Range<usize>, bound: f64, alternatives: impl Iterator<Item = f64>) -> Self {
        let bound = bound.clamp(1e-9, 1.0);
        let bet = |p1: f64| {
            if bound >= 0.98 {
                // It cannot win; its stake is lost, and nothing that was promised.
                return (Odds::below(0.0), Odds::below(0.0));
            }
            let p1 = p1.min((1.0 + bound) / 2.0);
            (Odds::below(p1 / bound), Odds::below((1.0 - p1) / (1.0 - bound)))
        };
        Self { bins, bound, bets: alternatives.map(bet).collect() }
    }

    fn times(bins: Range<usize>, bound: f64, times: [f64; 3]) -> Self {
        Self::new(bins, bound, times.into_iter().map(|times| bound * times))
    }
}

/// Counts by bin of a million rows at the bound.
pub fn at_bound(bound: f64) -> Vec<u64> {
    let within = (bound * 1e6) as u64;
    vec![1_000_000 - within, within]
}

/// More records of other bundles are flagged than those flag of clean ones.
fn others(usual: Usual) -> Event {
    Event::times(1..2, usual.share(), [3.0, 10.0, 40.0])
}

/// How clean records are flagged.
#[derive(Clone, Copy, Debug)]
pub struct Flagged {
    /// The share that may be.
    pub budget: Probability,
    /// Of so many clean records so many were.
    pub rows: u64,
    pub flagged: u64,
}

/// The last watches of every roster are of records: the bundle's own flagged ones, three of the quality of all, and the
/// flagged ones of other bundles. They have the same bets whatever the bundle is.
pub(super) const OF_RECORDS: usize = 5;

impl Flagged {
    /// How it is told to a monitor of another bundle.
    pub fn reference(self, baseline: &str) -> Reference {
        let Self { budget, rows, flagged } = self;
        Reference { baseline: baseline.into(), budget: budget.get(), rows, flagged }
    }
}

/// The watches of the kinds that are wanted, of a stream whose rows are counted as `signals`.
pub fn roster(signals: &Signals, clean: Flagged, wanted: impl Fn(Kind) -> bool) -> Vec<Watch> {
    let Flagged { budget, rows, flagged } = clean;
    let mut watches = vec![];
    let mut add = |kind, feature: String, source, game| {
        if wanted(kind) {
            watches.push(Watch { kind, feature, source, game, stake: 0 });
        }
    };
    let ranks = |bets, clean, measure| Game::Ranks { bets, clean, measure };
    for (index, signal) in signals.list().iter().enumerate() {
        let (clean, cells) = (signals.clean(index), signals.range(index));
        let name = || signal.name.clone();
        let whole = Source::Signal { index, cells: cells.clone() };
        let on_ranks = || Cow::Borrowed(Bets::on_ranks());
        match (&signal.of, &signal.bins) {
            (Of::Merged, _) => {
                let bets = Cow::Borrowed(Bets::on_the_tail());
                add(Kind::ScoreTail, name(), whole, ranks(bets, clean, Measure::Tail));
            }
            (Of::Place, _) => {
                let bounds = signals.places().iter().enumerate();
                let event = |(bin, &bound): (usize, &f32)| {
                    Event::times(bin..bin + 1, bound.into(), [3.0, 10.0, 40.0])
                };
                let game = Game::Bounds(bounds.map(event).collect());
                add(Kind::TriggerRecurrence, name(), whole, game);
            }
            (_, Bins::Edges(_)) => {
                let kind = match signal.of {
                    Of::Confidence => Kind::AnswerDrift,
                    _ => Kind::InputDrift,
                };
                let slow = Game::Bounds(slow(&clean));
                add(kind, name(), whole.clone(), ranks(on_ranks(), clean, Measure::Ranks));
                add(Kind::SlowDrift, name(), whole, slow);
            }
            (of, Bins::Numbered(n)) => {
                let never_seen = matches!(of, Of::Category(_)).then(|| n - 1);
                if let Some(bin) = never_seen {
                    let m = clean.rows().max(1) as f64;
                    let share = clean.bins()[bin] as f64 / m;
                    let usual = share + 4.0 * ((share + 1.0 / m) / m).sqrt();
                    let event = Event::times(1..2, usual.max(QUALITY_BOUND), [3.0, 30.0, 300.0]);
                    let source = Source::Bin { index, cells: cells.clone(), bin };
                    let name = format!("{}: values that no clean row had", signal.name);
                    add(Kind::DataQuality, name, source, Game::Bounds(vec![event]));
                }
                let kind = if signal.is_input() { Kind::InputDrift } else { Kind::AnswerDrift };
                for bin in (0..*n).filter(|bin| Some(*bin) != never_seen) {
                    let all = clean.rows();
                    let inside = clean.bins()[bin];
                    let share = (inside as f64 + 0.5) / (all as f64 + 1.0);
                    let bets = Cow::Owned(Bets::on_a_share(share, true));
                    let clean = Bag::new(vec![all - inside, inside]);
                    let source = Source::Bin { index, cells: cells.clone(), bin };
                    let game = ranks(bets, clean, Measure::Share { down: true });
                    add(kind, format!("{} {bin}", signal.name), source, game);
                }
            }
        }
    }
    let bets = Cow::Owned(Bets::on_a_share(budget.get(), false));
    let clean = Bag::new(vec![rows - flagged, flagged]);
    let game = ranks(bets, clean, Measure::Share { down: false });
    add(Kind::FlaggedShare, "flagged records".into(), Source::Flagged, game);
    let event = Event::times(1..2, QUALITY_BOUND, [3.0, 30.0, 300.0]);
    let unreadable = Game::Bounds(vec![event]);
    add(Kind::DataQuality, "unreadable records".into(), Source::Faults, unreadable);
    // How many honest senders leave something out, or have a wrong clock, nobody has told us: the stream
    // itself does.
    let unknown = || {
        let bets = Cow::Owned(Bets::on_a_share(0.01, false));
        ranks(bets, Bag::new(vec![0, 0]), Measure::Share { down: false })
    };
    add(Kind::DataQuality, "incomplete records".into(), Source::Imputed, unknown());
    add(Kind::DataQuality, "implausible timestamps".into(), Source::Misdated, unknown());
    let game = Game::Bounds(vec![others(Usual::new(budget.get(), rows, flagged))]);
    add(Kind::FlaggedShare, "flagged records of another bundle".into(), Source::Others, game);
    stake(&mut watches);
    watches
}

/// Of the budget of flagged records a tenth is for those of other bundles: there are two bundles for minutes, and a
/// tenth of the stake costs few records of an attack.
const OTHERS_PART: u64 = 10;

/// Shares the budget out: equal within a kind but for the records of other bundles, and all of it.
fn stake(watches: &mut [Watch]) {
    let of = |kind| move |watch: &&Watch| watch.kind == kind;
    let there = |kind: &Kind| watches.iter().any(|watch| watch.kind == *kind);
    let all: u64 = Kind::ALL.iter().filter(|kind| there(kind)).map(|kind| kind.hundredths()).sum();
    let count = |&kind: &Kind| watches.iter().filter(of(kind)).count() as u64;
    let counts: Vec<u64> = Kind::ALL.iter().map(count).collect();
    for watch in watches {
        let place = Kind::ALL.iter().position(|kind| *kind == watch.kind).expect("all are there");
        let (part, of) = match watch.source {
            Source::Flagged => (OTHERS_PART - 1, OTHERS_PART),
            Source::Others => (1, OTHERS_PART),
            _ => (1, counts[place]),
        };
        watch.stake = STAKE_ONE * watch.kind.hundredths() * part / all / of;
    }
}

/// "At one of nine points the distribution is further from the reference than the tolerance": 54
/// bets. Valid unless the reference itself is a one percent accident (Massart 1990).
fn slow(clean: &Bag) -> Vec<Event> {
    // ln(2 / .01)
    const LN_200: f64 = 5.298_317_366_548_036;
    let rows = clean.rows().max(1) as f64;
    let accident = (LN_200 / (2.0 * rows)).sqrt();
    let bins = clean.bins().len();
    let below: Vec<u64> = clean
        .bins()
        .iter()
        .scan(0, |sum, &count| {
            *sum += count;
            Some(*sum)
        })
        .collect();
    let mut events = vec![];
    for point in [1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 15.0] {
        let wanted = point / 16.0 * rows;
        let end = below[..bins - 1].partition_point(|&count| (count as f64) < wanted).min(bins - 2);
        let share = below[end] as f64 / rows;
        for (bins, share) in [(0..end + 1, share), (end + 1..bins, 1.0 - share)] {
            let bound = share + TOLERANCE + accident;
            let further = [0.03, 0.1, 0.25].map(|by| bound + by);
            events.push(Event::new(bins, bound, further.into_iter()));
        }
    }
    events
}
