//! More of the clients that come were never seen before: accounts that somebody made in numbers.
//!
//! Blind to accounts that were made days before they are used.

use super::{ARRIVALS, AccessClaim, AccessWatch, share};
use crate::watch::{Concern, Watch};

/// `new-clients`
#[derive(Debug)]
pub struct NewClients;

impl Watch for NewClients {
    fn name(&self) -> &'static str {
        "new-clients"
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

impl AccessWatch for NewClients {
    fn claims(&self) -> Vec<AccessClaim> {
        vec![share("clients that were never seen before", ARRIVALS, 0.05)]
    }

    fn words(&self) -> &'static str {
        "of the clients that came were never seen before"
    }

    fn atlas(&self) -> &'static [&'static str] {
        &["AML.T0021", "AML.T0012"]
    }
}
