//! Halves of pairs and their join: each half is written once, and what is counted follows from the join topic.

use std::collections::BTreeMap;

use super::{ANSWERED, Checker};
use crate::answers::{HalfOf, Identity, JoinValue};
use crate::record::{Position, Timestamp};
use crate::sim::names::JOIN;
use crate::watch::{JoinWindow, Message};

impl Checker<'_> {
    /// Each record that was sent on, and each answer, has one half.
    pub(super) fn halves(&mut self) {
        let Some(answers) = &self.scene.stream.answers else { return };
        let mut sent: BTreeMap<Position, usize> = BTreeMap::new();
        let mut said: BTreeMap<String, usize> = BTreeMap::new();
        for (_, record) in self.records(&answers.join_topic) {
            let value = record.value.as_deref().unwrap_or_default();
            let JoinValue::Halves(halves) = JoinValue::read(value).expect("ours") else { continue };
            for half in halves {
                match half.of {
                    HalfOf::Request { partition, offset, .. } => {
                        *sent.entry(Position { partition, offset }).or_default() += 1;
                    }
                    HalfOf::Answer { endpoint } => {
                        *said.entry(endpoint.to_owned()).or_default() += 1
                    }
                }
            }
        }
        let identity = Identity::new(&[]);
        let mut wanted = vec![];
        for (at, input) in &self.input {
            let left = self.left.get(at).map_or(&[][..], Vec::as_slice);
            let is_sent = left.iter().any(|left| left.topic == self.scene.stream.topics.sanitized);
            let id = identity.of_record(&answers.request_id, &input.at(*at));
            let n = sent.remove(at).unwrap_or(0);
            wanted.push((format!("the record at {at:?}"), usize::from(is_sent && id.is_some()), n));
        }
        for (at, answer) in self.records(&answers.topic) {
            let id = identity.of_record(&answers.id, &answer.at(at));
            let endpoint = String::from_utf8_lossy(answer.headers[0].1.as_ref().expect("ours"));
            let n = said.remove(&*endpoint).unwrap_or(0);
            wanted.push((format!("answer {endpoint}"), usize::from(id.is_some()), n));
        }
        let once = |wanted: usize, n: usize| n == wanted || n > wanted && !self.scene.exactly_once;
        let odd = wanted.into_iter().filter(|&(_, wanted, n)| !once(wanted, n));
        let mut found: Vec<String> =
            odd.map(|(what, wanted, n)| format!("{what} has {n} halves of {wanted}")).collect();
        found.extend(sent.keys().map(|at| format!("a half is of {at:?}, which is no record")));
        found
            .extend(said.keys().map(|number| format!("a half is of {number}, which is no answer")));
        found.into_iter().for_each(|what| self.violated(ANSWERED, what));
    }

    /// A join that reads what was read counts the same, and has the same state at every commit. Under at-least-once a message may be
    /// told twice, and a state shows when it was told: nothing is compared.
    pub(super) fn joined(&mut self) {
        let Some(join) = self.scene.join().filter(|_| self.scene.exactly_once) else { return };
        let followed = self.follow(join, JOIN);
        let mut wrong = followed.wrong;
        let [said, expected] = [&followed.said, &followed.expected].map(|all| counted(all));
        if said != expected {
            let differ = expected.iter().find(|(window, of)| said.get(window) != Some(of));
            wrong.push(format!("other windows than the join topic gives; the first: {differ:?}"));
        }
        wrong.into_iter().for_each(|what| self.violated(ANSWERED, what));
    }
}

/// The sum of all that was told, by window, without endpoints: which of too many are told apart depends on how the topic was cut.
fn counted(messages: &[Message]) -> BTreeMap<Timestamp, JoinWindow> {
    let mut all: BTreeMap<Timestamp, JoinWindow> = BTreeMap::new();
    for message in messages {
        let Message::Answers(evidence) = message else { continue };
        for window in &evidence.windows {
            let sum = all.entry(window.window).or_insert_with(|| JoinWindow::empty(window.window));
            sum.add(window);
            sum.endpoints.clear();
        }
    }
    all
}
