//! A sample of distinct values with all that was counted of each: the values whose hashes begin with enough zero bits.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

/// How often a value came, and the smallest hashes of what it came with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    pub count: u64,
    /// Ascending, at most [`MEMBERS_MAX`].
    members: Vec<u32>,
}

/// Hashes of members that a group keeps: a group of fewer members is counted exactly.
pub const MEMBERS_MAX: usize = 8;

/// Distinct values by their hashes, at most `most` of them, each with all of its count.
///
/// The level is the least number of leading zero bits that leaves at most `most` values. A value that is kept was kept
/// from its first occurrence on, so its group is exact: nothing else is estimated but how many values there are,
/// 2^level for each that is kept. Samples form a commutative monoid under [`LevelSample::merge`]: parts in any order and
/// any grouping give the same bits. Hashes must be uniform, as those of a keyed function are.
///
/// Time: O(log most) an occurrence; memory: `most` groups of at most 48 bytes and their place in a tree.
///
/// # Source
/// P. B. Gibbons, S. Tirthapura, "Estimating simple functions on the union of data streams", doi:10.1145/378580.378687
/// (the level); Z. Bar-Yossef et al., doi:10.1007/3-540-45726-7_1 (smallest hashes of members). With exact groups instead
/// of the sketches of P. H. Chia et al., "KHyperLogLog", doi:10.1109/SP.2019.00046: small groups want exact counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct LevelSample {
    most: u32,
    level: u32,
    /// Occurrences of all values, also of those that are not kept.
    total: u64,
    kept: BTreeMap<u64, Group>,
}

impl LevelSample {
    /// Most values that any sample keeps: bounds what a message can make us hold.
    pub const MOST: u32 = 1 << 16;

    /// Nothing, with room for `most` values.
    ///
    /// # Panics
    /// If that is no value, or more than [`LevelSample::MOST`].
    pub fn new(most: u32) -> Self {
        assert!((1..=Self::MOST).contains(&most), "a sample of {most} values");
        Self { most, level: 0, total: 0, kept: BTreeMap::new() }
    }

    /// One more occurrence of the value with this hash, with a member.
    pub fn add(&mut self, value: u64, member: Option<u32>) {
        self.total += 1;
        if value >= self.limit() {
            return;
        }
        let group = self.kept.entry(value).or_default();
        group.count += 1;
        if let Some(member) = member {
            group.join(&[member]);
        }
        self.prune();
    }

    /// All of another sample besides.
    pub fn merge(&mut self, other: &Self) {
        self.most = self.most.min(other.most);
        self.level = self.level.max(other.level);
        self.total += other.total;
        let limit = self.limit();
        if self.level > 0 {
            self.kept = keep_below(std::mem::take(&mut self.kept), limit);
        }
        for (&value, group) in other.kept.range(..).take_while(|(value, _)| **value < limit) {
            let own = self.kept.entry(value).or_default();
            own.count += group.count;
            own.join(&group.members);
        }
        self.prune();
    }

    /// Leading zero bits of every hash that is kept.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// Occurrences of all values.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Values that may be kept.
    pub fn most(&self) -> u32 {
        self.most
    }

    /// The groups that are kept.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.kept.values()
    }

    /// For how many values each one that is kept stands.
    pub fn factor(&self) -> f64 {
        // Exact: a power of two.
        (0..self.level).fold(1.0, |factor, _| factor * 2.0)
    }

    /// Hashes below this are kept; `u64::MAX` stands for all, because no level has a hash of only ones.
    fn limit(&self) -> u64 {
        if self.level == 0 { u64::MAX } else { 1 << (64 - self.level) }
    }

    fn prune(&mut self) {
        while self.kept.len() > self.most as usize {
            self.level += 1;
            let limit = self.limit();
            self.kept = keep_below(std::mem::take(&mut self.kept), limit);
        }
    }
}

fn keep_below(mut kept: BTreeMap<u64, Group>, limit: u64) -> BTreeMap<u64, Group> {
    drop(kept.split_off(&limit));
    kept
}

impl Group {
    /// Distinct members; of [`MEMBERS_MAX`] or more an estimate. Without members, the count.
    pub fn size(&self) -> u64 {
        match self.members.len() {
            0 => self.count,
            MEMBERS_MAX => {
                // Seven of the hashes lie below the largest: (8 - 1) / its share of the space.
                let largest = u64::from(*self.members.last().expect("eight")) + 1;
                ((MEMBERS_MAX as u64 - 1) << 32).div_ceil(largest).max(MEMBERS_MAX as u64)
            }
            few => few as u64,
        }
    }

    fn join(&mut self, members: &[u32]) {
        for &member in members {
            if let Err(at) = self.members.binary_search(&member)
                && at < MEMBERS_MAX
            {
                self.members.insert(at, member);
                self.members.truncate(MEMBERS_MAX);
            }
        }
    }
}

/// Base64 of varints: most, level, total, trailing zero bits that all hashes share, groups; then of each group the hash's
/// distance from the one before, count, members, and these as four bytes each.
impl From<LevelSample> for String {
    fn from(sample: LevelSample) -> Self {
        let LevelSample { most, level, total, kept } = sample;
        let bits = kept.keys().fold(0, |bits, value| bits | value);
        let shift = bits.trailing_zeros().min(56);
        let mut bytes = vec![];
        for number in [most.into(), level.into(), total, shift.into(), kept.len() as u64] {
            varint(number, &mut bytes);
        }
        let mut before = 0;
        for (value, Group { count, members }) in kept {
            let value = value >> shift;
            varint(value - before, &mut bytes);
            varint(count, &mut bytes);
            varint(members.len() as u64, &mut bytes);
            members.iter().for_each(|member| bytes.extend(member.to_le_bytes()));
            before = value;
        }
        BASE64.encode(bytes)
    }
}

impl TryFrom<String> for LevelSample {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = BASE64.decode(text).map_err(|_| "a sample is not base64")?;
        let mut rest = bytes.as_slice();
        let mut next = || read_varint(&mut rest).ok_or("a sample ends early");
        let (most, level, total, shift, groups) = (next()?, next()?, next()?, next()?, next()?);
        let fits = (1..=u64::from(Self::MOST)).contains(&most) && level < 64 && shift < 64;
        if !fits || groups > most {
            return Err("a sample of no size that there is");
        }
        let mut sample = Self { level: level as u32, total, ..Self::new(most as u32) };
        let mut before: Option<u64> = None;
        for _ in 0..groups {
            let distance = read_varint(&mut rest).ok_or("a sample ends early")?;
            let count = read_varint(&mut rest).ok_or("a sample ends early")?;
            let members = read_varint(&mut rest).ok_or("a sample ends early")?;
            let short = before.unwrap_or(0).checked_add(distance).ok_or("a hash of no size")?;
            let value = short.checked_shl(shift as u32).filter(|v| v >> shift == short);
            let value = value.ok_or("a hash of no size")?;
            if before.is_some_and(|before| short <= before) || value >= sample.limit() {
                return Err("hashes of a sample out of order, or beyond its level");
            }
            before = Some(short);
            if members > MEMBERS_MAX as u64 || count == 0 {
                return Err("a group of no size that there is");
            }
            let mut group = Group { count, members: vec![] };
            for _ in 0..members {
                let (member, after) = rest.split_first_chunk().ok_or("a sample ends early")?;
                rest = after;
                group.members.push(u32::from_le_bytes(*member));
            }
            if !group.members.is_sorted_by(|a, b| a < b) {
                return Err("members of a group out of order");
            }
            sample.kept.insert(value, group);
        }
        if rest.is_empty() { Ok(sample) } else { Err("a sample has more than its groups") }
    }
}

/// LEB128.
fn varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part {
            return None;
        }
        value |= part << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Splitmix64 (S. Vigna): as the golden file's script has it.
    fn mix(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Made by an independent implementation in Python (integers only): seed 7, 128 values, 20,000 rows, and five parts
    /// of them merged in a random order.
    const GOLDEN: &str = include_str!("level_sample_golden.csv");

    #[test]
    fn the_golden_counts_come_out_bit_for_bit_and_so_do_five_parts_merged_backwards() {
        let mut state = 7;
        let (mut one, mut parts) = (LevelSample::new(128), vec![LevelSample::new(128); 5]);
        let mut lines = vec!["rows,level,values_kept,kept_once,rows_kept".to_owned()];
        for row in 1..=20_000_u64 {
            let a = mix(&mut state);
            let value = (a % 40) * (a >> 32) % 9001;
            let hash = mix(&mut { value });
            one.add(hash, None);
            parts[(a >> 20) as usize % 5].add(hash, None);
            if [100, 1000, 5000, 20_000].contains(&row) {
                let once = one.groups().filter(|group| group.count == 1).count();
                let rows: u64 = one.groups().map(|group| group.count).sum();
                let (level, kept) = (one.level(), one.groups().len());
                lines.push(format!("{row},{level},{kept},{once},{rows}"));
            }
        }
        assert_eq!(lines, GOLDEN.lines().collect::<Vec<_>>());
        let mut merged = LevelSample::new(128);
        parts.iter().rev().for_each(|part| merged.merge(part));
        assert_eq!(merged, one);
        assert_eq!(one.total(), 20_000);
    }

    #[test]
    fn a_group_of_fewer_than_eight_members_is_counted_exactly_and_a_larger_one_about() {
        let mut sample = LevelSample::new(4);
        let mut state = 1;
        for member in 0..5_u32 {
            (0..3).for_each(|_| sample.add(77, Some(member)));
        }
        (0..10_000).for_each(|_| sample.add(99, Some(mix(&mut state) as u32)));
        let sizes: Vec<u64> = sample.groups().map(Group::size).collect();
        assert_eq!(sizes[0], 5);
        // The deviation of this estimate is 1/√6 of it.
        assert!((3_000..30_000).contains(&sizes[1]), "{sizes:?}");
    }

    #[test]
    fn a_value_of_its_own_costs_at_most_eleven_characters_and_sixteen_with_a_member() {
        let mut state = 9;
        let mut bytes = |member: bool| {
            let mut sample = LevelSample::new(1024);
            for _ in 0..1000 {
                let hash = mix(&mut state) >> 16 << 16;
                sample.add(hash, member.then_some(hash as u32 ^ (hash >> 32) as u32));
            }
            String::from(sample).len()
        };
        let (plain, with_members) = (bytes(false), bytes(true));
        assert!(plain <= 11_000 && with_members <= 16_000, "{plain} {with_members}");
    }

    fn sample(rows: &[(u16, u8)]) -> LevelSample {
        let mut sample = LevelSample::new(16);
        for &(value, member) in rows {
            let hash = mix(&mut u64::from(value)) >> 16 << 16;
            sample.add(hash, Some(mix(&mut u64::from(member)) as u32));
        }
        sample
    }

    proptest! {
        #[test]
        fn parts_in_any_order_and_grouping_give_the_same_bits(
            rows in proptest::collection::vec((0..200_u16, any::<u8>()), 0..300),
            cuts in (0..300_usize, 0..300_usize),
        ) {
            let whole = sample(&rows);
            let (a, b) = (cuts.0.min(rows.len()), cuts.1.min(rows.len()));
            let (low, high) = (a.min(b), a.max(b));
            let parts = [&rows[..low], &rows[low..high], &rows[high..]].map(sample);
            for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]] {
                let mut left = parts[order[0]].clone();
                left.merge(&parts[order[1]]);
                left.merge(&parts[order[2]]);
                prop_assert_eq!(&left, &whole);
                let mut right = parts[order[1]].clone();
                right.merge(&parts[order[2]]);
                right.merge(&parts[order[0]]);
                prop_assert_eq!(&right, &whole);
            }
        }

        #[test]
        fn what_is_written_is_read_back(
            rows in proptest::collection::vec((any::<u16>(), any::<u8>()), 0..100),
        ) {
            let sample = sample(&rows);
            let text = String::from(sample.clone());
            prop_assert_eq!(LevelSample::try_from(text), Ok(sample));
        }

        #[test]
        fn whatever_a_message_holds_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(sample) = LevelSample::try_from(BASE64.encode(bytes)) {
                prop_assert!(sample.groups().len() <= sample.most() as usize);
            }
        }
    }
}
