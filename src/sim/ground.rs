//! What everybody in a world stands on, and the processes that stand there.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::cluster::group::MemberId;
use super::cluster::{Cluster, Ms};
use super::faults::Faults;
use super::scene::Scene;
use crate::record::Partition;

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
    pub environment: RefCell<Option<Weak<dyn Environment>>>,
    /// How often a process that lives lost a partition, or gave it back while it could not commit: what
    /// it last said there stands, and to the next one that looks the same too.
    pub parted: RefCell<BTreeMap<(u32, Partition), usize>>,
}

/// Everything else of a world, which goes on while a process is in the middle of a call.
pub trait Environment {
    /// For so long.
    fn go_on(&self, ms: Ms);
    /// In the middle of a step of `process`.
    fn interrupt(&self, process: &Process);
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
            environment: RefCell::default(),
            parted: RefCell::default(),
        }
    }

    /// A moment of this world as the clock that waiting is measured by.
    pub fn instant(&self, at: Ms) -> Instant {
        self.epoch + Duration::from_millis(at)
    }

    pub fn now(&self) -> Ms {
        self.cluster.borrow().now
    }

    /// The rest of the world, unless there is none.
    pub fn environment(&self) -> Option<Rc<dyn Environment>> {
        self.environment.borrow().as_ref().and_then(Weak::upgrade)
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
