//! Fuzzing by difference: what a reader and we both take must be the same rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::generate::{CODECS, Draw};
use super::ours::Decoder;
use super::reader::{Readers, Reading, Rows};
use super::record::{CELLS, Record, shown};

/// Requests that are asked about together.
const BATCH: u64 = 1000;

/// Differences of one dialect and reader that are kept; the shortest one is shown.
const KEPT: usize = 1000;

/// Requests that may be asked about to make a difference smaller.
const TRIES: usize = 2000;

/// A stream that requests are sent to.
struct Stream {
    codec: &'static str,
    settings: &'static str,
    decoder: Decoder,
    count: Count,
    /// By reader.
    differences: BTreeMap<String, Vec<Difference>>,
}

#[derive(Default)]
struct Count {
    requests: u64,
    /// We take them.
    taken: u64,
    /// Some reader takes them, as rows of the model's width.
    read: u64,
    /// Rows of a reader that were held against ours.
    compared: u64,
    different: u64,
}

struct Difference {
    number: u64,
    record: Record,
    view: String,
    ours: Rows,
    theirs: Rows,
}

/// # Panics
/// If something is read differently; the message has the record, made as small as it goes.
pub fn run(runs: u64, seed: u64) {
    let mut readers = Readers::start();
    let by_position = CODECS.map(|codec| Stream::new(codec, ""));
    let by_name = CODECS.map(|codec| Stream::new(codec, "inputs_by = \"name\""));
    let mut streams: Vec<Stream> = by_position.into_iter().chain(by_name).collect();
    let n = streams.len() as u64;
    for batch in 0..runs.div_ceil(BATCH) {
        let numbers = batch * BATCH..((batch + 1) * BATCH).min(runs);
        streams[(batch % n) as usize].send(&mut readers, numbers, seed);
    }
    let mut said = String::new();
    for stream in &mut streams {
        let Count { requests, taken, read, compared, different } = stream.count;
        println!(
            "differ: {} {}: {requests} requests, we take {taken}, a reader takes {read}; \
             {compared} readings compared, {different} otherwise",
            stream.codec, stream.settings
        );
        assert!(taken * 5 >= requests, "{}: hardly anything was compared", stream.codec);
        for (_, mut found) in std::mem::take(&mut stream.differences) {
            found.sort_by_key(|difference| difference.record.value.len());
            let small = stream.shrink(&mut readers, found.swap_remove(0));
            let _ =
                writeln!(said, "{} | {} | {small} of seed {seed}", stream.codec, stream.settings);
        }
    }
    assert!(said.is_empty(), "read differently:\n{said}");
}

impl Stream {
    fn new(codec: &'static str, settings: &'static str) -> Self {
        let decoder = Decoder::new(codec, settings);
        let (count, differences) = (Count::default(), BTreeMap::new());
        Self { codec, settings, decoder, count, differences }
    }

    /// Draws these requests and holds every reading against ours.
    fn send(&mut self, readers: &mut Readers, numbers: std::ops::Range<u64>, seed: u64) {
        let draw = |number| Draw::new(seed, number).record(self.codec);
        let records: Vec<Record> = numbers.clone().map(draw).collect();
        let answers = readers.read(self.codec, &records);
        for ((number, record), readings) in numbers.zip(records).zip(answers) {
            let readings = readings
                .iter()
                .filter_map(|reading| Some((&reading.view, self.comparable(reading)?)));
            let readings: Vec<_> = readings.collect();
            self.count.requests += 1;
            self.count.read += u64::from(!readings.is_empty());
            let Some(ours) = self.decoder.rows(&record) else { continue };
            self.count.taken += 1;
            for (view, theirs) in readings {
                self.count.compared += 1;
                if alike(view, theirs, &ours) {
                    continue;
                }
                self.count.different += 1;
                let reader = view.split('.').next().unwrap_or(view).to_owned();
                let kept = self.differences.entry(reader).or_default();
                if kept.len() < KEPT {
                    let (record, view) = (record.clone(), view.clone());
                    let (ours, theirs) = (ours.clone(), theirs.clone());
                    kept.push(Difference { number, record, view, ours, theirs });
                }
            }
        }
    }

    /// The rows of a reading, if they can be held against ours: as wide as the model's input, finite,
    /// and not the first of several tensors, which no server takes for all of them.
    fn comparable<'r>(&self, reading: &'r Reading) -> Option<&'r Rows> {
        let rows = reading.rows.as_ref()?;
        let finite = rows.numbers.iter().all(|x| x.is_finite());
        let counts = reading.counts_under(self.settings) && !reading.view.ends_with("head");
        (rows.fit() && finite && counts).then_some(rows)
    }

    /// Takes pieces out of the value as long as the same view differs.
    fn shrink(&self, readers: &mut Readers, mut now: Difference) -> Difference {
        let (mut size, mut left) = (now.record.value.len() / 2, TRIES);
        while size > 0 {
            let places = (0..now.record.value.len()).step_by(size);
            let tries: Vec<Record> = places.map(|at| without(&now.record, at..at + size)).collect();
            left = match left.checked_sub(tries.len()) {
                Some(left) => left,
                None => break,
            };
            let answers = readers.read(self.codec, &tries);
            let smaller = tries.into_iter().zip(answers).find_map(|(record, readings)| {
                let ours = self.decoder.rows(&record)?;
                let reading = readings.iter().find(|reading| reading.view == now.view)?;
                let theirs = self.comparable(reading)?.clone();
                let (number, view) = (now.number, now.view.clone());
                let differs = !alike(&now.view, &theirs, &ours);
                differs.then_some(Difference { number, record, view, ours, theirs })
            });
            match smaller {
                Some(smaller) => now = smaller,
                None => size /= 2,
            }
        }
        now
    }
}

/// The record without a piece of its value; the JSON that a header measures ends sooner.
fn without(record: &Record, piece: std::ops::Range<usize>) -> Record {
    let end = piece.end.min(record.value.len());
    let value = [&record.value[..piece.start], &record.value[end..]].concat();
    let mut headers = record.headers.clone();
    for (_, text) in &mut headers {
        if let Ok(length) = text.trim().parse::<usize>()
            && end <= length
        {
            *text = (length - (end - piece.start)).to_string();
        }
    }
    Record { headers, value }
}

/// Whether a view has the same rows as we. KServe makes a table of an object with pandas, which repeats
/// the object for every element of a stranger that is an array, and drops it if the array is empty: what
/// it reads must then be some of our rows, in their order.
fn alike(view: &str, theirs: &Rows, ours: &Rows) -> bool {
    let mut left = ours.numbers.chunks(CELLS).peekable();
    let known = |row: &[f32]| {
        while left.next_if(|&ours| ours != row).is_some() {}
        left.peek().is_some()
    };
    theirs == ours || view.starts_with("kserve") && theirs.numbers.chunks(CELLS).all(known)
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { number, record, view, ours, theirs } = self;
        let (text, base64) = (shown(&record.value), STANDARD.encode(&record.value));
        write!(
            f,
            "{view} | number {number}\n  we {ours:?}\n  they {theirs:?}\n  {:?} {text}\n  {base64}\n ",
            record.headers
        )
    }
}
