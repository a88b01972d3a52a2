//! What the watches claim of one stream, and each claim's share of the one budget of false pages.

use std::borrow::Cow;
use std::ops::Range;

use super::flagged_share;
use super::{ALL, Counts, Flagged, Histogram, Signals, Tally, Usual, Watch};
use crate::alarm::{Event, Game, STAKE_ONE};

/// One claim about the counts of a stream, on which is bet: frozen for a baseline.
#[derive(Clone, Debug)]
pub struct Hypothesis {
    /// Whose it is.
    pub watch: &'static dyn Watch,
    /// What is watched, in a person's words.
    pub feature: String,
    pub source: Source,
    pub game: Game,
    /// Share of the budget, in 2⁻²⁰.
    pub stake: u64,
}

/// Which counts of a window a hypothesis is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The bins of a signal.
    Signal { index: usize, cells: Range<usize> },
    /// One bin of a signal against its others: rows in the others, rows in it.
    Bin { index: usize, cells: Range<usize>, bin: usize },
    /// Records that this bundle did not flag, and those that it did.
    Flagged,
    /// Records that another bundle scored: those that it did not flag, and those that it did.
    Others,
    /// Records that could be read, and those that could not.
    Faults,
    /// Records that were complete, and those that lacked values.
    Imputed,
    /// Records with a plausible timestamp, and those without.
    Misdated,
    /// Cells of pairs of own and deployed answers: of `watch::answers`, in a panel of their own.
    Pairs { cells: Range<usize> },
}

/// The last hypotheses of every stream are about records: the bundle's own flagged ones, three of the quality of all,
/// and the flagged ones of other bundles. They have the same bets whatever the bundle is.
pub(super) const OF_RECORDS: usize = 5;

/// The hypotheses of the watches that are wanted, of a stream whose rows are counted as `signals`.
pub fn hypotheses(
    signals: &Signals,
    clean: Flagged,
    wanted: impl Fn(&dyn Watch) -> bool,
) -> Vec<Hypothesis> {
    let watches: Vec<_> = ALL.iter().filter(|watch| wanted(**watch)).collect();
    let mut all = vec![];
    for (index, signal) in signals.list().iter().enumerate() {
        let (clean, cells) = (signals.clean(index), signals.range(index));
        let histogram = Histogram { index, signal, cells, clean, places: signals.places() };
        all.extend(watches.iter().flat_map(|watch| watch.of_histogram(&histogram)));
    }
    let mut of_records: Vec<_> = watches.iter().flat_map(|watch| watch.of_records(clean)).collect();
    // A panel that goes on under another bundle looks for this one at the end.
    of_records.sort_by_key(|hypothesis| hypothesis.source == Source::Others);
    all.extend(of_records);
    stake(&mut all);
    all
}

impl Hypothesis {
    /// Without a stake yet.
    pub fn new(watch: &'static dyn Watch, feature: String, source: Source, game: Game) -> Self {
        Self { watch, feature, source, game, stake: 0 }
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
            Source::Others => Cow::Owned(vec![flagged_share::others(usual)]),
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
            Self::Signal { cells, .. } | Self::Pairs { cells } => {
                tally.cells.slice(cells.start, cells.end)
            }
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

/// Of the budget of flagged records a tenth is for those of other bundles: there are two bundles for minutes, and a
/// tenth of the stake costs few records of an attack.
const OTHERS_PART: u64 = 10;

/// Shares the budget out: equal within a watch but for the records of other bundles, and all of it.
fn stake(hypotheses: &mut [Hypothesis]) {
    let count = |watch: &dyn Watch| {
        hypotheses.iter().filter(|hypothesis| hypothesis.watch.name() == watch.name()).count()
    };
    let counts: Vec<(&str, u64)> =
        ALL.iter().map(|watch| (watch.name(), count(*watch) as u64)).collect();
    let there = ALL.iter().zip(&counts).filter(|(_, (_, count))| *count > 0);
    let all: u64 = there.map(|(watch, _)| watch.hundredths()).sum();
    for hypothesis in hypotheses {
        let (part, of) = match hypothesis.source {
            Source::Flagged => (OTHERS_PART - 1, OTHERS_PART),
            Source::Others => (1, OTHERS_PART),
            _ => {
                let own = counts.iter().find(|(name, _)| *name == hypothesis.watch.name());
                (1, own.expect("every watch is in the list").1)
            }
        };
        hypothesis.stake = STAKE_ONE * hypothesis.watch.hundredths() * part / all / of;
    }
}
