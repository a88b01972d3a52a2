//! One run, from the first topic to the verdict.

use std::io::{IsTerminal, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cluster::Cluster;
use crate::fleet::{Armed, Fleet, OURSELVES};
use crate::harness::{Process, root};
use crate::mutations::Mutation;
use crate::observer::Observer;
use crate::options::Options;
use crate::replay::replay;
use crate::schedule::{Fault, Limits, Schedule, Step};
use crate::verdict::{Measured, verdict};

const INPUT: &str = "chaos.requests";
const STREAM: &str = "chaos";
const CALM: &str = "calm";
const TURNED: &str = "turned";
const GROUP: &str = "tripline";
const PARTITIONS: usize = 6;
const WINDOW_MS: u64 = 1000;
/// The budget before and after the turn, for I13.
const BUDGETS: [&str; 2] = ["0.01", "0.05"];
const SESSION: Duration = Duration::from_secs(6);
const TRANSACTION: Duration = Duration::from_secs(5);
/// I9: no lag so long after the last fault.
const CATCH_UP: Duration = Duration::from_secs(90);
/// A patient step waits no longer than this: two sessions and a start.
const PATIENCE: Duration = Duration::from_secs(25);

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
    let limits = Limits { nodes: options.nodes, zombie, long: options.long() };
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
    let measured = stage.settle(options);
    verdict(options, measured, started.elapsed())
}

/// Everything that runs.
struct Stage {
    dir: PathBuf,
    program: PathBuf,
    cluster: Cluster,
    /// Guards of the stream that is disturbed.
    fleet: Fleet,
    /// The guard of the stream whose budget changes half-way: killed once, and cut off with the broker.
    beside: Fleet,
    observer: Observer,
    load: Process,
    configs: Vec<PathBuf>,
    scale: usize,
    partitions: usize,
    faults: Vec<Value>,
    bound_mb: u64,
    began: Instant,
    stop: Arc<AtomicBool>,
}

impl Stage {
    fn set(options: &Options, dir: PathBuf, program: PathBuf, stop: Arc<AtomicBool>) -> Self {
        let cluster = Cluster::start(&dir, options.nodes, options.seed);
        cluster.create_topic(INPUT, PARTITIONS as i32);
        let config = |name: &str, stream: &str, more: &str| {
            let text = config(options, &cluster.proxied(), name, stream, more);
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

        let mutation = options.mutation.as_deref().map(|name| {
            Mutation::read(name).unwrap_or_else(|| panic!("--mutation {name}: not known"))
        });
        let fleet = Fleet::new(program.clone(), &dir, mutation);
        let beside = Fleet::new(program.clone(), &dir, None);
        let outputs = ["sanitized", "quarantine", "dead-letter"].map(|t| format!("{STREAM}.{t}"));
        let group = format!("{GROUP}.{STREAM}");
        let observer = Observer::start(cluster.client(), &group, INPUT, &outputs);
        fleet.start("chaos-0", &configs[0]);
        beside.start("turned-0", &turned);
        let load = load(options, &cluster.direct());
        let mut stage = Self {
            dir,
            program,
            cluster,
            fleet,
            beside,
            observer,
            load,
            configs,
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

    fn is_stopped(&self) -> bool {
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

    fn step(&mut self, step: Step, left: Duration) {
        let asked = Instant::now();
        let patience = PATIENCE.min(left);
        let waits = |stage: &Self| !stage.observer.has_recovered() && !stage.is_stopped();
        while step.patient && waits(self) && asked.elapsed() < patience {
            sleep(Duration::from_millis(50));
        }
        sleep(step.pause.min(left));
        let at = self.began.elapsed().as_secs_f64();
        let done = self.act(&step.fault);
        self.faults.push(serde_json::json!({
            "at_s": (at * 10.0).round() / 10.0, "fault": step.fault.to_string(), "done": done,
        }));
    }

    /// Does it; false if there was nobody to do it to.
    fn act(&mut self, fault: &Fault) -> bool {
        let running = self.running();
        let pick = |who: usize| (!running.is_empty()).then(|| running[who % running.len()].clone());
        let kind = fault.kind();
        match *fault {
            Fault::Kill { who, many } => {
                let victims: Vec<String> = (0..many).filter_map(|i| pick(who + i)).collect();
                let killed = victims.iter().filter(|name| self.fleet.kill(name)).count();
                self.observer.fault(kind);
                return killed > 0;
            }
            Fault::Failpoint { who, window, after, seed } => {
                let Some(name) = pick(who) else { return false };
                let armed = self.fleet.arm(&name, Armed { window, after, seed });
                self.observer.fault(kind);
                return armed;
            }
            Fault::Freeze { who, time } | Fault::Zombie { who, time } => {
                let Some(name) = pick(who) else { return false };
                self.observer.fault(kind);
                return self.fleet.freeze(&name, time, matches!(fault, Fault::Zombie { .. }));
            }
            Fault::Replace { who, time } => {
                let Some(name) = pick(who) else { return false };
                self.observer.fault(kind);
                if !self.fleet.replace(&name) {
                    return false;
                }
                sleep(time);
                self.fleet.wake();
            }
            Fault::Scale { to } => {
                self.observer.fault(kind);
                self.scale = to;
                for (i, config) in self.configs.iter().enumerate() {
                    let name = format!("chaos-{i}");
                    match i < to {
                        true => self.fleet.start(&name, config),
                        false => self.fleet.retire(&name),
                    }
                }
            }
            Fault::BrokerKill { node } => {
                self.observer.fault(kind);
                self.cluster.nodes[node].restart(false);
            }
            Fault::BrokerRestart { node } => {
                self.observer.fault(kind);
                self.cluster.nodes[node].restart(true);
            }
            Fault::BrokerFreeze { node, time } => {
                self.observer.fault(kind);
                self.cluster.nodes[node].freeze(time);
            }
            Fault::Replies { time } => {
                self.observer.fault(kind);
                self.cluster.trouble.set(true);
                sleep(time);
                self.cluster.trouble.set(false);
            }
            Fault::Partition { input_first } => return self.add_partition(input_first),
        }
        true
    }

    /// Who can be disturbed now; whoever was killed just now is back within a second.
    fn running(&self) -> Vec<String> {
        let asked = Instant::now();
        loop {
            let running = self.fleet.running();
            if !running.is_empty() || asked.elapsed() > Duration::from_secs(3) {
                return running;
            }
            sleep(Duration::from_millis(50));
        }
    }

    fn add_partition(&mut self, input_first: bool) -> bool {
        let wanted = self.partitions + 1;
        let outputs: Vec<String> = [STREAM, TURNED]
            .iter()
            .flat_map(|stream| {
                ["sanitized", "quarantine", "dead-letter", "state"]
                    .map(|topic| format!("{stream}.{topic}"))
            })
            .collect();
        let input = [INPUT.to_owned()];
        let done = if input_first {
            let done = self.cluster.extend(&input, wanted);
            // Long enough for the guards to meet a partition that they cannot write.
            sleep(Duration::from_secs(4));
            for config in [self.dir.join("chaos-0.toml"), self.dir.join("turned-0.toml")] {
                apply(&self.program, &config);
            }
            done
        } else {
            self.cluster.extend(&outputs, wanted) && self.cluster.extend(&input, wanted)
        };
        self.partitions += usize::from(done);
        self.observer.fault("partition");
        done
    }

    /// After the last fault: the load ends, the guards catch up and drain, and it is held against the law.
    fn settle(mut self, options: &Options) -> Measured {
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
        if !self.committed_all(TURNED, Instant::now() + CATCH_UP) {
            problems.push(format!("I9: {TURNED} is not at the end"));
        }
        let tally = self.fleet.tally();
        problems.extend(self.fleet.drain(Duration::from_secs(30)));
        problems.extend(self.beside.drain(Duration::from_secs(30)));

        // The same input, with other cuts and more workers, by a guard that nobody disturbs.
        let more = "workers = 3\nrows_max = 7\nlinger_ms = 0";
        let text = config(options, &self.cluster.direct(), "calm-0", CALM, more);
        let calm = self.dir.join("calm-0.toml");
        std::fs::write(&calm, text).expect("a file");
        apply(&self.program, &calm);
        let fleet = Fleet::new(self.program.clone(), &self.dir, None);
        fleet.start("calm-0", &calm);
        if !self.committed_all(CALM, Instant::now() + Duration::from_secs(600)) {
            problems.push("the calm run did not come to the end".into());
        }
        problems.extend(fleet.drain(Duration::from_secs(30)));

        let aborted_transactions = self.cluster.aborted_transactions();
        let checked = check(options, &self.cluster.direct());
        let replayed = replay(&self.cluster.client(), &self.configs[0]);
        let seen = std::mem::take(&mut *self.observer.seen());
        Measured {
            tally,
            seen,
            checked,
            replayed,
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

    fn committed_all(&self, stream: &str, deadline: Instant) -> bool {
        let watch =
            Observer::start(self.cluster.client(), &format!("{GROUP}.{stream}"), INPUT, &[]);
        while Instant::now() < deadline && !self.is_stopped() {
            if watch.lag() == Some(0) {
                return true;
            }
            sleep(Duration::from_millis(200));
        }
        false
    }
}

fn config(options: &Options, brokers: &str, instance: &str, stream: &str, more: &str) -> String {
    let mut kafka = String::new();
    if options.group_protocol != "classic" {
        kafka += &format!("group_protocol = \"{}\"\n", options.group_protocol);
    }
    if options.delivery != "exactly_once" {
        kafka += &format!("delivery = \"{}\"\n", options.delivery);
    }
    format!(
        r#"
instance = "{instance}"

[kafka]
brokers = "{brokers}"
group = "{GROUP}"
session_timeout_ms = {session}
transaction_timeout_ms = {transaction}
{kafka}
[kafka.properties]
"topic.metadata.refresh.interval.ms" = "2000"
"reconnect.backoff.max.ms" = "1000"

[[stream]]
name = "{stream}"
input = "{INPUT}"
bundle = "{bundle}"
codec = "auto"
mode = "enforce"
on_flagged = "correct"
{more}

[stream.alerts]
topic = "{stream}.alerts"
window_ms = {WINDOW_MS}
hold = "10s"
"#,
        session = SESSION.as_millis(),
        transaction = TRANSACTION.as_millis(),
        bundle = root().join("models/shuttle").display(),
    )
}

/// `tripline topics --apply`, until the cluster does it.
fn apply(program: &Path, config: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let done = Command::new(program).args(["topics", "--apply", "-c"]).arg(config).output();
        let done = done.expect("tripline runs");
        if done.status.success() {
            return;
        }
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(Instant::now() < deadline, "topics --apply: {said}");
        sleep(Duration::from_millis(500));
    }
}

/// What `tripline check` says the process takes at most.
fn bound_mb(program: &Path, config: &Path) -> u64 {
    let done = Command::new(program).args(["check", "-c"]).arg(config).output();
    let said = String::from_utf8_lossy(&done.expect("tripline runs").stdout).into_owned();
    let bound = said.split_once("at most ").and_then(|(_, rest)| rest.split_once(" MiB"));
    bound
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or_else(|| panic!("no bound in: {said}"))
}

fn load(options: &Options, brokers: &str) -> Process {
    let table = root().join("models/shuttle/slice/held-out.csv");
    let arguments = [
        ("--brokers", brokers.to_owned()),
        ("--topic", INPUT.to_owned()),
        ("--table", table.display().to_string()),
        ("--seed", options.seed.to_string()),
        ("--rate", options.rate.to_string()),
        // Until its standard input ends: the run decides how long that is.
        ("--seconds", "0".to_owned()),
        ("--wave-every", if options.long() { "60" } else { "30" }.to_owned()),
    ];
    let mut command = Process::client("chaos_load.py", &[]);
    command.args(arguments.iter().flat_map(|(name, value)| [*name, value.as_str()]));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Process { child: command.spawn().expect("chaos_load.py starts") }
}

fn check(options: &Options, brokers: &str) -> Result<Value, String> {
    let budgets = BUDGETS.join(",");
    let window = WINDOW_MS.to_string();
    let mut command = Process::client(
        "chaos_check.py",
        &[
            "--brokers",
            brokers,
            "--input",
            INPUT,
            "--group",
            GROUP,
            "--stream",
            STREAM,
            "--calm",
            CALM,
            "--turned",
            TURNED,
            "--budgets",
            &budgets,
            "--window-ms",
            &window,
        ],
    );
    if options.delivery == "at_least_once" {
        command.arg("--at-least-once");
    }
    let output = command.output().map_err(|error| error.to_string())?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(said.trim()).map_err(|error| format!("the checker: {error}: {said}"))
}
