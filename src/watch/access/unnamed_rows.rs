//! More rows do not say whose they are: somebody found a way around the gateway, or left its header out.
//!
//! Blind to rows with an invented id: those are new clients.

use super::{AccessClaim, AccessWatch, NAMED, share};
use crate::watch::{Concern, Watch};

/// `unnamed-rows`
#[derive(Debug)]
pub struct UnnamedRows;

impl Watch for UnnamedRows {
    fn name(&self) -> &'static str {
        "unnamed-rows"
    }

    fn hundredths(&self) -> u64 {
        1
    }

    fn concern(&self) -> Concern {
        Concern::Access
    }
}

impl AccessWatch for UnnamedRows {
    fn claims(&self) -> Vec<AccessClaim> {
        vec![share("rows without an id", NAMED, 0.01)]
    }

    fn words(&self) -> &'static str {
        "of the rows do not say whose they are"
    }

    fn atlas(&self) -> &'static [&'static str] {
        &["AML.T0040"]
    }
}
