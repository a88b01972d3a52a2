//! More or fewer clients come at a time.
//!
//! Blind to clients that take the place of others.

use super::{AccessClaim, AccessWatch, DISTINCT, number};
use crate::watch::{Concern, Watch};

/// `distinct-clients`
#[derive(Debug)]
pub struct DistinctClients;

impl Watch for DistinctClients {
    fn name(&self) -> &'static str {
        "distinct-clients"
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

impl AccessWatch for DistinctClients {
    fn claims(&self) -> Vec<AccessClaim> {
        vec![number("clients in a window", DISTINCT)]
    }

    fn words(&self) -> &'static str {
        "of the windows have another number of clients"
    }

    fn atlas(&self) -> &'static [&'static str] {
        &["AML.T0021", "AML.T0029"]
    }
}
