//! HangingTransactions the open transaction, by a commit or by an abort, and what a strike makes of it.

use super::calls::places;
use super::steps::{failed, no_answer};
use super::{Result, Session};
use crate::sim::cluster::{Ms, Refusal};
use crate::sim::faults::{Call, Strike};

impl Session {
    /// How long the markers take, and after how long a late request arrives.
    fn delays(&self) -> (Ms, Ms) {
        let mut faults = self.ground.faults.borrow_mut();
        let slow = !faults.healed() && faults.chance(0.15);
        (if slow { 1 + faults.below(1500) } else { 0 }, faults.below(5000))
    }

    pub(super) fn commit_open(&self) -> Result<()> {
        let strike = self.enter(Call::Commit)?;
        if strike == Strike::RequestLost {
            if self.ground.exactly_once {
                self.flush()?
            } else {
                self.flush_some()?
            }
            return Err(self.wait_in_vain("commit"));
        }
        self.flush()?;
        self.may_commit()?;
        let (spread, due) = self.delays();
        let lease = self.mine.borrow().lease;
        if strike == Strike::Late {
            let mut cluster = self.ground.cluster.borrow_mut();
            let due = cluster.now + due;
            cluster.end_late(lease, true, due);
            drop(cluster);
            return Err(self.wait_in_vain("commit"));
        }
        // A broker that does not know its partitions was away a moment ago: it takes its time.
        let slow = self.ground.cluster.borrow().is_leaderless();
        let done = match self.ground.exactly_once {
            true => self.ground.cluster.borrow_mut().end(lease, true, spread),
            false => self.commit_offsets(),
        };
        done.map_err(|refusal| self.refused("commit", refusal))?;
        self.leave(strike, "commit", ())?;
        if slow {
            self.was_ended()?;
        }
        self.used.set(self.ground.now());
        let mut mine = self.mine.borrow_mut();
        self.ground.note(|| format!("{}: committed{}", self.place.name, places(&mine.moved)));
        mine.hanging.committed();
        mine.give_up();
        Ok(())
    }

    pub(super) fn undo_refused(&self) -> Result<()> {
        let strike = self.enter(Call::Undo)?;
        let (spread, due) = self.delays();
        if matches!(strike, Strike::NoAnswer | Strike::RequestLost) {
            return Err(no_answer("abort"));
        }
        if self.ground.exactly_once && !self.mine.borrow().hanging.is_clean() {
            return Err(failed("abort", "something older may hang"));
        }
        let lease = self.mine.borrow().lease;
        if strike == Strike::Late {
            let mut cluster = self.ground.cluster.borrow_mut();
            let due = cluster.now + due;
            cluster.end_late(lease, false, due);
            drop(cluster);
            return Err(self.wait_in_vain("abort"));
        }
        let slow = self.ground.cluster.borrow().is_leaderless();
        if self.ground.exactly_once {
            let ended = self.ground.cluster.borrow_mut().end(lease, false, spread);
            match ended {
                // All that was sent was refused.
                Ok(()) | Err(Refusal::NotOpen) => {}
                Err(refusal) => return Err(self.refused("abort", refusal)),
            }
        }
        self.leave(strike, "abort", ())?;
        if slow && !self.mine.borrow().landed {
            return Err(failed("abort", "no partition of ours shows whether it has ended"));
        }
        if slow {
            self.was_ended()?;
        }
        self.ground.faults.borrow_mut().hit("what was refused is undone at once");
        let mut mine = self.mine.borrow_mut();
        mine.hanging.committed();
        mine.give_up();
        Ok(())
    }
}
