//! What the client monitor remembers: what it writes to the state topic.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::shares::ShareState;
use crate::clients::visit::{Bytes, varint};
use crate::clients::{CapitalEntry, CapitalTable, ClientTerms, HabitShares, KeyBets, MARKS};
use crate::record::{Offset, Partition, Timestamp};
use crate::watch::{ClientFinding, Heard, WindowStart};

/// One line of JSON, and the tables after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub baseline: String,
    /// Both are written beside it.
    #[serde(skip, default = "zero")]
    pub next: Offset,
    #[serde(skip, default = "zero")]
    pub low: Offset,
    pub clock: Timestamp,
    pub partitions: BTreeMap<Partition, Heard>,
    /// Windows that start before this are closed.
    pub frontier: WindowStart,
    /// Closed windows that start before this are in the horizon no more.
    pub horizon_from: WindowStart,
    /// Rows of messages from..to, told for a window, that count in another: late, or ahead of the clock. In the order in
    /// which they were moved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<(i64, i64, WindowStart, WindowStart)>,
    /// Messages that told again what was told.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub passed: BTreeSet<i64>,
    /// Rows by client in the present span of the quota.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quota: BTreeMap<u64, u64>,
    #[serde(default)]
    pub quota_span: i64,
    /// To be told with the window that closes next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quota_findings: Vec<ClientFinding>,
    /// What is known of who uses the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<ShareState>,
    /// How often clients leave their habits.
    #[serde(default, skip_serializing_if = "HabitShares::is_empty")]
    pub habits: HabitShares,
    /// By the name of keys and mark.
    #[serde(skip)]
    pub tables: Vec<(String, CapitalTable)>,
}

fn zero() -> Offset {
    Offset(0)
}

/// Moves and messages passed over that the state holds.
const EXCEPTIONS_MAX: usize = 1024;

impl State {
    pub fn new(terms: &ClientTerms) -> Self {
        let name = |bets: &KeyBets| format!("{} {}", bets.keying.name(), MARKS[bets.mark].name());
        let tables = terms.bets.iter().map(name).zip(terms.tables()).collect();
        Self {
            baseline: terms.baseline.clone(),
            next: zero(),
            low: zero(),
            clock: Timestamp(0),
            partitions: BTreeMap::new(),
            frontier: Timestamp(0),
            horizon_from: Timestamp(0),
            moved: vec![],
            passed: BTreeSet::new(),
            quota: BTreeMap::new(),
            quota_span: 0,
            quota_findings: vec![],
            shares: None,
            habits: HabitShares::default(),
            tables,
        }
    }

    /// Whether its tables are those of `terms`.
    pub fn fits(&self, terms: &ClientTerms) -> bool {
        let names =
            |state: &Self| state.tables.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        names(self) == names(&Self::new(terms))
    }

    /// The window in which rows count that a message at `offset` told for `window`.
    pub fn place(&self, offset: Offset, window: WindowStart) -> WindowStart {
        let step =
            |at: WindowStart, (from, to, of, into): &(i64, i64, WindowStart, WindowStart)| {
                if *of == at && (*from..*to).contains(&offset.0) { *into } else { at }
            };
        self.moved.iter().fold(window, step)
    }

    pub fn has_room(&self) -> bool {
        self.moved.len() + self.passed.len() <= EXCEPTIONS_MAX
    }

    /// Forgets exceptions of messages that are not read again.
    pub fn prune(&mut self) {
        let low = self.low.0;
        self.moved.retain(|(_, to, ..)| *to > low);
        self.passed = self.passed.split_off(&low);
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = serde_json::to_vec(self).expect("plain data");
        out.push(b'\n');
        varint(&mut out, self.tables.len() as u64);
        for (name, table) in &self.tables {
            varint(&mut out, name.len() as u64);
            out.extend_from_slice(name.as_bytes());
            varint(&mut out, table.len() as u64);
            for (key, entry) in table.entries() {
                out.extend(key.to_le_bytes());
                entry.capital.iter().for_each(|&r| varint(&mut out, r));
                varint(&mut out, entry.rows);
                varint(&mut out, entry.marked);
                varint(&mut out, entry.since.0.cast_unsigned());
            }
        }
        out
    }

    /// # Errors
    /// If the bytes cannot be read.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let end = bytes.iter().position(|&byte| byte == b'\n').ok_or("it has no tables")?;
        let mut state: Self = serde_json::from_slice(&bytes[..end]).map_err(|e| e.to_string())?;
        let mut read = Bytes(&bytes[end + 1..]);
        for _ in 0..read.varint()? {
            let length = read.varint()? as usize;
            let name =
                std::str::from_utf8(read.take(length)?).map_err(|e| e.to_string())?.to_owned();
            let mut entries = vec![];
            for _ in 0..read.varint()? {
                let key = u64::from_le_bytes(read.array()?);
                let capital = [read.varint()?, read.varint()?, read.varint()?];
                let (rows, marked) = (read.varint()?, read.varint()?);
                let since = Timestamp(read.number()?);
                entries.push((key, CapitalEntry { capital, rows, marked, since }));
            }
            state.tables.push((name, CapitalTable::of(entries)));
        }
        Ok(state)
    }
}
