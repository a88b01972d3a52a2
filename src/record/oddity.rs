//! What is odd about a flagged record: a feature, and in which way it speaks against the record.
//!
//! It holds no value of the record, so it may be counted, sent to a monitor and told in an alert.

use serde::{Deserialize, Serialize};

use super::{Feature, Schema};

/// In which way a feature speaks against a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manner {
    /// A number above the typical one.
    High,
    /// A number below it.
    Low,
    /// A value of a category other than the typical one.
    Unusual,
    /// A value of a category that no training row had.
    Unseen,
    /// Each value may be ordinary; the two together are rare.
    Pair,
    /// A place of an image, or all of it.
    Place,
}

/// A feature and its manner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oddity {
    /// Which of the schema's features.
    pub feature: u32,
    pub manner: Manner,
    /// The other feature of a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<u32>,
}

const MANNERS: [Manner; 6] =
    [Manner::High, Manner::Low, Manner::Unusual, Manner::Unseen, Manner::Pair, Manner::Place];

/// Features that are counted: beyond, a table is so wide that nobody reads their names.
const FEATURES_MAX: usize = 1024;

impl Oddity {
    /// Cells that counts of oddities have.
    pub const CELLS: usize = FEATURES_MAX * MANNERS.len();

    /// Where it is counted. Pairs of one feature are counted together.
    pub fn cell(self) -> Option<usize> {
        let feature = self.feature as usize;
        let manner = MANNERS.iter().position(|&manner| manner == self.manner)?;
        (feature < FEATURES_MAX).then_some(feature * MANNERS.len() + manner)
    }

    /// What is counted in `cell`.
    pub fn of_cell(cell: usize) -> Self {
        let (feature, manner) = (cell / MANNERS.len(), cell % MANNERS.len());
        Self { feature: feature as u32, manner: MANNERS[manner], with: None }
    }

    /// Whether both are counted together.
    pub fn is_like(self, other: Self) -> bool {
        (self.feature, self.manner) == (other.feature, other.manner)
    }

    /// `Make: never seen`; `Country with Currency: rare together`.
    pub fn words(self, schema: &Schema) -> String {
        let name = |feature: u32| {
            let feature = schema.features.get(feature as usize);
            feature.map_or_else(|| "a feature".to_owned(), |f| shown(f.name()))
        };
        let own = name(self.feature);
        match (self.manner, self.with) {
            (Manner::Place, _) => own,
            (Manner::Pair, Some(with)) => format!("{own} with {}: rare together", name(with)),
            (manner, _) => format!("{own}: {}", manner.words()),
        }
    }

    /// The feature, if the schema has it.
    pub fn feature_in(self, schema: &Schema) -> Option<&Feature> {
        schema.features.get(self.feature as usize)
    }
}

impl Manner {
    /// What is said of a feature without its value.
    pub fn words(self) -> &'static str {
        match self {
            Self::High => "above what is usual",
            Self::Low => "below what is usual",
            Self::Unusual => "an unusual value",
            Self::Unseen => "never seen",
            Self::Pair => "in a rare combination",
            Self::Place => "an unusual place",
        }
    }
}

/// Longest name or value that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 48;

/// A name or a value for a person: on one line, and not too long.
pub fn shown(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).map(visible).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oddity_is_counted_in_a_cell_of_its_own_and_comes_back_from_it() {
        let mut cells = std::collections::BTreeSet::new();
        for feature in [0, 1, 77, 1023] {
            for manner in MANNERS {
                let oddity = Oddity { feature, manner, with: None };
                let cell = oddity.cell().unwrap();
                assert!(cell < Oddity::CELLS && cells.insert(cell), "{oddity:?}");
                assert_eq!(Oddity::of_cell(cell), oddity);
            }
        }
        let beyond = Oddity { feature: 1024, manner: Manner::High, with: None };
        assert_eq!(beyond.cell(), None);
    }

    #[test]
    fn what_is_shown_is_short_and_on_one_line() {
        assert_eq!(shown("a\nb\u{7}"), "a b ");
        assert_eq!(shown(&"ä".repeat(60)).chars().count(), 49);
    }
}
