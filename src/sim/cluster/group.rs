//! A consumer group: who is in it, which partitions are whose, what is committed.
//!
//! Cooperative: a partition is taken from one member, and given to another once the first has
//! given it back. A member that was not heard of for the session timeout is out, and finds out
//! later than everybody else.

use std::collections::BTreeSet;

use super::log::TxnId;
use crate::record::{Offset, Partition};

/// A member, by the order in which it joined.
pub type MemberId = usize;

/// One group on one topic.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub members: Vec<SimMember>,
    joined: MemberId,
    partitions: i32,
    /// Committed offsets by partition.
    pub offsets: Vec<Option<Offset>>,
    /// Offsets in transactions without an end marker here.
    pending: Vec<(TxnId, Partition, Offset)>,
    /// Pending offsets of which the coordinator knows nothing any more.
    forgotten: Vec<(TxnId, Partition, Offset)>,
    /// Every offset that was committed, in order.
    pub history: Vec<(Partition, Offset)>,
    /// Where its owner was told an older offset than was committed, and none was committed since.
    misled: BTreeSet<Partition>,
}

#[derive(Clone, Debug)]
pub struct SimMember {
    pub id: MemberId,
    pub owned: BTreeSet<Partition>,
    wanted: BTreeSet<Partition>,
}

/// What a member is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    Assigned(Vec<Partition>),
    Revoked(Vec<Partition>),
}

impl Group {
    pub fn join(&mut self) -> MemberId {
        self.joined += 1;
        let id = self.joined;
        self.members.push(SimMember { id, owned: BTreeSet::new(), wanted: BTreeSet::new() });
        self.share_out();
        id
    }

    /// Left, or thrown out.
    pub fn leave(&mut self, id: MemberId) {
        self.members.retain(|member| member.id != id);
        self.share_out();
    }

    pub fn has(&self, id: MemberId) -> bool {
        self.members.iter().any(|member| member.id == id)
    }

    /// The topic has this many partitions now.
    pub fn grow(&mut self, partitions: i32) {
        if partitions > self.partitions {
            self.partitions = partitions;
            self.offsets.resize(partitions as usize, None);
            self.share_out();
        }
    }

    /// Everybody keeps what is theirs up to a fair share; the rest goes to who has least.
    fn share_out(&mut self) {
        let n = self.members.len();
        if n == 0 {
            return;
        }
        let share = (self.partitions as usize).div_ceil(n);
        let mut given = BTreeSet::new();
        for member in &mut self.members {
            member.wanted = member.owned.iter().copied().take(share).collect();
            given.extend(member.wanted.iter().copied());
        }
        for partition in (0..self.partitions).map(Partition).filter(|p| !given.contains(p)) {
            let least = self.members.iter_mut().min_by_key(|member| member.wanted.len());
            least.expect("n > 0").wanted.insert(partition);
        }
    }

    /// What changes next for a member: first it gives up, then it gets what nobody holds.
    pub fn reconcile(&mut self, id: MemberId) -> Option<News> {
        let at = self.members.iter().position(|member| member.id == id)?;
        let member = &self.members[at];
        let less: Vec<Partition> = member.owned.difference(&member.wanted).copied().collect();
        if !less.is_empty() {
            return Some(News::Revoked(less));
        }
        let free = |p: &&Partition| self.members.iter().all(|other| !other.owned.contains(p));
        let more: Vec<Partition> = member.wanted.iter().filter(free).copied().collect();
        if more.is_empty() {
            return None;
        }
        self.members[at].owned.extend(more.iter().copied());
        Some(News::Assigned(more))
    }

    /// A member gave partitions back.
    pub fn give_back(&mut self, id: MemberId, partitions: &[Partition]) {
        if let Some(member) = self.members.iter_mut().find(|member| member.id == id) {
            member.owned.retain(|partition| !partitions.contains(partition));
        }
    }

    /// Offsets join a transaction.
    pub fn hold(&mut self, txn: TxnId, next: &[(Partition, Offset)]) {
        self.pending.extend(next.iter().map(|&(partition, offset)| (txn, partition, offset)));
    }

    /// Whether no offset is pending.
    pub fn is_stable(&self) -> bool {
        self.pending.is_empty()
    }

    pub fn holds(&self, txn: TxnId) -> bool {
        self.pending.iter().any(|pending| pending.0 == txn)
    }

    /// The marker of a transaction arrives.
    pub fn mark(&mut self, txn: TxnId, committed: bool) {
        let (ended, open): (Vec<_>, Vec<_>) = self.pending.drain(..).partition(|p| p.0 == txn);
        self.pending = open;
        if committed {
            ended.into_iter().for_each(|(_, partition, offset)| self.commit(partition, offset));
        }
        let (ended, open): (Vec<_>, Vec<_>) = self.forgotten.drain(..).partition(|p| p.0 == txn);
        self.forgotten = open;
        for (_, partition, offset) in ended.into_iter().filter(|_| committed) {
            self.offsets[partition.0 as usize].get_or_insert(offset);
            // Whoever came next did not have to wait for this marker.
            if self.committed(partition) < Some(offset) {
                self.history.push((partition, offset));
            }
        }
    }

    /// The coordinator tells what was committed long ago, the first `commits` of all, for as long as
    /// nothing newer is; and, if it `forgets`, nothing of what is pending. Of a partition it knows at
    /// least what was committed first: one without any offset may be another topic's, and is held.
    pub fn grow_stale(&mut self, commits: usize, forgets: bool) {
        let mut told = vec![None; self.offsets.len()];
        for (i, &(partition, offset)) in self.history.iter().enumerate() {
            let told = &mut told[partition.0 as usize];
            if i < commits || told.is_none() {
                *told = Some(offset);
            }
        }
        self.offsets = told;
        if forgets {
            self.forgotten.append(&mut self.pending);
        }
    }

    /// Its topic was deleted, and with it everything that was committed of it.
    pub fn forget_offsets(&mut self) {
        self.offsets.iter_mut().for_each(|offset| *offset = None);
        self.history.clear();
        self.misled.clear();
    }

    /// By hand: no offset is told that is further than what was committed last.
    pub fn move_back(&mut self) {
        for at in 0..self.offsets.len() {
            let last = self.committed(Partition(at as i32));
            self.offsets[at] = self.offsets[at].min(last);
        }
    }

    pub fn commit(&mut self, partition: Partition, offset: Offset) {
        self.offsets[partition.0 as usize] = Some(offset);
        self.misled.remove(&partition);
        self.history.push((partition, offset));
    }

    /// Whether a transaction may still move this offset: then it is not told to anybody.
    pub fn is_unstable(&self, partition: Partition) -> bool {
        self.pending.iter().any(|&(_, pending, _)| pending == partition)
    }

    /// What a member is told who asks.
    pub fn tell(&mut self, id: MemberId, partition: Partition) -> Option<Offset> {
        let told = self.offsets.get(partition.0 as usize).copied().flatten();
        let owns = |member: &SimMember| member.id == id && member.owned.contains(&partition);
        if told != self.committed(partition) && self.members.iter().any(owns) {
            self.misled.insert(partition);
        }
        told
    }

    /// Who was told an old offset has gone on from a newer one, and should have said so.
    pub fn misled(&self) -> impl Iterator<Item = Partition> {
        self.misled.iter().copied()
    }

    /// What was committed last, whatever the coordinator tells.
    pub fn committed(&self, partition: Partition) -> Option<Offset> {
        self.history.iter().rev().find(|(p, _)| *p == partition).map(|&(_, offset)| offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_given_to_the_next_member_only_when_the_last_one_gave_it_back() {
        let mut group = Group::default();
        group.grow(2);
        let first = group.join();
        let both = vec![Partition(0), Partition(1)];
        assert_eq!(group.reconcile(first), Some(News::Assigned(both)));
        let second = group.join();
        assert_eq!(group.reconcile(second), None);
        assert_eq!(group.reconcile(first), Some(News::Revoked(vec![Partition(1)])));
        group.give_back(first, &[Partition(1)]);
        assert_eq!(group.reconcile(second), Some(News::Assigned(vec![Partition(1)])));
    }
}
