//! A follower at work, and how far it has read.

use super::{Follower, PARTITION};
use crate::deliver::Session;
use crate::record::{Extent, Offset};

/// A follower, and how far it has read.
#[derive(Debug)]
pub struct Reader<F> {
    pub(super) follower: F,
    /// The topic, as it was when somebody last looked.
    pub(super) log: Extent,
    /// The offset after the last one read: below `next` it reads again.
    pub(super) read: Offset,
}

impl<F: Follower> Reader<F> {
    /// Ends reading again if the log holds no more records of it. (Offsets of transaction markers hold none.)
    pub(super) fn catch_up<S: Session>(&mut self, session: &S) {
        let next = self.follower.next();
        if self.read < next {
            let positions = session.positions();
            let at = positions.iter().find(|(partition, _)| *partition == PARTITION);
            if at.is_some_and(|&(_, at)| at >= next) {
                self.read = next;
            }
        }
    }
}
