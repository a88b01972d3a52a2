//! What the client monitor tells the monitor: about which client, cell or stream, and why.

use serde::{Deserialize, Serialize};

use crate::alarm::WindowStart;
use crate::record::{Offset, Partition};

/// What closing a window of visits led to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientFindings {
    pub baseline: String,
    pub window: WindowStart,
    pub findings: Vec<ClientFinding>,
}

/// A client, a cell or the stream has more marked rows than clean ones have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientFinding {
    pub keying: Keying,
    /// Pseudonym or cell, in hexadecimal digits; empty of the stream.
    pub key: String,
    /// `matched`, `flagged`, …
    pub mark: String,
    /// Rows since the first that counted, and those of them that were marked.
    pub rows: u64,
    pub marked: u64,
    /// At most this share of clean rows is marked; of a quota, none.
    pub clean_share: f64,
    /// Of a quota: rows that are allowed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub allowed: u64,
    /// The window of the first row that counted.
    pub since: WindowStart,
    /// One of the marked rows: the first of the last window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<(Partition, Offset)>,
}

/// By what rows are told apart.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Keying {
    /// By pseudonym.
    Client,
    /// By a coarse place among rows: whoever sends them.
    Cell,
    /// Not at all.
    Stream,
}

impl Keying {
    pub fn name(self) -> &'static str {
        self.into()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
