//! Pairs of own and deployed answers: a panel of their own, with a part of the budget of its own.
//!
//! They come later than the counts of records do, by as much as the model needs and the reader of answers is behind; so they
//! have windows of their own, which the clock closes. What comes after its window closed counts in the current one: a pair is
//! counted once, whatever its stamp.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Monitor, PAST_MAX, State};
use crate::monitor::incident::Past;
use crate::monitor::incidents::Fired;
use crate::monitor::{Alert, Cause, Finding};
use crate::record::{Offset, Timestamp};
use crate::watch::{
    Cells, Counts, JoinEvidence, JoinWindow, Panel, Share, Tally, Terms, Transition, WindowStart,
};

/// What is remembered of pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerState {
    pub panel: Panel,
    /// The offsets of the join topic that were last heard of.
    from: Offset,
    to: Offset,
    /// Open windows.
    windows: BTreeMap<WindowStart, JoinWindow>,
    /// Closed ones of late, without their cells.
    past: BTreeMap<WindowStart, JoinWindow>,
    /// Windows that start before this are closed.
    frontier: Timestamp,
}

/// The number of the first watch of pairs, where watches of records and of pairs are told apart by number.
pub(super) const ANSWERS_AT: usize = 1 << 20;

/// A window is open for so many lengths from its start.
const OPEN_WINDOWS: i64 = 2;
/// Open windows at a time, before the clock says which are over.
const WINDOWS_MAX: usize = 64;
/// One endpoint is named if it has so large a share of the rows that differ, and others have rows too.
const MOST_OF_ENDPOINTS: f64 = 0.9;

impl AnswerState {
    fn new(terms: &Terms) -> Self {
        let (from, to, frontier) = (Offset(0), Offset(0), Timestamp(0));
        let (windows, past) = (BTreeMap::new(), BTreeMap::new());
        Self { panel: Panel::new(terms), from, to, windows, past, frontier }
    }

    /// Where what is of `window` counts, when it is `clock`.
    fn place(&self, window: WindowStart, clock: Timestamp, length: i64) -> WindowStart {
        let latest = clock.0.saturating_add(OPEN_WINDOWS * length);
        // Before the first tick nobody knows what time it is.
        let is_future = clock.0 > 0 && window.0 > latest;
        if window >= self.frontier && !is_future {
            return window;
        }
        self.frontier.max(Timestamp(clock.0.saturating_sub(clock.0.rem_euclid(length))))
    }

    fn count(&mut self, window: &JoinWindow, at: WindowStart) {
        self.windows.entry(at).or_insert_with(|| JoinWindow::empty(at)).add(window);
        while self.windows.len() > WINDOWS_MAX {
            let (_, last) = self.windows.pop_last().expect("there are many");
            let mut before = self.windows.last_entry().expect("there are many");
            before.get_mut().add(&last);
        }
    }

    /// The first pair that differs since then, and the endpoint that answered most of those.
    fn since(&self, since: Timestamp) -> JoinWindow {
        let mut sum = JoinWindow::empty(since);
        self.past.range(since..).for_each(|(_, window)| sum.add(window));
        sum
    }
}

/// The endpoint that stands out.
fn culprit(sum: &JoinWindow) -> Option<&str> {
    let differing = sum.endpoints.values().map(|counts| counts.differing);
    let rows = differing.fold(0, u64::saturating_add);
    let others = |name: &str| sum.endpoints.iter().any(|(n, counts)| n != name && counts.rows > 0);
    let (name, counts) = sum.endpoints.iter().max_by_key(|(_, counts)| counts.differing)?;
    let share = counts.differing as f64 / rows.max(1) as f64;
    let most = rows > 0 && share >= MOST_OF_ENDPOINTS;
    (most && others(name)).then_some(name)
}

impl Monitor {
    /// Watches answers if its frame says so, from what is known of them; what was said of those that are not watched
    /// any more is over.
    pub(super) fn watch_answers(mut self, mut ended: Vec<Alert>) -> (Self, Vec<Alert>) {
        let Self { frame, state, .. } = &mut self;
        let fits = match (&frame.answers, &state.answers) {
            (Some(terms), Some(answers)) => answers.panel.fits(terms),
            (None, None) => true,
            _ => false,
        };
        if !fits {
            state.answers = frame.answers.as_ref().map(AnswerState::new);
            let is_ours = |watch: usize| watch < ANSWERS_AT;
            let members = state.incidents.open().flat_map(|incident| &incident.members);
            if members.into_iter().any(|member| !is_ours(member.watch)) {
                const NOTE: &str = "what is watched of answers was changed";
                let goes_on = |watch: usize| is_ours(watch).then_some(watch);
                let about = &frame.about;
                state.incidents.under(about, |member| goes_on(member.watch), NOTE, &mut ended);
            }
        }
        (self, ended)
    }

    /// What the join says. A message that is told again counts once.
    pub(super) fn hear_answers(&mut self, said: &JoinEvidence) {
        let length = self.length();
        let State { answers, clock, .. } = &mut self.state;
        let Some(answers) = answers else { return };
        let repeated = (said.from, said.to) == (answers.from, answers.to);
        if repeated || said.from < answers.to && !said.begins {
            return;
        }
        (answers.from, answers.to) = (said.from, said.to);
        for window in &said.windows {
            let at = answers.place(window.window, *clock, length);
            answers.count(window, at);
        }
    }

    /// Closes what the clock has gone past.
    pub(super) fn close_answers(&mut self, alerts: &mut Vec<Alert>) {
        let length = self.length();
        let clock = self.state.clock;
        loop {
            let Self { frame, state, .. } = self;
            let (Some(terms), Some(answers)) = (&frame.answers, &mut state.answers) else { return };
            let Some(first) = answers.windows.first_entry() else { return };
            let window = *first.key();
            if window.0.saturating_add(OPEN_WINDOWS * length) > clock.0 {
                // Those ahead of the clock are of stamps from before the first tick: they wait.
                return;
            }
            let closed = first.remove();
            answers.frontier = answers.frontier.max(Timestamp(window.0.saturating_add(length)));
            let counts = Counts { rows: closed.counts.watched(), ..Counts::default() };
            let tally = Tally { counts, cells: closed.cells.clone(), ..Tally::default() };
            let transitions = answers.panel.close(window, &tally, Share::WHOLE, terms);
            answers.past.insert(window, JoinWindow { cells: Cells::default(), ..closed });
            let old = Timestamp(answers.frontier.0.saturating_sub(PAST_MAX * length));
            answers.past = answers.past.split_off(&old);
            self.live_answers(window, transitions, alerts);
        }
    }

    fn live_answers(
        &mut self,
        window: WindowStart,
        transitions: Vec<Transition>,
        alerts: &mut Vec<Alert>,
    ) {
        let until = Timestamp(window.0.saturating_add(self.length()));
        let Self { frame, state, .. } = self;
        let (Some(terms), Some(answers)) = (&frame.answers, &state.answers) else { return };
        let about = &frame.about;
        let keep_firing_for_ms = terms.keep_firing_for_ms as i64;
        let (mut fired, mut ended) = (vec![], vec![]);
        for transition in transitions {
            match transition {
                Transition::Resolved { watch } => {
                    let place = (None, ANSWERS_AT + watch);
                    ended.extend(state.incidents.resolve(about, place, alerts));
                }
                Transition::Fired { watch, since, seen, beyond } => {
                    let of = &terms.hypotheses[watch];
                    let cause = Cause::of(of.watch.concern());
                    let mut finding =
                        Finding::new(of, &seen, beyond, &frame.signals, &frame.schema);
                    if cause == Cause::Tampering
                        && let Some(endpoint) = culprit(&answers.since(since))
                    {
                        finding.feature = format!("{} (endpoint {endpoint})", finding.feature);
                    }
                    fired.push(Fired { cause, watch: ANSWERS_AT + watch, since, finding });
                }
            }
        }
        fired.retain(|fired| !fired.cause.comes_with(&ended));
        state.watch_anew(frame, &ended);
        let Some(answers) = state.answers.as_ref().filter(|_| !fired.is_empty()) else { return };
        let past = |since: Timestamp, _| {
            let mut past = Past::nothing(state.frontier.max(until));
            for (_, open) in state.past.range(since..) {
                past.counts.add(&open.tally.counts);
            }
            past.first = answers.since(since).first;
            past
        };
        state.incidents.fire(about, fired, keep_firing_for_ms, past, alerts);
    }
}
