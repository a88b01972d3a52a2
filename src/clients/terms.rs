//! What the client monitor is promised and asked: frozen for a baseline.

use super::{
    CapitalTable, CleanMarks, ClientName, Habit, KnownSettings, MARKS, Mark, MarkBets, TableTerms,
};
use crate::record::Timestamp;
use crate::watch::access::{ACCESS_HUNDREDTHS, access_hypotheses};
use crate::watch::{Keying, Terms, Times, WindowStart};

/// Hundredths of the budget of false pages that are the client monitor's: clients, cells, stream. Where records say whose they
/// are, a hundredth of the stream's is for the watches of access.
const SHARES: [(Keying, u64); 3] = [(Keying::Client, 4), (Keying::Cell, 3), (Keying::Stream, 3)];

/// All of them: what the watches of the stream leave to it.
pub const HUNDREDTHS: u64 = 10;

/// What an operator says about clients.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientSettings {
    /// Rows that a row is compared with.
    pub horizon_rows: usize,
    /// Keys of each kind and mark that are remembered.
    pub entries_max: usize,
    /// Rows that one client may send, and in what time.
    pub quota: Option<(u64, u64)>,
    /// Clients of whom nothing is told until then.
    pub accept: Vec<(ClientName, Timestamp)>,
    /// How clients are remembered, if records say whose they are.
    pub known: Option<KnownSettings>,
}

/// What the client monitor is told before it reads anything.
#[derive(Clone, Debug)]
pub struct ClientTerms {
    pub baseline: String,
    pub window_ms: u64,
    pub period_ms: u64,
    /// Fingerprints of a family that make a match; 0: rows are not matched.
    pub threshold: usize,
    pub settings: ClientSettings,
    /// What is bet on, in this order.
    pub bets: Vec<KeyBets>,
    /// What is bet on who uses the stream, if records say that.
    pub shares: Option<Terms>,
}

/// The bets on one mark, for keys of one kind.
#[derive(Clone, Debug)]
pub struct KeyBets {
    pub keying: Keying,
    /// Which of the marks.
    pub mark: usize,
    /// At most this share of clean rows has it; 0 where the stream itself says that.
    pub clean_share: f64,
    pub table: TableTerms,
}

impl ClientTerms {
    /// `period_ms`: at most one false page is expected per this time, of all alarms of the stream together.
    pub fn new(
        baseline: &str,
        (window_ms, period_ms): (u64, u64),
        (clean, threshold): (&CleanMarks, usize),
        settings: ClientSettings,
    ) -> Self {
        let mut bets = vec![];
        for (keying, mut hundredths) in SHARES {
            if settings.known.is_some() && keying == Keying::Stream {
                hundredths -= ACCESS_HUNDREDTHS;
            }
            let on = |(mark, of): (usize, &&dyn Mark)| {
                let share = match of.habit() {
                    Some(habit) => {
                        settings.known.filter(|k| k.origins || habit == Habit::Hour).map(|_| 0.0)
                    }
                    None => of.clean_share(clean).filter(|share| *share < 0.5),
                };
                share.filter(|_| of.is_for(keying)).map(|share| (mark, share))
            };
            let on: Vec<(usize, f64)> = MARKS.iter().enumerate().filter_map(on).collect();
            let share = (hundredths, 100 * on.len() as u64);
            bets.extend(on.into_iter().map(|(mark, clean_share)| {
                // Of a habit others are made once its share is known.
                let p0 = if clean_share > 0.0 { clean_share } else { 0.5 };
                let bets = match keying {
                    Keying::Stream => MarkBets::on_the_stream(p0),
                    _ => MarkBets::on_a_key(p0),
                };
                let entries_max = settings.entries_max;
                let table = TableTerms { bets, period_ms, share, entries_max };
                KeyBets { keying, mark, clean_share, table }
            }));
        }
        let baseline = baseline.to_owned();
        Self { baseline, window_ms, period_ms, threshold, settings, bets, shares: None }
    }

    /// These terms with watches on who uses `stream`, if records say that. A change is not over before `keep_firing_for_ms`.
    /// `moves`: rows drift by themselves. `depends`: rows of a window depend on each other.
    #[must_use]
    pub fn watching(
        self,
        stream: &str,
        keep_firing_for_ms: u64,
        (moves, depends): (bool, bool),
    ) -> Self {
        let Some(known) = self.settings.known else { return self };
        let times =
            Times { window_ms: self.window_ms, false_page_ms: self.period_ms, keep_firing_for_ms };
        let hypotheses = access_hypotheses(known.origins, moves);
        let mut terms = Terms::new(&self.baseline, stream, hypotheses, times);
        if depends {
            terms.draws_max = 1;
        }
        Self { shares: Some(terms), ..self }
    }

    /// Whether an operator said that a client does what it should.
    pub fn is_accepted(&self, client: u64, window: WindowStart) -> bool {
        self.settings.accept.iter().any(|(name, until)| name.0 == client && window < *until)
    }

    /// Tables without an entry.
    pub fn tables(&self) -> Vec<CapitalTable> {
        vec![CapitalTable::default(); self.bets.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_all_tables_are_those_of_the_budget_and_no_more() {
        let settings = ClientSettings {
            horizon_rows: 9,
            entries_max: 64,
            quota: None,
            accept: vec![],
            known: None,
        };
        let clean =
            CleanMarks { flagged: 0.01, confidence: Some((0.4, 0.02)), matched: Some(0.001) };
        let terms = ClientTerms::new("b", (10_000, 604_800_000), (&clean, 4), settings.clone());
        let sum: f64 =
            terms.bets.iter().map(|b| b.table.share.0 as f64 / b.table.share.1 as f64).sum();
        assert!((sum - HUNDREDTHS as f64 / 100.0).abs() < 1e-12, "{sum}");
        let of = |keying| terms.bets.iter().filter(|b| b.keying == keying).count();
        assert_eq!([Keying::Client, Keying::Cell, Keying::Stream].map(of), [4, 2, 1]);
        let of_clients = |origins| {
            let (clients_max, travel_ms, page_ms, week_ms) = (9, 9, 9, 9);
            let known = KnownSettings { clients_max, travel_ms, origins, page_ms, week_ms };
            let settings = ClientSettings { known: Some(known), ..settings.clone() };
            let terms = ClientTerms::new("b", (10_000, 604_800_000), (&clean, 4), settings);
            let of = terms.bets.iter().filter(|b| b.keying == Keying::Client);
            of.map(|b| MARKS[b.mark].name()).collect::<Vec<_>>()
        };
        assert_eq!(of_clients(true)[4..], ["new-origin", "odd-hour", "travel"]);
        assert_eq!(of_clients(false)[4..], ["odd-hour"]);
        let flagged = CleanMarks { flagged: 0.01, ..CleanMarks::default() };
        let terms = ClientTerms::new("b", (10_000, 604_800_000), (&flagged, 0), settings);
        assert_eq!(terms.bets.len(), 3);
    }
}
