//! The sets of features whose groups are counted, and what of a row is counted.
//!
//! Of every set the groups are sampled several times: as the rows are, with one feature coarser, and with all of them
//! coarser. So an incident can say which rounding helps without anybody seeing a value.

use std::fmt;
use std::hash::Hasher as _;
use std::ops::Range;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use siphasher::sip::SipHasher24;

use super::rounding::step_of;
use crate::math::{LevelSample, MEMBERS_MAX};
use crate::open::SecretKey;
use crate::record::{Feature, Probability, Record, Schema};

/// What the configuration says of sets: `[stream.privacy]`.
#[derive(Clone, Debug, PartialEq)]
pub struct QuasiSpec {
    /// Names of features.
    pub sets: Vec<Vec<String>>,
    pub subject: RowSubject,
    /// Name and bytes of the key of all hashes.
    pub key: (String, SecretKey),
    /// A group of fewer subjects is small.
    pub k: u64,
    /// Share of rows in small groups from which on somebody is told.
    pub limit: Probability,
    /// Rows at which days are compared.
    pub at: u64,
    /// How long counts are added up.
    pub every_ms: u64,
}

/// Whose row it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RowSubject {
    /// Each row is a subject.
    #[default]
    Row,
    /// The record's key.
    Key,
    /// The last header of this name.
    Header(String),
}

/// Most subjects that can be counted exactly: the most that k can be.
pub const SUBJECTS_K_MAX: u64 = MEMBERS_MAX as u64;

/// Ways of a set of four features: as it is, each feature coarser, all of them coarser.
pub const WAYS_MAX: usize = 6;

/// Values of a sample of rows as they are, and of coarser ones: 1,024 keep the share of unique rows of Adult within .02.
const VALUES: u32 = 1024;
const VALUES_COARSE: u32 = 256;

/// Why a set cannot be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSet {
    #[error(
        "[stream.privacy] names the feature {name:?}, which the bundle does not have; it has {known}"
    )]
    Unknown { name: String, known: String },
    #[error(
        "[stream.privacy] names {name:?}, which is an image or an id: it takes numbers and categories"
    )]
    Kind { name: String },
}

/// A value of a set in one row, for one of its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occurrence {
    /// Which of [`QuasiPlan::names`].
    pub sample: u16,
    /// Whose; none if each row is a subject.
    pub member: Option<u32>,
    /// Keyed hash of the values; its last 16 bits are 0, so that it is shorter in a message.
    pub value: u64,
}

/// What a sample counts.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleName {
    /// Which of the sets.
    pub set: usize,
    /// What was made coarser: `age rounded to 10`; nothing in a set's first sample.
    pub coarser: Option<String>,
}

/// Sets of features of one schema, ready to count.
#[derive(Clone)]
pub struct QuasiPlan {
    spec: QuasiSpec,
    id: String,
    key: [u8; 16],
    sets: Vec<Vec<SetAxis>>,
    names: Vec<SampleName>,
}

/// One feature of a set.
#[derive(Clone, Debug, PartialEq)]
enum SetAxis {
    Number { column: usize, step: f32 },
    Category { columns: Range<usize> },
}

impl QuasiPlan {
    /// # Errors
    /// If a set names what cannot be counted.
    pub fn new(spec: &QuasiSpec, schema: &Schema) -> Result<Self, BadSet> {
        let axis = |name: &String| {
            let found = schema.columns().find(|(feature, _)| feature.name() == name);
            match found {
                None => {
                    let known: Vec<&str> =
                        schema.features.iter().map(Feature::name).take(12).collect();
                    Err(BadSet::Unknown { name: name.clone(), known: known.join(", ") })
                }
                Some((&Feature::Number { min, max, .. }, columns)) => {
                    let step = step_of(min.into(), max.into()) as f32;
                    Ok(SetAxis::Number { column: columns.start, step })
                }
                Some((Feature::Category { .. }, columns)) => Ok(SetAxis::Category { columns }),
                Some(_) => Err(BadSet::Kind { name: name.clone() }),
            }
        };
        let sets: Vec<Vec<SetAxis>> = spec
            .sets
            .iter()
            .map(|set| set.iter().map(axis).collect::<Result<Vec<_>, _>>())
            .collect::<Result<_, _>>()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(spec.key.1.expose()).expect("any length");
        mac.update(b"tripline quasi-identifiers 1");
        let hash = mac.finalize().into_bytes();
        let key = *hash.first_chunk().expect("32 bytes");
        let mut names = vec![];
        for (set, axes) in sets.iter().enumerate() {
            let words = |at: usize| axes[at].words(&spec.sets[set][at]);
            names.push(SampleName { set, coarser: None });
            let each = (0..axes.len()).map(|at| SampleName { set, coarser: Some(words(at)) });
            names.extend(each);
            if axes.len() > 1 {
                let all: Vec<String> = (0..axes.len()).map(words).collect();
                names.push(SampleName { set, coarser: Some(all.join(", ")) });
            }
        }
        // Another key has other hashes, so it makes another plan.
        let is_named = |feature: &&Feature| spec.sets.iter().flatten().any(|n| n == feature.name());
        let features: Vec<&Feature> = schema.features.iter().filter(is_named).collect();
        let told = format!("{:?} {:?} {features:?} {}", spec.sets, spec.subject, spec.every_ms);
        let id = format!("{:016x}", keyed(&key, |hasher| hasher.write(told.as_bytes())));
        Ok(Self { spec: spec.clone(), id, key, sets, names })
    }

    pub fn spec(&self) -> &QuasiSpec {
        &self.spec
    }

    /// Names the sets, their ways and the key: samples of two plans are never merged.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What each sample counts.
    pub fn names(&self) -> &[SampleName] {
        &self.names
    }

    /// The samples of a plan, with nothing in them.
    pub fn samples(&self) -> Vec<LevelSample> {
        self.names.iter().map(Self::sample).collect()
    }

    fn sample(name: &SampleName) -> LevelSample {
        LevelSample::new(if name.coarser.is_none() { VALUES } else { VALUES_COARSE })
    }

    /// The one at `sample`, with nothing in it.
    pub fn sample_at(&self, sample: u16) -> Option<LevelSample> {
        self.names.get(usize::from(sample)).map(Self::sample)
    }

    /// Appends what is counted of the rows `x`, `[n · width]`, of `record`.
    ///
    /// Time: one SipHash of some 30 bytes for each sample of a row, about 30 ns. Allocates nothing but room in `out`.
    pub fn observe(&self, record: &Record<'_>, x: &[f32], width: usize, out: &mut Vec<Occurrence>) {
        let subject = self.subject(record);
        for (i, row) in x.chunks_exact(width).enumerate() {
            // A row of nobody is a subject of its own.
            let member = (self.spec.subject != RowSubject::Row).then(|| {
                subject.unwrap_or_else(|| {
                    keyed(&self.key, |hasher| {
                        hasher.write(b"row");
                        hasher.write(&record.at.partition.0.to_le_bytes());
                        hasher.write(&record.at.offset.0.to_le_bytes());
                        hasher.write(&i.to_le_bytes());
                    }) as u32
                })
            });
            let mut sample = 0;
            for axes in &self.sets {
                let mut count = |coarse: &dyn Fn(usize) -> bool| {
                    let value = keyed(&self.key, |hasher| {
                        axes.iter()
                            .enumerate()
                            .for_each(|(at, axis)| axis.write(row, coarse(at), hasher));
                    });
                    out.push(Occurrence { sample, member, value: value >> 16 << 16 });
                    sample += 1;
                };
                count(&|_| false);
                (0..axes.len()).for_each(|one| count(&|at| at == one));
                if axes.len() > 1 {
                    count(&|_| true);
                }
            }
        }
    }

    fn subject(&self, record: &Record<'_>) -> Option<u32> {
        let name = |bytes: &[u8]| {
            keyed(&self.key, |hasher| {
                hasher.write(b"subject");
                hasher.write(bytes);
            }) as u32
        };
        match &self.spec.subject {
            RowSubject::Row => None,
            RowSubject::Key => record.key.map(name),
            RowSubject::Header(wanted) => {
                let mut found = None;
                record.headers.visit(&mut |header, value| {
                    if header == wanted.as_bytes() {
                        found = value.map(name);
                    }
                });
                found
            }
        }
    }
}

/// Nothing of the key.
impl fmt::Debug for QuasiPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuasiPlan")
            .field("id", &self.id)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

fn keyed(key: &[u8; 16], write: impl FnOnce(&mut SipHasher24)) -> u64 {
    let mut hasher = SipHasher24::new_with_key(key);
    write(&mut hasher);
    hasher.finish()
}

impl SetAxis {
    fn write(&self, row: &[f32], coarse: bool, hasher: &mut SipHasher24) {
        match self {
            &Self::Number { column, step } if coarse => {
                hasher.write(&((row[column] / step).floor() + 0.0).to_le_bytes());
            }
            // `+ 0.0`: there are two zeros, and one value.
            &Self::Number { column, .. } => hasher.write(&(row[column] + 0.0).to_le_bytes()),
            Self::Category { .. } if coarse => {}
            Self::Category { columns } => {
                let set = row[columns.clone()].iter().position(|&v| v == 1.0);
                hasher.write(&(set.map_or(u32::MAX, |at| at as u32)).to_le_bytes());
            }
        }
    }

    fn words(&self, name: &str) -> String {
        match self {
            Self::Number { step, .. } => format!("{name} rounded to {step}"),
            Self::Category { .. } => format!("{name} left out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::Exposure;
    use crate::record::{Offset, Partition, Position};

    fn schema() -> Schema {
        let sex = ["f", "m"].map(str::to_owned).to_vec();
        let features = vec![
            Feature::number("age", -56.0, 163.0),
            Feature::Category { name: "sex".into(), values: sex, impute: None },
            Feature::number("zip", 0.0, 300_000.0),
        ];
        Schema { features }
    }

    fn spec(sets: &[&[&str]], subject: RowSubject, key: u8) -> QuasiSpec {
        let names = |set: &&[&str]| set.iter().map(|&name| name.to_owned()).collect();
        QuasiSpec {
            sets: sets.iter().map(names).collect(),
            subject,
            key: ("k".into(), SecretKey::new(vec![key; 32])),
            k: 5,
            limit: Probability::new(0.01).unwrap(),
            at: 100_000,
            every_ms: 86_400_000,
        }
    }

    fn plan(sets: &[&[&str]], subject: RowSubject, key: u8) -> QuasiPlan {
        QuasiPlan::new(&spec(sets, subject, key), &schema()).unwrap()
    }

    fn observe(plan: &QuasiPlan, offset: i64, key: Option<&[u8]>, x: &[f32]) -> Vec<Occurrence> {
        let at = Position { partition: Partition(0), offset: Offset(offset) };
        let record = Record { key, ..Record::bare(at, None) };
        let mut out = vec![];
        plan.observe(&record, x, 4, &mut out);
        out
    }

    #[test]
    fn a_set_is_counted_as_it_is_with_each_feature_coarser_and_with_all_of_them() {
        let plan = plan(&[&["age", "sex"], &["zip"]], RowSubject::Row, 1);
        let words: Vec<_> = plan.names().iter().map(|name| name.coarser.as_deref()).collect();
        let all = "age rounded to 10, sex left out";
        let expected = [
            None,
            Some("age rounded to 10"),
            Some("sex left out"),
            Some(all),
            None,
            Some("zip rounded to 10000"),
        ];
        assert_eq!(words, expected);
        let [a, b] = [[33.0, 1.0, 0.0, 10_115.0], [38.0, 1.0, 0.0, 10_117.0]].map(|row| {
            observe(&plan, 0, None, &row).iter().map(|one| one.value).collect::<Vec<_>>()
        });
        let equal: Vec<bool> = a.iter().zip(&b).map(|(a, b)| a == b).collect();
        assert_eq!(equal, [false, true, false, true, false, true]);
        assert!(a.iter().all(|value| value.trailing_zeros() >= 16));
    }

    #[test]
    fn another_key_has_other_hashes_and_another_plan() {
        let row = [33.0, 1.0, 0.0, 10_115.0];
        let [one, two] = [1, 2].map(|key| plan(&[&["age"]], RowSubject::Row, key));
        assert_ne!(one.id(), two.id());
        assert_ne!(observe(&one, 0, None, &row)[0].value, observe(&two, 0, None, &row)[0].value);
        assert!(!format!("{one:?}").contains("key"), "{one:?}");
    }

    #[test]
    fn rows_of_one_key_are_one_subject_and_rows_without_are_each_another() {
        let plan = plan(&[&["sex"]], RowSubject::Key, 1);
        let row = [33.0, 1.0, 0.0, 10_115.0];
        let members = |keys: [Option<&[u8]>; 3]| {
            let mut sample = LevelSample::new(8);
            for (offset, key) in keys.into_iter().enumerate() {
                let one = observe(&plan, offset as i64, key, &row)[0];
                sample.add(one.value, one.member);
            }
            Exposure::of(&sample, 3, 100).small
        };
        assert_eq!(members([Some(b"a"), Some(b"a"), Some(b"b")]), 1.0);
        assert_eq!(members([Some(b"a"), None, None]), 0.0);
    }

    #[test]
    fn what_is_no_number_and_no_category_is_named() {
        let refused = |name: &str| QuasiPlan::new(&spec(&[&[name]], RowSubject::Row, 1), &schema());
        let error = refused("agee").unwrap_err().to_string();
        assert!(error.contains("\"agee\"") && error.contains("age, sex, zip"), "{error}");
    }
}
