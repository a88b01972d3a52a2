//! What would become of the newest records of a topic: how many can be read, how many would be flagged.
//!
//! A configuration can be right in every key and read every record wrongly. So `check --connect` looks at
//! real records first. Nothing is produced and nothing committed. It cannot tell an attack from a bundle that
//! does not fit the topic: it says how many would be flagged, and how many chance explains.

use std::collections::BTreeMap;

use super::kafka::Clients;
use super::sample::{Limits, SampleError, sample};
use crate::codec::Format;
use crate::config::Stream;
use crate::model::Networks;
use crate::record::{Action, OwnedRecord, Position, Record};
use crate::score::{Batch, Guard};

/// Records that are looked at.
pub const RECORDS: usize = 500;

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preview {
    /// Records that are inputs of the model, and others.
    pub records: usize,
    pub not_inputs: usize,
    pub readable: usize,
    /// What is wrong with the others, in words, and how often; at most `FAULTS_MAX`.
    pub faults: BTreeMap<String, usize>,
    /// Readable records that would be flagged, if they were scored.
    pub flagged: Option<usize>,
    /// A format that reads more of them, and how many.
    pub better: Option<(Format, usize)>,
}

/// Different faults that are kept.
const FAULTS_MAX: usize = 20;

/// The newest records of the stream's input.
///
/// # Errors
/// If they cannot be fetched.
pub fn newest(
    clients: &Clients,
    stream: &Stream,
    limits: Limits,
) -> Result<Vec<(Position, OwnedRecord)>, SampleError> {
    let mut records = vec![];
    sample(clients, &stream.input, Limits { committed: true, ..limits }, |record| {
        records.push((record.at, record.to_owned()));
        true
    })?;
    Ok(records)
}

impl Preview {
    /// Looks at `records`; scores them too with `networks`.
    pub fn of(
        guard: &Guard,
        stream: &Stream,
        networks: Option<&mut Networks>,
        records: &[(Position, OwnedRecord)],
    ) -> Self {
        let mut preview = Self::default();
        let mut readable = vec![];
        for (at, owned) in records {
            let record = owned.at(*at);
            match guard.preview(&record) {
                None => preview.not_inputs += 1,
                Some(Ok(())) => readable.push(record),
                Some(Err(why)) => {
                    preview.records += 1;
                    if preview.faults.contains_key(&why) || preview.faults.len() < FAULTS_MAX {
                        *preview.faults.entry(why).or_default() += 1;
                    }
                }
            }
        }
        preview.records += readable.len();
        preview.readable = readable.len();
        preview.flagged = networks.and_then(|networks| flagged(guard, stream, networks, &readable));
        if preview.readable < preview.records {
            let others = Format::ALL.iter().filter(|&&format| format != stream.codec.format);
            let read = |&format: &Format| {
                let fits =
                    |(at, owned): &&(Position, OwnedRecord)| guard.reads_as(format, &owned.at(*at));
                (format, records.iter().filter(fits).count())
            };
            let best = others.map(read).max_by_key(|(_, read)| *read);
            preview.better = best.filter(|(_, read)| *read > preview.readable);
        }
        preview
    }

    /// How many of the readable records chance explains at `budget`: with so few exceptions in 1,000 streams.
    pub fn chance(&self, budget: f64) -> usize {
        let n = self.readable as f64;
        let mean = n * budget;
        // Three standard deviations of a binomial count, and one record for small ones.
        (mean + 3.0 * (mean * (1.0 - budget)).sqrt() + 1.0).ceil() as usize
    }

    /// One sentence about the records, and whether something is wrong with them.
    pub fn sentence(&self, stream: &Stream, budget: f64) -> (String, bool) {
        let Self { records, readable, .. } = self;
        if *records == 0 {
            return (format!("no record of {} to look at yet", stream.input), false);
        }
        let mut said =
            format!("{readable} of the newest {records} records of {} can be read", stream.input);
        if self.not_inputs > 0 {
            said += &format!("; {} more are no inputs of the model", self.not_inputs);
        }
        let mut faults: Vec<_> = self.faults.iter().collect();
        faults.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (why, count) in faults.iter().take(3) {
            said += &format!("; {count} × {why}");
        }
        if let Some((format, read)) = self.better {
            said += &format!("; codec = {:?} would read {read}", format.name());
        }
        let mut is_wrong = 2 * readable < *records;
        if let Some(flagged) = self.flagged {
            let chance = self.chance(budget);
            said += &format!(
                "; {flagged} of those would be flagged, and chance explains up to {chance}"
            );
            if flagged > chance {
                said +=
                    ": either they are attacked, or the bundle was fitted on other rows than these";
                is_wrong |= 5 * flagged > *readable;
            }
        }
        (said, is_wrong)
    }
}

/// How many of the records would be flagged; none if they cannot be scored.
fn flagged(
    guard: &Guard,
    stream: &Stream,
    networks: &mut Networks,
    records: &[Record<'_>],
) -> Option<usize> {
    let (mut batch, mut flagged) = (Batch::default(), 0);
    for records in records.chunks(stream.rows_max) {
        batch.score(guard, networks, records).ok()?;
        let is_flagged = |judged: &Action| *judged != Action::Pass;
        let outcomes = batch.outcomes().iter().filter_map(|outcome| outcome.judged.ok());
        flagged += outcomes.map(|verdict| verdict.action).filter(is_flagged).count();
    }
    Some(flagged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_what_is_wrong_and_whether_something_is() {
        let text = "name = \"s\"\ninput = \"s.requests\"\nbundle = \"b\"\n";
        let text = format!("instance = \"i\"\n[kafka]\nbrokers = \"h:1\"\n[[stream]]\n{text}");
        let config = crate::config::Config::read("c".as_ref(), &text, [], &|_| Ok(String::new()));
        let stream = config.unwrap().streams.remove(0);
        let faults = [("missing: feature \"a\"".to_owned(), 400)].into();
        let bad = Preview { records: 500, readable: 100, faults, ..Preview::default() };
        let (said, is_wrong) = bad.sentence(&stream, 0.01);
        assert!(is_wrong && said.contains("100 of the newest 500 records of s.requests"), "{said}");
        assert!(said.contains("400 × missing: feature \"a\""), "{said}");
        let better = Some((Format::KserveV1, 500));
        assert!(
            Preview { better, ..bad }.sentence(&stream, 0.01).0.contains("codec = \"kserve-v1\"")
        );
        let clean = Preview { records: 500, readable: 500, flagged: Some(6), ..Preview::default() };
        assert!(!clean.sentence(&stream, 0.01).1);
        let odd = Preview { flagged: Some(118), ..clean };
        let (said, is_wrong) = odd.sentence(&stream, 0.01);
        assert!(is_wrong && said.contains("118 of those would be flagged"), "{said}");
        assert!(!Preview::default().sentence(&stream, 0.01).1);
    }
}
