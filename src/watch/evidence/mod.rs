//! What a lane tells the monitor, and how it travels.
//!
//! A message holds the counts of the offsets `from..to` of one partition and of no others. Sums do not
//! depend on how the offsets were cut, and a monitor that knows up to where it heard a partition counts
//! nothing twice. So a lane has nothing to remember of what it said.

mod clients;
mod exemplar;
mod join;
#[cfg(feature = "fit")]
mod learn;
mod passage;
mod quasi;
mod signals;
mod tally;

use serde::{Deserialize, Serialize};

use crate::alarm::WindowStart;
use crate::record::{Offset, Partition, Timestamp};

pub use clients::{ClientFinding, ClientFindings, Keying};
pub use exemplar::{Exemplar, Exemplars};
pub use join::{EndpointCounts, JoinCounts, JoinEvidence, JoinWindow};
pub use passage::Passage;
pub use quasi::{Quasi, RowGroups};
pub use signals::{Bins, Of, PLACES, Patch, Signal, Signals, Stat};
pub use tally::{Cells, Counts, Others, Tally, Usual};

/// The counts of the input offsets `from..to` of one partition, by window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Which knowledge judged these records; counts of different baselines are never merged.
    pub baseline: String,
    pub partition: Partition,
    pub from: Offset,
    pub to: Offset,
    /// The first message since its worker took the partition over. Where offsets were moved back, it
    /// counts again what comes again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub begins: bool,
    /// The partition's time at `to`: no later record counts in a window that starts more than a window
    /// before it, unless most of its neighbours say that this was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<WindowStart>,
    /// At the commit there was nothing more to read. A partition whose records are old then is not behind:
    /// their stamps are, and nobody waits for them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub read_out: bool,
    /// By their start, ascending.
    pub windows: Vec<Window>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// What the records of one window came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    pub window: WindowStart,
    pub tally: Tally,
    /// The first flagged offset, for a person who wants to look.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_flagged: Option<Offset>,
    /// Flagged records that stand for the others.
    #[serde(skip_serializing_if = "Exemplars::is_empty", default)]
    pub exemplars: Exemplars,
}

impl Window {
    /// A window of which nothing is counted yet.
    pub fn empty(window: WindowStart) -> Self {
        let (tally, exemplars) = (Tally::default(), Exemplars::default());
        Self { window, tally, first_flagged: None, exemplars }
    }
}

/// The shell's clock, written into the evidence topic: the only way time reaches the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tick {
    pub at: Timestamp,
}

/// What a worker says about a partition it has: that it took it over, or that there is nothing to
/// read from it. Without this the monitor could not tell a partition that is behind from an empty one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    pub partition: Partition,
    /// Nothing is waiting to be read.
    pub quiet: bool,
}

/// What a worker says about a partition that makes no progress although records of it wait: that it stands
/// still at an offset, or that this is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stall {
    pub partition: Partition,
    /// Committed: the next record is one that waits.
    pub at: Offset,
    pub over: bool,
}

/// Records of the input that nobody will ever read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    pub partition: Partition,
    /// Where the partition stood, and where it goes on.
    pub from: Offset,
    pub to: Offset,
    /// How many offsets are gone unread; transaction markers are among them.
    pub unread: u64,
    pub cause: LossCause,
    /// Whether the partition waits until an operator lets it go on.
    pub waits: bool,
}

/// What took them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossCause {
    /// They were deleted before they were read.
    Retention,
    /// The log lost its newest records: an unclean election, or a disk.
    Truncation,
    /// The topic was made anew.
    Anew,
    /// They were read, and what left for them is gone from an output.
    Output,
}

/// What a worker says of the bundle and budget that it scores by, before the first counts of a partition: how many
/// clean rows are flagged. A monitor of another bundle holds the counts against that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    pub baseline: String,
    /// Share of clean records that may be flagged.
    pub budget: f64,
    /// Of so many clean rows so many were.
    pub rows: u64,
    pub flagged: u64,
}

/// A value of the evidence topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Message {
    #[serde(rename = "counts")]
    Evidence(Evidence),
    Presence(Presence),
    Tick(Tick),
    /// A monitor of a build that does not know it passes over it, and says so in its log.
    Stall(Stall),
    Loss(Loss),
    /// As `Stall`.
    Reference(Baseline),
    /// As `Stall`.
    Clients(ClientFindings),
    /// Of those who join answers. As `Stall`.
    Answers(JoinEvidence),
    /// As `Stall`.
    Quasi(Quasi),
    /// As `Stall`.
    Passage(Passage),
}

impl Baseline {
    /// The share of clean rows that it is believed to flag.
    pub fn usual(&self) -> Usual {
        Usual::new(self.budget.clamp(0.0, 1.0), self.rows, self.flagged)
    }
}

impl Message {
    /// JSON, one line.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }

    /// # Errors
    /// If `bytes` are not a message of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}
