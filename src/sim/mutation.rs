//! Seeded bugs: each is a mistake that somebody could make, worn around any session.
//!
//! A checker that does not notice them proves nothing. They know a session and the two keys under
//! which state is kept, nothing else: what catches them on the simulated log must catch them on
//! Kafka.

mod mutant;

use std::str::FromStr;

pub use self::mutant::{Mutant, Reuse};

/// A mistake.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    strum::Display,
    strum::IntoStaticStr,
    strum::VariantArray,
    strum::VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Mutation {
    /// Offsets are committed when a transaction begins, its records after that.
    CommitBeforeProduce,
    /// After a failure reading goes on where it stood.
    NoRewind,
    /// After a commit whose fate is unknown the same producer goes on.
    ReuseProducer,
    /// State is taken for what the group committed, whatever it covers.
    RestoreUnchecked,
    /// When a partition is handed over, neither state nor offset of what was read before is committed.
    ForgetOnRevoke,
    /// The monitor commits what it heard, and sends what followed from it after that.
    MonitorCommitsFirst,
    /// A partition waits until the group tells the offset that its state covers.
    WaitForTheGroup,
    /// Every record of a request that was refused is taken for refused itself.
    BlameTheRequest,
    /// That a transaction ended is believed because a broker said so. It is inside a session, and
    /// only the simulated one has it.
    BelieveTheEnd,
    /// Nobody looks whether the input is still the log that it was.
    BelieveTheLog,
    /// A partition that waits because its log became shorter goes on once it has grown again.
    LongEnough,
    /// Records are committed without asking whether the input was made anew since they were read.
    CommitUnasked,
}

impl Mutation {
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl FromStr for Mutation {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().copied().find(|mutation| mutation.name() == name);
        known.ok_or_else(|| {
            let names = <Self as strum::VariantNames>::VARIANTS.join(", ");
            format!("no mutation {name:?}; there are {names}")
        })
    }
}
