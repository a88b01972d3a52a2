//! A consumer that is a member of a group.

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tracing::warn;

use crate::deliver::SessionError;
use crate::shell::kafka::Clients;
use crate::shell::kafka::assignment::{Assignments, News};
use crate::shell::kafka::quiet::during;

/// The consumer. Its drop leaves the group, so that other members get its partitions at once. librdkafka polls until all
/// partitions are given back; the rebalance callback does that from then on.
pub(in crate::shell::kafka) struct GroupConsumer(
    pub(in crate::shell::kafka) BaseConsumer<Assignments>,
);

impl GroupConsumer {
    pub(super) fn join(
        clients: &Clients,
        role: &str,
        group: &str,
        topic: &str,
    ) -> Result<Self, SessionError> {
        let config = clients.consumer(role, group);
        let assignments = Assignments::default();
        let consumer = BaseConsumer::from_config_and_context(&config, assignments)
            .map_err(during("create consumer"))?;
        consumer.subscribe(&[topic]).map_err(during("subscribe"))?;
        Ok(Self(consumer))
    }
}

impl Drop for GroupConsumer {
    fn drop(&mut self) {
        let assignments = self.0.context();
        assignments.leave();
        while let Some((news, partitions)) = assignments.take() {
            let done = match news {
                News::Assigned => self.0.incremental_assign(&partitions),
                News::Revoked => self.0.incremental_unassign(&partitions),
            };
            if let Err(error) = done {
                warn!(%error, "leaving the group");
            }
        }
    }
}
