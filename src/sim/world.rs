//! Machines, their processes, and who runs next.
//!
//! One thread, one clock. A turn of a worker or monitor is one call; others may run in the middle of
//! it, because every step of a session may let them, so processes interleave at every step. What
//! stands still in the middle of a call while the others go on is a zombie.

mod answers;
pub(super) mod breaks;
mod events;
mod machines;
pub(super) mod numbers;
mod reach;
mod reload;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use self::breaks::Ledger;
use self::machines::Machine;
use super::cluster::Ms;
use super::cluster::log::Fate;
use super::faults::Faults;
use super::ground::{Environment, Ground, Process};
use super::mutation::{Mutant, Mutation};
use super::names::{ANSWERS, CLIENTS, JOIN, MONITORS, WORKERS};
use super::scene::Scene;
use super::scorer::Toy;
use super::session::Session;
use crate::answers::Join;
use crate::clients::ClientMonitor;
use crate::deliver::{AnswerDriver, FollowerDriver, Inbox, MonitorDriver, Worker};
use crate::record::{OwnedRecord, Partition};

/// Everything there is.
pub struct World {
    pub ground: Rc<Ground>,
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
    /// What befell the input.
    pub broken: RefCell<Ledger>,
    /// Somebody said that every stream may go on in another log.
    accepts: Cell<bool>,
    /// The number of the newest revision.
    revision: Cell<usize>,
    /// Records that the deployed model was asked about, and answers that it gave.
    asked: Cell<usize>,
    answered: Cell<usize>,
}

/// A thread of a process.
struct Seat {
    process: Rc<Process>,
    resume_at: Rc<Cell<Ms>>,
    /// Of a worker.
    inbox: Option<Arc<Inbox<usize>>>,
    actor: RefCell<Option<Actor>>,
}

enum Actor {
    Worker(Box<Worker<Mutant<Session>, Toy>>),
    Monitor(Box<MonitorDriver<Mutant<Session>>>),
    Clients(Box<FollowerDriver<Mutant<Session>, ClientMonitor>>),
    Answers(Box<AnswerDriver<Mutant<Session>>>),
    Join(Box<FollowerDriver<Mutant<Session>, Join>>),
}

impl Environment for World {
    fn go_on(&self, ms: Ms) {
        World::go_on(self, ms);
    }

    fn interrupt(&self, process: &Process) {
        World::interrupt(self, process);
    }
}

impl World {
    pub fn new(scene: Scene, faults: Faults, mutation: Option<Mutation>) -> Rc<Self> {
        let cluster = scene.cluster();
        let ground = Ground::new(cluster, faults, &scene);
        let machines = scene.machines;
        let world = Rc::new(Self {
            ground: Rc::new(ground),
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
            broken: RefCell::default(),
            accepts: Cell::new(false),
            revision: Cell::new(0),
            asked: Cell::new(0),
            answered: Cell::new(0),
        });
        let environment: Weak<dyn Environment> = Rc::downgrade(&world) as _;
        *world.ground.environment.borrow_mut() = Some(environment);
        (0..machines).for_each(|_| world.scale_up());
        world
    }

    /// Faults, then healing, then peace: whether there is peace within `patience`.
    pub fn run(&self, patience: Ms) -> bool {
        self.go_on(self.scene.heal_at);
        self.heal();
        let deadline = self.ground.now() + patience;
        while self.ground.now() < deadline {
            self.go_on(250);
            self.clear_up();
            if self.is_quiet() {
                return true;
            }
        }
        false
    }

    /// Lets `ms` pass.
    pub fn go_on(&self, ms: Ms) {
        let until = self.ground.now() + ms;
        self.depth.set(self.depth.get() + 1);
        while self.ground.now() < until {
            self.step(until);
        }
        self.depth.set(self.depth.get() - 1);
    }

    /// In the middle of a step of `process`: others run, perhaps for long, and perhaps the process
    /// stands still meanwhile.
    fn interrupt(&self, process: &Process) {
        if self.depth.get() > 2 {
            return;
        }
        let (freeze, ms) = {
            let mut faults = self.ground.faults.borrow_mut();
            let freeze = faults.chance(0.2);
            (freeze, if freeze { faults.below(5000) } else { faults.below(40) })
        };
        if !freeze || process.frozen.get() {
            return self.go_on(ms);
        }
        self.ground.note(|| format!("process {} stands still for {ms} ms", process.no));
        self.ground.faults.borrow_mut().hit("stands still in a step");
        process.frozen.set(true);
        self.count_end(process);
        process.mute(&self.ground);
        self.go_on(ms);
        process.frozen.set(false);
        if process.alive.get() {
            process.hear(&self.ground);
        }
    }

    fn step(&self, until: Ms) {
        self.feed();
        self.tend();
        self.reload();
        if self.depth.get() == 1 {
            self.events();
        }
        let now = self.ground.now();
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
            self.ground.cluster.borrow_mut().pass(ms.min(50));
            return;
        }
        let at = self.ground.faults.borrow_mut().below(ready.len() as u64) as usize;
        self.turn(&ready[at]);
        let ms = self.ground.faults.borrow_mut().below(2);
        self.ground.cluster.borrow_mut().pass(ms);
    }

    fn turn(&self, seat: &Seat) {
        let mut actor = seat.actor.borrow_mut();
        let done = match actor.as_mut() {
            Some(Actor::Worker(worker)) => worker.turn(),
            Some(Actor::Monitor(monitor)) => monitor.turn(),
            Some(Actor::Clients(clients)) => clients.turn(),
            Some(Actor::Answers(answers)) => answers.turn(),
            Some(Actor::Join(join)) => join.turn(),
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
            self.ground.note(|| format!("process {} leaves", process.no));
            self.leave(process, false);
        }
    }
    /// Records that are due arrive.
    fn feed(&self) {
        while let Some(arrival) = self.scene.arrivals.get(self.arrived.get()) {
            if arrival.at > self.ground.now() {
                break;
            }
            self.arrived.set(self.arrived.get() + 1);
            self.append(arrival.partition, &arrival.records, arrival.committed);
        }
    }

    fn append(&self, partition: Partition, records: &[OwnedRecord], committed: Option<bool>) {
        let fed = self.fed.get() + 1;
        self.fed.set(fed);
        let txn = committed.map(|_| usize::MAX - fed);
        let mut cluster = self.ground.cluster.borrow_mut();
        let input = cluster.topic(&self.scene.stream.input);
        let log = cluster.log(input, partition);
        for record in records {
            log.append(Rc::new(record.clone()), txn);
        }
        if let (Some(txn), Some(committed)) = (txn, committed) {
            log.mark(txn, if committed { Fate::Committed } else { Fate::Aborted });
        }
        drop(cluster);
        self.answer(records);
    }
    fn heal(&self) {
        self.ground.note(|| "everything heals".into());
        self.ground.faults.borrow_mut().heal();
        self.widen();
        for machine in &mut *self.machines.borrow_mut() {
            machine.thaw_at = machine.thaw_at.map(|_| 0);
        }
        if self.scene.breaks && !self.accepts.replace(true) {
            // Processes read a configuration when they start.
            let machines = self.machines.borrow();
            let processes: Vec<_> =
                machines.iter().map(|machine| machine.process.clone()).collect();
            drop(machines);
            processes.iter().for_each(|process| self.leave(process, true));
        }
        self.tend();
        self.clear_up();
        let none = self.machines.borrow().iter().all(|machine| machine.retired);
        if none {
            self.scale_up();
        }
    }

    /// Whether all that arrived is judged and committed, and all that follows from it is heard.
    fn is_quiet(&self) -> bool {
        self.arrived.get() == self.scene.arrivals.len()
            && self.ground.cluster.borrow().is_at_rest()
            && self.behind().is_empty()
            && self.idle().is_empty()
    }

    /// What is not read to its end, in words.
    pub fn behind(&self) -> Vec<String> {
        let cluster = self.ground.cluster.borrow();
        let mut behind = vec![];
        let input = &cluster.topics[cluster.topic(&self.scene.stream.input)];
        if !self.scene.breaks {
            for (p, log) in input.partitions.iter().enumerate() {
                let committed = cluster.groups[WORKERS].committed(Partition(p as i32));
                let end = log.committed(0).next_back().map_or(0, |(at, _)| at + 1);
                if committed.map_or(0, |offset| offset.0) < end as i64 {
                    behind.push(format!("input partition {p}: committed {committed:?} of {end}"));
                }
            }
        } else if !numbers::is_read(&self.scene, &cluster) {
            behind.push("the input as it is now".to_owned());
        }
        let stream = &self.scene.stream;
        let (topics, answers) = (&stream.topics, stream.answers.as_ref());
        let mut places =
            vec![("evidence", &topics.evidence, MONITORS), ("visits", &topics.visits, CLIENTS)];
        places.extend(answers.map(|answers| ("answers", &answers.topic, ANSWERS)));
        places.extend(answers.map(|answers| ("join", &answers.join_topic, JOIN)));
        for (name, topic, group) in places {
            let topic = &cluster.topics[cluster.topic(topic)];
            for (p, log) in topic.partitions.iter().enumerate() {
                let said = |record: &Rc<OwnedRecord>| record.key.as_deref() != Some(b"tick");
                let mut newest_first = log.committed(0).rev();
                let end = newest_first.find(|(_, record)| said(record)).map_or(0, |(at, _)| at + 1);
                let committed = cluster.groups[group].committed(Partition(p as i32));
                if committed.map_or(0, |offset| offset.0) < end as i64 {
                    behind.push(format!("{name} partition {p}: committed {committed:?} of {end}"));
                }
            }
        }
        let groups = [WORKERS, MONITORS, CLIENTS, ANSWERS, JOIN];
        for (of, group) in
            ["input", "evidence", "visits", "answers", "join"].into_iter().zip(groups)
        {
            if group == WORKERS && self.scene.breaks {
                // Where its log is another, an offset says nothing about what was read.
                continue;
            }
            let misled = cluster.groups[group].misled();
            behind.extend(
                misled.map(|p| format!("{of} partition {p}: the group tells an old offset")),
            );
        }
        if self.scene.exactly_once {
            behind.extend(reach::unsaid(&self.scene, &cluster));
        }
        behind
    }

    /// Partitions that nobody works on.
    pub fn idle(&self) -> Vec<String> {
        let mut lanes = BTreeSet::new();
        let mut judged = false;
        let mut followed = self.scene.stream.clients.is_none();
        let mut joined = self.scene.stream.answers.is_none();
        for seat in &*self.seats.borrow() {
            match &*seat.actor.borrow() {
                Some(Actor::Worker(worker)) if seat.process.alive.get() => {
                    lanes.extend(worker.lanes().map(|lane| lane.partition()));
                }
                Some(Actor::Monitor(monitor)) => judged |= monitor.monitor().is_some(),
                Some(Actor::Clients(clients)) => followed |= clients.follower().is_some(),
                Some(Actor::Join(join)) => joined |= join.follower().is_some(),
                _ => {}
            }
        }
        let cluster = self.ground.cluster.borrow();
        let input = &cluster.topics[cluster.topic(&self.scene.stream.input)];
        let all = (0..input.partitions.len() as i32).map(Partition);
        let idle = all.filter(|p| !lanes.contains(p)).map(|p| format!("input partition {p}"));
        let idle = idle.chain((!judged).then(|| "evidence".to_owned()));
        let idle = idle.chain((!followed).then(|| "visits".to_owned()));
        idle.chain((!joined).then(|| "join".to_owned())).collect()
    }
}
