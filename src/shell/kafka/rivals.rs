//! Whether another living process has our name.
//!
//! Brokers fence a producer for two reasons that look the same to it: another process took its
//! transactional id over, or its transaction lasted longer than its timeout, as with a broker that is
//! slow. They differ in the consumer group: the other process is a member there, under our client id.
//! A group keeps who was killed for a while (`session_timeout_ms`), so it is believed only after that. It
//! cannot see a process that has taken the id and not joined yet.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use tracing::debug;

use super::native::{self, GroupMember};
use super::words;
use crate::deliver::SessionError;

/// Members of groups that are, or were, consumers of this process. One that left is a member until
/// the group has noticed.
#[derive(Debug, Default)]
pub struct Members(Mutex<VecDeque<String>>);

/// Far more than can be members still.
const MEMBERS_MAX: usize = 1024;
const ANSWER: Duration = Duration::from_secs(5);

impl Members {
    /// `consumer` is one of ours.
    pub fn know<C: ClientContext>(&self, consumer: &Client<C>) {
        let Some(id) = native::member_id(consumer) else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(&id) {
            known.push_front(id);
            known.truncate(MEMBERS_MAX);
        }
    }

    fn is_ours(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|ours| ours == id)
    }

    /// A member of `group` under `client_id` that is not of this process, if there is one.
    ///
    /// # Errors
    /// If nobody answers, or the group may not be described.
    pub fn rival<C: ClientContext>(
        &self,
        client: &Client<C>,
        group: &str,
        client_id: &str,
    ) -> Result<Option<GroupMember>, SessionError> {
        let members = native::group_members(client, group, ANSWER).map_err(|error| {
            let reason = format!("group {group}: {}", words::of_native(&error));
            SessionError::Exchange { what: "look for another process", reason }
        })?;
        debug!(group, members = members.len(), "looked for another process of our name");
        let is_rival =
            |member: &GroupMember| member.client_id == client_id && !self.is_ours(&member.id);
        Ok(members.into_iter().find(is_rival))
    }
}
