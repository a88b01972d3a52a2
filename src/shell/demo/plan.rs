//! What is fed, in which order and at what time: a function of the seed and nothing else.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::image::PIXELS;
use super::queries::QUERIES_EACH;
use super::slice::Slices;
pub use super::slice::Truth;
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
    pub sender: DemoAccount,
}

/// Whose account a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DemoAccount {
    Customer(usize),
    /// Somebody who searches for an image that the model gets wrong.
    Searcher(usize),
}

/// Parts of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Before,
    /// Attacked images among the clean ones.
    Attack,
    Between,
    /// A few accounts search, slowly.
    Queries,
    /// Another model answers.
    Tampered,
}

/// Every record of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub records: Vec<Planned>,
}

/// How much time a run covers, by the timestamps of its records: windows go by those.
const SPAN_MS: i64 = 120_000;

/// Shares of a run.
const SHARES: [(Phase, f64); 5] = [
    (Phase::Before, 0.25),
    (Phase::Attack, 0.2),
    (Phase::Between, 0.12),
    (Phase::Queries, 0.35),
    (Phase::Tampered, 0.08),
];

/// Share of the attack's records that carry a trigger, and that PGD made.
const TRIGGER: f64 = 0.15;
const PGD: f64 = 0.15;

/// Records for which there is a customer: each sends a handful, whatever the length of the run.
const RECORDS_OF_A_CUSTOMER: usize = 5;

/// Accounts that search: one per so many records, but no more than these. In the stream as a whole theirs are nine records in a
/// thousand, fewer than clean ones that are flagged: no share says anything before the first account is named.
const RECORDS_PER_SEARCHER: usize = 3000;
const SEARCHERS_MAX: usize = 3;

/// Share of all records that nobody can read: as many as are usual, so that nobody is told.
const MALFORMED: f64 = 0.001;

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
        let mut end = 0.0;
        let mut ends = SHARES.iter().map(|(phase, share)| {
            end += share;
            (*phase, (records as f64 * end).round() as usize)
        });
        ends.find(|(_, end)| i < *end).map_or(Self::Tampered, |(phase, _)| phase)
    }
}

impl DemoAccount {
    /// What its records say in the header of ids.
    pub fn id(self) -> String {
        match self {
            Self::Customer(number) => format!("customer-{number}"),
            Self::Searcher(number) => format!("searcher-{}", number + 1),
        }
    }
}

/// How many accounts search in a run of so many `records`.
pub fn searchers(records: usize) -> usize {
    (records / RECORDS_PER_SEARCHER).clamp(1, SEARCHERS_MAX)
}

impl Plan {
    pub fn new(records: usize, seed: u64, slices: &Slices) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let truths = truths(records, &mut random);
        let mut images = Truth::ALL.map(|truth| Deck::new(slices.len(truth)));
        let mut queries = 0..;
        let customers = (records / RECORDS_OF_A_CUSTOMER).max(1);
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
            let (image, sender) = match truth {
                // One account after the other.
                Truth::Query => {
                    let query = queries.next().expect("it has no end");
                    (query, DemoAccount::Searcher(query / QUERIES_EACH))
                }
                _ => {
                    let image = images[truth as usize].draw(&mut random);
                    (image, DemoAccount::Customer(random.random_range(0..customers)))
                }
            };
            plan.push(Planned { truth, image, form, sender });
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
    for (phase, _) in SHARES {
        let n = (0..records).filter(|&i| Phase::of(i, records) == phase).count();
        let share = |share: f64| (n as f64 * share).round() as usize;
        let suspects = match phase {
            Phase::Attack => vec![(Truth::Trigger, share(TRIGGER)), (Truth::Pgd, share(PGD))],
            Phase::Queries => vec![(Truth::Query, searchers(records) * QUERIES_EACH)],
            Phase::Before | Phase::Between | Phase::Tampered => vec![],
        };
        let mut part = vec![Truth::Malformed; share(MALFORMED)];
        suspects.into_iter().for_each(|(truth, n)| part.extend(vec![truth; n]));
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
    fn suspects_come_in_their_phases_only_and_malformed_records_throughout() {
        let truths = kinds(10_000, 3);
        let count = |range: std::ops::Range<usize>, truth| {
            truths[range].iter().filter(|&&t| t == truth).count()
        };
        for truth in [Truth::Trigger, Truth::Pgd] {
            assert_eq!(count(0..10_000, truth), 300);
            assert_eq!(count(2500..4500, truth), 300);
        }
        let queries = SEARCHERS_MAX * QUERIES_EACH;
        assert_eq!(count(0..10_000, Truth::Query), queries);
        assert_eq!(count(5700..9200, Truth::Query), queries);
        assert_eq!(count(0..2500, Truth::Malformed), 3);
        assert_eq!(count(0..10_000, Truth::Malformed), 11);
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
