//! What goes wrong, when: everything by one seed.

use std::collections::BTreeMap;
use std::fmt;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::cluster::Ms;

/// Luck and its bookkeeping. Whoever asks for a number changes what comes after: the order of
/// questions is part of a world.
#[derive(Debug)]
pub struct Faults {
    rng: ChaCha8Rng,
    plan: Plan,
    /// Faults strike only before this many steps.
    steps_max: u64,
    steps: u64,
    /// Over: everything heals.
    healed: bool,
    /// The cluster answers nobody before.
    pub down_until: Ms,
    pub hits: Hits,
    /// What happened, for people, if anybody wants to read it.
    pub trace: Option<Vec<String>>,
}

/// How often each fault strikes, per step; a step's weight is added in [`Call::weight`].
#[derive(Clone, Copy, Debug)]
struct Plan {
    crash: f64,
    lost: f64,
    exchange: f64,
    consumer: f64,
    interrupt: f64,
}

/// A call of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Poll,
    Assign,
    Unassign,
    Pause,
    Resume,
    Rewind,
    Forward,
    Send,
    Barrier,
    Offsets,
    Commit,
    Undo,
    Recover,
    Beginnings,
    PartitionsOf,
    Survey,
}

/// What happens to one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    Nothing,
    CrashBefore,
    CrashAfter,
    /// An error, and nothing was done.
    RequestLost,
    /// An error, though it was done.
    ReplyLost,
    /// An error, and it is done later.
    Late,
    /// The cluster does not answer.
    NoAnswer,
    /// The consumer ends for good.
    ConsumerEnds,
}

/// How often what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits(pub BTreeMap<String, u64>);

impl Faults {
    pub fn new(seed: u64, steps_max: u64, trace: bool) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // One world in eight has no faults but those it is built of; in the others each kind is
        // absent, rare or frequent, so that some worlds are full of one thing.
        let calm = rng.random_bool(0.125);
        let mut rate = |most: f64| match rng.random_range(0..3) {
            _ if calm => 0.0,
            0 => 0.0,
            1 => most / 8.0,
            _ => most,
        };
        let plan = Plan {
            crash: rate(0.02),
            lost: rate(0.08),
            exchange: rate(0.15),
            consumer: rate(0.01),
            interrupt: rate(0.15),
        };
        let trace = trace.then(Vec::new);
        Self {
            rng,
            plan,
            steps_max,
            steps: 0,
            healed: false,
            down_until: 0,
            hits: Hits::default(),
            trace,
        }
    }

    pub fn heal(&mut self) {
        self.healed = true;
    }

    /// Whether none was to strike at all.
    pub fn are_none(&self) -> bool {
        self.steps_max == 0
    }

    pub fn healed(&self) -> bool {
        self.healed || self.steps >= self.steps_max
    }

    /// What happens to this step.
    pub fn strike(&mut self, step: Call, now: Ms, exactly_once: bool) -> Strike {
        self.steps += 1;
        if self.healed() {
            return Strike::Nothing;
        }
        if now < self.down_until {
            match step {
                Call::Offsets | Call::Commit => return Strike::RequestLost,
                Call::Barrier if !exactly_once => return Strike::RequestLost,
                Call::Undo
                | Call::Recover
                | Call::Beginnings
                | Call::PartitionsOf
                | Call::Survey => {
                    return Strike::NoAnswer;
                }
                _ => {}
            }
        }
        let Plan { crash, lost, exchange, consumer, .. } = self.plan;
        let luck: f64 = self.rng.random::<f64>() / step.weight();
        let unlucky = [crash, lost, exchange, consumer];
        if luck >= unlucky.iter().sum() {
            return Strike::Nothing;
        }
        let kind = (0..4).find(|&k| luck < unlucky[..=k].iter().sum()).expect("below the sum");
        let strike = match (kind, step) {
            (0, _) if self.rng.random() => Strike::CrashBefore,
            (0, _) => Strike::CrashAfter,
            (1, Call::Barrier) if exactly_once => Strike::Nothing,
            (1, Call::Forward | Call::Send) => Strike::RequestLost,
            (1, Call::Commit | Call::Undo) if exactly_once => {
                [Strike::RequestLost, Strike::ReplyLost, Strike::Late][self.rng.random_range(0..3)]
            }
            (1, Call::Barrier | Call::Offsets | Call::Commit | Call::Recover) => {
                [Strike::RequestLost, Strike::ReplyLost][self.rng.random_range(0..2)]
            }
            (
                2,
                Call::Rewind | Call::Recover | Call::Beginnings | Call::PartitionsOf | Call::Survey,
            ) => Strike::NoAnswer,
            (3, step) if step <= Call::Rewind => Strike::ConsumerEnds,
            _ => Strike::Nothing,
        };
        if strike != Strike::Nothing {
            self.hit(format!("{strike} at {step}"));
        }
        strike
    }

    /// Whether others go on in the middle of this step.
    pub fn interrupts(&mut self, step: Call) -> bool {
        !self.healed() && self.rng.random_bool((self.plan.interrupt * step.weight()).min(1.0))
    }

    pub fn chance(&mut self, p: f64) -> bool {
        self.rng.random_bool(p)
    }

    /// A number below `n`, which is at least 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.rng.random_range(0..n)
    }

    pub fn hit(&mut self, what: impl Into<String>) {
        *self.hits.0.entry(what.into()).or_default() += 1;
    }

    pub fn note(&mut self, at: Ms, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:8.3}  {}", at as f64 / 1000.0, line()));
        }
    }
}

impl Call {
    /// How much happens in it: some are called once per record, others once per rebalance.
    fn weight(self) -> f64 {
        match self {
            Self::Poll => 0.02,
            Self::Forward => 0.05,
            Self::Send => 0.15,
            Self::Barrier | Self::Pause | Self::Unassign => 0.5,
            Self::Commit => 1.5,
            _ => 1.0,
        }
    }
}

impl Hits {
    pub fn add(&mut self, other: &Self) {
        for (what, n) in &other.0 {
            *self.0.entry(what.clone()).or_default() += n;
        }
    }

    pub fn count(&mut self, what: &str, n: u64) {
        if n > 0 {
            *self.0.entry(what.to_owned()).or_default() += n;
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Poll => "poll",
            Self::Assign => "assign",
            Self::Unassign => "unassign",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Rewind => "rewind",
            Self::Forward => "forward",
            Self::Send => "send",
            Self::Barrier => "barrier",
            Self::Offsets => "offsets",
            Self::Commit => "commit",
            Self::Undo => "undo",
            Self::Recover => "recover",
            Self::Beginnings => "beginnings",
            Self::PartitionsOf => "partitions-of",
            Self::Survey => "survey",
        };
        f.write_str(name)
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Nothing => "nothing",
            Self::CrashBefore => "crash before",
            Self::CrashAfter => "crash after",
            Self::RequestLost => "request lost",
            Self::ReplyLost => "reply lost",
            Self::Late => "executed late",
            Self::NoAnswer => "no answer",
            Self::ConsumerEnds => "consumer ends",
        };
        f.write_str(name)
    }
}
