//! One run, from the first topic to the verdict.

use std::io::{IsTerminal, Write, stdout};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};
use tripline::sim::Mutation;

use crate::acts::PATIENCE;
use crate::answers::{Model, joined};
use crate::cluster::Cluster;
use crate::fleet::{Fleet, OURSELVES};
use crate::harness::Process;
use crate::hostile;
use crate::observer::Observer;
use crate::offsets::went_back;
use crate::options::Options;
use crate::programs::{
    ANSWERS, BUDGETS, CALM, GROUP, INPUT, PARTITIONS, SESSION, STREAM, TRANSACTION, TURNED, apply,
    bound_mb, check, config, load,
};
use crate::replay::replay;
use crate::schedule::{Limits, Schedule};
use crate::verdict::{Measured, verdict};

/// I9: no lag so long after the last fault.
const CATCH_UP: Duration = Duration::from_secs(90);

/// Runs and prints; true if everything holds.
pub fn run(options: &Options) -> bool {
    let started = Instant::now();
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let dir = options.keep.as_ref().map_or(temporary.path().to_owned(), PathBuf::from);
    std::fs::create_dir_all(&dir).expect("a directory");
    // A build in the meantime must not change what is tested.
    let program = dir.join("tripline");
    std::fs::copy(env!("CARGO_BIN_EXE_tripline"), &program).expect("a copy");
    let ourselves = std::env::current_exe().expect("this program");
    std::fs::copy(ourselves, dir.join(OURSELVES)).expect("a copy");

    let zombie = SESSION.max(TRANSACTION) + Duration::from_secs(3);
    let (long, handovers) = (options.long(), options.handovers());
    let Options { nodes, outages, .. } = *options;
    let limits = Limits { nodes, zombie, long, handovers, outages };
    println!("chaos: seed {}, {} node(s), data in {}", options.seed, options.nodes, dir.display());
    let plan = Schedule::new(options.seed, limits).take(40).map(|step| step.fault.to_string());
    println!("chaos: the first of what comes: {}", plan.collect::<Vec<_>>().join("; "));

    // Whoever ends us early must not leave brokers behind: what runs ends with its owner.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, stop.clone()).expect("a handler");
    }
    let mut stage = Stage::set(options, dir, program, stop.clone());
    stage.disturb(options, Schedule::new(options.seed, limits));
    if stop.load(Ordering::Relaxed) {
        println!("chaos: ended early, nothing is checked");
        return false;
    }
    let measured = stage.finish(options);
    verdict(options, measured, started.elapsed())
}

/// Everything that runs.
pub struct Stage {
    pub dir: PathBuf,
    pub program: PathBuf,
    pub cluster: Cluster,
    /// Guards of the stream that is disturbed.
    pub fleet: Fleet,
    /// The guard of the stream whose budget changes half-way: killed once, and cut off with the broker.
    pub beside: Fleet,
    pub observer: Observer,
    pub load: Process,
    /// Answers what is sent on, until the load has ended.
    pub model: Option<Model>,
    pub configs: Vec<PathBuf>,
    pub bundle: PathBuf,
    pub scale: usize,
    pub partitions: usize,
    pub faults: Vec<Value>,
    pub bound_mb: u64,
    pub began: Instant,
    pub stop: Arc<AtomicBool>,
}

impl Stage {
    fn set(options: &Options, dir: PathBuf, program: PathBuf, stop: Arc<AtomicBool>) -> Self {
        let cluster = Cluster::start(&dir, options.nodes, options.seed);
        let bundle = hostile::bundle(options, &dir);
        cluster.create_topic(INPUT, PARTITIONS, &hostile::input_settings(options));
        cluster.create_topic(ANSWERS, 2, &[]);
        for stream in [STREAM, TURNED] {
            hostile::create_outputs(options, &cluster, stream, PARTITIONS);
        }
        let config = |name: &str, stream: &str, more: &str| {
            let text = config(options, &cluster.proxied(), name, stream, &bundle, more);
            let path = dir.join(format!(
                "{name}{}.toml",
                if more.contains(BUDGETS[1]) { "-after" } else { "" }
            ));
            std::fs::write(&path, text).expect("a file");
            path
        };
        let configs: Vec<PathBuf> =
            (0..4).map(|i| config(&format!("chaos-{i}"), STREAM, "")).collect();
        config("turned-0", TURNED, &format!("budget = {}", BUDGETS[0]));
        config("turned-0", TURNED, &format!("budget = {}", BUDGETS[1]));
        let turned = dir.join("turned-0.toml");
        for path in [&configs[0], &turned] {
            apply(&program, path);
        }
        let bound_mb = bound_mb(&program, &configs[0]);

        let mutation = options
            .mutation
            .as_deref()
            .map(|name| Mutation::from_str(name).unwrap_or_else(|error| panic!("{error}")));
        let fleet = Fleet::new(program.clone(), &dir, mutation);
        let beside = Fleet::new(program.clone(), &dir, None);
        let outputs = ["sanitized", "quarantine", "dead-letter"].map(|t| format!("{STREAM}.{t}"));
        let group = format!("{GROUP}.{STREAM}");
        let observer = Observer::start(cluster.client(), &group, INPUT, &outputs);
        fleet.start("chaos-0", &configs[0]);
        beside.start("turned-0", &turned);
        let load = load(options, &cluster.direct(), &dir);
        let model = Some(Model::start(&cluster.client()));
        let mut stage = Self {
            dir,
            program,
            cluster,
            fleet,
            beside,
            observer,
            load,
            model,
            configs,
            bundle,
            scale: 1,
            partitions: PARTITIONS,
            faults: vec![],
            bound_mb,
            began: Instant::now(),
            stop,
        };
        // The first fault meets a stream that flows.
        let deadline = Instant::now() + Duration::from_secs(60);
        stage.observer.fault("start");
        while !stage.observer.has_recovered() {
            assert!(Instant::now() < deadline, "nothing flows; see {}", stage.dir.display());
            sleep(Duration::from_millis(100));
        }
        stage.observer.seen().recoveries.clear();
        stage.began = Instant::now();
        stage
    }

    fn disturb(&mut self, options: &Options, schedule: Schedule) {
        let whole = Duration::from_secs_f64(options.minutes * 60.0);
        let mut turned = false;
        let mut shown = Instant::now();
        for step in schedule {
            let done = match options.kills {
                Some(kills) => self.fleet.kills() as f64 / kills as f64,
                None => self.began.elapsed().as_secs_f64() / whole.as_secs_f64(),
            };
            if done >= 1.0 || self.is_stopped() {
                break;
            }
            if !turned && done >= 0.5 {
                turned = true;
                self.beside.kill("turned-0");
                self.beside.start("turned-0", &self.dir.join("turned-0-after.toml"));
            }
            if shown.elapsed() >= Duration::from_secs(10) {
                shown = Instant::now();
                self.show(done);
            }
            // A run that is nearly over does not begin what takes long.
            let left = whole.saturating_sub(self.began.elapsed());
            self.step(step, if options.kills.is_some() { whole.max(PATIENCE) } else { left });
        }
        self.fleet.wake();
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn show(&self, done: f64) {
        let tally = self.fleet.tally();
        let line = format!(
            "chaos: {:3.0} %, {} kills, {} by failpoint, {} fencings, {} aborted, lag {}, {} faults open",
            done * 100.0,
            tally.kills,
            tally.windows.values().sum::<u64>(),
            tally.fencings,
            self.cluster.aborted_transactions(),
            self.observer.lag().unwrap_or(-1),
            if self.observer.has_recovered() { "no" } else { "some" },
        );
        if stdout().is_terminal() {
            print!("\r{line}\u{1b}[K");
            let _ = stdout().flush();
        } else {
            println!("{line}");
        }
    }

    /// After the last fault: the load ends, the guards catch up and drain, and it is held against the law.
    fn finish(mut self, options: &Options) -> Measured {
        let mut problems = vec![];
        let disturbed = self.began.elapsed();
        drop(self.load.child.stdin.take());
        let last_fault = Instant::now();
        while self.fleet.has_zombies() && last_fault.elapsed() < Duration::from_secs(60) {
            sleep(Duration::from_millis(100));
        }
        let mut said = String::new();
        let output = self.load.child.stdout.take().expect("piped");
        let loaded = std::io::Read::read_to_string(&mut { output }, &mut said);
        let status = self.load.child.wait().expect("its end");
        if loaded.is_err() || !status.success() {
            problems.push(format!("the load: {status}: {said}"));
        }
        let load = serde_json::from_str(said.trim()).unwrap_or(Value::Null);
        let caught_up = self.catch_up(last_fault);
        if caught_up.is_none() {
            problems.push(format!(
                "I9: lag {:?} {CATCH_UP:?} after the last fault",
                self.observer.lag()
            ));
        }
        drop(self.model.take());
        if !self.committed_all(&format!("{STREAM}.answers"), ANSWERS, Instant::now() + CATCH_UP) {
            problems.push("I9: the reader of answers is not at the end".into());
        }
        if !self.committed_all(TURNED, INPUT, Instant::now() + CATCH_UP) {
            problems.push(format!("I9: {TURNED} is not at the end"));
        }
        let tally = self.fleet.tally();
        problems.extend(self.fleet.drain(Duration::from_secs(30)));
        problems.extend(self.beside.drain(Duration::from_secs(30)));

        // The same input, with other cuts and more workers, by a guard that nobody disturbs.
        let more = "workers = 3\nrows_max = 7\nlinger_ms = 0";
        let text = config(options, &self.cluster.direct(), "calm-0", CALM, &self.bundle, more);
        hostile::create_outputs(options, &self.cluster, CALM, self.partitions);
        let calm = self.dir.join("calm-0.toml");
        std::fs::write(&calm, text).expect("a file");
        apply(&self.program, &calm);
        let fleet = Fleet::new(self.program.clone(), &self.dir, None);
        fleet.start("calm-0", &calm);
        if !self.committed_all(CALM, INPUT, Instant::now() + Duration::from_secs(600)) {
            problems.push("the calm run did not come to the end".into());
        }
        problems.extend(fleet.drain(Duration::from_secs(30)));

        let aborted_transactions = self.cluster.aborted_transactions();
        let checked = check(options, &self.cluster.direct());
        let went_back = went_back(&self.cluster.client(), &format!("{GROUP}."));
        let replayed = replay(&self.cluster.client(), &self.configs[0]);
        let joined = joined(&self.cluster.client(), &self.configs[0]);
        let seen = std::mem::take(&mut *self.observer.seen());
        Measured {
            tally,
            seen,
            checked,
            replayed,
            joined,
            went_back,
            load,
            problems,
            caught_up,
            aborted_transactions,
            replies_troubled: self.cluster.trouble.count(),
            bound_mb: self.bound_mb,
            partitions: self.partitions,
            disturbed,
            faults: std::mem::take(&mut self.faults),
        }
    }

    /// How long after the last fault there was no lag.
    fn catch_up(&self, last_fault: Instant) -> Option<Duration> {
        let mut none_since = None;
        while last_fault.elapsed() < CATCH_UP && !self.is_stopped() {
            match self.observer.lag() {
                Some(0) => {
                    let since: Instant = *none_since.get_or_insert_with(Instant::now);
                    // Longer than the observer needs for two looks.
                    if since.elapsed() > Duration::from_secs(1) {
                        return Some(since - last_fault);
                    }
                }
                _ => none_since = None,
            }
            sleep(Duration::from_millis(50));
        }
        None
    }

    /// Whether what reads `topic` in this group comes to its end in time.
    fn committed_all(&self, group: &str, topic: &str, deadline: Instant) -> bool {
        let watch = Observer::start(self.cluster.client(), &format!("{GROUP}.{group}"), topic, &[]);
        while Instant::now() < deadline && !self.is_stopped() {
            if watch.lag() == Some(0) {
                return true;
            }
            sleep(Duration::from_millis(200));
        }
        false
    }
}
