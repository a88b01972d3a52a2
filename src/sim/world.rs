//! Machines, their processes, and who runs next.
//!
//! One thread, one clock. A turn of a worker or judge is one call; others may run in the middle of
//! it, because every step of a session may let them, so processes interleave at every step. What
//! stands still in the middle of a call while the others go on is a zombie.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::cluster::{Cluster, Ms};
use super::faults::Faults;
use super::group::Group;
use super::log::{Fate, PartitionLog, Record, Topic};
use super::mutation::{Mutant, Mutation};
use super::road::Toy;
use super::scene::Scene;
use super::session::{Common, Place, Process, Session};
use crate::deliver::{Judging, Progress, Worker};
use crate::record::Partition;

/// Everything there is.
pub struct World {
    pub common: Rc<Common>,
    pub scene: Rc<Scene>,
    mutation: Option<Mutation>,
    machines: RefCell<Vec<Machine>>,
    seats: RefCell<Vec<Rc<Seat>>>,
    arrived: Cell<usize>,
    /// Input transactions so far.
    fed: Cell<usize>,
    processes: Cell<u32>,
    /// Transactional ids given out, in sets of one per process.
    ids: Cell<usize>,
    /// How deep in others' turns we are.
    depth: Cell<u32>,
    /// How often a process ended, or stood still so that the group may have gone on without it: to
    /// the next one both look the same.
    pub ended: RefCell<BTreeMap<u32, usize>>,
}

/// Where processes run, one after the other.
struct Machine {
    name: String,
    /// The first of its transactional ids.
    ids: usize,
    process: Rc<Process>,
    restart_at: Option<Ms>,
    thaw_at: Option<Ms>,
    /// Not restarted any more.
    retired: bool,
}

/// A thread of a process.
struct Seat {
    process: Rc<Process>,
    resume_at: Rc<Cell<Ms>>,
    actor: RefCell<Option<Actor>>,
}

enum Actor {
    Worker(Box<Worker<Mutant<Session>, Toy>>),
    Judge(Box<Judging<Mutant<Session>>>),
}

pub const WORKERS: usize = 0;
pub const JUDGES: usize = 1;
/// Transactional ids of one machine.
const IDS: usize = 4;

impl World {
    pub fn new(scene: Scene, faults: Faults, mutation: Option<Mutation>) -> Rc<Self> {
        let cluster = cluster(&scene);
        let common = Common::new(cluster, faults, scene.exactly_once, scene.refuses_at_once);
        let machines = scene.machines;
        let world = Rc::new(Self {
            common: Rc::new(common),
            scene: Rc::new(scene),
            mutation,
            machines: RefCell::default(),
            seats: RefCell::default(),
            arrived: Cell::new(0),
            fed: Cell::new(0),
            processes: Cell::new(0),
            ids: Cell::new(0),
            depth: Cell::new(0),
            ended: RefCell::default(),
        });
        *world.common.world.borrow_mut() = Rc::downgrade(&world);
        (0..machines).for_each(|_| world.scale_up());
        world
    }

    /// Faults, then healing, then peace: whether there is peace within `patience`.
    pub fn run(&self, patience: Ms) -> bool {
        self.go_on(self.scene.heal_at);
        self.heal();
        let deadline = self.common.now() + patience;
        while self.common.now() < deadline {
            self.go_on(250);
            if self.is_quiet() {
                return true;
            }
        }
        false
    }

    /// Lets `ms` pass.
    pub fn go_on(&self, ms: Ms) {
        let until = self.common.now() + ms;
        self.depth.set(self.depth.get() + 1);
        while self.common.now() < until {
            self.step(until);
        }
        self.depth.set(self.depth.get() - 1);
    }

    /// In the middle of a step of `process`: others run, perhaps for long, and perhaps the process
    /// stands still meanwhile.
    pub fn interrupt(&self, process: &Process) {
        if self.depth.get() > 2 {
            return;
        }
        let (freeze, ms) = {
            let mut faults = self.common.faults.borrow_mut();
            let freeze = faults.chance(0.2);
            (freeze, if freeze { faults.below(5000) } else { faults.below(40) })
        };
        if !freeze || process.frozen.get() {
            return self.go_on(ms);
        }
        self.common.note(|| format!("process {} stands still for {ms} ms", process.no));
        self.common.faults.borrow_mut().hit("stands still in a step");
        process.frozen.set(true);
        self.count_end(process);
        process.silence(&self.common);
        self.go_on(ms);
        process.frozen.set(false);
        if process.alive.get() {
            process.hear(&self.common);
        }
    }

    fn step(&self, until: Ms) {
        self.feed();
        self.tend();
        if self.depth.get() == 1 {
            self.events();
        }
        let now = self.common.now();
        let mut next = until;
        let mut ready: Vec<Rc<Seat>> = vec![];
        for seat in &*self.seats.borrow() {
            if seat.process.frozen.get() || seat.actor.try_borrow_mut().is_err() {
                continue;
            }
            match seat.resume_at.get() {
                at if at <= now => ready.push(seat.clone()),
                at => next = next.min(at),
            }
        }
        if ready.is_empty() {
            if let Some(arrival) = self.scene.arrivals.get(self.arrived.get()) {
                next = next.min(arrival.at);
            }
            let ms = next.max(now + 1) - now;
            self.common.cluster.borrow_mut().pass(ms.min(50));
            return;
        }
        let at = self.common.faults.borrow_mut().below(ready.len() as u64) as usize;
        self.turn(&ready[at]);
        let ms = self.common.faults.borrow_mut().below(2);
        self.common.cluster.borrow_mut().pass(ms);
    }

    fn turn(&self, seat: &Seat) {
        let mut actor = seat.actor.borrow_mut();
        let done = match actor.as_mut() {
            Some(Actor::Worker(worker)) => worker.turn(),
            Some(Actor::Judge(judge)) => judge.turn(),
            None => return,
        };
        if done.is_ok() {
            return;
        }
        // Whoever is fenced leaves, and its process with it.
        *actor = None;
        drop(actor);
        let process = &seat.process;
        if process.alive.get() {
            self.common.note(|| format!("process {} leaves", process.no));
            self.leave(process, false);
        }
    }

    /// A process ends in order: what was read is committed if `finish` says so, then it leaves.
    fn leave(&self, process: &Rc<Process>, finish: bool) {
        let seats: Vec<_> = self.seats.borrow().iter().cloned().collect();
        for seat in seats.iter().filter(|seat| Rc::ptr_eq(&seat.process, process)) {
            // What is in the middle of a turn ends as if killed.
            let Ok(mut actor) = seat.actor.try_borrow_mut() else { continue };
            match actor.take() {
                Some(Actor::Worker(worker)) if finish => worker.finish(),
                gone => drop(gone),
            }
        }
        process.die(&self.common);
    }

    /// Records that are due arrive.
    fn feed(&self) {
        while let Some(arrival) = self.scene.arrivals.get(self.arrived.get()) {
            if arrival.at > self.common.now() {
                break;
            }
            self.arrived.set(self.arrived.get() + 1);
            self.append(arrival.partition, &arrival.records, arrival.committed);
        }
    }

    fn append(&self, partition: Partition, records: &[Record], committed: Option<bool>) {
        let fed = self.fed.get() + 1;
        self.fed.set(fed);
        let txn = committed.map(|_| usize::MAX - fed);
        let mut cluster = self.common.cluster.borrow_mut();
        let input = cluster.topic(&self.scene.stream.input);
        let log = cluster.log(input, partition);
        for record in records {
            log.append(Rc::new(record.clone()), txn);
        }
        if let (Some(txn), Some(committed)) = (txn, committed) {
            log.mark(txn, if committed { Fate::Committed } else { Fate::Aborted });
        }
    }

    /// What is dead is carried away, and started again when it is time.
    fn tend(&self) {
        let now = self.common.now();
        let mut dead = false;
        for machine in &mut *self.machines.borrow_mut() {
            if machine.thaw_at.is_some_and(|at| at <= now) {
                machine.thaw_at = None;
                machine.process.frozen.set(false);
                if machine.process.alive.get() {
                    machine.process.hear(&self.common);
                }
            }
            if machine.process.alive.get() {
                continue;
            }
            dead = true;
            if machine.restart_at.is_none() {
                self.count_end(&machine.process);
            }
            if machine.restart_at.is_none() && !machine.retired {
                let mut faults = self.common.faults.borrow_mut();
                machine.restart_at = Some(now + 50 + faults.below(1500));
                if !faults.healed() && faults.chance(0.2) {
                    // Under another name: nobody aborts what the last one left open.
                    machine.ids = self.new_ids();
                }
            }
        }
        if !dead {
            return;
        }
        self.seats
            .borrow_mut()
            .retain(|seat| seat.process.alive.get() || seat.actor.try_borrow_mut().is_err());
        loop {
            let due = |machine: &&mut Machine| machine.restart_at.is_some_and(|at| at <= now);
            let mut machines = self.machines.borrow_mut();
            let Some(machine) = machines.iter_mut().find(due) else { break };
            machine.restart_at = None;
            machine.process = self.new_process();
            let (process, ids, name) = (machine.process.clone(), machine.ids, machine.name.clone());
            drop(machines);
            self.start(&process, ids, &name);
        }
        self.machines.borrow_mut().retain(|m| m.process.alive.get() || !m.retired);
    }

    fn count_end(&self, process: &Process) {
        *self.ended.borrow_mut().entry(process.no).or_default() += 1;
    }

    fn new_process(&self) -> Rc<Process> {
        self.processes.set(self.processes.get() + 1);
        Process::new(self.processes.get())
    }

    fn new_ids(&self) -> usize {
        self.ids.set(self.ids.get() + IDS);
        self.ids.get() - IDS
    }

    fn start(&self, process: &Rc<Process>, ids: usize, name: &str) {
        self.common.note(|| format!("process {} starts on {name}", process.no));
        let cluster = self.common.cluster.borrow();
        let stream = &self.scene.stream;
        let (input, evidence) =
            (cluster.topic(&stream.input), cluster.topic(&stream.topics.evidence));
        drop(cluster);
        let mut seats = vec![];
        let mut sit = |role: String, group, input, producer, judges: bool| {
            let resume_at = Rc::new(Cell::new(0));
            let place =
                Place { name: format!("{name}.{}.{role}", process.no), group, input, producer };
            let session = Session::join(&self.common, process, place, &resume_at);
            let reuse: Option<super::mutation::Reuse<Session>> = Some(Session::abort_and_reuse);
            let mutant = Mutant::new(session, self.mutation, reuse, &stream.alerts.topic);
            let progress = Arc::new(Progress::default());
            let (stream, timing) = (stream.clone(), self.scene.timing);
            let actor = if judges {
                let judge = self.scene.judge();
                Actor::Judge(Box::new(Judging::new(mutant, stream, judge, timing, progress)))
            } else {
                let road = Toy::new(&self.common, process, &self.scene);
                Actor::Worker(Box::new(Worker::new(mutant, road, stream, timing, progress)))
            };
            let actor = RefCell::new(Some(actor));
            seats.push(Rc::new(Seat { process: process.clone(), resume_at, actor }));
        };
        for worker in 0..self.scene.workers {
            sit(format!("w{worker}"), WORKERS, input, ids + worker, false);
        }
        sit("judge".into(), JUDGES, evidence, ids + IDS - 1, true);
        self.seats.borrow_mut().extend(seats);
    }

    fn scale_up(&self) {
        let (process, ids) = (self.new_process(), self.new_ids());
        let name = format!("m{}", ids / IDS);
        self.begin(process, ids, name);
    }

    fn begin(&self, process: Rc<Process>, ids: usize, name: String) {
        let machine = Machine {
            name: name.clone(),
            ids,
            process: process.clone(),
            restart_at: None,
            thaw_at: None,
            retired: false,
        };
        self.machines.borrow_mut().push(machine);
        self.start(&process, ids, &name);
    }

    /// What befalls machines and cluster between turns.
    fn events(&self) {
        let (kind, luck) = {
            let mut faults = self.common.faults.borrow_mut();
            if faults.healed() || !faults.chance(0.01) {
                return;
            }
            (faults.below(12), faults.below(1 << 20))
        };
        let now = self.common.now();
        let running = self.machines.borrow().iter().filter(|m| m.process.alive.get()).count();
        let one = || {
            let machines = self.machines.borrow();
            let mut alive = machines.iter().enumerate().filter(|(_, m)| m.process.alive.get());
            alive.nth(luck as usize % running).map(|(at, _)| at).expect("below their number")
        };
        let note = |what: &str| {
            self.common.note(|| what.to_owned());
            self.common.faults.borrow_mut().hit(what);
        };
        match kind {
            0 if running > 0 => {
                note("a process is killed");
                let process = self.machines.borrow()[one()].process.clone();
                process.die(&self.common);
            }
            1 | 2 if running > 0 => {
                note("a process stands still");
                let mut machines = self.machines.borrow_mut();
                let machine = &mut machines[one_of(luck, running)];
                // The ids of one that was replaced are another's already.
                if !machine.process.alive.get() || machine.retired {
                    return;
                }
                machine.process.frozen.set(true);
                self.count_end(&machine.process);
                machine.process.silence(&self.common);
                machine.thaw_at = Some(now + 1 + luck % 6000);
                let (ids, name) = (machine.ids, machine.name.clone());
                if kind == 2 {
                    machine.retired = true;
                    drop(machines);
                    note("another process takes its ids over");
                    let process = self.new_process();
                    self.begin(process, ids, name);
                }
            }
            3 | 10 if running < 4 => {
                note("one machine more");
                self.scale_up();
            }
            4 | 5 | 11 if running > 1 => {
                note("one machine less");
                let at = one();
                let process = self.machines.borrow()[at].process.clone();
                self.machines.borrow_mut()[at].retired = true;
                self.leave(&process, true);
            }
            6 => {
                note("the clock on the wall jumps");
                self.common.cluster.borrow_mut().skew += luck as i64 % 60_000 - 30_000;
            }
            7 => {
                note("the cluster is gone");
                self.common.faults.borrow_mut().down_until = now + luck % 3000;
            }
            8 | 9 => self.grow(kind == 8, luck),
            _ => {}
        }
    }

    /// One input partition more; its outputs are there before, or only when all heals.
    fn grow(&self, outputs_first: bool, luck: u64) {
        let mut cluster = self.common.cluster.borrow_mut();
        let input = cluster.topic(&self.scene.stream.input);
        let n = cluster.topics[input].partitions.len();
        if n >= 6 {
            return;
        }
        cluster.topics[input].partitions.push(PartitionLog::default());
        cluster.groups[WORKERS].grow(n as i32 + 1);
        drop(cluster);
        let what = if outputs_first { "one partition more" } else { "one input partition more" };
        self.common.note(|| what.to_owned());
        self.common.faults.borrow_mut().hit(what);
        if outputs_first {
            self.widen();
        }
        let arrivals = self.scene.arrivals.iter().skip(luck as usize % 10).take(3);
        let quiet = |arrival: &&super::scene::Arrival| {
            let poison =
                |r: &Record| r.value.as_ref().is_some_and(|v| v[0] == super::scene::kind::POISON);
            !arrival.records.iter().any(poison)
        };
        let more: Vec<_> = arrivals.filter(quiet).cloned().collect();
        for arrival in more {
            self.append(Partition(n as i32), &arrival.records, arrival.committed);
        }
    }

    /// Outputs get as many partitions as the input has.
    fn widen(&self) {
        let mut cluster = self.common.cluster.borrow_mut();
        let topics = &self.scene.stream.topics;
        let n = {
            let input = cluster.topic(&self.scene.stream.input);
            cluster.topics[input].partitions.len()
        };
        for name in [&topics.sanitized, &topics.quarantine, &topics.dead_letter, &topics.state] {
            let topic = cluster.topic(name);
            cluster.topics[topic].partitions.resize(n, PartitionLog::default());
        }
    }

    fn heal(&self) {
        self.common.note(|| "everything heals".into());
        self.common.faults.borrow_mut().heal();
        self.widen();
        for machine in &mut *self.machines.borrow_mut() {
            machine.thaw_at = machine.thaw_at.map(|_| 0);
        }
        self.tend();
        let none = self.machines.borrow().iter().all(|machine| machine.retired);
        if none {
            self.scale_up();
        }
    }

    /// Whether all that arrived is judged and committed, and all that follows from it is heard.
    fn is_quiet(&self) -> bool {
        self.arrived.get() == self.scene.arrivals.len()
            && self.common.cluster.borrow().is_settled()
            && self.behind().is_empty()
            && self.idle().is_empty()
    }

    /// What is not read to its end, in words.
    pub fn behind(&self) -> Vec<String> {
        let cluster = self.common.cluster.borrow();
        let mut behind = vec![];
        let input = &cluster.topics[cluster.topic(&self.scene.stream.input)];
        for (p, log) in input.partitions.iter().enumerate() {
            let committed = cluster.groups[WORKERS].committed(Partition(p as i32));
            let end = log.committed(0).next_back().map_or(0, |(at, _)| at + 1);
            if committed.map_or(0, |offset| offset.0) < end as i64 {
                behind.push(format!("input partition {p}: committed {committed:?} of {end}"));
            }
        }
        let evidence = &cluster.topics[cluster.topic(&self.scene.stream.topics.evidence)];
        let said = |record: &Rc<Record>| record.key.as_deref() != Some(b"tick");
        let mut newest_first = evidence.partitions[0].committed(0).rev();
        let end = newest_first.find(|(_, record)| said(record)).map_or(0, |(at, _)| at + 1);
        let committed = cluster.groups[JUDGES].committed(Partition(0));
        if committed.map_or(0, |offset| offset.0) < end as i64 {
            behind.push(format!("evidence: committed {committed:?} of {end}"));
        }
        behind
    }

    /// Partitions that nobody works on.
    pub fn idle(&self) -> Vec<String> {
        let mut lanes = BTreeSet::new();
        let mut judged = false;
        for seat in &*self.seats.borrow() {
            match &*seat.actor.borrow() {
                Some(Actor::Worker(worker)) if seat.process.alive.get() => {
                    lanes.extend(worker.lanes().map(|lane| lane.partition()));
                }
                Some(Actor::Judge(judge)) => judged |= judge.judge().is_some(),
                _ => {}
            }
        }
        let cluster = self.common.cluster.borrow();
        let input = &cluster.topics[cluster.topic(&self.scene.stream.input)];
        let all = (0..input.partitions.len() as i32).map(Partition);
        let idle = all.filter(|p| !lanes.contains(p)).map(|p| format!("input partition {p}"));
        idle.chain((!judged).then(|| "evidence".to_owned())).collect()
    }
}

fn one_of(luck: u64, n: usize) -> usize {
    luck as usize % n
}

fn cluster(scene: &Scene) -> Cluster {
    let n = scene.partitions as usize;
    let stream = &*scene.stream;
    let topics = &stream.topics;
    let dead_letter_max = if scene.dead_letter_is_small { scene.bytes_max } else { usize::MAX };
    let topic = |name: &str, n, bytes_max| Topic {
        name: name.to_owned(),
        partitions: vec![PartitionLog::default(); n],
        bytes_max,
    };
    let mut groups = vec![Group::default(), Group::default()];
    groups[WORKERS].grow(scene.partitions);
    groups[JUDGES].grow(1);
    let topics = vec![
        topic(&stream.input, n, usize::MAX),
        topic(&topics.sanitized, n, scene.bytes_max),
        topic(&topics.quarantine, n, scene.bytes_max),
        topic(&topics.dead_letter, n, dead_letter_max),
        topic(&topics.state, n, usize::MAX),
        topic(&topics.evidence, 1, usize::MAX),
        topic(&stream.alerts.topic, 2, usize::MAX),
    ];
    Cluster::new(topics, groups)
}
