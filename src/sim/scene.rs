//! What a world is made of: topics, records, settings. All of it follows from the seed.

mod arrivals;
mod followed;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::arrivals::{arrivals, offend};
pub use self::followed::ANSWER_PARTITIONS;
use self::followed::{answers, clients};
use super::cluster::group::Group;
use super::cluster::log::{PartitionLog, Takes, Topic};
use super::cluster::{Cluster, Ms};
use super::names::{
    ANSWERS, BASELINE, BEGAN_AT, CLIENTS, GROUPS, JOIN, MONITORS, NUMBER, REVISIONS, WORKERS, kind,
};
use crate::answers::Join;
use crate::clients::{CleanMarks, ClientMonitor, ClientTerms};
use crate::config::{Alerts, Lineage, Stream, Topics};
use crate::decide::{Mode, OnFlagged, OnGuardFailure, Policy};
use crate::deliver::Timing;
use crate::monitor::{About, Frame, LineageFacts, LineageOutput, Monitor};
use crate::open::SecretKey;
use crate::privacy::{QuasiPlan, QuasiSpec, RowSubject};
use crate::record::{Feature, OwnedRecord, Partition, Probability, Schema, Timestamp};
use crate::watch::{Flagged, Signals, Terms, Times, hypotheses};

/// A world before anything happened.
#[derive(Debug)]
pub struct Scene {
    pub exactly_once: bool,
    pub stream: Arc<Stream>,
    pub timing: Timing,
    pub partitions: i32,
    pub machines: usize,
    pub workers: usize,
    /// When records arrive, in order of time.
    pub arrivals: Vec<Arrival>,
    /// What sanitized and quarantine take, and what the dead-letter topic does.
    pub takes: Takes,
    pub dead_letter_takes: Takes,
    pub refuses_at_once: bool,
    pub names_refused: bool,
    pub tells_settings: bool,
    /// No model scores anything then.
    pub outages: Vec<(Ms, Ms)>,
    /// Before, schemas cannot be had.
    pub supply_from: Ms,
    /// The faults are over.
    pub heal_at: Ms,
    /// The input itself changes.
    pub breaks: bool,
    /// Workers of every other process score by another bundle than the monitors.
    pub rolls: bool,
    /// When the configuration changes.
    pub reloads: Vec<Ms>,
}

/// Records of one producer's transaction, or without one.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub at: Ms,
    pub partition: Partition,
    pub records: Vec<OwnedRecord>,
    /// `Some(false)` is aborted.
    pub committed: Option<bool>,
}

impl Scene {
    pub fn new(seed: u64) -> Self {
        // Its own luck, so that a scene stays what it is when the world asks for more numbers.
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5ce4_e5ce_4e5c_e4e5);
        let exactly_once = rng.random_bool(0.8);
        let window_ms = [500, 1000, 3000][rng.random_range(0..3)];
        let mode = if rng.random_bool(0.7) { Mode::Enforce } else { Mode::Observe };
        // What is passed unscored once may be scored when it is judged again: under at-least-once
        // nothing would say which of the two the counts are of.
        let open = exactly_once && rng.random_bool(0.3);
        let policy = Policy {
            mode,
            on_flagged: OnFlagged::Correct,
            on_guard_failure: if open { OnGuardFailure::Open } else { OnGuardFailure::Closed },
        };
        let stream = stream(seed, &mut rng, policy, window_ms);
        let partitions = rng.random_range(1..=4);
        let heal_at = rng.random_range(2_000..12_000);
        let mut arrivals = arrivals(&mut rng, partitions, heal_at, window_ms as i64);
        let outages = (0..rng.random_range(0..3)).map(|_| {
            let from = rng.random_range(0..heal_at);
            (from, from + rng.random_range(10..3000))
        });
        let outages = outages.collect();
        let timing = Timing {
            commit_interval: Duration::from_millis([20, 100, 500][rng.random_range(0..3)]),
            state_agrees_after: Duration::from_secs(8),
            stalled: Duration::from_secs(3),
            offsets_lag: !exactly_once,
        };
        let (machines, workers) = (rng.random_range(1..=3), rng.random_range(1..=2));
        let dead_letter_is_small = rng.random();
        let (refuses_at_once, supply_from) = (rng.random(), rng.random_range(0..heal_at));
        // Its own luck: older seeds keep what they had.
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x4ef0_5a15_4ef0_5a15);
        let (breaks, reloads) = (seed % 8 == 5, seed % 7 == 3);
        let (takes, dead_letter_takes) = match breaks {
            true => (Takes::ANYTHING, Takes::ANYTHING),
            false => takes(&mut rng, dead_letter_is_small),
        };
        if breaks {
            let records = arrivals.iter_mut().flat_map(|arrival| &mut arrival.records);
            for (number, record) in records.enumerate() {
                let number = (number as u64).to_le_bytes().to_vec();
                record.headers.push((NUMBER.into(), Some(number)));
            }
        }
        if takes != Takes::ANYTHING {
            let records = arrivals.iter_mut().flat_map(|arrival| &mut arrival.records);
            records.for_each(|record| offend(&mut rng, record));
        }
        Self {
            exactly_once,
            stream: Arc::new(stream),
            timing,
            partitions,
            outages,
            machines,
            workers,
            arrivals,
            takes,
            dead_letter_takes,
            refuses_at_once,
            names_refused: rng.random_bool(0.25),
            tells_settings: rng.random(),
            supply_from,
            heal_at,
            breaks,
            // Not drawn, as above.
            rolls: seed % 5 == 2 && !reloads,
            reloads: if reloads { revisions(&mut rng, heal_at) } else { vec![] },
        }
    }

    /// A monitor that has heard nothing.
    pub fn monitor(&self) -> Monitor {
        let budget = Probability::new(0.01).expect("a share");
        let Stream { name, input, topics, alerts, policy, .. } = &*self.stream;
        let false_page_ms = alerts.period.as_millis() as u64;
        let about = About {
            stream: name.clone(),
            input: input.clone(),
            sanitized: topics.sanitized.clone(),
            quarantine: topics.quarantine.clone(),
            dead_letter: topics.dead_letter.clone(),
            baseline: BASELINE.into(),
            bundle: "toy".into(),
            policy: *policy,
            budget,
            false_page_ms,
            schema: Schema { features: vec![] },
            brokers: self.stream.brokers.clone(),
            file: "tripline.toml".into(),
        };
        let times = Times {
            window_ms: alerts.window.as_millis() as u64,
            false_page_ms,
            keep_firing_for_ms: alerts.keep_firing_for.as_millis() as u64,
        };
        let signals = Signals::none();
        let clean = Flagged { budget, rows: 3000, flagged: 30 };
        let terms = Terms::new(BASELINE, name, hypotheses(&signals, clean, |_| true), times);
        let schema = Schema { features: vec![] };
        let no_data_ms = alerts.no_data.map(|after| after.as_millis() as u64);
        Monitor::new(Arc::new(Frame {
            about,
            terms,
            answers: None,
            signals,
            schema,
            no_data_ms,
            per_partition: alerts.per_partition,
            quasi: self.quasi().map(Arc::new),
            lineage: self.lineage().map(Arc::new),
        }))
    }

    /// A client monitor that has read nothing.
    pub fn client_monitor(&self) -> Option<ClientMonitor> {
        let settings = self.stream.clients.as_ref()?.settings.clone();
        let clean = CleanMarks { flagged: 0.02, confidence: None, matched: Some(0.001) };
        let alerts = &self.stream.alerts;
        let times = (alerts.window.as_millis() as u64, alerts.period.as_millis() as u64);
        let keep_firing_for_ms = alerts.keep_firing_for.as_millis() as u64;
        let terms = ClientTerms::new(BASELINE, times, (&clean, 4), settings).watching(
            &self.stream.name,
            keep_firing_for_ms,
            (false, false),
        );
        Some(ClientMonitor::new(Arc::new(terms)))
    }

    /// A join of answers that has read nothing.
    pub fn join(&self) -> Option<Join> {
        let answers = self.stream.answers.as_ref()?;
        Some(Join::new(answers.joining(self.stream.alerts.window)))
    }

    /// The sets of features whose groups are counted, where that is done; no day of theirs ends.
    pub fn quasi(&self) -> Option<QuasiPlan> {
        self.stream.lineage.as_ref()?;
        let spec = QuasiSpec {
            sets: vec![vec!["x".into()]],
            subject: RowSubject::Key,
            key: ("toy".into(), SecretKey::new(vec![7; 32])),
            k: 5,
            limit: Probability::new(0.5).expect("a share"),
            at: 100,
            every_ms: 1 << 50,
        };
        let schema = Schema { features: vec![Feature::number("x", 0.0, 100.0)] };
        Some(QuasiPlan::new(&spec, &schema).expect("a set of the schema"))
    }

    /// What lineage says of the stream, where it is told.
    fn lineage(&self) -> Option<LineageFacts> {
        let lineage = self.stream.lineage.as_ref()?;
        Some(LineageFacts {
            group: lineage.group.clone(),
            every_ms: lineage.every.as_millis() as i64,
            fields: vec![],
            sanitized: LineageOutput::default(),
            quarantine: LineageOutput::default(),
            watches: vec![],
            revision: String::new(),
        })
    }

    /// The cluster before anything happened.
    pub fn cluster(&self) -> Cluster {
        let n = self.partitions as usize;
        let stream = &*self.stream;
        let topics = &stream.topics;
        let topic = |name: &str, n, takes| Topic {
            name: name.to_owned(),
            made: 0,
            partitions: vec![PartitionLog::default(); n],
            takes,
        };
        let mut groups = vec![Group::default(); GROUPS];
        groups[WORKERS].grow(self.partitions);
        groups[MONITORS].grow(1);
        groups[CLIENTS].grow(1);
        groups[ANSWERS].grow(ANSWER_PARTITIONS);
        groups[JOIN].grow(1);
        let mut topics = vec![
            topic(&stream.input, n, Takes::ANYTHING),
            topic(&topics.sanitized, n, self.takes),
            topic(&topics.quarantine, n, self.takes),
            topic(&topics.dead_letter, n, self.dead_letter_takes),
            topic(&topics.state, n, Takes::ANYTHING),
            topic(&topics.evidence, 1, Takes::ANYTHING),
            topic(&stream.alerts.topic, 2, Takes::ANYTHING),
            topic(&topics.visits, 1, Takes::ANYTHING),
            topic(&topics.clients, 1, Takes::ANYTHING),
        ];
        let lineage = stream.lineage.iter().map(|l| topic(&l.topic, 1, Takes::ANYTHING));
        topics.extend(lineage);
        if let Some(answers) = &stream.answers {
            let n = ANSWER_PARTITIONS as usize;
            topics.push(topic(&answers.topic, n, Takes::ANYTHING));
            topics.push(topic(&answers.join_topic, 1, Takes::ANYTHING));
        }
        Cluster::new(topics, groups)
    }

    pub fn is_open(&self) -> bool {
        self.stream.policy.on_guard_failure == OnGuardFailure::Open
    }
}

/// A stream with these settings.
fn stream(seed: u64, rng: &mut ChaCha8Rng, policy: Policy, window_ms: u64) -> Stream {
    let alerts = Alerts {
        topic: "alerts".into(),
        window: Duration::from_millis(window_ms),
        period: Duration::from_secs(3600),
        keep_firing_for: Duration::from_secs(20),
        no_data: None,
        // Not drawn: older seeds keep their worlds.
        per_partition: seed % 4 == 3,
    };
    Stream {
        name: "toy".into(),
        input: "input".into(),
        bundle_key: None,
        bundle: PathBuf::new(),
        accept_fewer_features: false,
        codec: crate::codec::Config::default(),
        policy,
        accept_gap: seed % 16 == 5,
        budget: None,
        reason_values: false,
        change_headers: seed % 8 == 1,
        workers: 1,
        rows_max: [1, 2, 5, 16, 64][rng.random_range(0..5)],
        linger: Duration::from_millis(rng.random_range(0..6)),
        guard_timeout: Duration::from_secs(10),
        topics: Topics {
            sanitized: "sanitized".into(),
            quarantine: "quarantine".into(),
            dead_letter: "dead-letter".into(),
            evidence: "evidence".into(),
            state: "state".into(),
            visits: "visits".into(),
            clients: "clients".into(),
        },
        alerts,
        // Not drawn, as above.
        answers: matches!(seed % 12, 6 | 10).then(answers),
        file: PathBuf::new(),
        brokers: "kafka:9092".into(),
        outputs: crate::sanitize::OutputSpecs::default(),
        // Not drawn, as above.
        clients: (seed % 3 == 1 && seed % 8 != 5).then(clients),
        decrypt: None,
        vault_keys: vec![],
        wrapping_keys: vec![],
        privacy: None,
        // Not drawn, as above.
        lineage: (seed % 8 == 1).then(|| Lineage {
            topic: "lineage".into(),
            every: Duration::from_secs(2),
            group: "toy".into(),
        }),
    }
}

/// What outputs take, and what the dead-letter topic takes: in every other world no more than they must.
fn takes(rng: &mut ChaCha8Rng, dead_letter_is_small: bool) -> (Takes, Takes) {
    const DAY: i64 = 24 * 3_600_000;
    let within = Some((Timestamp(BEGAN_AT - DAY), Timestamp(BEGAN_AT + DAY)));
    let strict = |rng: &mut ChaCha8Rng, bytes_max| Takes {
        bytes_max,
        within: within.filter(|_| rng.random()),
        forbidden: rng.random_bool(0.5).then_some(kind::FORBIDDEN),
        keyed: rng.random_bool(0.25),
    };
    let lenient = |bytes_max| Takes { bytes_max, ..Takes::ANYTHING };
    let dead_letter_max = if dead_letter_is_small { 256 } else { usize::MAX };
    match rng.random_range(0..4) {
        0 | 1 => (lenient(256), lenient(dead_letter_max)),
        2 => (strict(rng, 256), lenient(dead_letter_max)),
        _ => (strict(rng, 256), strict(rng, dead_letter_max)),
    }
}

/// When revisions come: in the course of things, one upon the other, or when all has healed.
fn revisions(rng: &mut ChaCha8Rng, heal_at: Ms) -> Vec<Ms> {
    let n = rng.random_range(1..REVISIONS.len());
    let mut at: Vec<Ms> = (0..n).map(|_| rng.random_range(0..heal_at + 500)).collect();
    if rng.random_bool(0.3) {
        at.iter_mut().for_each(|at| *at = heal_at / 2 + *at % 20);
    }
    at.sort_unstable();
    at
}
