//! What of a window is new to the clients in it: marks of their rows, and what the table of clients learns.

use std::collections::BTreeMap;

use super::ClientMonitor;
use super::memory::{Row, add_spell};
use crate::clients::{ClientSpell, HABITS, Habit, KnownClient, MARKS, Spells};
use crate::record::{Offset, Partition};
use crate::watch::access::{ARRIVALS, NAMED, ORIGINS, distinct_cell, largest_cell};
use crate::watch::{Cells, WindowStart};

/// What a window says of the clients in it.
#[derive(Debug, Default)]
pub(super) struct WindowHabits {
    /// Trials and marked ones by client, for each habit.
    tallies: [BTreeMap<u64, (u64, u64)>; HABITS],
    /// Cells of `watch::access`.
    pub cells: Cells,
}

impl WindowHabits {
    pub fn of(&self, habit: Habit) -> &BTreeMap<u64, (u64, u64)> {
        &self.tallies[habit as usize]
    }
}

/// By client and origin, or by client alone: marks of the first row that fits.
type FirstRows = BTreeMap<(u64, Option<u16>), u8>;

impl ClientMonitor {
    /// Compares the rows of a closed window with what their clients did before it, and adds them to that.
    pub(super) fn compare_habits(
        &mut self,
        window: WindowStart,
        first: Offset,
        rows: &mut [Row],
    ) -> WindowHabits {
        let mut seen = WindowHabits::default();
        let Some(known) = &mut self.known else { return seen };
        let settings = *known.settings();
        let mut spells = Spells::new();
        rows.iter().for_each(|row| add_spell(&mut spells, &row.visit));
        count_rows(&mut seen.cells, rows.len() as u64, &spells);
        if spells.is_empty() {
            return seen;
        }
        let habits = &mut self.state.habits;
        habits.begin(window, settings.week_ms);
        let mut firsts = FirstRows::new();
        for (&client, spell) in &spells {
            let before = known.get(client);
            if habits.has_met_its_clients(window, settings.week_ms) {
                count_arrival(&mut seen.cells, (window, client, spell), before);
            }
            let has_habits = |known: &&KnownClient| known.has_habits(window, settings.week_ms);
            let Some(before) = before.filter(has_habits) else { continue };
            let found = before.try_habits(window, spell, settings.travel_ms);
            habits.count(window, settings.week_ms, &found);
            for (keys, (trials, marked)) in
                seen.tallies.iter_mut().zip(found.trials.into_iter().zip(found.marked))
            {
                if trials > 0 {
                    keys.insert(client, (trials, marked));
                }
            }
            let bits = |habits: &[Habit]| {
                let of = |habit: &&Habit| found.marked[**habit as usize] > 0;
                habits.iter().filter(of).fold(0, |bits, habit| bits | bit(*habit))
            };
            for &origin in &found.fresh {
                firsts.insert((client, Some(origin)), bits(&[Habit::Origin, Habit::Travel]));
            }
            if let odd @ 1.. = bits(&[Habit::Hour]) {
                firsts.insert((client, None), odd);
            }
        }
        mark_firsts(rows, &firsts);
        known.add(window, first, &spells);
        seen
    }
}

/// Counts what is known of a window as a whole.
fn count_rows(cells: &mut Cells, rows: u64, spells: &Spells) {
    let named: u64 = spells.values().map(|spell| spell.rows).sum();
    let mut push = |cell: usize, count: u64| (0..count).for_each(|_| cells.push(cell));
    push(NAMED.start, named);
    push(NAMED.start + 1, rows - named);
    if named >= NAMED_MIN {
        let largest = spells.values().map(|spell| spell.rows).max().unwrap_or(0);
        push(largest_cell(largest, named), 1);
        push(distinct_cell(spells.len() as u64), 1);
    }
}

/// Counts a client if it comes anew, and each origin that is new to it.
fn count_arrival(
    cells: &mut Cells,
    (window, client, spell): (WindowStart, u64, &ClientSpell),
    before: Option<&KnownClient>,
) {
    if before.is_none_or(|before| before.arrives(client, window)) {
        cells.push(ARRIVALS.start + usize::from(before.is_none()));
    }
    let fresh = before.map_or_else(|| spell.origins.clone(), |known| known.fresh_origins(spell));
    for origin in fresh {
        // The first six of sixteen bits of a keyed hash.
        cells.push(ORIGINS.start + usize::from(origin >> 10));
    }
}

/// Of fewer rows nobody says who sent most of them.
const NAMED_MIN: u64 = 20;

/// Marks, of rows that fit, the one that stands first, whatever order they were heard in.
fn mark_firsts(rows: &mut [Row], firsts: &FirstRows) {
    if firsts.is_empty() {
        return;
    }
    let mut least: BTreeMap<(u64, Option<u16>), (Partition, i64, usize)> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let Some(client) = row.visit.client else { continue };
        let place = (row.partition, row.visit.offset, at);
        let of_origin = row.visit.origin.map(|origin| (client.0, Some(origin)));
        for key in [Some((client.0, None)), of_origin].into_iter().flatten() {
            if firsts.contains_key(&key) {
                least.entry(key).and_modify(|least| *least = place.min(*least)).or_insert(place);
            }
        }
    }
    for (key, (_, _, at)) in least {
        rows[at].visit.marks |= firsts[&key];
    }
}

/// The bit of its mark.
fn bit(habit: Habit) -> u8 {
    let at = MARKS.iter().position(|mark| mark.habit() == Some(habit));
    1 << at.expect("every habit has a mark")
}
