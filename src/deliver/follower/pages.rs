//! Pages of a follower that remembers more than a state holds: read when it begins.

use super::{Follower, Reader};
use crate::deliver::{Session, SessionError};

/// Reads the pages into the follower. The inner error says which page cannot be read.
pub(super) fn load<S: Session, F: Follower, T>(
    session: &S,
    topic: &str,
    (mut reader, rest): (Reader<F>, T),
) -> Result<Result<(Reader<F>, T), String>, SessionError> {
    let mut unreadable = None;
    session.replay(topic, &mut |key, value| {
        if let Err(reason) = reader.follower.load_page(key, value) {
            let key = String::from_utf8_lossy(key);
            unreadable = Some(format!("topic {topic}, key {key}: {reason}"));
        }
    })?;
    Ok(unreadable.map_or(Ok((reader, rest)), Err))
}
