//! Who plays what: one panel over the merged stream or, with `per_partition`, one for each partition.
//!
//! Partitions are told apart by number, whatever order they are heard in: the last panel there is room
//! for is shared by all partitions from its number on. The budget is shared by the panels of all
//! partitions heard of, those without records too: a worker says what it has before it reads, so their
//! number does not hang on which partition happened to be read first.

use super::answers::ANSWERS_AT;
use super::state::Open;
use super::{Frame, Monitor, State};
use crate::monitor::Cause;
use crate::record::Partition;
use crate::watch::{Panel, Scope, Share, Tally, Terms, Transition, WindowStart};

/// What a panel said.
#[derive(Debug)]
pub(super) struct Said {
    /// Which panel's; none of the merged stream's.
    pub slot: Option<Partition>,
    pub transitions: Vec<Transition>,
}

impl Frame {
    /// The number from which on partitions share a panel; none if all of them do.
    pub fn shared_from(&self) -> Option<Partition> {
        let panels = i32::try_from(self.terms.panels_max()).expect("there are few");
        self.per_partition.then_some(Partition(panels - 1))
    }
}

impl State {
    /// A monitor that has heard nothing.
    pub(super) fn fresh(frame: &Frame) -> Self {
        let baseline = &frame.about.baseline;
        let mut fresh = match frame.per_partition {
            false => Self::new(baseline, Panel::new(&frame.terms)),
            true => Self { panels: Some([].into()), ..Self::new(baseline, Panel::empty()) },
        };
        fresh.features = frame.features();
        fresh.know(baseline, frame.terms.usual());
        fresh
    }

    /// Whether its panels are those that a monitor in this frame has.
    pub(super) fn fits(&self, frame: &Frame) -> bool {
        let Frame { terms, .. } = frame;
        match (&self.panels, frame.shared_from()) {
            (None, None) => self.panel.fits(terms),
            (Some(panels), Some(last)) => {
                panels.iter().all(|(&slot, panel)| slot <= last && panel.fits(terms))
            }
            _ => false,
        }
    }
}

impl State {
    /// Incidents of these causes are over. What they brought along is watched anew, unless it has an incident of its own:
    /// one that goes on rings again, and one that was the attack's has nothing left to ring with.
    pub(super) fn watch_anew(&mut self, frame: &Frame, ended: &[Cause]) {
        if ended.is_empty() {
            return;
        }
        let Self { incidents, panel, panels, answers, .. } = self;
        let begin = |panel: &mut Panel, terms: &Terms, slot, first: usize| {
            for (watch, of) in terms.hypotheses.iter().enumerate() {
                let comes_with = Cause::of(of.watch.concern()).comes_with(ended);
                if comes_with && !incidents.is_about((slot, first + watch)) {
                    panel.begin_anew(watch);
                }
            }
        };
        match panels {
            None => begin(panel, &frame.terms, None, 0),
            Some(panels) => {
                panels
                    .iter_mut()
                    .for_each(|(&slot, panel)| begin(panel, &frame.terms, Some(slot), 0));
            }
        }
        if let (Some(answers), Some(terms)) = (answers, &frame.answers) {
            begin(&mut answers.panel, terms, None, ANSWERS_AT);
        }
    }
}

impl Monitor {
    /// The panel that is told of a partition.
    pub(super) fn slot(&self, partition: Partition) -> Option<Partition> {
        self.frame.shared_from().map(|last| partition.min(last))
    }

    /// What the panel of `slot` may have.
    pub(super) fn share(&self, slot: Option<Partition>) -> Share {
        let Some(last) = self.frame.shared_from() else { return Share::WHOLE };
        let partitions = &self.state.partitions;
        let own = partitions.range(..last).count();
        let shared = usize::from(partitions.range(last..).next().is_some());
        let scope = slot.map_or(Scope::Stream, Scope::Partition);
        Share { scope, panels: (own + shared).max(1) as u64 }
    }

    /// There is one panel more: all have less room.
    pub(super) fn trim(&mut self) {
        let share = self.share(None);
        let panels = self.state.panels.iter_mut().flat_map(|panels| panels.values_mut());
        panels.for_each(|panel| panel.trim(share));
    }

    /// Every panel plays what its partition counted in a window, in order of their numbers.
    pub(super) fn play(&mut self, window: WindowStart, open: &Open) -> Vec<Said> {
        let frame = self.frame.clone();
        let told: Vec<(Option<Partition>, &Tally)> = match frame.per_partition {
            false => vec![(None, &open.tally)],
            true => open.parts.iter().map(|(&slot, tally)| (Some(slot), tally)).collect(),
        };
        let each = told.into_iter().map(|(slot, tally)| {
            let share = self.share(slot);
            let transitions = self.panel(slot).close(window, tally, share, &frame.terms);
            Said { slot, transitions }
        });
        each.collect()
    }

    fn panel(&mut self, slot: Option<Partition>) -> &mut Panel {
        match (slot, &mut self.state.panels) {
            (Some(slot), Some(panels)) => {
                panels.entry(slot).or_insert_with(|| Panel::new(&self.frame.terms))
            }
            _ => &mut self.state.panel,
        }
    }

    /// Capital of all watches, in [0, 1): how near an alarm is; of several panels the nearest.
    pub fn level(&self) -> f64 {
        let answers = self.state.answers.as_ref().map_or(0.0, |answers| answers.panel.level());
        let records = match &self.state.panels {
            None => self.state.panel.level(),
            Some(panels) => panels.values().map(Panel::level).fold(0.0, f64::max),
        };
        records.max(answers)
    }
}
