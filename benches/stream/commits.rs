//! How long commits took, from a process's log.

use tripline::deliver::{Durations, QUANTILES, Values};

/// Median, 99 % and 99.9 % of all commits of these rounds.
pub fn commit_ms<'a>(rounds: impl Iterator<Item = &'a Values>) -> String {
    let mut all = Values::default();
    rounds.for_each(|commits| all.add(commits));
    let ms = |share| Some(format!("{:.1}", all.quantile(share)? as f64 / 1e3));
    QUANTILES.iter().filter_map(|&share| ms(share)).collect::<Vec<_>>().join(" / ")
}

/// How long the commits took that a log tells of.
pub fn commits(log: &str) -> Values {
    let commits = Durations::default();
    log.lines().filter_map(commit_micros).for_each(|micros| commits.count(micros as u64));
    commits.values()
}

/// How long the commit of this log line took, if it is one: `transaction committed ... took=2.1ms`.
fn commit_micros(line: &str) -> Option<f64> {
    let (_, fields) = line.split_once("transaction committed")?;
    let (_, took) = fields.split_once("took=")?;
    let took = took.split_whitespace().next()?;
    let (number, micros) = [("µs", 1.0), ("ms", 1e3), ("s", 1e6)]
        .iter()
        .find_map(|(unit, micros)| Some((took.strip_suffix(unit)?, micros)))?;
    Some(number.parse::<f64>().ok()? * micros)
}
