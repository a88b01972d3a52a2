//! Machines: processes end on them, begin again, come and go.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::{Actor, Seat, World};
use crate::deliver::{
    AnswerDriver, FollowerDriver, Inbox, MonitorDriver, Outputs, Progress, Worker,
};
use crate::sim::cluster::Ms;
use crate::sim::ground::Process;
use crate::sim::mutation::{Mutant, Mutation, Reuse};
use crate::sim::names::{ANSWERS, CLIENTS, JOIN, MONITORS, WORKERS};
use crate::sim::scorer::Toy;
use crate::sim::session::{Role, Session};

/// Where processes run, one after the other.
pub(super) struct Machine {
    pub(super) name: String,
    /// The first of its transactional ids.
    pub(super) ids: usize,
    pub(super) process: Rc<Process>,
    pub(super) restart_at: Option<Ms>,
    pub(super) thaw_at: Option<Ms>,
    /// Not restarted any more.
    pub(super) retired: bool,
}

/// Transactional ids of one machine.
const IDS: usize = 7;

impl World {
    /// A process ends in order: what was read is committed if `finish` says so, then it leaves.
    pub(super) fn leave(&self, process: &Rc<Process>, finish: bool) {
        let seats: Vec<_> = self.seats.borrow().iter().cloned().collect();
        for seat in seats.iter().filter(|seat| Rc::ptr_eq(&seat.process, process)) {
            // What is in the middle of a turn ends as if killed.
            let Ok(mut actor) = seat.actor.try_borrow_mut() else { continue };
            match actor.take() {
                Some(Actor::Worker(worker)) if finish => worker.finish(),
                gone => drop(gone),
            }
        }
        process.die(&self.ground);
    }

    /// What is dead is carried away, and started again when it is time.
    pub(super) fn tend(&self) {
        let now = self.ground.now();
        let mut dead = false;
        for machine in &mut *self.machines.borrow_mut() {
            if machine.thaw_at.is_some_and(|at| at <= now) {
                machine.thaw_at = None;
                machine.process.frozen.set(false);
                if machine.process.alive.get() {
                    machine.process.hear(&self.ground);
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
                let mut faults = self.ground.faults.borrow_mut();
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

    /// The brokers know their partitions again. What then hangs of ids that no machine has is
    /// aborted by hand, and a group's offset that is further than the state is moved back by hand: a group that tells an
    /// old offset may do so after its log became shorter, and then its partition waits for somebody.
    pub(super) fn clear_up(&self) {
        let machines = self.machines.borrow();
        let used = |m: &Machine, id| !m.retired && (m.ids..m.ids + IDS).contains(&id);
        let is_used = |id| machines.iter().any(|machine| used(machine, id));
        let mut cluster = self.ground.cluster.borrow_mut();
        cluster.leaderless_until = 0;
        cluster.abort_hanging(is_used);
        cluster.groups[WORKERS].move_back();
    }

    pub(super) fn count_end(&self, process: &Process) {
        *self.ended.borrow_mut().entry(process.no).or_default() += 1;
    }

    pub(super) fn new_process(&self) -> Rc<Process> {
        self.processes.set(self.processes.get() + 1);
        Process::new(self.processes.get())
    }

    pub(super) fn new_ids(&self) -> usize {
        self.ids.set(self.ids.get() + IDS);
        self.ids.get() - IDS
    }

    pub(super) fn start(&self, process: &Rc<Process>, ids: usize, name: &str) {
        self.ground.note(|| format!("process {} starts on {name}", process.no));
        let cluster = self.ground.cluster.borrow();
        let stream = &self.scene.stream;
        let topics = [&stream.input, &stream.topics.evidence, &stream.topics.visits];
        let [input, evidence, visits] = topics.map(|topic| cluster.topic(topic));
        let joined = stream.answers.as_ref();
        let joined = joined.map(|a| (cluster.topic(&a.topic), cluster.topic(&a.join_topic)));
        let join_topic = stream.answers.as_ref().map_or("", |answers| &answers.join_topic);
        drop(cluster);
        let mut seats = vec![];
        let mut sit = |role: String, group, input, producer| {
            let resume_at = Rc::new(Cell::new(0));
            let place = Role {
                name: format!("{name}.{}.{role}", process.no),
                group,
                input,
                producer,
                outputs: match group {
                    MONITORS => Outputs::of_monitor(stream),
                    CLIENTS => Outputs::of_follower(stream, &stream.topics.visits),
                    ANSWERS | JOIN => Outputs::of_follower(stream, join_topic),
                    _ => Outputs::of_worker(stream),
                },
                believes: self.mutation == Some(Mutation::BelieveTheEnd),
            };
            let session = Session::join(&self.ground, process, place, &resume_at);
            let reuse: Option<Reuse<Session>> = Some(Session::abort_and_reuse);
            let mutant = Mutant::new(session, self.mutation, reuse, &stream.alerts.topic);
            let progress = Arc::new(Progress::default());
            let (mut stream, timing) = (stream.clone(), self.scene.timing);
            Arc::make_mut(&mut stream).accept_gap |= self.accepts.get();
            let mut mail = None;
            let actor = if group == CLIENTS {
                let fresh = self.scene.client_monitor().expect("clients are watched");
                let inbox = Arc::default();
                let driver = FollowerDriver::new(mutant, stream, fresh, inbox, timing, progress);
                Actor::Clients(Box::new(driver))
            } else if group == ANSWERS {
                let (inbox, stream) = (Arc::default(), stream);
                Actor::Answers(Box::new(AnswerDriver::new(mutant, stream, inbox, timing, progress)))
            } else if group == JOIN {
                let fresh = self.scene.join().expect("answers are watched");
                let inbox = Arc::default();
                let driver = FollowerDriver::new(mutant, stream, fresh, inbox, timing, progress);
                Actor::Join(Box::new(driver))
            } else if group == MONITORS {
                let (monitor, inbox) = (self.scene.monitor(), Arc::default());
                Actor::Monitor(Box::new(MonitorDriver::new(
                    mutant, stream, monitor, inbox, timing, progress,
                )))
            } else {
                let revision = self.revision_of(process.no);
                let scorer = Toy::new(&self.ground, process, &self.scene, &stream, revision);
                let inbox: Arc<Inbox<usize>> = Arc::default();
                mail = Some(inbox.clone());
                let worker = Worker::new(mutant, scorer, inbox, stream, timing, progress);
                Actor::Worker(Box::new(worker))
            };
            let actor = RefCell::new(Some(actor));
            seats.push(Rc::new(Seat { process: process.clone(), resume_at, inbox: mail, actor }));
        };
        for worker in 0..self.scene.workers {
            sit(format!("w{worker}"), WORKERS, input, ids + worker);
        }
        sit("monitor".into(), MONITORS, evidence, ids + IDS - 1);
        if stream.clients.is_some() {
            sit("clients".into(), CLIENTS, visits, ids + IDS - 2);
        }
        if let Some((answers, join)) = joined {
            sit("answers".into(), ANSWERS, answers, ids + IDS - 3);
            sit("join".into(), JOIN, join, ids + IDS - 4);
        }
        self.seats.borrow_mut().extend(seats);
    }

    pub(super) fn scale_up(&self) {
        let (process, ids) = (self.new_process(), self.new_ids());
        let name = format!("m{}", ids / IDS);
        self.begin(process, ids, name);
    }

    pub(super) fn begin(&self, process: Rc<Process>, ids: usize, name: String) {
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
}
