//! The client monitor as a follower of the topic of visits.

use super::Follower;
use crate::clients::{ClientMonitor, KnownClients, VisitMessage};
use crate::config::Stream;
use crate::deliver::FollowerFacts;
use crate::record::{Offset, Timestamp};
use crate::watch::Message;

impl Follower for ClientMonitor {
    const KEY: &'static [u8] = b"clients";
    const NAME: &'static str = "client monitor";

    fn topic(stream: &Stream) -> &str {
        &stream.topics.visits
    }

    fn tick(at: Timestamp) -> Vec<u8> {
        VisitMessage::Tick(at).to_bytes()
    }

    fn baseline(&self) -> &str {
        self.baseline()
    }

    fn next(&self) -> Offset {
        self.next()
    }

    fn low(&self) -> Offset {
        self.low()
    }

    fn take(&mut self, offset: Offset, value: &[u8]) -> Result<(), String> {
        self.take(offset, value)
    }

    fn skip(&mut self, offset: Offset) {
        self.skip(offset);
    }

    fn drain(&mut self, out: &mut Vec<Message>) {
        self.drain(out);
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.to_bytes()
    }

    fn pages_topic(stream: &Stream) -> Option<&str> {
        stream.known_clients_topic()
    }

    fn drain_pages(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.drain_pages()
    }

    fn page_bytes(&self) -> usize {
        self.known().map_or(0, KnownClients::due_bytes)
    }

    fn facts(&self) -> FollowerFacts {
        let ((rows, windows), known) = (self.counts(), self.known());
        FollowerFacts {
            rows,
            windows,
            judged_until: self.judged_until(),
            entries: known.map_or(0, |known| known.len() as u64),
            forgotten: known.map_or(0, KnownClients::forgotten),
            ..FollowerFacts::default()
        }
    }

    fn load_page(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        self.load_page(key, value)
    }

    fn restore(&self, next: Offset, low: Offset, state: &[u8]) -> Result<Self, String> {
        self.restore(next, low, state)
    }

    fn starting_at(self, next: Offset) -> Self {
        self.starting_at(next)
    }

    fn succeeding(self, last: &Self) -> Self {
        self.succeeding(last)
    }
}
