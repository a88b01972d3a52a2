//! ADWIN, what most drift monitors run: beside ours, on the same rows.
//!
//! A. Bifet, R. Gavaldà, "Learning from Time-Changing Data with Adaptive Windowing", SDM 2007, with the
//! parameters of its usual implementations: five buckets per row, a check every 32 rows.

const PER_ROW: usize = 5;
const CLOCK: u64 = 32;
const GRACE: f64 = 10.0;
const SHORTEST: f64 = 5.0;

#[derive(Clone, Copy, Default)]
struct Bucket {
    n: f64,
    total: f64,
    /// Sum of squared deviations from its mean.
    variance: f64,
}

impl Bucket {
    fn with(self, other: Self) -> Self {
        let n = self.n + other.n;
        if n == 0.0 {
            return self;
        }
        let apart = self.total / self.n.max(1.0) - other.total / other.n.max(1.0);
        let between = self.n * other.n / n * apart * apart;
        let variance = self.variance + other.variance + between;
        Self { n, total: self.total + other.total, variance }
    }
}

/// Adaptive window over numbers.
pub struct Adwin {
    delta: f64,
    /// Rows of buckets of size 1, 2, 4, …; within a row the oldest first.
    rows: Vec<Vec<Bucket>>,
    seen: u64,
}

impl Adwin {
    pub fn new(delta: f64) -> Self {
        Self { delta, rows: vec![vec![]], seen: 0 }
    }

    /// True if the mean has changed.
    pub fn add(&mut self, x: f64) -> bool {
        self.seen += 1;
        self.rows[0].push(Bucket { n: 1.0, total: x, variance: 0.0 });
        let mut at = 0;
        while self.rows[at].len() > PER_ROW {
            let merged = self.rows[at][0].with(self.rows[at][1]);
            self.rows[at].drain(..2);
            if at + 1 == self.rows.len() {
                self.rows.push(vec![]);
            }
            self.rows[at + 1].push(merged);
            at += 1;
        }
        self.seen.is_multiple_of(CLOCK) && self.has_cut()
    }

    fn has_cut(&self) -> bool {
        let oldest_first: Vec<Bucket> = self.rows.iter().rev().flatten().copied().collect();
        let all = oldest_first.iter().fold(Bucket::default(), |sum, b| sum.with(*b));
        if all.n < GRACE {
            return false;
        }
        let variance = all.variance / all.n;
        let confidence = (2.0 * all.n.ln() / self.delta).ln();
        let mut old = Bucket::default();
        for bucket in oldest_first {
            old = old.with(bucket);
            let (n0, n1) = (old.n, all.n - old.n);
            if n0 < SHORTEST || n1 < SHORTEST {
                continue;
            }
            let apart = (old.total / n0 - (all.total - old.total) / n1).abs();
            let m = 1.0 / (n0 - SHORTEST + 1.0) + 1.0 / (n1 - SHORTEST + 1.0);
            let cut = (2.0 * m * variance * confidence).sqrt() + 2.0 / 3.0 * confidence * m;
            if apart > cut {
                return true;
            }
        }
        false
    }
}
