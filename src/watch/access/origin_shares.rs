//! More of the origins that are new to their client are one part of all addresses: many accounts are in one hand, whether
//! somebody made them or took them over. 63 parts and the rest are told apart by a keyed hash.
//!
//! Blind to an origin that shares its part with a large one, and to many origins with few clients each.

use super::{AccessClaim, AccessWatch, ORIGINS};
use crate::alarm::{Game, Reference};
use crate::watch::Source;
use crate::watch::{Concern, Watch};

/// What a share is bet against before the stream has shown its own.
const USUAL: f64 = 1.0 / 64.0;

/// `origin-shares`
#[derive(Debug)]
pub struct OriginShares;

impl Watch for OriginShares {
    fn name(&self) -> &'static str {
        "origin-shares"
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

impl AccessWatch for OriginShares {
    fn claims(&self) -> Vec<AccessClaim> {
        let claim = |bin: usize| AccessClaim {
            feature: format!("new origins in part {bin:02}"),
            source: Source::Bin { index: 0, cells: ORIGINS, bin },
            game: Game::on_a_share(USUAL, Reference::new(vec![0, 0]), false),
        };
        (0..ORIGINS.len()).map(claim).collect()
    }

    fn words(&self) -> &'static str {
        "of the origins that are new to their client lie in one part of all"
    }

    fn atlas(&self) -> &'static [&'static str] {
        &["AML.T0040"]
    }
}
