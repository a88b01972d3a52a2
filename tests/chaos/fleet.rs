//! The guards under test, as child processes, and whoever starts them again when they end.
//!
//! What is right or wrong is never decided by their logs but for one thing: what a process that stood
//! still committed after it woke.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use tripline::sim::Mutation;

use crate::cluster::signal;
use crate::failpoints::{Window, witnessed, witnessed_roles};
use crate::guard::{GUARD, Wrapping};
use crate::tally::{Log, Tally, knows, message, rss, took};

/// All instances, by name.
#[derive(Clone)]
pub struct Fleet(Arc<Mutex<State>>);

struct State {
    program: PathBuf,
    dir: PathBuf,
    /// A bug that all instances have.
    mutation: Option<Mutation>,
    instances: BTreeMap<String, Instance>,
    /// Processes whose place was taken while they stood still.
    zombies: Vec<Zombie>,
    tally: Tally,
}

struct Instance {
    config: PathBuf,
    log: Log,
    child: Option<Child>,
    /// Whether it is started again when it ends.
    wanted: bool,
    start_at: Instant,
    killed: bool,
    frozen: bool,
    /// How long it stood still, longer than its session, if it has not heard of that yet.
    woken: Option<Duration>,
    arm: Option<Armed>,
}

/// At which commit the next process kills itself, and where in it.
#[derive(Clone, Copy, Debug)]
pub struct Armed {
    pub window: Window,
    pub after: u32,
    pub seed: u64,
}

struct Zombie {
    name: String,
    child: Child,
    log: Log,
    since: Instant,
    still: Duration,
    woken: Option<Instant>,
    knows: bool,
    /// One of its threads stands back.
    stands_back: bool,
    commits: u64,
}

/// A copy of this program beside the data: a build in the meantime must not change it.
pub const OURSELVES: &str = "chaos";

/// As a supervisor would: not at once.
const PAUSE: Duration = Duration::from_millis(500);

impl Fleet {
    /// An empty fleet of `program`, with its logs in `dir`; supervised from now on.
    pub fn new(program: PathBuf, dir: &Path, mutation: Option<Mutation>) -> Self {
        let fleet = Self(Arc::new(Mutex::new(State {
            program,
            mutation,
            dir: dir.to_owned(),
            instances: BTreeMap::new(),
            zombies: vec![],
            tally: Tally::default(),
        })));
        let supervised = Arc::downgrade(&fleet.0);
        thread::spawn(move || {
            while let Some(state) = supervised.upgrade() {
                state.lock().expect("no panic while held").supervise();
                drop(state);
                thread::sleep(Duration::from_millis(100));
            }
        });
        fleet
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while held")
    }

    /// Starts an instance, now or again; it is kept running.
    pub fn start(&self, name: &str, config: &Path) {
        let mut state = self.state();
        let log = Log { path: state.dir.join(format!("{name}.log")), read: 0 };
        let fresh = Instance {
            config: config.to_owned(),
            log,
            child: None,
            wanted: true,
            start_at: Instant::now(),
            killed: false,
            frozen: false,
            woken: None,
            arm: None,
        };
        let instance = state.instances.entry(name.to_owned()).or_insert(fresh);
        config.clone_into(&mut instance.config);
        instance.wanted = true;
        instance.start_at = Instant::now();
        state.supervise();
    }

    /// Names of those that run, are not frozen and are to stay.
    pub fn running(&self) -> Vec<String> {
        let state = self.state();
        let runs = |(name, i): (&String, &Instance)| {
            (i.wanted && i.child.is_some() && !i.frozen).then(|| name.clone())
        };
        state.instances.iter().filter_map(runs).collect()
    }

    /// kill -9; false if it does not run.
    pub fn kill(&self, name: &str) -> bool {
        let mut state = self.state();
        let Some(instance) = state.instances.get_mut(name) else { return false };
        let Some(child) = &mut instance.child else { return false };
        child.kill().expect("a kill");
        instance.killed = true;
        state.tally.kills += 1;
        true
    }

    /// Tells it to drain, and does not start it again.
    pub fn retire(&self, name: &str) {
        if let Some(instance) = self.state().instances.get_mut(name) {
            instance.wanted = false;
            if let Some(child) = &instance.child {
                signal(child, "TERM");
            }
        }
    }

    /// kill -9, and the process that takes its place kills itself as `armed` says.
    pub fn arm(&self, name: &str, armed: Armed) -> bool {
        let killed = self.kill(name);
        if let Some(instance) = self.state().instances.get_mut(name) {
            instance.arm = Some(armed);
        }
        killed
    }

    /// Stands still for so long. As a `zombie`, longer than its session, it must commit nothing
    /// after that before the group has told it where it stands; so it stands still until it is
    /// `gone` from the group, which a slow broker may take longer to see.
    pub fn freeze(&self, name: &str, time: Duration, gone: Option<&dyn Fn() -> bool>) -> bool {
        let began = Instant::now();
        let zombie = gone.is_some();
        let frozen = |still: bool| {
            let mut state = self.state();
            let State { instances, tally, .. } = &mut *state;
            let Some(instance) = instances.get_mut(name) else { return false };
            if !still {
                // What it said before it stood still was said in time.
                instance.hear(name, tally);
                instance.woken = zombie.then(|| began.elapsed());
                tally.zombies += u64::from(zombie);
            }
            let Some(child) = &instance.child else { return false };
            signal(child, if still { "STOP" } else { "CONT" });
            instance.frozen = still;
            true
        };
        let done = frozen(true);
        thread::sleep(time);
        while done && began.elapsed() < 3 * time && gone.is_some_and(|gone| !gone()) {
            thread::sleep(Duration::from_millis(200));
        }
        done && frozen(false)
    }

    /// Stops a process and starts another in its place; [`Fleet::wake`] lets the first go on.
    pub fn replace(&self, name: &str) -> bool {
        let mut state = self.state();
        let Some(instance) = state.instances.get_mut(name) else { return false };
        let Some(child) = instance.child.take() else { return false };
        signal(&child, "STOP");
        let fresh = instance.log.path.with_extension(format!("{}.log", child.id()));
        let log = std::mem::replace(&mut instance.log, Log { path: fresh, read: 0 });
        instance.start_at = Instant::now() + PAUSE;
        let name = name.to_owned();
        let (since, still) = (Instant::now(), Duration::ZERO);
        state.zombies.push(Zombie {
            name,
            child,
            log,
            since,
            still,
            woken: None,
            knows: false,
            stands_back: false,
            commits: 0,
        });
        true
    }

    /// Lets every zombie go on.
    pub fn wake(&self) {
        let mut state = self.state();
        for zombie in state.zombies.iter_mut().filter(|zombie| zombie.woken.is_none()) {
            zombie.log.skip();
            signal(&zombie.child, "CONT");
            zombie.woken = Some(Instant::now());
            zombie.still = zombie.since.elapsed();
        }
    }

    /// Whether zombies are left that were not seen to end.
    pub fn has_zombies(&self) -> bool {
        !self.state().zombies.is_empty()
    }

    /// Brokers were away, still or slow until now: who took a place, nobody could hear.
    pub fn goes_on(&self) {
        let woken = |zombie: &mut Zombie| zombie.woken = zombie.woken.map(|_| Instant::now());
        self.state().zombies.iter_mut().for_each(woken);
    }

    /// SIGTERM to all of them; those that do not end with 0 in time are named.
    pub fn drain(&self, patience: Duration) -> Vec<String> {
        let mut state = self.state();
        let mut children = vec![];
        for (name, instance) in &mut state.instances {
            instance.wanted = false;
            if let Some(child) = instance.child.take() {
                signal(&child, "TERM");
                children.push((name.clone(), child));
            }
        }
        let deadline = Instant::now() + patience;
        let mut faults = vec![];
        for (name, mut child) in children {
            let status = loop {
                match child.try_wait().expect("a status") {
                    Some(status) => break Some(status),
                    None if Instant::now() > deadline => break None,
                    None => thread::sleep(Duration::from_millis(20)),
                }
            };
            if !status.is_some_and(|status| status.success()) {
                let _ = child.kill();
                let _ = child.wait();
                faults.push(format!("{name} did not drain: {status:?} within {patience:?}"));
            }
        }
        state.supervise();
        faults
    }

    pub fn tally(&self) -> Tally {
        let state = self.state();
        let hits = witnessed(&state.dir.join(WITNESS)).into_iter();
        let windows = hits.map(|(window, n)| (window.name(), n)).collect();
        let roles = witnessed_roles(&state.dir.join(WITNESS));
        Tally { windows, roles, ..state.tally.clone() }
    }

    pub fn kills(&self) -> u64 {
        let tally = self.tally();
        tally.kills + tally.windows.values().sum::<u64>()
    }
}

impl State {
    fn supervise(&mut self) {
        let Self { program, dir, mutation, instances, zombies, tally } = self;
        for (name, instance) in instances.iter_mut() {
            instance.hear(name, tally);
            if let Some(child) = &mut instance.child {
                tally.rss_max = tally.rss_max.max(rss(child.id()));
                let Some(status) = child.try_wait().expect("a status") else { continue };
                instance.child = None;
                instance.frozen = false;
                instance.woken = None;
                instance.start_at = Instant::now() + PAUSE;
                let killed = std::mem::take(&mut instance.killed);
                // Killed by us before it came to it, the next one is armed in its place.
                let armed = instance.arm.take_if(|_| !killed).is_some();
                let by_signal = status.code().is_none();
                tally.exits += u64::from(!killed && !by_signal && !status.success());
                tally.mysteries += u64::from(!killed && by_signal && !armed);
            }
            if instance.wanted && instance.child.is_none() && Instant::now() >= instance.start_at {
                instance.child = Some(start(program, dir, *mutation, name, instance));
            }
        }
        zombies.retain_mut(|zombie| {
            let Some(woken) = zombie.woken else { return true };
            for line in zombie.log.lines() {
                let said = message(&line);
                // Told by the group what is its own again, it may work; it then fences its successor.
                tally.duels += u64::from(zombie.knows && said == "assigned");
                zombie.knows |= knows(said);
                zombie.stands_back |= said.starts_with("standing back");
                let late = said == "transaction committed" && took(&line) < zombie.still;
                zombie.commits += u64::from(!zombie.knows && late);
                tally.hear(&zombie.name, &line);
            }
            let ended = zombie.child.try_wait().expect("a status");
            let over = woken.elapsed() > Duration::from_secs(45);
            if ended.is_none() && !over {
                return true;
            }
            let Zombie { name, commits, stands_back, .. } = &*zombie;
            tally.zombies += 1;
            let mut fault = |text: &str| tally.zombie_faults.push(format!("{name}: {text}"));
            if *commits > 0 {
                fault(&format!(
                    "committed {commits} times before it knew that its place was taken"
                ));
            }
            if over && !stands_back {
                fault("did not stand back 45 s after another took its place");
            }
            if over {
                let _ = zombie.child.kill();
                let _ = zombie.child.wait();
            }
            false
        });
    }
}

/// What the windows were hit by is written here.
const WITNESS: &str = "windows";

impl Instance {
    /// Reads on in its log.
    fn hear(&mut self, name: &str, tally: &mut Tally) {
        for line in self.log.lines() {
            tally.hear(name, &line);
            let Some(still) = self.woken else { continue };
            let said = message(&line);
            if said == "transaction committed" && took(&line) < still {
                tally.zombie_faults.push(format!("{name}: committed before it knew: {line}"));
            }
            self.woken = self.woken.filter(|_| !knows(said));
        }
    }
}

fn start(
    program: &Path,
    dir: &Path,
    mutation: Option<Mutation>,
    name: &str,
    instance: &Instance,
) -> Child {
    let log = File::options().create(true).append(true).open(&instance.log.path).expect("a log");
    let mut command = if instance.arm.is_none() && mutation.is_none() {
        let mut command = Command::new(program);
        command.args(["run", "--log", "json", "-c"]).arg(&instance.config);
        command
    } else {
        let wrapping = Wrapping { armed: instance.arm, mutation, witness: dir.join(WITNESS) };
        let mut command = Command::new(dir.join(OURSELVES));
        command.arg(GUARD).arg(&instance.config).args(wrapping.arguments());
        command
    };
    command
        .env("RUST_LOG", "info,tripline=debug,rdkafka=warn,ort=warn")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{name} starts: {error}"))
}

impl Drop for State {
    fn drop(&mut self) {
        let children = self.instances.values_mut().filter_map(|instance| instance.child.as_mut());
        for child in children.chain(self.zombies.iter_mut().map(|zombie| &mut zombie.child)) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
