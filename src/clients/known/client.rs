//! One client that was seen: since when, in which hours of the day, from where. 28 bytes of a page.
//!
//! It is known by windows: what it did within one is added at once, so the order of rows shows nowhere.

use crate::alarm::WindowStart;
use crate::clients::visit::{Bytes, varint};
use crate::record::Timestamp;

/// What is remembered of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownClient {
    /// Windows of its first and last row, in seconds.
    first_s: u32,
    last_s: u32,
    /// A bit for each hour of the day, UTC.
    hours: u32,
    /// Days on which it came, up to 255.
    days: u8,
    /// Where it came from, the latest first; so many of them.
    origins: [u16; ORIGINS],
    count: u8,
}

/// What a client did in one window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSpell {
    /// Where its rows came from, each once, ascending.
    pub origins: Vec<u16>,
    pub rows: u64,
}

/// How far a client kept to its habits in one window: of so many trials so many were new, by [`Habit`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HabitTrials {
    pub trials: [u64; HABITS],
    pub marked: [u64; HABITS],
    /// Origins from which it never came.
    pub fresh: Vec<u16>,
}

/// What of a client's history a mark is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// From where it comes.
    Origin,
    /// In which hours of the day.
    Hour,
    /// From a new origin, shortly after another one.
    Travel,
}

/// How many there are.
pub const HABITS: usize = 3;
/// Origins that are remembered of a client.
pub const ORIGINS: usize = 4;
/// Origins of one window that are told apart.
const ORIGINS_OF_A_SPELL: usize = 64;
/// On so many days a client must have been seen before it has habits: of one that came twice every hour is odd.
const DAYS_MIN: u8 = 4;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const DAY_HOURS: i64 = 24;

impl ClientSpell {
    /// One more row.
    pub fn add(&mut self, origin: Option<u16>) {
        self.rows += 1;
        let Some(origin) = origin else { return };
        if let Err(at) = self.origins.binary_search(&origin) {
            self.origins.insert(at, origin);
            // Those that are larger go: which they are does not hang on the order of rows.
            self.origins.truncate(ORIGINS_OF_A_SPELL);
        }
    }
}

impl KnownClient {
    /// A client that was never seen before `window`.
    pub fn new(window: WindowStart) -> Self {
        let at = seconds(window);
        Self { first_s: at, last_s: at, ..Self::default() }
    }

    pub fn first(&self) -> WindowStart {
        Timestamp(i64::from(self.first_s) * 1000)
    }

    /// Older is smaller.
    pub fn last_s(&self) -> u32 {
        self.last_s
    }

    /// What it did in `window`, which comes after all that it did before.
    pub fn add(&mut self, window: WindowStart, spell: &ClientSpell) {
        if self.days == 0 || day(window) != day_of(self.last_s) {
            self.days = self.days.saturating_add(1);
        }
        self.last_s = self.last_s.max(seconds(window));
        self.hours |= 1 << hour(window).rem_euclid(DAY_HOURS);
        for &origin in &spell.origins {
            let known = self.origins().iter().position(|&known| known == origin);
            let at = known.unwrap_or(usize::from(self.count).min(ORIGINS - 1));
            self.origins.copy_within(..at, 1);
            self.origins[0] = origin;
            self.count = self.count.max(at as u8 + 1);
        }
    }

    /// Whether it has been seen for `known_ms`, and on enough days.
    pub fn has_habits(&self, window: WindowStart, known_ms: i64) -> bool {
        window.0 - self.first().0 >= known_ms && self.days >= DAYS_MIN
    }

    /// Whether it comes anew in `window`: it was not there in this day of its own, which begins at another moment for each
    /// client. Else those who are always there would all come at midnight. One of less than a day comes once.
    pub fn arrives(&self, client: u64, window: WindowStart) -> bool {
        let shift = (client & 0xffff).cast_signed() * DAY_MS / 0x1_0000;
        let own_day = |seconds: u32| (i64::from(seconds) * 1000 + shift).div_euclid(DAY_MS);
        let is_new = window.0 - self.first().0 < DAY_MS;
        !is_new && own_day(seconds(window)) != own_day(self.last_s)
    }

    /// Origins of `spell` that are not remembered of it.
    pub fn fresh_origins(&self, spell: &ClientSpell) -> Vec<u16> {
        let is_new = |origin: &&u16| !self.origins().contains(origin);
        spell.origins.iter().filter(is_new).copied().collect()
    }

    /// What of `spell` is new to it. A client is tried once an hour, and whenever it comes from another origin than the one
    /// before: what follows depends on that.
    pub fn try_habits(
        &self,
        window: WindowStart,
        spell: &ClientSpell,
        travel_ms: i64,
    ) -> HabitTrials {
        let mut found = HabitTrials::default();
        let first_of_hour = hour(window) != i64::from(self.last_s) * 1000 / HOUR_MS;
        if first_of_hour {
            let odd = self.hours >> hour(window).rem_euclid(DAY_HOURS) & 1 == 0;
            found.trials[Habit::Hour as usize] = 1;
            found.marked[Habit::Hour as usize] = u64::from(odd);
        }
        let latest = self.origins().first();
        let tried = spell.origins.iter().filter(|origin| first_of_hour || Some(*origin) != latest);
        let tried = tried.count() as u64;
        // A client whose origin was never told has none that is new.
        if latest.is_some() {
            found.fresh = self.fresh_origins(spell);
        }
        let soon = window.0 - i64::from(self.last_s) * 1000 <= travel_ms;
        let fresh = found.fresh.len() as u64;
        let travels = soon || spell.origins.len() > 1;
        for (habit, marked) in
            [(Habit::Origin, fresh), (Habit::Travel, if travels { fresh } else { 0 })]
        {
            found.trials[habit as usize] = tried;
            found.marked[habit as usize] = marked;
        }
        found
    }

    fn origins(&self) -> &[u16] {
        &self.origins[..usize::from(self.count)]
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { first_s, last_s, hours, days, origins, count } = self;
        out.extend(first_s.to_le_bytes());
        varint(out, u64::from(last_s - first_s));
        out.extend(&hours.to_le_bytes()[..3]);
        out.extend([*days, *count]);
        origins[..usize::from(*count)].iter().for_each(|origin| out.extend(origin.to_le_bytes()));
    }

    pub(super) fn read(read: &mut Bytes<'_>) -> Result<Self, String> {
        let first_s = u32::from_le_bytes(read.array()?);
        let last_s = u32::try_from(read.varint()?).ok().and_then(|more| first_s.checked_add(more));
        let last_s = last_s.ok_or("a client was last seen after the year 2106")?;
        let [a, b, c] = read.array()?;
        let [days, count] = read.array()?;
        let mut client = Self {
            first_s,
            last_s,
            hours: u32::from_le_bytes([a, b, c, 0]),
            days,
            count,
            ..Self::default()
        };
        if usize::from(count) > ORIGINS {
            return Err(format!("a client has {count} origins"));
        }
        for origin in &mut client.origins[..usize::from(count)] {
            *origin = u16::from_le_bytes(read.array()?);
        }
        Ok(client)
    }
}

/// Before 1970 and after 2106 time stands still.
fn seconds(window: WindowStart) -> u32 {
    u32::try_from(window.0.max(0) / 1000).unwrap_or(u32::MAX)
}

fn hour(window: WindowStart) -> i64 {
    i64::from(seconds(window)) * 1000 / HOUR_MS
}

fn day(window: WindowStart) -> i64 {
    day_of(seconds(window))
}

fn day_of(seconds: u32) -> i64 {
    i64::from(seconds) * 1000 / DAY_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spell(origins: &[u16]) -> ClientSpell {
        let mut spell = ClientSpell::default();
        origins.iter().for_each(|&origin| spell.add(Some(origin)));
        spell
    }

    /// Ten days at nine, from one origin.
    fn settled() -> KnownClient {
        let mut client = KnownClient::new(Timestamp(9 * HOUR_MS));
        for day in 0..10 {
            client.add(Timestamp(day * DAY_MS + 9 * HOUR_MS), &spell(&[7]));
        }
        client
    }

    const TRAVEL_MS: i64 = HOUR_MS / 2;

    #[test]
    fn what_is_usual_is_tried_once_an_hour_and_not_marked() {
        let mut client = settled();
        assert!(client.has_habits(Timestamp(10 * DAY_MS), 7 * DAY_MS));
        assert!(!client.has_habits(Timestamp(6 * DAY_MS), 7 * DAY_MS));
        let nine = Timestamp(10 * DAY_MS + 9 * HOUR_MS);
        let found = client.try_habits(nine, &spell(&[7]), TRAVEL_MS);
        assert_eq!((found.trials, found.marked), ([1, 1, 1], [0; 3]));
        client.add(nine, &spell(&[7]));
        let found = client.try_habits(Timestamp(nine.0 + 10_000), &spell(&[7]), TRAVEL_MS);
        assert_eq!((found.trials, found.marked), ([0; 3], [0; 3]));
    }

    #[test]
    fn a_new_origin_is_marked_once_and_soon_after_another_as_travel() {
        let mut client = settled();
        let nine = 10 * DAY_MS + 9 * HOUR_MS;
        let found = client.try_habits(Timestamp(nine), &spell(&[8]), TRAVEL_MS);
        assert_eq!((found.trials, found.marked), ([1, 1, 1], [1, 0, 0]));
        // Two in one window are two, whichever came first.
        let found = client.try_habits(Timestamp(nine), &spell(&[8, 7]), TRAVEL_MS);
        assert_eq!((found.marked, found.fresh), ([1, 0, 1], vec![8]));
        client.add(Timestamp(nine), &spell(&[7]));
        let soon = Timestamp(nine + 60_000);
        let found = client.try_habits(soon, &spell(&[8]), TRAVEL_MS);
        assert_eq!((found.trials, found.marked), ([1, 0, 1], [1, 0, 1]));
        client.add(soon, &spell(&[8]));
        assert_eq!(client.try_habits(soon, &spell(&[7, 8]), TRAVEL_MS).marked, [0; 3]);
    }

    #[test]
    fn a_client_that_is_always_there_comes_once_a_day_and_not_when_all_others_do() {
        let comes = |client: u64| {
            let mut known = KnownClient::new(Timestamp(0));
            let mut came = vec![];
            for window in (0..5 * 24 * 6).map(|i| Timestamp(i * 600_000)) {
                if known.arrives(client, window) {
                    came.push(window.0);
                }
                known.add(window, &spell(&[]));
            }
            came
        };
        let (a, b) = (comes(0x1000), comes(0x9000));
        assert!((3..=4).contains(&a.len()) && a.windows(2).all(|two| two[1] - two[0] == DAY_MS));
        assert_ne!(a[0] % DAY_MS, b[0] % DAY_MS);
    }

    #[test]
    fn an_odd_hour_is_odd_once() {
        let mut client = settled();
        let three = Timestamp(10 * DAY_MS + 3 * HOUR_MS);
        assert_eq!(client.try_habits(three, &spell(&[7]), TRAVEL_MS).marked, [0, 1, 0]);
        client.add(three, &spell(&[7]));
        let next = Timestamp(three.0 + DAY_MS);
        assert_eq!(client.try_habits(next, &spell(&[7]), TRAVEL_MS).marked, [0; 3]);
    }

    #[test]
    fn of_many_origins_the_latest_stay_and_bytes_read_back() {
        let mut client = settled();
        for origin in 1..=6 {
            client.add(Timestamp(11 * DAY_MS + i64::from(origin)), &spell(&[origin]));
        }
        assert_eq!(client.origins(), [6, 5, 4, 3]);
        let mut bytes = vec![];
        client.write(&mut bytes);
        assert!(bytes.len() <= 20, "{}", bytes.len());
        let mut read = Bytes(&bytes);
        assert_eq!(KnownClient::read(&mut read), Ok(client));
        assert!((0..bytes.len()).all(|n| KnownClient::read(&mut Bytes(&bytes[..n])).is_err()));
    }
}
