//! A consumer group and what it keeps, seen from outside: nobody joins, nothing moves.
//!
//! Offsets in a transaction that is still open are not told: then there is an error, and asking
//! again later helps.

use std::time::Duration;

use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::{ClientConfig, admin::AdminClient};

use super::quiet::during;
use super::restore;
use super::survey::Ids;
use super::{Clients, native, words};
use crate::deliver::{Beginning, Kept, SessionError};
use crate::record::Partition;

/// A group that reads one topic.
pub struct Group {
    name: String,
    topic: String,
    reader: ClientConfig,
    ids: Ids,
    admin: AdminClient<DefaultClientContext>,
    /// Of the group only by name: it never subscribes.
    consumer: BaseConsumer<DefaultConsumerContext>,
    /// For the end of open transactions.
    patience: Duration,
}

const EXCHANGE: Duration = Duration::from_secs(10);

/// How long after its timeout the transaction of a process that ended may stay open: the brokers look for such
/// transactions every 10 s.
const TIMED_OUT: Duration = Duration::from_secs(15);

impl Group {
    /// `group`, which reads `topic`.
    ///
    /// # Errors
    /// If a client cannot be made.
    pub fn new(clients: &Clients, group: &str, topic: &str) -> Result<Self, SessionError> {
        let create = during("create client");
        let reader = clients.reader("state");
        let consumer = reader.clone().set("group.id", group).create().map_err(&create)?;
        let admin = clients.common("state").create().map_err(create)?;
        let (name, topic, ids) = (group.to_owned(), topic.to_owned(), clients.ids());
        let patience = clients.kafka().transaction_timeout + TIMED_OUT;
        Ok(Self { name, topic, reader, ids, admin, consumer, patience })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who is in it, by client id and host.
    ///
    /// # Errors
    /// If nobody answers or the group may not be described.
    pub fn members(&self) -> Result<Vec<String>, SessionError> {
        let members = native::group_members(self.admin.inner(), &self.name, EXCHANGE);
        let members = members.map_err(|error| {
            let reason = format!("{}: {}", self.name, words::of_native(&error));
            SessionError::Exchange { what: "describe group", reason }
        })?;
        Ok(members.iter().map(native::GroupMember::to_string).collect())
    }

    /// All partitions of its topic.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn partitions(&self) -> Result<Vec<Partition>, SessionError> {
        let asked = self.consumer.fetch_metadata(Some(&self.topic), EXCHANGE);
        let asked = asked.map_err(during("fetch metadata"))?;
        let topic = asked.topics().iter().find(|known| known.name() == self.topic);
        Ok((0..topic.map_or(0, |topic| topic.partitions().len() as i32)).map(Partition).collect())
    }

    /// As [`Session::beginnings`](crate::deliver::Session::beginnings). Waits for open transactions as long as those of a
    /// process that ended may last.
    ///
    /// # Errors
    /// If the cluster does not answer.
    pub fn beginnings(
        &self,
        partitions: &[Partition],
        kept: Kept<'_>,
    ) -> Result<Vec<Beginning>, SessionError> {
        let reader = (&self.reader, self.ids);
        restore::beginnings(&self.consumer, reader, &self.topic, partitions, kept, self.patience)
    }
}
