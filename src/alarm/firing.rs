//! A watch that fired: when the change is over.
//!
//! Each row has a number c: whether it is in the bins of a share, or what the best bet pays for it. Since the change the
//! mean of c differs from that of clean rows. A second set of bets is against the hypothesis that at least half of this
//! difference is left. If they win, the change is over. While at least half of it is left, the expected number of false
//! ends up to time T is at most T / `keep_firing_for`.

use serde::{Deserialize, Serialize};

use super::bets::RETURN_ONE;
use super::capital::{Capital, ONE, credit};
use super::{Bets, Measure, Reference, ScaledFloat, WindowStart};

/// The life of a firing watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firing {
    /// Where the change probably began.
    pub since: WindowStart,
    /// The bet on ranks that won most, or the event that happened.
    pub champion: usize,
    /// Whether the share fell. Then c is 1 for a row outside the bins.
    pub down: bool,
    /// Half-way between the usual mean of c and its mean since the change; `RETURN_ONE` is 1.
    half: u64,
    /// The largest value that c can have.
    most: u64,
    resolve: Capital,
}

/// How bold the resolving bets are, in tenths.
const BOLDNESS: [i128; 3] = [1, 3, 9];

/// Caps a bet's return: one row must not outvote a hundred.
const MOST_OF_A_BET: u64 = 3 * RETURN_ONE;

impl Firing {
    /// A change that ends by the returns of bet `champion`: their mean is 1 on clean rows and was `mean` since the change.
    pub fn of_bet(since: WindowStart, champion: usize, mean: u64) -> Self {
        let excess = mean.saturating_sub(RETURN_ONE) / 2;
        let half = RETURN_ONE + excess.clamp(RETURN_ONE / 50, 19 * RETURN_ONE / 10);
        Self::new(since, champion, false, half, MOST_OF_A_BET)
    }

    /// A change that ends by the share of rows, which was `usual` and became `seen`.
    pub fn of_share(since: WindowStart, champion: usize, usual: f64, seen: f64) -> Self {
        let down = seen < usual;
        let half = f64::midpoint(usual, seen);
        let half = if down { 1.0 - half } else { half }.clamp(1e-5, 0.99);
        Self::new(since, champion, down, (half * RETURN_ONE as f64) as u64, RETURN_ONE)
    }

    fn new(since: WindowStart, champion: usize, down: bool, half: u64, most: u64) -> Self {
        Self { since, champion, down, half, most, resolve: Capital::new(BOLDNESS.len()) }
    }

    /// This change for a watch on events: its first event happened. `None` if the share fell.
    pub fn into_event(self) -> Option<Self> {
        (!self.down).then_some(Self { champion: 0, ..self })
    }

    /// c of a row of `bin`; `u` breaks ties among rows of one bin.
    pub fn c_of(
        &self,
        measure: Measure,
        bets: &Bets,
        reference: &Reference,
        (bin, u): (usize, u32),
    ) -> u64 {
        match measure {
            Measure::Share { .. } if (bin == 1) != self.down => RETURN_ONE,
            Measure::Share { .. } => 0,
            Measure::Ranks | Measure::Tail => return_of(bets, reference, self.champion, (bin, u)),
        }
    }

    /// What each bet pays for a row with c: 1 on average where the mean is `half`, less above it.
    fn returns(&self, c: u64) -> [u32; 3] {
        let (half, c) = (i128::from(self.half), i128::from(c.min(self.most)));
        BOLDNESS.map(|tenths| {
            let gain = (tenths * (half - c) * i128::from(RETURN_ONE))
                .div_euclid(10 * (i128::from(self.most) - half));
            u32::try_from(i128::from(RETURN_ONE) + gain).unwrap_or(0)
        })
    }

    /// The credit of one row: `rows` rows share the elapsed time.
    pub fn credit(elapsed_ms: u64, keep_firing_for_ms: u64, rows: u64) -> u64 {
        credit(
            elapsed_ms.min(keep_firing_for_ms / 20),
            keep_firing_for_ms,
            rows,
            1,
            BOLDNESS.len() as u64,
        )
    }

    /// Bets on one row. True if the change is over.
    pub fn row(&mut self, c: u64, credit: u64) -> bool {
        let returns = self.returns(c);
        self.resolve.play(&[credit; 3], &returns);
        self.resolve.sum() >= ONE
    }

    /// Bets on a window in which `hits` of `rows` rows were in the bins. True if the change is over.
    pub fn window(&mut self, hits: u64, rows: u64, credit: u64) -> bool {
        let hits = if self.down { rows - hits } else { hits };
        let (of_hit, of_miss) = (self.returns(RETURN_ONE), self.returns(0));
        let factor = |e: u32| ScaledFloat::below(f64::from(e) / RETURN_ONE as f64);
        let pairs = of_hit.into_iter().zip(of_miss);
        let products =
            pairs.map(|(hit, miss)| factor(hit).power(hits).times(factor(miss).power(rows - hits)));
        self.resolve.multiply(credit, products);
        self.resolve.sum() >= ONE
    }
}

/// What bet `champion` pays for a row, capped.
pub fn return_of(
    bets: &Bets,
    reference: &Reference,
    champion: usize,
    (bin, u): (usize, u32),
) -> u64 {
    u64::from(bets.returns(reference.rank(bin, u))[champion]).min(MOST_OF_A_BET)
}
