//! A guard that ends itself at a chosen step of a commit, as `kill -9` would.
//!
//! It stands between a worker or a monitor and its session; the product's code knows nothing of it.
//! Before it dies it writes down where: that is the proof that the window was hit.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGKILL;
use tripline::deliver::{Beginning, Change, Forward, Kept, Output, Session, SessionError};
use tripline::record::{Extent, Offset, Partition, Timestamp, TopicPartition};
use tripline::score::Survey;

/// A window of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// Outputs are sent, offsets are not.
    AfterSend,
    /// Offsets are in the transaction; the commit was not asked for.
    AfterOffsets,
    /// The commit was asked for and did not return.
    DuringCommit,
    /// The commit returned; nobody acted upon it yet.
    AfterCommit,
}

impl Window {
    pub const ALL: [Self; 4] =
        [Self::AfterSend, Self::AfterOffsets, Self::DuringCommit, Self::AfterCommit];

    pub fn name(self) -> &'static str {
        match self {
            Self::AfterSend => "after-send",
            Self::AfterOffsets => "after-offsets",
            Self::DuringCommit => "during-commit",
            Self::AfterCommit => "after-commit",
        }
    }
}

/// Where and when.
#[derive(Clone, Debug)]
pub struct Aim {
    pub window: Window,
    /// At this commit of records, from 1.
    pub commit: u32,
    /// How long after the commit was asked for, in its window.
    pub delay: Duration,
    /// Who dies, for the witness.
    pub role: String,
    /// The file that is told.
    pub witness: PathBuf,
}

/// A session that kills its process.
pub struct Failpoints<S> {
    inner: S,
    aim: Option<Aim>,
    commits: Cell<u32>,
}

impl<S> Failpoints<S> {
    pub fn new(inner: S, aim: Option<Aim>) -> Self {
        Self { inner, aim, commits: Cell::new(0) }
    }

    /// The aim, if it is at the present commit and at one of `windows`.
    fn due(&self, windows: &[Window]) -> Option<&Aim> {
        let now = |aim: &&Aim| aim.commit == self.commits.get() && windows.contains(&aim.window);
        self.aim.as_ref().filter(now)
    }
}

impl<S: Session> Session for Failpoints<S> {
    type Fetched<'a>
        = S::Fetched<'a>
    where
        Self: 'a;

    fn offsets(&self, next: &[(Partition, Offset)]) -> Result<(), SessionError> {
        if !next.is_empty() {
            self.commits.set(self.commits.get() + 1);
        }
        if let Some(aim) = self.due(&[Window::AfterSend]) {
            die(aim, aim.window);
        }
        self.inner.offsets(next)?;
        if let Some(aim) = self.due(&[Window::AfterOffsets]) {
            die(aim, aim.window);
        }
        Ok(())
    }

    fn commit(&self) -> Result<(), SessionError> {
        let returned = Arc::new(AtomicBool::new(false));
        if let Some(aim) = self.due(&[Window::DuringCommit]) {
            let (aim, returned) = (aim.clone(), returned.clone());
            thread::spawn(move || {
                thread::sleep(aim.delay);
                // A commit may be faster than that.
                let late = returned.load(Ordering::SeqCst);
                die(&aim, if late { Window::AfterCommit } else { Window::DuringCommit });
            });
        }
        let outcome = self.inner.commit();
        returned.store(true, Ordering::SeqCst);
        if let Some(aim) = self.due(&[Window::AfterCommit]) {
            die(aim, aim.window);
        }
        outcome
    }

    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn wall(&self) -> Timestamp {
        self.inner.wall()
    }

    fn poll(&self, timeout: Duration) -> Result<Option<Self::Fetched<'_>>, SessionError> {
        self.inner.poll(timeout)
    }

    fn has_news(&self) -> bool {
        self.inner.has_news()
    }

    fn change(&self) -> Option<Change> {
        self.inner.change()
    }

    fn lost(&self) -> bool {
        self.inner.lost()
    }

    fn assign(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError> {
        self.inner.assign(from)
    }

    fn unassign(&self, partitions: &[Partition]) -> Result<(), SessionError> {
        self.inner.unassign(partitions)
    }

    fn pause(&self, partitions: &[Partition]) -> Result<(), SessionError> {
        self.inner.pause(partitions)
    }

    fn resume(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError> {
        self.inner.resume(from)
    }

    fn rewind(&self, to: &[(Partition, Offset)]) -> Result<(), SessionError> {
        self.inner.rewind(to)
    }

    fn is_open(&self) -> bool {
        self.inner.is_open()
    }

    fn arrive(&self) -> Result<(), SessionError> {
        self.inner.arrive()
    }

    fn forward(
        &self,
        message: &Self::Fetched<'_>,
        forward: Forward<'_>,
    ) -> Result<(), SessionError> {
        self.inner.forward(message, forward)
    }

    fn send(&self, output: Output<'_>) -> Result<(), SessionError> {
        self.inner.send(output)
    }

    fn barrier(&self) -> Result<(), SessionError> {
        self.inner.barrier()
    }

    fn discard_consumer(&mut self) {
        self.inner.discard_consumer();
    }

    fn undo(&mut self) -> Result<(), SessionError> {
        self.inner.undo()
    }

    fn recover(&mut self) -> Result<(), SessionError> {
        self.inner.recover()
    }

    fn beginnings(
        &self,
        partitions: &[Partition],
        kept: Kept<'_>,
    ) -> Result<Vec<Beginning>, SessionError> {
        self.inner.beginnings(partitions, kept)
    }

    fn positions(&self) -> Vec<(Partition, Offset)> {
        self.inner.positions()
    }

    fn is_read_out(&self, partition: Partition, next: Offset) -> bool {
        self.inner.is_read_out(partition, next)
    }

    fn is_at_end(&self, partition: Partition) -> bool {
        self.inner.is_at_end(partition)
    }

    fn has_open(&self, partition: Partition) -> bool {
        self.inner.has_open(partition)
    }

    fn is_interrupted(&self) -> bool {
        self.inner.is_interrupted()
    }

    fn looked(&self) -> Option<BTreeMap<TopicPartition, Extent>> {
        self.inner.looked()
    }

    fn topic_id(&self, topic: &str) -> Option<String> {
        self.inner.topic_id(topic)
    }

    fn survey(
        &self,
        topic: &str,
        known: &[(Partition, Option<Extent>)],
    ) -> Result<Vec<(Partition, Survey)>, SessionError> {
        self.inner.survey(topic, known)
    }

    fn source_before(
        &self,
        place: &TopicPartition,
        at: Offset,
    ) -> Result<Option<Offset>, SessionError> {
        self.inner.source_before(place, at)
    }

    fn replay(&self, topic: &str, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), SessionError> {
        self.inner.replay(topic, each)
    }

    fn partitions_of(&self, topic: &str) -> Result<i32, SessionError> {
        self.inner.partitions_of(topic)
    }
}

fn die(aim: &Aim, window: Window) -> ! {
    let line = format!("{} {}\n", window.name(), aim.role);
    let file = File::options().create(true).append(true).open(&aim.witness);
    let told = file.and_then(|mut file| file.write_all(line.as_bytes()));
    assert!(told.is_ok(), "{}: {told:?}", aim.witness.display());
    loop {
        let _ = signal_hook::low_level::raise(SIGKILL);
    }
}

/// How often each window was hit, by what the dying wrote down.
pub fn witnessed(file: &Path) -> Vec<(Window, u64)> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let hits = |window: Window| {
        text.lines().filter(|line| line.split(' ').next() == Some(window.name())).count() as u64
    };
    Window::ALL.map(|window| (window, hits(window))).into()
}

/// The same by who died.
pub fn witnessed_roles(file: &Path) -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut roles = BTreeMap::new();
    for role in text.lines().filter_map(|line| line.split(' ').nth(1)) {
        *roles.entry(role.to_owned()).or_default() += 1;
    }
    roles
}
