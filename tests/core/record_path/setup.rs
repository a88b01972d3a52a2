//! A guard on the shipped bundle, and the outcome of each record that it scores.

use super::*;

/// One worker's share of the guard.
pub struct RecordPath {
    pub guard: Guard,
    pub networks: Networks,
    pub batch: Batch,
}

impl RecordPath {
    pub fn new(policy: Policy) -> Self {
        let bundle = bundle();
        let pointers = vec!["/pixels".to_owned()];
        let fields = Fields::new(pointers).ok();
        let reading = codec::Config {
            format: Format::Auto,
            fields,
            value_bytes_max: 1 << 17,
            rows_per_record_max: 1000,
            ..codec::Config::default()
        };
        let guard = Guard::new(&bundle, None, policy, &reading).expect("a guard");
        let networks = Networks::load(runtime(), &bundle).expect("networks");
        Self { guard, networks, batch: Batch::default() }
    }

    /// Scores `records` in these batches.
    pub fn run(
        &mut self,
        records: &[OwnedRecord],
        cuts: impl Iterator<Item = Range<usize>>,
    ) -> Vec<Left> {
        let mut left = vec![];
        for cut in cuts {
            let at = |i| Position { partition: Partition(3), offset: Offset(i as i64) };
            let cut: Vec<Record<'_>> = cut.map(|i| records[i].at(at(i))).collect();
            self.batch.score(&self.guard, &mut self.networks, &cut).expect("it scores");
            for outcome in self.batch.outcomes() {
                left.push(Left {
                    corrected: outcome
                        .corrected
                        .clone()
                        .map(|range| self.batch.corrected()[range].to_vec()),
                    trace: self.batch.traces()[outcome.trace.clone()].to_vec(),
                    cells: self.batch.cells()[outcome.cells.clone()].to_vec(),
                    reason: self.batch.reasons()[outcome.reason.clone()].to_vec(),
                    outcome: Outcome {
                        trace: 0..0,
                        reason: 0..0,
                        cells: 0..0,
                        visits: 0..0,
                        answer: 0..0,
                        groups: 0..0,
                        corrected: None,
                        ..outcome.clone()
                    },
                });
            }
        }
        left
    }

    pub fn run_whole(&mut self, records: &[OwnedRecord]) -> Vec<Left> {
        self.run(
            records,
            (0..records.len())
                .map(|i| i..i + 1)
                .collect::<Vec<_>>()
                .chunks(256)
                .map(|chunk| chunk[0].start..chunk[chunk.len() - 1].end),
        )
    }
}

/// What left, apart from where in the batch's buffers it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    pub outcome: Outcome,
    pub corrected: Option<Vec<u8>>,
    pub trace: Vec<u8>,
    pub cells: Vec<u16>,
    pub reason: Vec<u8>,
}

impl Left {
    pub fn flagged(&self) -> bool {
        self.outcome.judged.is_ok_and(|verdict| verdict.action != Action::Pass)
    }
}

pub fn slice(name: &str) -> Vec<Vec<u8>> {
    let path = model().join("slice").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(bytes.len() % PIXELS, 0);
    bytes.chunks_exact(PIXELS).map(<[u8]>::to_vec).collect()
}

pub fn raw(images: Vec<Vec<u8>>) -> Vec<OwnedRecord> {
    images.into_iter().map(|image| record(U8, Some(image))).collect()
}

pub fn unit(image: &[u8]) -> impl Iterator<Item = f32> + '_ {
    image.iter().map(|&pixel| f32::from(pixel) / 255.0)
}

/// Real images in every format, attacked and not, with every kind of fault among them.
pub fn mixed(seed: u64, n: usize) -> Vec<OwnedRecord> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let pools = [slice("clean.u8"), slice("trigger.u8"), slice("pgd.u8")];
    let mut record = |_| {
        let pool = &pools[rng.random_range(0..3)];
        let image = &pool[rng.random_range(0..pool.len())];
        let mut value: Vec<u8>;
        let content_type;
        match rng.random_range(0..3) {
            0 => {
                (content_type, value) = (Some("application/x-u8"), image.clone());
            }
            1 => {
                content_type = Some("application/x-f32-le");
                value = unit(image).flat_map(f32::to_le_bytes).collect();
            }
            _ => {
                content_type = Some("application/json");
                let pixels: Vec<f32> = unit(image).collect();
                let pixels = serde_json::to_string(&pixels).expect("numbers");
                value = format!("{{\"id\": 7, \"pixels\": {pixels} }}").into_bytes();
            }
        }
        match rng.random_range(0..20) {
            0 => value.truncate(value.len() / 2),
            1 => return record(content_type, None),
            2 => return record(Some("text/csv"), Some(value)),
            3 => value = [f32::NAN; PIXELS].iter().flat_map(|v| v.to_le_bytes()).collect(),
            4 => value.resize(1 << 18, b' '),
            _ => {}
        }
        record(content_type, Some(value))
    };
    (0..n).map(&mut record).collect()
}
