//! What one scored batch costs: decode, validate, networks, detectors, decision, headers.
//!
//! Beside [`Batch::turn`] stands its ceiling in the same run: the bare networks on the same rows.
//! What lies between the two is ours. Batches follow each other through 2000 clean images, so about
//! as many are flagged and explained as the budget allows; nothing is corrected. It does not see
//! Kafka: that is `stream`. The two are measured one after the other: a neighbour who comes in
//! between moves their difference.
//!
//! `cargo bench --profile dev --bench batch`

mod shipped;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shipped::{EVERY_COLUMN, PIXELS};
use tripline::codec::{Config, Format};
use tripline::decide::{Mode, OnFlagged, OnGuardFailure, Policy};
use tripline::model::Filled;
use tripline::record::{Offset, Partition, Position, Record};
use tripline::score::{Batch, Guard};

const POLICY: Policy = Policy {
    mode: Mode::Enforce,
    on_flagged: OnFlagged::Quarantine,
    on_guard_failure: OnGuardFailure::Closed,
};

fn batch(c: &mut Criterion) {
    let bundle = shipped::bundle();
    let reading = Config { format: Format::U8, value_bytes_max: 1 << 20, ..Config::default() };
    let guard = Guard::new(&bundle, None, POLICY, &reading).expect("a guard");
    let mut networks = shipped::networks(&bundle);
    let images = shipped::images();
    let rows = shipped::rows(&images);
    let records: Vec<Record<'_>> = images
        .chunks_exact(PIXELS)
        .enumerate()
        .map(|(i, image)| {
            let at = Position { partition: Partition(0), offset: Offset(i as i64) };
            Record::bare(at, Some(image))
        })
        .collect();

    let mut group = c.benchmark_group("batch");
    let mut batch = Batch::default();
    let mut filled = Filled::default();
    for n in [1, 16, 256] {
        group.throughput(Throughput::Elements(n as u64));
        let mut batches = records.chunks_exact(n).cycle();
        group.bench_function(BenchmarkId::new("turn", n), |b| {
            b.iter(|| {
                let records = batches.next().expect("there is always another");
                batch.score(&guard, &mut networks, black_box(records)).expect("it scores");
                black_box(batch.outcomes());
            });
        });
        let mut batches = rows.chunks_exact(n * PIXELS).cycle();
        group.bench_function(BenchmarkId::new("networks", n), |b| {
            b.iter(|| {
                let x = batches.next().expect("there is always another");
                networks.fill(EVERY_COLUMN, black_box(x), &mut filled).expect("they run");
                black_box(&filled);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, batch);
criterion_main!(benches);
