//! What a process that guards streams does, written down on a thread of its own: nothing waits for that but the end.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::error;

use super::AuditLog;
use super::key_uses::KeyCounters;
use crate::audit_log::{Deed, DeedActor, DeedKind, DeedOutcome};
use crate::config::Config;
use crate::open::OpenerSpec;
use crate::score::Guard;
use crate::shell::reload::Present;
use crate::shell::run::Prepared;

/// Writes entries of one process. What cannot be written is tried again, and logged.
pub struct Auditor {
    /// None: there is no audit log, or it has ended.
    sender: Mutex<Option<Sender<Deed>>>,
    thread: Option<JoinHandle<()>>,
    actor: DeedActor,
    keys: Arc<KeyCounters>,
}

/// How often the use of keys is written down.
const KEY_USE_EVERY: Duration = Duration::from_secs(3600);
/// How long the end waits for what is not written yet.
const END: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(10);

impl Auditor {
    /// Writes to `log`, or nothing if there is none.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn start(log: Option<AuditLog>) -> std::io::Result<Self> {
        let Some(log) = log else {
            return Ok(Self {
                sender: Mutex::default(),
                thread: None,
                actor: DeedActor::default(),
                keys: Arc::default(),
            });
        };
        let (sender, receiver) = channel();
        let actor = log.who.clone();
        let keys = Arc::new(KeyCounters::default());
        let run = {
            let keys = keys.clone();
            move || write_all(&log, &receiver, &keys)
        };
        let thread = thread::Builder::new().name("audit".into()).spawn(run)?;
        Ok(Self { sender: Mutex::new(Some(sender)), thread: Some(thread), actor, keys })
    }

    /// Writes down what this process did, soon.
    pub fn note(
        &self,
        what: DeedKind,
        subject: &str,
        outcome: DeedOutcome,
        details: impl IntoIterator<Item = (String, String)>,
    ) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = &*sender else { return };
        let details: BTreeMap<_, _> = details.into_iter().collect();
        let (who, subject) = (self.actor.clone(), subject.to_owned());
        // If the thread is gone, it said so.
        let _ = sender.send(Deed { who, what, subject, outcome, details });
    }

    /// From now on the use of the keys of this revision of `stream` is counted.
    pub fn count_keys(&self, stream: &str, guard: &Guard) {
        if self.thread.is_some() {
            self.keys.add(stream, guard.key_uses());
        }
    }

    /// Writes down what keys were used since that was written the last time.
    pub fn note_key_use(&self) {
        for details in self.keys.take() {
            self.note(DeedKind::KeyUse, &self.actor.instance, DeedOutcome::Done, details);
        }
    }

    /// Nothing more comes: waits a moment for what is not written yet.
    pub fn end(&self) {
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let deadline = Instant::now() + END;
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
            && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process begins: by which configuration, bundles and keys.
    pub fn begin(&self, config: &Config, streams: &[Prepared]) {
        let files = config.streams.first().map(|stream| stream.file.display().to_string());
        let mut details = vec![("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
        details.extend(files.map(|file| ("file".to_owned(), file)));
        for prepared in streams {
            let Present { bundle, revision, .. } = Present::of(prepared);
            let name = &prepared.stream.name;
            details
                .push((format!("stream {name}"), format!("bundle {bundle}, revision {revision}")));
            self.count_keys(name, &prepared.guard);
        }
        self.note(DeedKind::Start, &config.instance, DeedOutcome::Done, details);
        for stream in &config.streams {
            let names = stream.decrypt.as_ref().map(OpenerSpec::key_names).unwrap_or_default();
            if !names.is_empty() {
                let details = [("keys".to_owned(), names.join(", "))];
                self.note(DeedKind::Keys, &stream.name, DeedOutcome::Done, details);
            }
        }
    }
}

fn write_all(log: &AuditLog, deeds: &Receiver<Deed>, keys: &KeyCounters) {
    let mut next = Instant::now() + KEY_USE_EVERY;
    loop {
        match deeds.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(deed) => write(log, &deed),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                next = Instant::now() + KEY_USE_EVERY;
                for details in keys.take() {
                    let (who, what, outcome) =
                        (log.who.clone(), DeedKind::KeyUse, DeedOutcome::Done);
                    let subject = who.instance.clone();
                    write(log, &Deed { who, what, subject, outcome, details });
                }
            }
        }
    }
}

fn write(log: &AuditLog, deed: &Deed) {
    while let Err(error) = log.write(deed) {
        let (what, subject): (&str, _) = (deed.what.into(), &deed.subject);
        error!(what, subject, "{error}; it is tried again");
        thread::sleep(AGAIN);
    }
}
