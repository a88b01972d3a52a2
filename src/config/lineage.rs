//! `[stream.lineage]`: where events of OpenLineage go.

use std::time::Duration;

use super::claims::Claims;
use super::reader::Section;
use super::time;

/// `[stream.lineage]`
#[derive(Clone, Debug, PartialEq)]
pub struct Lineage {
    /// `topic`: where events go, streams may share it; nothing is told unless it is given.
    pub topic: String,
    /// `every = "5m"`: how often an event says what was counted since the last.
    pub every: Duration,
    /// The consumer group, which is the namespace of the job: known to whoever reads the whole file.
    pub group: String,
}

/// Events of one stream must not fill a topic: at most one a second.
const EVERY_MIN: Duration = Duration::from_secs(1);

/// Reads the table; nothing unless it has `topic`.
pub(super) fn read(mut section: Section<'_>, claims: &mut Claims) -> Option<Lineage> {
    let topic = claims.events(&mut section);
    let help = "write a second or more: \"5m\"";
    let stands = section.origin_of("every");
    let every = section.read("every", time::DURATION, time::duration);
    let every = every.unwrap_or(Duration::from_secs(300));
    if every < EVERY_MIN {
        let path = section.path_of("every");
        section.reader.note(path, stands.as_ref(), "is shorter than a second", help);
    }
    section.end();
    Some(Lineage { topic: topic?, every, group: String::new() })
}
