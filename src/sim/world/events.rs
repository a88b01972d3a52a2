//! What befalls machines and cluster between turns.

use super::World;
use crate::record::{OwnedRecord, Partition};
use crate::sim::cluster::log::PartitionLog;
use crate::sim::names::{ANSWERS, CLIENTS, JOIN, MONITORS, WORKERS, kind};
use crate::sim::scene::Arrival;

impl World {
    /// What befalls machines and cluster between turns.
    pub(super) fn events(&self) {
        let (kind, luck) = {
            let mut faults = self.ground.faults.borrow_mut();
            if faults.healed() || !faults.chance(0.01) {
                return;
            }
            (faults.below(if self.scene.breaks { 20 } else { 14 }), faults.below(1 << 20))
        };
        if kind >= 14 {
            return self.break_log(luck);
        }
        let now = self.ground.now();
        let running = self.machines.borrow().iter().filter(|m| m.process.alive.get()).count();
        let one = || {
            let machines = self.machines.borrow();
            let mut alive = machines.iter().enumerate().filter(|(_, m)| m.process.alive.get());
            alive.nth(luck as usize % running).map(|(at, _)| at).expect("below their number")
        };
        let note = |what: &str| self.befalls(what);
        match kind {
            0 if running > 0 => {
                note("a process is killed");
                let process = self.machines.borrow()[one()].process.clone();
                process.die(&self.ground);
            }
            1 | 2 if running > 0 => self.stand_still(luck, running, kind == 2),
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
                self.ground.cluster.borrow_mut().skew += luck as i64 % 60_000 - 30_000;
            }
            7 => {
                note("the cluster is gone");
                self.ground.faults.borrow_mut().down_until = now + luck % 3000;
            }
            12 => {
                note("no partition has a leader");
                self.ground.cluster.borrow_mut().leaderless_until = now + luck % 2000;
            }
            13 if self.scene.exactly_once => {
                let (stream, which) = (&self.scene.stream, luck >> 40 & 3);
                let groups = match which {
                    0 | 1 if stream.answers.is_some() => [ANSWERS, JOIN],
                    2 if stream.clients.is_some() => [CLIENTS, CLIENTS],
                    _ => [WORKERS, MONITORS],
                };
                let group = groups[(luck & 1) as usize];
                let mut cluster = self.ground.cluster.borrow_mut();
                let group = &mut cluster.groups[group];
                let commits = (luck >> 2) as usize % (group.history.len() + 1);
                group.grow_stale(commits, luck & 2 == 0);
                drop(cluster);
                note("a coordinator tells old offsets");
            }
            8 | 9 => self.grow(kind == 8, luck),
            _ => {}
        }
    }

    fn befalls(&self, what: &str) {
        self.ground.note(|| what.to_owned());
        self.ground.faults.borrow_mut().hit(what);
    }

    /// A process stands still for a while, and perhaps another takes its ids over.
    fn stand_still(&self, luck: u64, running: usize, replaced: bool) {
        let now = self.ground.now();
        self.befalls("a process stands still");
        let mut machines = self.machines.borrow_mut();
        let machine = &mut machines[one_of(luck, running)];
        // The ids of one that was replaced are another's already.
        if !machine.process.alive.get() || machine.retired {
            return;
        }
        machine.process.frozen.set(true);
        self.count_end(&machine.process);
        machine.process.mute(&self.ground);
        machine.thaw_at = Some(now + 1 + luck % 6000);
        let (ids, name) = (machine.ids, machine.name.clone());
        if replaced {
            machine.retired = true;
            drop(machines);
            self.befalls("another process takes its ids over");
            let process = self.new_process();
            self.begin(process, ids, name);
        }
    }

    /// One input partition more; its outputs are there before, or only when all heals.
    pub(super) fn grow(&self, outputs_first: bool, luck: u64) {
        let mut cluster = self.ground.cluster.borrow_mut();
        let input = cluster.topic(&self.scene.stream.input);
        let n = cluster.topics[input].partitions.len();
        if n >= 6 {
            return;
        }
        cluster.topics[input].partitions.push(PartitionLog::default());
        cluster.groups[WORKERS].grow(n as i32 + 1);
        drop(cluster);
        let what = if outputs_first { "one partition more" } else { "one input partition more" };
        self.ground.note(|| what.to_owned());
        self.ground.faults.borrow_mut().hit(what);
        if outputs_first {
            self.widen();
        }
        let arrivals = self.scene.arrivals.iter().skip(luck as usize % 10).take(3);
        let quiet = |arrival: &&Arrival| {
            let poison = |r: &OwnedRecord| r.value.as_ref().is_some_and(|v| v[0] == kind::POISON);
            // Where records have numbers, nobody sends one twice.
            !arrival.records.iter().any(poison) && !self.scene.breaks
        };
        let more: Vec<_> = arrivals.filter(quiet).cloned().collect();
        for arrival in more {
            self.append(Partition(n as i32), &arrival.records, arrival.committed);
        }
    }

    /// Outputs get as many partitions as the input has.
    pub(super) fn widen(&self) {
        let mut cluster = self.ground.cluster.borrow_mut();
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
}

fn one_of(luck: u64, n: usize) -> usize {
    luck as usize % n
}
