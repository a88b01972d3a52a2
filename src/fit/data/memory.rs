//! Whether the rows fit into memory, asked before they are read into it.

use std::fmt;
use std::str::FromStr;

/// A number of bytes, written `2GiB`, `512MiB` or `65536`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(pub u64);

/// More than there is, and the ways out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{rows} rows of {width} numbers take about {needed}; there are {available}: learn from a part \
     with --sample {sample}, leave out columns with --ignore, or say --memory-max if you know better"
)]
pub struct TooMuch {
    pub rows: usize,
    pub width: usize,
    pub needed: Memory,
    pub available: Memory,
    /// Rows that would fit.
    pub sample: usize,
}

/// Copies of the rows that `fit` holds at its peak: the rows themselves, and for every part the
/// columns `x` and `twin` that detectors learn from and are calibrated on.
const COPIES: u64 = 3;

/// Whether `fit` can hold `rows` rows of `width` numbers in `memory_max`, or unless given in what
/// the system says is available.
///
/// # Errors
/// If it cannot: both numbers and how many rows would fit.
pub fn check(rows: usize, width: usize, memory_max: Option<Memory>) -> Result<(), TooMuch> {
    let Some(available) = memory_max.or_else(available) else { return Ok(()) };
    let row = COPIES * 4 * width as u64;
    let needed = Memory(row.saturating_mul(rows as u64));
    if needed.0 <= available.0 {
        return Ok(());
    }
    let sample = (available.0 / row.max(1)) as usize;
    Err(TooMuch { rows, width, needed, available, sample })
}

/// What Linux says is available without swapping; elsewhere nobody is asked.
fn available() -> Option<Memory> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Memory(kib.saturating_mul(1024)))
}

const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, bytes)| self.0 >= *bytes) {
            Some((unit, bytes)) => write!(f, "{:.1} {unit}", self.0 as f64 / *bytes as f64),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
        let (number, bytes) = unit.unwrap_or((text, 1));
        let number: u64 = number.trim().parse().map_err(|_| {
            format!("cannot read {text:?} as memory: write 2GiB, 512MiB or a number of bytes")
        })?;
        number.checked_mul(bytes).map(Self).ok_or_else(|| format!("{text} is more than there is"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_rows_that_would_fit_and_they_do() {
        let limit = Some("1MiB".parse().unwrap());
        let refusal = check(10_000, 10, limit).unwrap_err();
        assert_eq!(check(refusal.sample, 10, limit), Ok(()));
        assert!(check(refusal.sample + 1, 10, limit).is_err());
        insta::assert_snapshot!(refusal, @"10000 rows of 10 numbers take about 1.1 MiB; there are 1.0 MiB: learn from a part with --sample 8738, leave out columns with --ignore, or say --memory-max if you know better");
    }

    #[test]
    fn memory_is_a_number_with_a_unit() {
        assert_eq!("2GiB".parse(), Ok(Memory(2 << 30)));
        assert_eq!("65536".parse(), Ok(Memory(65536)));
        for bad in ["", "GiB", "2GB", "-1", "99999999999GiB"] {
            assert!(bad.parse::<Memory>().is_err(), "{bad}");
        }
    }
}
