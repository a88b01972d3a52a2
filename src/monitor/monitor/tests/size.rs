//! The state fits into a record, however wide the rows are.

use super::*;

#[cfg(feature = "fit")]
fn wide_images(labels: usize, per_partition: bool) -> (Monitor, Cells) {
    let image =
        Feature::Image { name: "image".into(), channels: 3, height: 64, width: 64, scale: 255.0 };
    let schema = Schema { features: vec![image] };
    let member = |i: usize| Member {
        kind: if i == 0 { "local-residual".into() } else { format!("d{i}") },
        weight: 1.0,
        role: Role::Attack,
    };
    let members: Vec<Member> = (0..8).map(member).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut signals = Signals::of(&schema, &members, labels);
    let width = signals.list().len();
    let mut rows = |n: usize| -> Vec<Vec<f32>> {
        (0..n).map(|_| (0..width).map(|_| rng.random::<f32>() * 60.0).collect()).collect()
    };
    signals.learn_edges(&rows(2000));
    let clean = rows(2000);
    signals.count_clean(&clean);
    signals.bound_places(clean.iter());
    let (stream, mut frame) = (rows(1000), frame("e"));
    let clean = Flagged { budget: frame.about.budget, rows: 3000, flagged: 30 };
    let times =
        Times { window_ms: 1000, false_page_ms: 604_800_000, keep_firing_for_ms: 3_600_000 };
    frame.terms = Terms::new("e", "s", hypotheses(&signals, clean, |_| true), times);
    frame.signals = signals.clone();
    frame.schema = schema;
    frame.per_partition = per_partition;
    let mut cells = Cells::default();
    for row in &stream {
        row.iter().enumerate().for_each(|(i, &x)| cells.push(signals.cell(i, x)));
    }
    (Monitor::new(Arc::new(frame)), cells)
}

/// Partition 99 is behind: windows stay open as long as there is room.
#[cfg(feature = "fit")]
fn most_bytes(mut monitor: Monitor, cells: &Cells, partitions: i32, windows: i64) -> usize {
    let counts = Counts { rows: 1000, flagged: 10, ..Counts::default() };
    let mut most = 0;
    run(&mut monitor, &[tick(10_000_000), presence(99, false)]);
    for w in 0..windows {
        for partition in (0..partitions).map(Partition) {
            let tally = Tally { counts, cells: cells.clone(), ..Tally::default() };
            let first_flagged = Some(Offset(w * 1000));
            let windows = vec![Window {
                window: Timestamp(w * 1000),
                tally,
                first_flagged,
                exemplars: Default::default(),
            }];
            let (from, to) = (Offset(w * 1000), Offset(w * 1000 + 1000));
            let (baseline, begins, head, read_out) = ("e".into(), false, None, false);
            let said = Evidence { baseline, partition, from, to, begins, head, read_out, windows };
            run(&mut monitor, &[Message::Evidence(said)]);
        }
        most = most.max(monitor.to_bytes().len());
    }
    println!("{most} bytes at most");
    most
}

#[cfg(feature = "fit")]
#[test]
fn the_state_of_a_busy_stream_of_wide_images_fits_what_a_topic_takes() {
    let (monitor, cells) = wide_images(64, false);
    let most = most_bytes(monitor, &cells, 1, 100);
    assert!(most < 900_000, "{most} bytes");
    assert!(most > 100_000, "{most} bytes: the stream is not busy");
}

#[cfg(feature = "fit")]
#[test]
fn the_state_of_wide_images_fits_with_as_many_panels_as_there_is_room_for() {
    for (labels, fit) in [(64, 2), (10, 3)] {
        let (monitor, cells) = wide_images(labels, true);
        assert_eq!(
            monitor.frame.terms.panels_max(),
            fit,
            "{labels} labels: docs/evidence.md tells"
        );
        let most = most_bytes(monitor, &cells, 6, 30);
        assert!(most < 900_000, "{labels} labels: {most} bytes");
        assert!(most > 300_000, "{labels} labels: {most} bytes: the stream is not busy");
    }
}
