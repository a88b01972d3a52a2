//! A POST of each event of lineage as it stands in its topic, to `/api/v1/lineage` under the address: what Marquez and
//! other catalogues take.
//!
//! An event may be told twice, after a crash between the answer and the commit: its run, kind and time are the same.

use super::post::Post;
use super::received::Received;
use super::{Receiver, Refusal};
use crate::config::Endpoint;
use crate::record::Timestamp;
use crate::shell::http::CaFileError;

/// Who takes events of lineage.
pub struct OpenLineage {
    post: Post,
    /// Whose events are told; all, unless given. A topic may have those of several streams.
    streams: Option<Vec<String>>,
}

impl OpenLineage {
    /// # Errors
    /// If the certificates cannot be read.
    pub fn new(at: &Endpoint, streams: Option<&[String]>) -> Result<Self, CaFileError> {
        Ok(Self { post: Post::new(at, "/api/v1/lineage")?, streams: streams.map(<[_]>::to_vec) })
    }
}

impl Receiver for OpenLineage {
    fn tell(&self, news: &Received, _: Option<&Received>, _: Timestamp) -> Result<(), Refusal> {
        match is_of(&news.value, self.streams.as_deref()) {
            true => self.post.send(&[], &news.value),
            false => Ok(()),
        }
    }
}

/// Whether the event is of one of `streams`, which are its jobs.
fn is_of(event: &[u8], streams: Option<&[String]>) -> bool {
    let Some(streams) = streams else { return true };
    let event: serde_json::Value = serde_json::from_slice(event).unwrap_or_default();
    event["job"]["name"].as_str().is_some_and(|job| streams.iter().any(|stream| stream == job))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_other_streams_are_passed_over() {
        let event = br#"{"job":{"namespace":"tripline","name":"pay"}}"#;
        let only = |name: &str| [name.to_owned()];
        assert!(is_of(event, None) && is_of(event, Some(&only("pay"))));
        assert!(!is_of(event, Some(&only("shop"))) && !is_of(b"{}", Some(&only("pay"))));
    }
}
