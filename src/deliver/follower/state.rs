//! What a follower writes to the state topic, and how it goes on from there.

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{Follower, Reader};
use crate::deliver::{Beginning, Start};
use crate::record::{Extent, Offset};

/// The follower that goes on from `beginning`, whose first kept value is its state; `offsets_lag` as in [`Timing`](crate::deliver::Timing).
/// In a topic that is another from some offset on, it reads what stands there: what it knows it keeps.
///
/// # Errors
/// If state and committed offset do not fit each other.
pub fn begin_follower<F: Follower>(
    fresh: &F,
    beginning: &Beginning,
    offsets_lag: bool,
) -> Result<Reader<F>, FollowerError> {
    let log = beginning.log.extent.clone();
    let start = beginning.start(offsets_lag);
    let (state, committed) = match start {
        Start::Fresh(next) => {
            let follower = fresh.clone().starting_at(next);
            return Ok(Reader { follower, log, read: next });
        }
        Start::Lost { committed } => return Err(FollowerError::Missing { committed }),
        Start::Covering { state, committed } => (state, committed),
        Start::WithoutOffset { state } => (state, None),
    };
    let FollowerState { next, low, log: was, state, .. } = FollowerState::read(state)?;
    if let Some(committed) = committed.filter(|&committed| next < committed) {
        return Err(FollowerError::Mismatch { covered: next, committed });
    }
    let follower = fresh.restore(next, low, &state).map_err(FollowerError::State)?;
    let gone = beginning.log.since(was.as_ref(), next);
    if let Some(gone) = gone {
        warn!(%next, "the topic of the {} is another log than it was: {gone}", F::NAME);
        let follower = follower.starting_at(gone.next);
        return Ok(Reader { follower, log, read: gone.next });
    }
    if matches!(start, Start::WithoutOffset { .. }) && next != log.start {
        return Err(FollowerError::NoOffset { covered: next });
    }
    let read = follower.low().max(log.start);
    Ok(Reader { follower, log, read })
}

/// Why a follower cannot go on from what the state topic holds.
#[derive(Debug, thiserror::Error)]
pub enum FollowerError {
    #[error("cannot read its state: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("cannot read its state: {0}")]
    State(String),
    #[error(
        "its state is version {0}; this build reads {VERSION}: run the build that wrote it, or a newer one"
    )]
    Version(u32),
    #[error(
        "its group committed {committed}, but there is no state: the state topic was emptied, or the group's \
         offsets are another program's"
    )]
    Missing { committed: Offset },
    #[error(
        "its state covers what is below {covered}, but its group committed {committed}; if the group's offsets were \
         moved by hand, move this one back to {covered}"
    )]
    Mismatch { covered: Offset, committed: Offset },
    #[error(
        "its state covers what is below {covered}, but its group has no offset: the topic was made anew, or the \
         group's offset expired or was deleted; only if the topic is still the same, give the group {covered} by hand"
    )]
    NoOffset { covered: Offset },
}

/// What a follower wrote to the state topic: one line of JSON, and its own bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowerState {
    version: u32,
    next: Offset,
    low: Offset,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<Extent>,
    #[serde(skip)]
    state: Vec<u8>,
}

/// Format version that this build writes and reads.
const VERSION: u32 = 1;

impl FollowerState {
    /// What `follower` writes, while its topic is `log`.
    pub fn of<F: Follower>(follower: &F, log: &Extent) -> Self {
        let (next, low) = (follower.next(), follower.low());
        Self { version: VERSION, next, low, log: Some(log.clone()), state: follower.to_bytes() }
    }

    /// What is written by whoever remembers nothing but how far it read.
    pub fn plain(next: Offset, log: &Extent) -> Self {
        Self { version: VERSION, next, low: next, log: Some(log.clone()), state: vec![] }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("plain data");
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.state);
        bytes
    }

    /// # Errors
    /// If the bytes cannot be read, or another build wrote them.
    pub fn read(bytes: &[u8]) -> Result<Self, FollowerError> {
        #[derive(Deserialize)]
        struct VersionOnly {
            version: u32,
        }
        let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
        let (line, rest) = bytes.split_at(end);
        match serde_json::from_slice(line)? {
            VersionOnly { version: VERSION } => {
                let state = rest.get(1..).unwrap_or_default().to_vec();
                Ok(Self { state, ..serde_json::from_slice(line)? })
            }
            VersionOnly { version } => Err(FollowerError::Version(version)),
        }
    }

    /// Whether `follower` would write the same.
    pub fn is_of<F: Follower>(&self, follower: &F) -> bool {
        self.span() == (follower.next(), follower.low()) && self.state == follower.to_bytes()
    }

    /// The next offset to be read and counted, and the one from which a restart reads again.
    pub fn span(&self) -> (Offset, Offset) {
        (self.next, self.low)
    }

    /// Bytes of what is remembered beside the offsets.
    pub fn size(&self) -> usize {
        self.state.len()
    }

    pub fn log(&self) -> Option<&Extent> {
        self.log.as_ref()
    }

    pub fn log_of(bytes: &[u8]) -> Option<Extent> {
        Self::read(bytes).ok()?.log
    }
}
