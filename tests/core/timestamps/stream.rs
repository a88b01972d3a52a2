//! A stream in simulated time: producers, lanes, commits, ticks and a monitor.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tripline::decide::Policy;
use tripline::monitor::{About, Alert, Status};
use tripline::monitor::{Frame, Monitor};
use tripline::record::{
    Action, Offset, Partition, Position, Probability, Reasons, Schema, Stamp, Timestamp, Verdict,
};
use tripline::score::{Departure, Destination, Lane, Outcome};
use tripline::watch::{Evidence, Flagged, Message, Signals, Terms, Tick, Times, hypotheses};

pub const LENGTH_MS: i64 = 1000;
const COMMIT_MS: i64 = 100;
const T0: i64 = 1_795_000_000_000;
const HOUR_MS: i64 = 3_600_000;

/// What stamps the attacker writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamps {
    Honest,
    /// 50 minutes ahead.
    Ahead,
    /// Anywhere in the hour to come.
    Spread,
    /// Honest, and two clean records a second with one old stamp, in a partition that is empty else.
    Drip,
    /// The same, with stamps that come nearer twice as fast as time passes.
    DripNearer,
    /// 1970.
    Old,
    /// None.
    Missing,
    /// As large as they can be.
    Largest,
    /// Ten at a time 50 minutes ahead, or an hour old.
    Bursts,
}

impl Stamps {
    pub const ALL: [Self; 9] = [
        Self::Honest,
        Self::Ahead,
        Self::Spread,
        Self::Drip,
        Self::DripNearer,
        Self::Old,
        Self::Missing,
        Self::Largest,
        Self::Bursts,
    ];

    fn of_attack(self, now: i64, rng: &mut ChaCha8Rng) -> i64 {
        match self {
            Self::Honest | Self::Drip | Self::DripNearer => now,
            Self::Ahead => now + 50 * 60_000,
            Self::Spread => now + rng.random_range(0..HOUR_MS),
            Self::Old => rng.random_range(0..1000),
            Self::Missing => -1,
            Self::Largest => i64::MAX,
            Self::Bursts => now + if now / 500 % 2 == 0 { 50 * 60_000 } else { -HOUR_MS },
        }
    }
}

/// A stream.
#[derive(Clone, Debug)]
pub struct Scene {
    pub stamps: Stamps,
    pub partitions: i32,
    /// Records in a second, of honest senders; more of the attacker.
    pub rate: i64,
    /// The attacker's share of all records while he attacks.
    pub share: f64,
    /// When he begins; from then on he does not stop.
    pub attack_at_ms: i64,
    pub until_ms: i64,
    /// Of the attacker's records so many are flagged; of honest ones one in a hundred.
    pub flagged: f64,
    /// How far the clocks of producers are apart.
    pub apart_ms: i64,
    /// Each partition's producers are so far behind those of the one before.
    pub partitions_apart_ms: i64,
    /// At that time nobody sends for so long.
    pub gap: Option<(i64, i64)>,
    /// The stream begins so long before the clock, and is read so many times as fast as time passes.
    pub backlog: Option<(i64, i64)>,
}

impl Scene {
    /// 27 % from second 60 on.
    pub fn attacked() -> Self {
        Self {
            stamps: Stamps::Honest,
            partitions: 4,
            rate: 100,
            share: 0.27,
            attack_at_ms: 60_000,
            until_ms: 120_000,
            flagged: 0.8,
            apart_ms: 300,
            partitions_apart_ms: 0,
            gap: None,
            backlog: None,
        }
    }
}

/// What came of it.
pub struct Run {
    pub alerts: Vec<Alert>,
    /// From the attack's first record to the page, by the clock.
    pub attack_after_ms: Option<i64>,
}

fn monitor() -> Monitor {
    let budget = Probability::new(0.01).expect("a share");
    let false_page_ms = 7 * 24 * 3_600_000;
    let about = About {
        stream: "s".into(),
        input: "s.requests".into(),
        sanitized: "s.sanitized".into(),
        quarantine: "s.quarantine".into(),
        dead_letter: "s.dead-letter".into(),
        baseline: "e".into(),
        bundle: "b".into(),
        policy: Policy::default(),
        budget,
        false_page_ms,
        schema: Schema { features: vec![] },
        brokers: "kafka:9092".into(),
        file: "tripline.toml".into(),
    };
    let times = Times { window_ms: LENGTH_MS as u64, false_page_ms, keep_firing_for_ms: 3_600_000 };
    let signals = Signals::none();
    let clean = Flagged { budget, rows: 3000, flagged: 30 };
    let terms = Terms::new("e", "s", hypotheses(&signals, clean, |_| true), times);
    let (schema, no_data_ms) = (Schema { features: vec![] }, None);
    let per_partition = false;
    Monitor::new(Arc::new(Frame {
        about,
        terms,
        answers: None,
        signals,
        schema,
        no_data_ms,
        per_partition,
        quasi: None,
        lineage: None,
    }))
}

fn outcome(flagged: bool) -> Outcome {
    let action = if flagged { Action::Quarantine } else { Action::Pass };
    let verdict = Verdict { action, p: 0.5, score: 0.0, reasons: Reasons::NONE };
    let (destination, text, trace, cells) = (Destination::Sanitized, "", 0..0, 0..0);
    let (unscored, imputed, corrected) = (false, false, None);
    let not_input = false;
    Outcome {
        destination,
        judged: Ok(verdict),
        unscored,
        not_input,
        imputed,
        corrected,
        changed: 0,
        departure: Departure::default(),
        text,
        trace,
        reason: 0..0,
        oddity: None,
        cells,
        visits: 0..0,
        answer: 0..0,
        groups: 0..0,
    }
}

/// Lanes that write evidence, and the monitor that hears it.
struct Site {
    lanes: BTreeMap<Partition, Lane>,
    monitor: Monitor,
    alerts: Vec<Alert>,
    rng: ChaCha8Rng,
}

impl Site {
    fn take(&mut self, message: &Message) {
        self.monitor.take(self.monitor.next(), message, &mut self.alerts);
    }

    fn record(&mut self, partition: i32, stamp: i64, flagged_share: f64) {
        let partition = Partition(partition);
        let fresh = || Lane::new("e", partition, Offset(0), LENGTH_MS as u64);
        let lane = self.lanes.entry(partition).or_insert_with(fresh);
        let flagged = self.rng.random_bool(flagged_share);
        let position = Position { partition, offset: lane.next() };
        lane.count(position, Stamp::of_sender(Timestamp(stamp)), &outcome(flagged), &[]);
    }

    fn commit(&mut self, read_out: bool) {
        let mut said = vec![];
        self.lanes.values_mut().for_each(|lane| lane.drain_evidence(&mut said));
        for evidence in said {
            self.take(&Message::Evidence(Evidence { read_out, ..evidence }));
        }
    }
}

pub fn run(scene: &Scene, seed: u64) -> Run {
    let rng = ChaCha8Rng::seed_from_u64(seed);
    let (lanes, alerts) = (BTreeMap::new(), vec![]);
    let mut site = Site { lanes, monitor: monitor(), alerts, rng };
    let (behind, pace) = scene.backlog.unwrap_or((0, 1));
    let mut attack_after_ms = None;
    // By the records' clock, in steps of 10 ms; the clock on the wall passes `pace` times as slowly.
    for ms in (0..scene.until_ms).step_by(10) {
        let later = scene.gap.map_or(0, |(at, long)| if ms >= at { long } else { 0 });
        let (now, wall) = (T0 + ms + later, T0 + behind + ms / pace + later);
        let attacked = ms >= scene.attack_at_ms;
        for _ in 0..scene.rate / 100 {
            let producer = site.rng.random_range(0..5);
            let late = site.rng.random_range(0..50);
            let partition = site.rng.random_range(0..scene.partitions);
            let behind = late + i64::from(partition) * scene.partitions_apart_ms;
            site.record(partition, now - producer * scene.apart_ms / 4 - behind, 0.01);
        }
        if attacked {
            let expected = scene.rate as f64 / 100.0 * scene.share / (1.0 - scene.share);
            let whole = expected.floor();
            let more = site.rng.random_bool(expected - whole);
            for _ in 0..whole as i64 + i64::from(more) {
                let partition = site.rng.random_range(0..scene.partitions);
                let stamp = scene.stamps.of_attack(now, &mut site.rng);
                site.record(partition, stamp, scene.flagged);
            }
            if ms % 500 == 0 {
                let since = ms - scene.attack_at_ms;
                match scene.stamps {
                    Stamps::Drip => site.record(scene.partitions, T0 - 5000, 0.01),
                    Stamps::DripNearer => {
                        site.record(scene.partitions, T0 - 8 * HOUR_MS + 2 * since, 0.01);
                    }
                    _ => {}
                }
            }
        }
        if ms % (LENGTH_MS / 2) == 0 {
            site.take(&Message::Tick(Tick { at: Timestamp(wall) }));
        }
        if ms % COMMIT_MS == 0 {
            site.commit(wall - now < 1000);
        }
        let fired = |alert: &Alert| alert.status == Status::Firing && alert.kind == "attack";
        if attack_after_ms.is_none() && site.alerts.iter().any(fired) {
            attack_after_ms = Some(ms - scene.attack_at_ms);
        }
    }
    Run { alerts: site.alerts, attack_after_ms }
}
