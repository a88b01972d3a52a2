//! The worker's half of a pair: what the bundle's own model says of each record that is sent on. In the worker's own
//! transaction: of a record that left there is a half, once.

use crate::answers::{CORRECTED, Half, HalfOf, Identity, push_half, push_row};
use crate::config::Stream;
use crate::deliver::answer_reader::{HALVES_BYTES, send_halves};
use crate::deliver::{Session, SessionError};
use crate::record::{Action, Record};
use crate::score::{Destination, Outcome};

/// Where halves of sent records wait for the end of their batch; nothing if answers are not watched.
pub(super) struct RequestHalves {
    identity: Option<Identity>,
    value: Vec<u8>,
    rows: Vec<u8>,
}

impl RequestHalves {
    pub fn new(stream: &Stream) -> Self {
        let identity = stream.answers.as_ref().map(|answers| answers.identity());
        Self { identity, value: vec![], rows: vec![] }
    }

    /// What was not sent is of a transaction that is given up.
    pub fn clear(&mut self) {
        self.value.clear();
    }

    /// `record` was put into the transaction; `own` are the rows that the outcome points into. One without an id cannot be
    /// answered: it has no half.
    pub fn add<S: Session>(
        &mut self,
        session: &S,
        stream: &Stream,
        (record, outcome): (&Record<'_>, &Outcome),
        own: &[u8],
    ) -> Result<(), SessionError> {
        let (Some(identity), Some(answers)) = (&self.identity, &stream.answers) else {
            return Ok(());
        };
        let is_sent = outcome.destination == Destination::Sanitized && !outcome.not_input;
        let Some(id) = is_sent.then(|| identity.of_record(&answers.request_id, record)).flatten()
        else {
            return Ok(());
        };
        let verdict = outcome.judged.ok().filter(|_| !outcome.unscored);
        let action = verdict.map(|verdict| verdict.action);
        let mut rows = &own[outcome.answer.clone()];
        if action == Some(Action::Correct) && outcome.corrected.is_some() {
            // The deployed model is asked about another row than ours was.
            self.rows.clear();
            let n = rows.first().copied().unwrap_or(0);
            (0..n).for_each(|_| push_row(CORRECTED, std::iter::empty(), 0, &mut self.rows));
            rows = &self.rows;
        }
        let (partition, offset) = (record.at.partition, record.at.offset);
        let flagged = action.is_some_and(|action| action != Action::Pass);
        let of = HalfOf::Request { partition, offset, flagged };
        // The time at which it is sent on: a sender's stamp may say anything.
        push_half(&Half { id, at: session.wall(), of, rows }, &mut self.value);
        if self.value.len() >= HALVES_BYTES {
            send_halves(session, answers, &mut self.value)?;
        }
        Ok(())
    }

    /// The batch is over.
    pub fn flush<S: Session>(&mut self, session: &S, stream: &Stream) -> Result<(), SessionError> {
        match &stream.answers {
            Some(answers) => send_halves(session, answers, &mut self.value),
            None => Ok(()),
        }
    }
}
