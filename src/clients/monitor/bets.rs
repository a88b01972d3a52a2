//! The bets on marks when a window closes, and what is told of those that won.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::ClientMonitor;
use super::habits::WindowHabits;
use super::memory::Row;
use crate::clients::{
    CapitalPage, ClientName, HabitShares, KeyBets, MARKS, MATCHED, MarkBets, TableTerms,
};
use crate::record::{Offset, Partition};
use crate::watch::{ClientFinding, ClientFindings, Keying, Message, WindowStart};

/// The largest part of the period that one window buys, as the panel's.
const CREDIT_PART: u64 = 500;
/// Findings of one window that are told; more pages than that are one.
const FINDINGS_MAX: usize = 64;

/// What a table plays when a window closes: rows and marked rows by key, and for what they are held.
struct BetRound<'a> {
    keys: Cow<'a, BTreeMap<u64, (u64, u64)>>,
    clean_share: f64,
    terms: Cow<'a, TableTerms>,
}

impl ClientMonitor {
    pub(super) fn bet(&mut self, window: WindowStart, rows: &[Row], habits: &WindowHabits) {
        let terms = self.terms.clone();
        let bought_ms = terms.window_ms.min(terms.period_ms / CREDIT_PART);
        let mut findings = std::mem::take(&mut self.state.quota_findings);
        for (bets, (_, table)) in terms.bets.iter().zip(&mut self.state.tables) {
            let Some(round) = round(bets, (rows, habits), &self.state.habits) else { continue };
            let BetRound { keys, clean_share, terms: of_table } = round;
            for page in table.close((window, bought_ms), &keys, &of_table) {
                let CapitalPage { key, rows: sent, marked, since } = page;
                if bets.keying == Keying::Client && terms.is_accepted(key, window) {
                    continue;
                }
                findings.push(ClientFinding {
                    keying: bets.keying,
                    key: key_name(bets.keying, key),
                    mark: MARKS[bets.mark].name().into(),
                    rows: sent,
                    marked,
                    clean_share,
                    allowed: 0,
                    since,
                    sample: sample(rows, bets.keying, bets.mark, key),
                });
            }
        }
        self.watch_shares(window, (rows.len() as u64, &habits.cells), &mut findings);
        if findings.is_empty() {
            return;
        }
        findings.sort_by(|a, b| (a.keying, &a.key, &a.mark).cmp(&(b.keying, &b.key, &b.mark)));
        findings.truncate(FINDINGS_MAX);
        let baseline = terms.baseline.clone();
        self.told.push(Message::Clients(ClientFindings { baseline, window, findings }));
    }
}

/// Nothing is bet while nobody knows how often clean rows have a mark.
fn round<'a>(
    bets: &'a KeyBets,
    (rows, habits): (&[Row], &'a WindowHabits),
    shares: &HabitShares,
) -> Option<BetRound<'a>> {
    let KeyBets { keying, mark, clean_share, table } = bets;
    let Some(habit) = MARKS[*mark].habit() else {
        let keys = Cow::Owned(tally(rows, *keying, *mark));
        return Some(BetRound { keys, clean_share: *clean_share, terms: Cow::Borrowed(table) });
    };
    let clean_share = shares.share(habit)?;
    let terms = TableTerms { bets: MarkBets::on_a_key(clean_share), ..table.clone() };
    let keys = Cow::Borrowed(habits.of(habit));
    Some(BetRound { keys, clean_share, terms: Cow::Owned(terms) })
}

fn key_of(row: &Row, keying: Keying) -> Option<u64> {
    match keying {
        Keying::Client => row.visit.client.map(|client| client.0),
        Keying::Cell => row.visit.cell.map(u64::from),
        Keying::Stream => Some(0),
    }
}

fn key_name(keying: Keying, key: u64) -> String {
    match keying {
        Keying::Client => ClientName(key).to_string(),
        Keying::Cell => format!("{key:08x}"),
        Keying::Stream => String::new(),
    }
}

/// Whether the row is one of those of which a mark tells a share, and has the mark.
fn has(row: &Row, mark: usize) -> Option<bool> {
    let is_fault =
        MARKS.iter().enumerate().any(|(i, m)| m.counts_faults() && row.visit.marks & 1 << i != 0);
    let counts = !is_fault || MARKS[mark].counts_faults();
    // Without fingerprints nobody can say whether it matches.
    let counts = counts && (mark != MATCHED || row.visit.prints.is_some());
    counts.then_some(row.visit.marks & 1 << mark != 0)
}

/// Rows and marked rows by key.
fn tally(rows: &[Row], keying: Keying, mark: usize) -> BTreeMap<u64, (u64, u64)> {
    let mut keys: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for row in rows {
        let (Some(key), Some(marked)) = (key_of(row, keying), has(row, mark)) else { continue };
        let (n, k) = keys.entry(key).or_default();
        (*n, *k) = (*n + 1, *k + u64::from(marked));
    }
    keys
}

/// The first marked row of a key, whatever order rows were heard in.
fn sample(rows: &[Row], keying: Keying, mark: usize, key: u64) -> Option<(Partition, Offset)> {
    let of = |row: &&Row| key_of(row, keying) == Some(key) && has(row, mark) == Some(true);
    rows.iter().filter(of).map(|row| (row.partition, Offset(row.visit.offset))).min()
}
