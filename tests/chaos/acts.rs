//! How each fault is done.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cluster::Node;
use crate::fleet::Armed;
use crate::programs::{GROUP, INPUT, STREAM, TURNED, apply};
use crate::run::Stage;
use crate::schedule::{Fault, Step};

/// A patient step waits no longer than this: two sessions and a start.
pub const PATIENCE: Duration = Duration::from_secs(25);

impl Stage {
    /// Waits as the step says, and does it.
    pub fn step(&mut self, step: Step, left: Duration) {
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
                let member = format!("tripline.{name}.");
                let group = format!("{GROUP}.{STREAM}");
                let gone = || !self.cluster.members(&group).iter().any(|m| m.starts_with(&member));
                let zombie = matches!(fault, Fault::Zombie { .. });
                return self.fleet.freeze(&name, time, zombie.then_some(&gone));
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
                self.goes_on();
            }
            Fault::Outage { time } => {
                self.observer.fault(kind);
                self.cluster.nodes.iter_mut().for_each(|node| node.end(false));
                self.lasts(time);
                self.cluster.nodes.iter_mut().for_each(Node::start);
                self.cluster.nodes.iter_mut().for_each(Node::wait_ready);
                self.goes_on();
            }
            Fault::SlowReplies { time } => {
                self.observer.fault(kind);
                self.cluster.trouble.slow(true);
                // Its five replies take longer than a transaction may: while it lasts, nothing need move.
                self.lasts(time);
                self.cluster.trouble.slow(false);
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

    /// Brokers are in trouble for so long.
    fn lasts(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            sleep(Duration::from_secs(1));
            self.goes_on();
        }
    }

    fn goes_on(&self) {
        self.observer.goes_on();
        self.fleet.goes_on();
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
}
