//! What everybody in a world stands on, and the processes that stand there.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::cluster::{Cluster, Ms};
use super::faults::Faults;
use super::group::MemberId;
use super::scene::Scene;
use super::world::World;

/// What everybody in a world shares.
pub struct Ground {
    pub cluster: RefCell<Cluster>,
    pub faults: RefCell<Faults>,
    pub exactly_once: bool,
    /// Whether a record that is too large is refused when it is sent, or when its topic sees it.
    pub refuses_at_once: bool,
    /// Whether brokers say which record of a request they refuse.
    pub names_refused: bool,
    /// Whether they say what a topic takes.
    pub tells_settings: bool,
    /// Only differences from it are ever looked at.
    epoch: Instant,
    pub world: RefCell<Weak<World>>,
}

/// One life of one operating-system process.
#[derive(Debug, Default)]
pub struct Process {
    pub no: u32,
    pub alive: Cell<bool>,
    pub frozen: Cell<bool>,
    pub members: RefCell<Vec<(usize, MemberId)>>,
}

impl Ground {
    #[expect(
        clippy::disallowed_methods,
        reason = "any moment will do to count a world's time from"
    )]
    pub fn new(cluster: Cluster, faults: Faults, scene: &Scene) -> Self {
        Self {
            cluster: RefCell::new(cluster),
            faults: RefCell::new(faults),
            exactly_once: scene.exactly_once,
            refuses_at_once: scene.refuses_at_once,
            names_refused: scene.names_refused,
            tells_settings: scene.tells_settings,
            epoch: Instant::now(),
            world: RefCell::new(Weak::new()),
        }
    }

    /// A moment of this world as the clock that waiting is measured by.
    pub fn instant(&self, at: Ms) -> Instant {
        self.epoch + Duration::from_millis(at)
    }

    pub fn now(&self) -> Ms {
        self.cluster.borrow().now
    }

    pub fn note(&self, line: impl FnOnce() -> String) {
        let now = self.cluster.borrow().now;
        self.faults.borrow_mut().note(now, line);
    }
}

impl Process {
    pub fn new(no: u32) -> Rc<Self> {
        Rc::new(Self { no, alive: Cell::new(true), ..Self::default() })
    }

    /// Nothing of it runs any more, and nobody was told.
    pub fn die(&self, ground: &Ground) {
        if self.alive.replace(false) {
            self.mute(ground);
        }
    }

    pub fn mute(&self, ground: &Ground) {
        for &(group, member) in &*self.members.borrow() {
            ground.cluster.borrow_mut().mute(group, member);
        }
    }

    pub fn hear(&self, ground: &Ground) {
        for &(group, member) in &*self.members.borrow() {
            ground.cluster.borrow_mut().hear(group, member);
        }
    }
}
