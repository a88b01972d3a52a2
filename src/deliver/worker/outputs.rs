//! What the log lost of our outputs: noticed when somebody looks, and told with the offsets to do again.
//!
//! A lane remembers how far the output partitions of its number reached. Where one is shorter, or another, the
//! records above are gone, whoever had read them. They are not done again by themselves: others may have
//! read them, and what is done again leaves by every topic again.

use tracing::error;

use super::{Slot, WorkerParts};
use crate::deliver::{Scorer, Session, SessionError};
use crate::record::{Extent, Offset, Partition, TopicPartition};
use crate::score::Survey;
use crate::watch::{Loss, LossCause};

impl<R: Scorer> WorkerParts<R> {
    /// The number of partitions that every output has; asked again if it was too low.
    pub(super) fn count_outputs<S: Session>(
        &mut self,
        session: &S,
        partitions: &[Partition],
    ) -> Result<(), SessionError> {
        if partitions.iter().all(|partition| partition.0 < self.outputs) {
            return Ok(());
        }
        let topics = &self.stream.topics;
        let mut least = i32::MAX;
        for topic in [&topics.sanitized, &topics.quarantine, &topics.dead_letter, &topics.state] {
            least = least.min(session.partitions_of(topic)?);
        }
        self.outputs = least;
        Ok(())
    }

    /// Compares output partitions with what they were, after somebody looked.
    pub(super) fn check_outputs<S: Session>(
        &mut self,
        session: &S,
        looked: &std::collections::BTreeMap<TopicPartition, Extent>,
    ) -> Result<(), SessionError> {
        let topics = &self.stream.topics;
        let topics = [&topics.sanitized, &topics.quarantine, &topics.dead_letter].map(Clone::clone);
        let partitions: Vec<Partition> =
            self.partitions.slots().map(|(partition, _)| partition).collect();
        for (topic, partition) in
            topics.iter().flat_map(|topic| partitions.iter().map(move |&p| (topic, p)))
        {
            let place = TopicPartition { topic: topic.clone(), partition };
            let Some(look) = looked.get(&place) else { continue };
            let slot = self.partitions.slot_mut(partition).expect("listed above");
            let Some(was) = slot.lane.output(topic).cloned() else {
                slot.note_output(topic, look.clone());
                continue;
            };
            if look.is_plainly(&was) {
                slot.note_output(topic, look.clone());
                continue;
            }
            let found = session.survey(topic, &[(partition, Some(was.clone()))])?;
            let (_, survey) = found.into_iter().next().expect("one was asked about");
            if let Some(at) = gone_from(&survey, &was) {
                self.output_lost(session, &place, &was, at)?;
            }
            let slot = self.partitions.slot_mut(partition).expect("listed above");
            slot.note_output(topic, survey.extent);
        }
        Ok(())
    }

    /// `place` reached as far as `was`, and has nothing of that from `at` on.
    fn output_lost<S: Session>(
        &mut self,
        session: &S,
        place: &TopicPartition,
        was: &Extent,
        at: Offset,
    ) -> Result<(), SessionError> {
        let TopicPartition { topic, partition } = place;
        let slot = self.partitions.slot_mut(*partition).expect("it is ours");
        // Written though nothing moved: it is told once.
        slot.committed = None;
        let to = slot.lane.next();
        let last = session.source_before(place, at)?;
        let from = last.map_or(Offset(0), Offset::next);
        let records = (was.end.0 - at.0).max(0).cast_unsigned();
        let stream = &self.stream.name;
        error!(
            %partition, topic, from = %at, to = %was.end,
            "an output lost its newest records: they came from input offsets {from} up to {to}; to do those \
             again: tripline state reset --stream {stream} --partition {partition} --from {from}"
        );
        let (partition, cause, waits) = (*partition, LossCause::Output, false);
        self.losses.of_output(Loss { partition, from, to, unread: records, cause, waits });
        Ok(())
    }
}

impl Slot {
    /// Notes how far an output partition reaches. It is written with the next state, or soon if nothing else is: what no state says
    /// nobody can miss.
    fn note_output(&mut self, topic: &str, extent: Extent) {
        let known = self.lane.output(topic).map(|known| known.end);
        self.unsaved |= known != Some(extent.end);
        self.lane.look_output(topic, extent);
    }
}

/// From where on the log is not what it was, if that is below where it ended.
fn gone_from(survey: &Survey, was: &Extent) -> Option<Offset> {
    let now = &survey.extent;
    let is_another = was.topic.is_some() && now.topic.is_some() && was.topic != now.topic;
    let shorter = (now.end < was.end).then_some(now.end);
    let at =
        [is_another.then_some(now.start), survey.parted, shorter].into_iter().flatten().min()?;
    (at < was.end).then_some(at)
}
