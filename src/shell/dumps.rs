//! A process that holds what others sealed is not written into core dumps, and nobody but root may trace it.
//!
//! Linux keeps this for the process as a whole, so it is said once and holds for what comes later too. It cannot keep
//! memory from root, nor from swap.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use tracing::warn;

/// Forbids core dumps of this process, and that others read its memory.
pub fn forbid() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        warn!(%error, "core dumps of this process cannot be forbidden: what was sealed may end up in one");
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn a_process_that_forbids_dumps_says_so_to_the_kernel() {
        forbid();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
