//! Halves that wait for their other half, and the ids that were seen within the horizon.
//!
//! An id is over once the clock is a horizon past its newest half; then it is forgotten. Until then it is remembered, even if
//! no half of it waits any more. So a restart that reads again from the first offset of the oldest id that is not over comes
//! to the same memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::JoinSettings;
use crate::answers::half::{Half, HalfOf};
use crate::record::{Offset, Partition, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Request,
    Answer,
}

/// How an id ended. It is counted a horizon after the id's newest half, whether it was answered or not, so that answered and
/// unanswered ids of one time are in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdFate {
    Answered,
    Unanswered,
    Orphan,
}

/// What became of a half.
#[derive(Debug)]
pub(super) enum Meeting {
    /// The other half is not here yet. `given_up`: times of halves that made room for this one.
    Waits {
        given_up: Vec<Timestamp>,
    },
    /// The other half, which waited.
    Pair(Box<WaitingHalf>),
    Doubled,
    Late,
}

/// A half that waits.
#[derive(Clone, Debug)]
pub(super) struct WaitingHalf {
    at: Timestamp,
    of: WaitingOf,
    rows: Box<[u8]>,
}

#[derive(Clone, Debug)]
enum WaitingOf {
    Request { partition: Partition, offset: Offset, flagged: bool },
    Answer { endpoint: Box<str> },
}

/// What is known of an id.
#[derive(Clone, Debug)]
struct IdMemory {
    request: Option<Box<WaitingHalf>>,
    answer: Option<Box<WaitingHalf>>,
    /// The time of the later half of its pair, if both came.
    done: Option<Timestamp>,
    /// The latest time of its halves, also of those that came twice.
    newest: Timestamp,
    /// The offset of its first half.
    first: Offset,
}

#[derive(Clone, Debug)]
pub(super) struct Pending {
    settings: JoinSettings,
    clock: Timestamp,
    /// Steps of the clock: from each offset on, up to the next step's, the clock showed this time.
    steps: VecDeque<(Offset, Timestamp)>,
    ids: HashMap<u64, IdMemory>,
    /// What waits, by time.
    requests: BTreeSet<(Timestamp, u64)>,
    answers: BTreeSet<(Timestamp, u64)>,
    /// Ids by their newest half.
    newest: BTreeSet<(Timestamp, u64)>,
    /// How many ids began at an offset.
    firsts: BTreeMap<Offset, u32>,
}

impl Pending {
    pub fn new(settings: JoinSettings) -> Self {
        Self {
            settings,
            clock: Timestamp(0),
            steps: [(Offset(0), Timestamp(0))].into(),
            ids: HashMap::new(),
            requests: BTreeSet::new(),
            answers: BTreeSet::new(),
            newest: BTreeSet::new(),
            firsts: BTreeMap::new(),
        }
    }

    /// Sets the clock: before `offset` it showed `clock`.
    pub fn begin_at(&mut self, offset: Offset, clock: Timestamp) {
        self.clock = clock;
        self.steps = [(offset, clock)].into();
    }

    /// These halves and ids, from now on under other settings.
    pub fn under(self, settings: JoinSettings) -> Self {
        Self { settings, ..self }
    }

    pub fn clock(&self) -> Timestamp {
        self.clock
    }

    #[cfg(test)]
    pub fn ids(&self) -> usize {
        self.ids.len()
    }

    pub fn waiting(&self) -> usize {
        self.requests.len() + self.answers.len()
    }

    /// The first offset of the oldest id that is not over.
    pub fn low(&self) -> Option<Offset> {
        self.firsts.first_key_value().map(|(&offset, _)| offset)
    }

    /// The time before `offset`. Offsets below [`Pending::low`] are forgotten: for those it is the oldest time known.
    pub fn clock_before(&self, offset: Offset) -> Timestamp {
        let before = self.steps.iter().take_while(|(step, _)| *step < offset).last();
        before.or(self.steps.front()).map_or(Timestamp(0), |&(_, clock)| clock)
    }

    /// Sets the clock to `at`, if that is later. Returns how each id ended that is over now, with its time.
    pub fn tick(&mut self, offset: Offset, at: Timestamp) -> Vec<(IdFate, Timestamp)> {
        if at > self.clock {
            self.clock = at;
            self.steps.push_back((offset, self.clock));
        }
        let mut over = vec![];
        for side in [Side::Request, Side::Answer] {
            while let Some(&(at, id)) = self.waits(side).first().filter(|(at, _)| self.is_over(*at))
            {
                self.remove(side, id);
                let fate = if side == Side::Request { IdFate::Unanswered } else { IdFate::Orphan };
                over.push((fate, at));
            }
        }
        while let Some(&(newest, id)) = self.newest.first().filter(|(at, _)| self.is_over(*at)) {
            if self.ids.get(&id).is_some_and(|known| known.done.is_some()) {
                over.push((IdFate::Answered, newest));
            }
            self.forget(newest, id);
        }
        let low = self.low().unwrap_or(offset);
        while self.steps.len() > 1 && self.steps[1].0 < low {
            self.steps.pop_front();
        }
        over
    }

    /// Takes the half at `offset`: pairs it with its other half, or lets it wait.
    pub fn meet(&mut self, offset: Offset, half: &Half<'_>) -> Meeting {
        let side = match half.of {
            HalfOf::Request { .. } => Side::Request,
            HalfOf::Answer { .. } => Side::Answer,
        };
        let (id, at) = (half.id, half.at);
        if let Some(known) = self.ids.get(&id) {
            let done = known.done.is_some_and(|at| !self.is_over(at));
            if done || known.waits(side).is_some() {
                self.renew(id, at);
                return Meeting::Doubled;
            }
        }
        if self.is_over(at) {
            return Meeting::Late;
        }
        let other = match side {
            Side::Request => Side::Answer,
            Side::Answer => Side::Request,
        };
        let waits = self.ids.get(&id).and_then(|known| known.waits(other)).map(|other| other.at);
        let horizon_ms = self.settings.horizon_ms.unsigned_abs();
        let near = waits.filter(|waits| waits.0.abs_diff(at.0) <= horizon_ms);
        self.begin(id, at, offset);
        if near.is_some() {
            let other = self.remove(other, id).expect("it waits");
            let known = self.ids.get_mut(&id).expect("it began");
            known.done = Some(at.max(other.at));
            return Meeting::Pair(other);
        }
        let waiting = WaitingHalf::new(half);
        let known = self.ids.get_mut(&id).expect("it began");
        *known.waits_mut(side) = Some(Box::new(waiting));
        self.waits_mut(side).insert((at, id));
        let mut given_up = vec![];
        while self.waits(side).len() > self.settings.pending_max {
            let &(at, id) = self.waits(side).first().expect("there are too many");
            self.remove(side, id);
            given_up.push(at);
        }
        // Pairs are remembered too, as long as a half may come twice; a flood of them is not.
        while self.ids.len() > self.settings.ids_max {
            let &(newest, id) = self.newest.first().expect("each id has one");
            for side in [Side::Request, Side::Answer] {
                given_up.extend(self.remove(side, id).map(|waiting| waiting.at));
            }
            self.forget(newest, id);
        }
        Meeting::Waits { given_up }
    }

    fn is_over(&self, at: Timestamp) -> bool {
        at.0.saturating_add(self.settings.horizon_ms) < self.clock.0
    }

    fn waits(&self, side: Side) -> &BTreeSet<(Timestamp, u64)> {
        match side {
            Side::Request => &self.requests,
            Side::Answer => &self.answers,
        }
    }

    fn waits_mut(&mut self, side: Side) -> &mut BTreeSet<(Timestamp, u64)> {
        match side {
            Side::Request => &mut self.requests,
            Side::Answer => &mut self.answers,
        }
    }

    fn remove(&mut self, side: Side, id: u64) -> Option<Box<WaitingHalf>> {
        let waiting = self.ids.get_mut(&id)?.waits_mut(side).take()?;
        self.waits_mut(side).remove(&(waiting.at, id));
        Some(waiting)
    }

    /// A half of this id came at `offset`.
    fn begin(&mut self, id: u64, at: Timestamp, offset: Offset) {
        if self.ids.contains_key(&id) {
            return self.renew(id, at);
        }
        let known = IdMemory { request: None, answer: None, done: None, newest: at, first: offset };
        self.ids.insert(id, known);
        self.newest.insert((at, id));
        *self.firsts.entry(offset).or_default() += 1;
    }

    fn renew(&mut self, id: u64, at: Timestamp) {
        let Some(known) = self.ids.get_mut(&id).filter(|known| at > known.newest) else { return };
        self.newest.remove(&(known.newest, id));
        self.newest.insert((at, id));
        known.newest = at;
    }

    fn forget(&mut self, newest: Timestamp, id: u64) {
        self.newest.remove(&(newest, id));
        let Some(known) = self.ids.remove(&id) else { return };
        if let Some(count) = self.firsts.get_mut(&known.first) {
            *count -= 1;
            if *count == 0 {
                self.firsts.remove(&known.first);
            }
        }
    }
}

impl IdMemory {
    fn waits(&self, side: Side) -> Option<&WaitingHalf> {
        match side {
            Side::Request => self.request.as_deref(),
            Side::Answer => self.answer.as_deref(),
        }
    }

    fn waits_mut(&mut self, side: Side) -> &mut Option<Box<WaitingHalf>> {
        match side {
            Side::Request => &mut self.request,
            Side::Answer => &mut self.answer,
        }
    }
}

impl WaitingHalf {
    fn new(half: &Half<'_>) -> Self {
        let of = match half.of {
            HalfOf::Request { partition, offset, flagged } => {
                WaitingOf::Request { partition, offset, flagged }
            }
            HalfOf::Answer { endpoint } => WaitingOf::Answer { endpoint: endpoint.into() },
        };
        Self { at: half.at, of, rows: half.rows.into() }
    }

    pub fn as_half(&self, id: u64) -> Half<'_> {
        let of = match &self.of {
            WaitingOf::Request { partition, offset, flagged } => {
                HalfOf::Request { partition: *partition, offset: *offset, flagged: *flagged }
            }
            WaitingOf::Answer { endpoint } => HalfOf::Answer { endpoint },
        };
        Half { id, at: self.at, of, rows: &self.rows }
    }
}
