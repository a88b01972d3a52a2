//! A number in [0, 1] that says so in its type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A probability or a share, in [0, 1]. Written `0.01` or `"1%"`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Probability(f64);

/// What could not be read as a [`Probability`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadProbability {
    #[error("{0} is outside [0, 1]")]
    Range(f64),
    #[error("cannot read {0:?} as a share: write 0.01 or \"1%\"")]
    Text(String),
}

impl Probability {
    /// # Errors
    /// If `value` is NaN or outside [0, 1].
    pub fn new(value: f64) -> Result<Self, BadProbability> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(BadProbability::Range(value))
        }
    }

    pub fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Probability {
    type Err = BadProbability;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadProbability::Text(text.to_owned());
        let trimmed = text.trim();
        match trimmed.strip_suffix('%') {
            Some(percent) => {
                let percent: f64 = percent.trim().parse().map_err(|_| bad())?;
                Self::new(percent / 100.0)
            }
            None => Self::new(trimmed.parse().map_err(|_| bad())?),
        }
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded so that 0.29 does not print as 28.999999999999996 %.
        let percent = (self.0 * 100.0 * 1e9).round() / 1e9;
        write!(f, "{percent}%")
    }
}

impl Serialize for Probability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Probability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(value) => Self::new(value),
            Written::Text(text) => text.parse(),
        }
        .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_percent_and_a_hundredth_are_the_same_share() {
        assert_eq!("1%".parse(), Probability::new(0.01));
        assert_eq!("0.01".parse(), Probability::new(0.01));
        assert_eq!(Probability::new(0.01).unwrap().to_string(), "1%");
    }

    #[test]
    fn nan_and_numbers_outside_the_unit_interval_are_refused() {
        for bad in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
            assert!(Probability::new(bad).is_err(), "{bad} was accepted");
        }
        assert!("101%".parse::<Probability>().is_err());
        assert!("one".parse::<Probability>().is_err());
    }
}
