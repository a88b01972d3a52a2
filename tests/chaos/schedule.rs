//! What is done to the stream, drawn from a seed before anything is done.
//!
//! Fixed is the order: what, to whom, how long, and the pause before it. A patient step first waits
//! until every partition has moved on since the last one, because a group that is killed faster than it
//! can meet shows nothing but that; an impatient one hits the stream in the middle of its recovery.

use std::fmt;
use std::time::Duration;

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::failpoints::Window;

/// One thing done, after a pause.
#[derive(Clone, Debug)]
pub struct Step {
    pub patient: bool,
    pub pause: Duration,
    pub fault: Fault,
}

/// What can be done. `who` picks one of those running, whoever they are then.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// kill -9 of this many instances at once.
    Kill {
        who: usize,
        many: usize,
    },
    /// kill -9, and the process that follows kills itself inside a commit.
    Failpoint {
        who: usize,
        window: Window,
        after: u32,
        seed: u64,
    },
    /// Stands still for less than its session.
    Freeze {
        who: usize,
        time: Duration,
    },
    /// Stands still for longer than session and transaction.
    Zombie {
        who: usize,
        time: Duration,
    },
    /// The same, and another process takes its place meanwhile.
    Replace {
        who: usize,
        time: Duration,
    },
    /// So many instances; those too many are told to drain.
    Scale {
        to: usize,
    },
    BrokerKill {
        node: usize,
    },
    BrokerFreeze {
        node: usize,
        time: Duration,
    },
    BrokerRestart {
        node: usize,
    },
    /// Replies that a commit waits for come late, never, or end the connection.
    Replies {
        time: Duration,
    },
    /// No broker is there.
    Outage {
        time: Duration,
    },
    /// Every reply that a commit waits for comes after 2 to 6 s.
    SlowReplies {
        time: Duration,
    },
    /// One more partition: outputs first or the input first.
    Partition {
        input_first: bool,
    },
}

const OUTAGE_MAX: Duration = Duration::from_secs(180);
const FREEZE_MAX: Duration = Duration::from_secs(60);
const SLOW_MAX: Duration = Duration::from_secs(40);

/// What the cluster and the options allow.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub nodes: usize,
    /// Longer than session and transaction timeout of the guards.
    pub zombie: Duration,
    /// Whether there is time for everything once; else only for what is quick.
    pub long: bool,
    /// Only instances that come and go: partitions are handed over all the time, many with records in
    /// flight, and nothing else hides what becomes of them.
    pub handovers: bool,
    /// Whether brokers are away for minutes.
    pub outages: bool,
}

/// An endless sequence of steps.
pub struct Schedule {
    dice: ChaCha8Rng,
    limits: Limits,
    first: Vec<Fault>,
    armed: bool,
    many: bool,
}

impl Schedule {
    pub fn new(seed: u64, limits: Limits) -> Self {
        let dice = ChaCha8Rng::seed_from_u64(seed);
        let mut schedule = Self { dice, limits, first: vec![], armed: false, many: false };
        schedule.first = schedule.every_kind();
        schedule.first.reverse();
        schedule
    }

    /// What every run must have had, if there is time for it.
    fn every_kind(&mut self) -> Vec<Fault> {
        let mut first = vec![Fault::Scale { to: 2 }];
        if self.limits.handovers {
            return first;
        }
        let mut kinds: Vec<Fault> = Window::ALL.map(|window| self.failpoint(window)).into();
        kinds.push(self.replies());
        kinds.push(Fault::Kill { who: self.who(), many: 1 });
        if self.limits.long {
            kinds.push(Fault::Scale { to: 4 });
            kinds.push(Fault::Zombie { who: self.who(), time: self.limits.zombie });
            kinds.push(Fault::Replace { who: self.who(), time: self.limits.zombie });
            kinds.extend(self.brokers());
            kinds.push(Fault::Partition { input_first: false });
            kinds.push(Fault::Partition { input_first: true });
            kinds.push(Fault::Scale { to: 1 });
        }
        if self.limits.outages {
            // As long as any comes.
            kinds.push(Fault::Outage { time: OUTAGE_MAX });
            kinds.push(Fault::BrokerFreeze { node: 0, time: FREEZE_MAX });
            kinds.push(Fault::SlowReplies { time: SLOW_MAX });
        }
        kinds.shuffle(&mut self.dice);
        first.extend(kinds);
        first
    }

    fn who(&mut self) -> usize {
        self.dice.random_range(0..4)
    }

    fn failpoint(&mut self, window: Window) -> Fault {
        let (who, after) = (self.who(), self.dice.random_range(1..12));
        Fault::Failpoint { who, window, after, seed: self.dice.random() }
    }

    fn replies(&mut self) -> Fault {
        Fault::Replies { time: Duration::from_millis(self.dice.random_range(3000..8000)) }
    }

    fn outage(&mut self) -> Fault {
        let mut within = |least: u64, most: Duration| {
            Duration::from_millis(self.dice.random_range(least..most.as_millis() as u64))
        };
        let times = [within(20_000, OUTAGE_MAX), within(8000, FREEZE_MAX), within(5000, SLOW_MAX)];
        let node = self.dice.random_range(0..self.limits.nodes);
        match self.dice.random_range(0..3) {
            0 => Fault::Outage { time: times[0] },
            1 => Fault::BrokerFreeze { node, time: times[1] },
            _ => Fault::SlowReplies { time: times[2] },
        }
    }

    fn brokers(&mut self) -> [Fault; 3] {
        let time = Duration::from_millis(self.dice.random_range(1500..7000));
        let mut node = || self.dice.random_range(0..self.limits.nodes);
        [
            Fault::BrokerKill { node: node() },
            Fault::BrokerFreeze { node: node(), time },
            Fault::BrokerRestart { node: node() },
        ]
    }

    fn any(&mut self) -> Fault {
        let limits = self.limits;
        if limits.handovers {
            // Whoever stays gives up partitions when others come.
            self.many = !self.many;
            return Fault::Scale { to: if self.many { 4 } else { self.dice.random_range(1..=2) } };
        }
        if limits.outages && self.dice.random_bool(0.05) {
            return self.outage();
        }
        match self.dice.random_range(0..100) {
            0..28 => Fault::Kill { who: self.who(), many: 1 },
            28..48 => Fault::Kill { who: self.who(), many: 2 },
            48..78 => {
                let window = *Window::ALL.choose(&mut self.dice).expect("there are four");
                self.failpoint(window)
            }
            78..82 => {
                let time = Duration::from_millis(self.dice.random_range(200..3000));
                Fault::Freeze { who: self.who(), time }
            }
            82..88 => self.replies(),
            88..94 => Fault::Scale { to: self.dice.random_range(1..=4) },
            94..96 if limits.long => Fault::Zombie { who: self.who(), time: limits.zombie },
            96..98 if limits.long => Fault::Replace { who: self.who(), time: limits.zombie },
            98..100 if limits.long => {
                let [kill, freeze, restart] = self.brokers();
                [kill, freeze, restart].choose(&mut self.dice).expect("three").clone()
            }
            _ => Fault::Kill { who: self.who(), many: 1 },
        }
    }
}

impl Iterator for Schedule {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let fault = match self.first.pop() {
            Some(fault) => fault,
            None => self.any(),
        };
        // A guard that was armed comes to its commit only if it is let.
        let patient = self.dice.random_bool(0.6) || self.armed;
        self.armed = matches!(fault, Fault::Failpoint { .. });
        let pause = Duration::from_millis(self.dice.random_range(300..2000));
        Some(Step { patient, pause, fault })
    }
}

impl Fault {
    /// The word that stands for it in figures.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::Failpoint { .. } => "failpoint",
            Self::Freeze { .. } => "freeze",
            Self::Zombie { .. } => "zombie",
            Self::Replace { .. } => "replace",
            Self::Scale { .. } => "scale",
            Self::BrokerKill { .. } => "broker-kill",
            Self::BrokerFreeze { .. } => "broker-freeze",
            Self::BrokerRestart { .. } => "broker-restart",
            Self::Replies { .. } => "replies",
            Self::Outage { .. } => "outage",
            Self::SlowReplies { .. } => "slow-replies",
            Self::Partition { .. } => "partition",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { who, many } => write!(f, "kill {who}x{many}"),
            Self::Failpoint { who, window, after, .. } => {
                write!(f, "failpoint {who} {}+{after}", window.name())
            }
            Self::Freeze { who, time } => write!(f, "freeze {who} {time:?}"),
            Self::Zombie { who, time } => write!(f, "zombie {who} {time:?}"),
            Self::Replace { who, time } => write!(f, "replace {who} {time:?}"),
            Self::Scale { to } => write!(f, "scale {to}"),
            Self::BrokerKill { node } => write!(f, "broker-kill {node}"),
            Self::BrokerFreeze { node, time } => write!(f, "broker-freeze {node} {time:?}"),
            Self::BrokerRestart { node } => write!(f, "broker-restart {node}"),
            Self::Replies { time } => write!(f, "replies {time:?}"),
            Self::Outage { time } => write!(f, "outage {time:?}"),
            Self::SlowReplies { time } => write!(f, "slow-replies {time:?}"),
            Self::Partition { input_first: true } => write!(f, "partition, input first"),
            Self::Partition { input_first: false } => write!(f, "partition, outputs first"),
        }
    }
}
