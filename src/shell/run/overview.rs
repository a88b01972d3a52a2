//! Counters of every thread of a process, and where each finds its next revision.

use std::sync::Arc;

use super::Prepared;
use crate::answers::Join;
use crate::clients::ClientMonitor;
use crate::config::Stream;
use crate::deliver::{Inbox, Progress, SpanQueue};
use crate::monitor::Monitor;
use crate::shell::scorer::Next;

/// Counters of every thread of a process, by stream, and where the next revision of each stream goes.
#[derive(Clone, Default)]
pub struct Overview {
    pub threads: Vec<Arc<Progress>>,
    pub inboxes: Vec<Inboxes>,
    /// Where workers tell of batches that they committed, if anybody wants that.
    pub spans: Option<SpanQueue>,
}

/// Where who joins answers finds the next revision.
pub type JoinInbox = Inbox<(Arc<Stream>, Join)>;

/// Where the client monitor finds the next revision.
pub type ClientInbox = Inbox<(Arc<Stream>, ClientMonitor)>;

/// Where the threads of a stream find their next revision.
#[derive(Clone)]
pub struct Inboxes {
    pub workers: Vec<Arc<Inbox<Next>>>,
    pub monitor: Arc<Inbox<(Arc<Stream>, Monitor)>>,
    /// If clients are watched.
    pub clients: Option<Arc<ClientInbox>>,
    /// Of those who read and join answers, if that is wanted.
    pub answers: Option<Arc<Inbox<Arc<Stream>>>>,
    pub join: Option<Arc<JoinInbox>>,
}

impl Inboxes {
    fn threads(&self) -> usize {
        self.workers.len()
            + 1
            + usize::from(self.clients.is_some())
            + usize::from(self.answers.is_some())
            + usize::from(self.join.is_some())
    }
}

impl Overview {
    /// One set of counters per thread of `streams`. Per stream: its workers, its monitor, its client monitor, its answer reader
    /// and its join.
    pub fn new(streams: &[Prepared]) -> Self {
        let inboxes = streams.iter().map(|prepared| Inboxes {
            workers: (0..prepared.stream.workers).map(|_| Arc::default()).collect(),
            monitor: Arc::default(),
            clients: prepared.stream.clients.as_ref().map(|_| Arc::default()),
            answers: prepared.stream.answers.as_ref().map(|_| Arc::default()),
            join: prepared.stream.answers.as_ref().map(|_| Arc::default()),
        });
        let inboxes: Vec<Inboxes> = inboxes.collect();
        let threads = inboxes.iter().map(Inboxes::threads).sum();
        Self { threads: (0..threads).map(|_| Arc::default()).collect(), inboxes, spans: None }
    }

    /// Its workers tell `spans` of each batch.
    pub fn telling(self, spans: Option<SpanQueue>) -> Self {
        Self { spans, ..self }
    }
}
