//! The input itself changes: retention, an election that loses the end, a topic made anew.

use super::World;
use crate::record::Partition;
use crate::sim::cluster::log::PartitionLog;
use crate::sim::names::WORKERS;

/// What befell the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Break {
    Retention,
    /// A leader that has all.
    Elected,
    /// One that has not.
    Truncated,
    Anew,
}

/// What befell which partition, in order.
pub type Ledger = Vec<(Partition, Break)>;

/// Breaks of a world: enough to come upon each other.
const BREAKS_MAX: usize = 4;

impl World {
    /// Something befalls the input.
    pub(super) fn break_log(&self, luck: u64) {
        if self.broken.borrow().len() >= BREAKS_MAX {
            return;
        }
        let (n, end) = {
            let cluster = self.ground.cluster.borrow();
            let partitions = &cluster.topics[cluster.topic(&self.scene.stream.input)].partitions;
            let n = partitions.len() as u64;
            (n, partitions[(luck % n) as usize].end())
        };
        let what = match luck >> 4 & 7 {
            0..=2 => Break::Retention,
            3 => Break::Elected,
            4 | 5 => Break::Truncated,
            _ => Break::Anew,
        };
        self.befall(Partition((luck % n) as i32), what, (luck >> 8) as usize % (end + 1));
    }

    /// `what` befalls a partition of the input, at offset `at` if it is one that has an offset.
    pub(in crate::sim) fn befall(&self, partition: Partition, what: Break, at: usize) {
        let mut cluster = self.ground.cluster.borrow_mut();
        let input = cluster.topic(&self.scene.stream.input);
        let mut broken = self.broken.borrow_mut();
        let log = cluster.log(input, partition);
        match what {
            Break::Retention => log.delete_below(at),
            Break::Elected => log.elect(log.end()),
            Break::Truncated => log.elect(at),
            Break::Anew => {
                let topic = &mut cluster.topics[input];
                topic.made += 1;
                topic.partitions.fill(PartitionLog::default());
                // Whoever deletes a topic deletes what groups committed of it.
                cluster.groups[WORKERS].forget_offsets();
            }
        }
        let n = cluster.topics[input].partitions.len() as i32;
        let all = (0..n).map(Partition).filter(|p| what == Break::Anew || *p == partition);
        broken.extend(all.map(|p| (p, what)));
        let log = cluster.log(input, partition);
        let note =
            format!("{what:?} of partition {partition}: it has {} to {}", log.start(), log.end());
        drop((cluster, broken));
        self.ground.faults.borrow_mut().hit(format!("the input: {what:?}"));
        self.ground.note(|| note);
    }
}
