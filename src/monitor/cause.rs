//! What an incident is about, and which other incidents that explains.

use serde::{Deserialize, Serialize};

use crate::watch::Concern;

/// One incident per cause and stream is open at a time: ten drifted features are one.
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
pub enum Cause {
    /// Records look attacked.
    Attack,
    /// What answers is not the model that the bundle knows.
    Tampering,
    /// Records are broken, incomplete or of another make.
    Quality,
    /// Inputs or answers are distributed in another way.
    Drift,
    /// There are no records.
    NoData,
    /// There are records, and a partition makes no progress.
    Stall,
    /// Records of the input are gone that nobody read.
    DataLoss,
    /// Somebody uses the stream as he should not.
    Access,
    /// Rows point to people.
    Privacy,
}

impl Cause {
    pub fn of(concern: Concern) -> Self {
        match concern {
            Concern::Attack => Self::Attack,
            Concern::Quality => Self::Quality,
            Concern::Drift => Self::Drift,
            Concern::Tampering => Self::Tampering,
            Concern::Access => Self::Access,
        }
    }

    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether this one comes along with one of `others`.
    pub fn comes_with(self, others: &[Self]) -> bool {
        self.parents().iter().any(|parent| others.contains(parent))
    }

    /// While one of these is open, this one is what it brings along, and pages nobody. An attack is
    /// never somebody's child: a drift that lasts for days must not hide it. Records of an attack that cannot be read
    /// are the attack's, if they came with it and are not most of all records.
    pub fn parents(self) -> &'static [Self] {
        match self {
            Self::Drift => &[Self::Attack, Self::Tampering, Self::Quality],
            Self::Quality => &[Self::Attack],
            Self::Attack
            | Self::Tampering
            | Self::NoData
            | Self::Stall
            | Self::DataLoss
            | Self::Access
            | Self::Privacy => &[],
        }
    }
}
