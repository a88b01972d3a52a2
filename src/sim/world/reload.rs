//! Revisions that come while the world turns.

use super::World;

impl World {
    /// Tells every process of the revisions that are due. A process that starts later begins with the newest.
    pub(super) fn reload(&self) {
        while let Some(&at) = self.scene.reloads.get(self.revision.get()) {
            if at > self.ground.now() {
                return;
            }
            self.revision.set(self.revision.get() + 1);
            self.ground.note(|| format!("revision {}", self.revision.get()));
            self.ground.faults.borrow_mut().hit("another revision");
            for seat in &*self.seats.borrow() {
                if let Some(inbox) = &seat.inbox {
                    inbox.post(self.revision.get());
                }
            }
        }
    }

    /// By which revision a process scores that starts now.
    pub(super) fn revision_of(&self, process: u32) -> usize {
        match self.scene.rolls {
            true => (process % 2) as usize,
            false => self.revision.get(),
        }
    }
}
