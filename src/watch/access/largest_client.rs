//! The client that sends most sends a larger or a smaller part of all rows than the one that sent most did before.
//!
//! Blind to which client that is, and to a heavy one among several that are as heavy.

use super::{AccessClaim, AccessWatch, LARGEST, number};
use crate::watch::{Concern, Watch};

/// `largest-client`
#[derive(Debug)]
pub struct LargestClient;

impl Watch for LargestClient {
    fn name(&self) -> &'static str {
        "largest-client"
    }

    fn hundredths(&self) -> u64 {
        1
    }

    fn concern(&self) -> Concern {
        Concern::Access
    }

    fn needs_stationary_rows(&self) -> bool {
        true
    }
}

impl AccessWatch for LargestClient {
    fn claims(&self) -> Vec<AccessClaim> {
        vec![number("part of the rows that the largest client sends", LARGEST)]
    }

    fn words(&self) -> &'static str {
        "of the windows have another part of their rows from one client"
    }

    fn atlas(&self) -> &'static [&'static str] {
        &["AML.T0029", "AML.T0034"]
    }
}
