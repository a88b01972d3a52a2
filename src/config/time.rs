//! Lengths of time as people write them: `"1h"`, and `"1/week"` for how often.

use std::time::Duration;

use super::reader::Form;

const UNITS: [(&str, &str, u64); 5] = [
    ("ms", "millisecond", 1),
    ("s", "second", 1000),
    ("m", "minute", 60_000),
    ("h", "hour", 3_600_000),
    ("d", "day", 86_400_000),
];

/// What `duration` reads.
pub(super) const DURATION: Form<'static> = Form {
    help: "write a number and ms, s, m, h or d: \"500ms\", \"10s\", \"1h\"",
    pattern: Some("^[0-9]+\\s*(ms|s|m|h|d)\\s*$"),
};
/// What `period` reads.
pub(super) const PERIOD: Form<'static> = Form {
    help: "write a number per second, minute, hour, day, week or month: \"1/week\"",
    pattern: Some("^\\s*[0-9.eE+-]+\\s*/\\s*(second|minute|hour|day|week|month)\\s*$"),
};

/// `"500ms"`, `"10s"`, `"5m"`, `"1h"`, `"1d"`
///
/// # Errors
/// If it is none of these, or no time at all.
pub fn duration(written: &str) -> Result<Duration, String> {
    let bad = || format!("{written:?} is not a length of time");
    let digits = written.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = written.split_at(digits);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let (_, _, millis) =
        UNITS.iter().find(|(short, _, _)| *short == unit.trim()).ok_or_else(bad)?;
    match number.checked_mul(*millis) {
        Some(0) | None => Err(format!("{written:?} is not a length of time we can wait")),
        Some(millis) => Ok(Duration::from_millis(millis)),
    }
}

/// The time between two, from how many per unit: `"1/week"`, `"0.5/day"`. A month has 30 days.
pub(super) fn period(written: &str) -> Result<Duration, String> {
    let bad = || format!("{written:?} does not say how often");
    let (number, unit) = written.split_once('/').ok_or_else(bad)?;
    let number: f64 = number.trim().parse().map_err(|_| bad())?;
    const DAY: f64 = 86_400.0;
    let seconds = match unit.trim() {
        "week" => 7.0 * DAY,
        "month" => 30.0 * DAY,
        unit => {
            let named = |(_, long, _): &&(&str, &str, u64)| *long == unit;
            let known = UNITS[1..].iter().find(named).ok_or_else(bad)?;
            known.2 as f64 / 1000.0
        }
    };
    // An e-detector needs an end in sight: 100 years is never, and never needs no number.
    let period = seconds / number;
    if number > 0.0 && period <= 36_500.0 * DAY {
        Ok(Duration::from_secs_f64(period))
    } else {
        Err(format!("{written:?} is not a frequency; the rarest is once in 100 years"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_a_number_and_a_unit() {
        let read = |written| duration(written).ok().map(|d: Duration| d.as_millis());
        assert_eq!(read("500ms"), Some(500));
        assert_eq!(read("10s"), Some(10_000));
        assert_eq!(read("5 m"), Some(300_000));
        assert_eq!(read("1h"), Some(3_600_000));
        assert_eq!(read("1d"), Some(86_400_000));
        for bad in
            ["", "1", "h", "-1h", "1.5h", "0s", "1w", "99999999999999999999s", "9999999999999999d"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_frequency_is_a_number_per_unit() {
        let read = |written| period(written).ok().map(|d: Duration| d.as_secs());
        assert_eq!(read("1/week"), Some(604_800));
        assert_eq!(read("2/day"), Some(43_200));
        assert_eq!(read("0.5 / month"), Some(60 * 86_400));
        assert_eq!(read("1/hour"), Some(3600));
        for bad in ["", "1", "1/w", "0/week", "-1/week", "nan/week", "1e-99/week", "1/millisecond"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
