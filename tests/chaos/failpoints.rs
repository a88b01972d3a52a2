//! Where in a commit a guard ends itself.

/// A window of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// Outputs are sent, offsets are not.
    AfterSend,
    /// Offsets are in the transaction; the commit was not asked for.
    AfterOffsets,
    /// The commit was asked for and did not return.
    DuringCommit,
    /// The commit returned; nobody knows yet.
    AfterCommit,
}

impl Window {
    pub const ALL: [Self; 4] =
        [Self::AfterSend, Self::AfterOffsets, Self::DuringCommit, Self::AfterCommit];

    pub fn name(self) -> &'static str {
        match self {
            Self::AfterSend => "after-send",
            Self::AfterOffsets => "after-offsets",
            Self::DuringCommit => "during-commit",
            Self::AfterCommit => "after-commit",
        }
    }
}
