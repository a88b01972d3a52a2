//! Names and numbers that all of a world use.

/// What the world's first millisecond is called.
pub const BEGAN_AT: i64 = 1_700_000_000_000;

/// The workers' group, of the cluster's groups.
pub const WORKERS: usize = 0;

/// The monitors' group.
pub const MONITORS: usize = 1;

/// The client monitors' group.
pub const CLIENTS: usize = 2;

/// The group of those that read the deployed model's answers.
pub const ANSWERS: usize = 3;

/// The group of those that join answers with the records that they answer.
pub const JOIN: usize = 4;

/// How many groups there are.
pub const GROUPS: usize = 5;

/// Names the knowledge of every monitor, and of every toy scorer unless bundles roll.
pub const BASELINE: &str = "toy";

/// Of every other process while they do.
pub const OTHER_BASELINE: &str = "odd";

/// Names of the revisions, by number. The monitors score by the first; where bundles roll, every other process scores by the
/// second.
pub const REVISIONS: [&str; 6] = [BASELINE, OTHER_BASELINE, "third", "fourth", "fifth", "sixth"];

/// The header with a record's number.
pub const NUMBER: &str = "n";

/// Kinds of values: the first byte.
pub mod kind {
    pub const PASS: u8 = 0;
    pub const QUARANTINE: u8 = 1;
    pub const CORRECT: u8 = 2;
    pub const FAULT: u8 = 3;
    /// Scored only after some tries.
    pub const HARD: u8 = 4;
    /// Not read before somebody has asked for its schema.
    pub const WANTING: u8 = 5;
    /// Ends the process that scores it.
    pub const POISON: u8 = 6;
    /// What a policy of topics may refuse.
    pub const FORBIDDEN: u8 = 7;
}
