//! What is fed, in which order and at what time: a function of the seed and nothing else.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

pub use super::slice::Truth;
use super::slice::{PIXELS, Slices};
use crate::codec::Format;
use crate::record::Timestamp;

/// How a record's value is written, or how it is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    U8,
    F32Le,
    Json,
    CutJson,
    NotANumber,
    OneByteShort,
    Null,
}

/// One record to feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    pub truth: Truth,
    /// Which image of its kind's slice.
    pub image: usize,
    pub form: Form,
}

/// Three parts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Before,
    Attack,
    After,
}

/// Every record of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub records: Vec<Planned>,
}

/// How much time a run covers, by the timestamps of its records: windows go by those.
const SPAN_MS: i64 = 120_000;

/// Share of a run before the attack and within it.
const BEFORE: f64 = 0.4;
const ATTACK: f64 = 0.3;

/// Share of the attack's records that carry a trigger, and that PGD made.
const TRIGGER: f64 = 0.12;
const PGD: f64 = 0.12;

/// Share of all records that nobody can read.
const MALFORMED: f64 = 0.005;

/// A record's value as JSON: the image among other things.
#[derive(Serialize)]
struct Request {
    client: &'static str,
    image: Vec<f32>,
}

const BROKEN: [Form; 4] = [Form::CutJson, Form::NotANumber, Form::OneByteShort, Form::Null];

impl Phase {
    /// The part in which record `i` of `records` is.
    pub fn of(i: usize, records: usize) -> Self {
        let [before, attack] = [BEFORE, BEFORE + ATTACK].map(|x| (records as f64 * x) as usize);
        match i {
            i if i < before => Self::Before,
            i if i < attack => Self::Attack,
            _ => Self::After,
        }
    }
}

impl Plan {
    pub fn new(records: usize, seed: u64, slices: &Slices) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let truths = truths(records, &mut random);
        let mut images = Truth::ALL.map(|truth| Deck::new(slices.len(truth)));
        let mut broken = BROKEN.iter().cycle();
        let mut plan = Vec::with_capacity(records);
        for truth in truths {
            let form = match truth {
                Truth::Malformed => *broken.next().expect("it goes round"),
                _ => match random.random_range(0..10) {
                    0 => Form::F32Le,
                    1 => Form::Json,
                    _ => Form::U8,
                },
            };
            let image = images[truth as usize].draw(&mut random);
            plan.push(Planned { truth, image, form });
        }
        Self { records: plan }
    }

    /// When record `i` was sent, as its timestamp says, if the run ends at `end`.
    pub fn time_of(&self, i: usize, end: Timestamp) -> Timestamp {
        let left = (self.records.len() - i) as i64;
        Timestamp(end.0 - SPAN_MS * left / self.records.len() as i64)
    }
}

/// Kinds in order: the shares hold exactly in every phase, the order within one is random.
fn truths(records: usize, random: &mut ChaCha8Rng) -> Vec<Truth> {
    let mut truths = vec![];
    for phase in [Phase::Before, Phase::Attack, Phase::After] {
        let n = (0..records).filter(|&i| Phase::of(i, records) == phase).count();
        let share = |share: f64| (n as f64 * share).round() as usize;
        let suspects = if phase == Phase::Attack { [share(TRIGGER), share(PGD)] } else { [0; 2] };
        let mut part = vec![Truth::Malformed; share(MALFORMED)];
        part.extend(vec![Truth::Trigger; suspects[0]]);
        part.extend(vec![Truth::Pgd; suspects[1]]);
        part.resize(n, Truth::Clean);
        part.shuffle(random);
        truths.append(&mut part);
    }
    truths
}

/// Numbers `0..n` in random order; shuffled again when all are drawn.
struct Deck {
    n: usize,
    left: Vec<usize>,
}

impl Deck {
    fn new(n: usize) -> Self {
        Self { n, left: vec![] }
    }

    fn draw(&mut self, random: &mut ChaCha8Rng) -> usize {
        if self.left.is_empty() {
            self.left = (0..self.n).collect();
            self.left.shuffle(random);
        }
        self.left.pop().expect("a slice is not empty")
    }
}

impl Form {
    /// Value of the `content-type` header; raw bytes go without one, as the stream's default.
    pub fn content_type(self) -> Option<&'static str> {
        match self {
            Self::U8 | Self::OneByteShort | Self::Null => None,
            Self::Json | Self::CutJson => Format::Json.content_type(),
            Self::F32Le | Self::NotANumber => Format::F32Le.content_type(),
        }
    }

    /// The value that holds `image`, `[784]`, or fails to.
    pub fn encode(self, image: &[u8]) -> Option<Vec<u8>> {
        let units = image.iter().map(|&byte| f32::from(byte) / 255.0);
        Some(match self {
            Self::U8 => image.to_vec(),
            Self::F32Le => units.flat_map(f32::to_le_bytes).collect(),
            Self::Json => {
                let request = Request { client: "shop-7", image: units.collect() };
                serde_json::to_vec(&request).expect("plain data")
            }
            Self::CutJson => {
                let mut value = Self::Json.encode(image)?;
                value.truncate(value.len() / 2);
                value
            }
            Self::NotANumber => {
                let mut value = Self::F32Le.encode(image)?;
                value[..4].copy_from_slice(&f32::NAN.to_le_bytes());
                value
            }
            Self::OneByteShort => image[..PIXELS - 1].to_vec(),
            Self::Null => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(records: usize, seed: u64) -> Vec<Truth> {
        truths(records, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    #[test]
    fn suspects_come_in_the_middle_only_and_malformed_records_throughout() {
        let truths = kinds(10_000, 3);
        let count = |range: std::ops::Range<usize>, truth| {
            truths[range].iter().filter(|&&t| t == truth).count()
        };
        for truth in [Truth::Trigger, Truth::Pgd] {
            assert_eq!(count(0..10_000, truth), 360);
            assert_eq!(count(4000..7000, truth), 360);
        }
        assert_eq!(count(0..4000, Truth::Malformed), 20);
        assert_eq!(count(4000..7000, Truth::Malformed), 15);
        assert_eq!(count(7000..10_000, Truth::Malformed), 15);
    }

    #[test]
    fn the_order_is_the_seeds() {
        assert_eq!(kinds(1000, 3), kinds(1000, 3));
        assert_ne!(kinds(1000, 3), kinds(1000, 4));
    }

    #[test]
    fn a_deck_deals_every_image_before_it_deals_one_twice() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut deck = Deck::new(7);
        for _ in 0..3 {
            let mut dealt: Vec<_> = (0..7).map(|_| deck.draw(&mut random)).collect();
            dealt.sort_unstable();
            assert_eq!(dealt, [0, 1, 2, 3, 4, 5, 6]);
        }
    }
}
