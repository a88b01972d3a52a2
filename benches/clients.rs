//! How fast clients are watched, and how soon an attack by queries is told.
//!
//!     cargo bench --bench clients -- rate             # rows a second of fingerprints and of the client monitor
//!     cargo bench --bench clients -- queries FOLDER   # rows of recorded attacks until they are told
//!
//! FOLDER holds images of 28 x 28 bytes: `train.u8`, clean ones, and of each attack `nes.u8` and `square.u8` with
//! `nes.attack.u8` and `square.attack.u8`, which say which attack a row is of.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tripline::clients::{
    CleanMarks, ClientMonitor, ClientName, ClientSettings, ClientTerms, KnownSettings, PRINTS,
    PrintScratch, Prints, RowPrints, RowVisit, VisitMessage, VisitWindow, Visits,
};
use tripline::record::{Feature, Offset, Partition, Schema, Timestamp};
use tripline::watch::{Keying, Message, Presence};

const WINDOW_MS: i64 = 10_000;
const WEEK_MS: u64 = 604_800_000;
const SIDE: usize = 28;

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    match asked.first().map(String::as_str) {
        Some("queries") => queries(Path::new(asked.get(1).expect("a folder"))),
        Some("rate") | None => rate(),
        Some(other) => panic!("{other} is no part of this"),
    }
}

fn terms(threshold: usize, horizon_rows: usize) -> Arc<ClientTerms> {
    let clean =
        CleanMarks { flagged: 0.01, confidence: None, matched: (threshold > 0).then_some(0.001) };
    let known = Some(KnownSettings {
        clients_max: 1_000_000,
        travel_ms: 1_800_000,
        origins: true,
        page_ms: 60_000,
        week_ms: 604_800_000,
    });
    let settings =
        ClientSettings { horizon_rows, entries_max: 4096, quota: None, accept: vec![], known };
    Arc::new(ClientTerms::new("b", (WINDOW_MS as u64, WEEK_MS), (&clean, threshold), settings))
}

/// The topic of one partition, window by window; each closes before the next begins.
struct Feed {
    monitor: ClientMonitor,
    at: i64,
    offset: i64,
    told: Vec<Message>,
}

impl Feed {
    fn new(terms: Arc<ClientTerms>) -> Self {
        let mut feed = Self { monitor: ClientMonitor::new(terms), at: 0, offset: 0, told: vec![] };
        feed.take(&VisitMessage::Tick(Timestamp(1)));
        feed
    }

    fn take(&mut self, message: &VisitMessage) {
        self.monitor.take(Offset(self.at), &message.to_bytes()).expect("ours");
        self.at += 1;
    }

    fn window(&mut self, number: i64, visits: Vec<RowVisit>) {
        let (from, start) = (self.offset, Timestamp(number * WINDOW_MS));
        self.offset += visits.len() as i64;
        let presence = |quiet| VisitMessage::Presence(Presence { partition: Partition(0), quiet });
        self.take(&VisitMessage::Visits(Visits {
            baseline: "b".into(),
            partition: Partition(0),
            from: Offset(from),
            to: Offset(self.offset),
            begins: from == 0,
            head: start,
            read_out: false,
            windows: vec![VisitWindow { window: start, visits }],
        }));
        self.take(&presence(true));
        self.take(&VisitMessage::Tick(Timestamp((number + 1) * WINDOW_MS)));
        self.monitor.drain(&mut self.told);
    }
}

fn rate() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let images = Array2::from_shape_simple_fn((3000, SIDE * SIDE), || rng.random::<f32>());
    let prints = learned(&images, &images);
    let (mut scratch, began) = (PrintScratch::default(), Instant::now());
    for row in images.rows() {
        let row = row.to_slice().expect("side by side");
        std::hint::black_box((prints.of(row, &mut scratch), prints.hash(row)));
    }
    let each = began.elapsed().as_secs_f64() * 1e6 / images.nrows() as f64;
    println!("fingerprints: {each:.1} us a row of {} numbers", SIDE * SIDE);
    for printed in [true, false] {
        let mut feed = Feed::new(terms(if printed { 4 } else { 0 }, 20_000));
        let (windows, rows) = (40, 5000);
        let mut all: Vec<Vec<RowVisit>> = vec![];
        for _ in 0..windows {
            all.push((0..rows).map(|_| clean_visit(&mut rng, printed)).collect());
        }
        let began = Instant::now();
        for (number, visits) in all.into_iter().enumerate() {
            feed.window(number as i64, visits);
        }
        let rate = f64::from(windows * rows) / began.elapsed().as_secs_f64();
        let (bytes, with) =
            (feed.monitor.to_bytes().len(), if printed { "with" } else { "without" });
        println!(
            "client monitor, {with} fingerprints: {rate:.0} rows a second, written and read; state {bytes} bytes"
        );
    }
}

fn clean_visit(rng: &mut ChaCha8Rng, printed: bool) -> RowVisit {
    let prints = printed.then(|| {
        RowPrints(Box::new(std::array::from_fn::<u64, PRINTS, _>(|_| rng.random::<u64>() >> 24)))
    });
    RowVisit {
        client: Some(ClientName(zipf(rng, 100_000))),
        marks: if rng.random_bool(0.01) { 2 } else { 0 },
        cell: Some(rng.random_range(0..900)),
        hash: rng.random(),
        prints,
        ..RowVisit::default()
    }
}

/// About 1 / rank.
fn zipf(rng: &mut ChaCha8Rng, clients: u64) -> u64 {
    ((clients as f64).powf(rng.random::<f64>()) as u64).min(clients - 1)
}

fn schema() -> Schema {
    let (name, side) = ("image".into(), SIDE as u32);
    Schema {
        features: vec![Feature::Image {
            name,
            channels: 1,
            height: side,
            width: side,
            scale: 255.0,
        }],
    }
}

fn learned(train: &Array2<f32>, held: &Array2<f32>) -> Prints {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    Prints::learn(&schema(), train.view(), held.view(), &mut rng).expect("images")
}

fn images(path: &Path) -> Array2<f32> {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let pixels: Vec<f32> = bytes.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    Array2::from_shape_vec((pixels.len() / (SIDE * SIDE), SIDE * SIDE), pixels)
        .expect("whole images")
}

/// Clean rows and those of one attack, four or twenty in a window of 800 clean ones, by one account up to a new one for each.
fn queries(folder: &Path) {
    let all = images(&folder.join("train.u8"));
    let rows = |from: usize, to: usize| all.slice(ndarray::s![from..to, ..]).to_owned();
    let (train, clean) = (rows(0, 20_000), rows(20_000, 39_200));
    let prints = learned(&train, &rows(20_000, 50_000));
    println!("clean rows: {:?}", prints.measured);
    let mut scratch = PrintScratch::default();
    let mut visit = |row: &[f32]| {
        let (print, cell) = prints.of(row, &mut scratch);
        RowVisit {
            cell: Some(cell),
            hash: prints.hash(row),
            prints: Some(print),
            ..RowVisit::default()
        }
    };
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut of = |x: &Array2<f32>| -> Vec<RowVisit> {
        x.rows().into_iter().map(|row| visit(row.to_slice().expect("side by side"))).collect()
    };
    let mut clean = of(&clean);
    clean.iter_mut().for_each(|visit| visit.client = Some(ClientName(zipf(&mut rng, 100_000))));
    for name in ["nes", "square"] {
        let x = of(&images(&folder.join(format!("{name}.u8"))));
        let of_attack = fs::read(folder.join(format!("{name}.attack.u8"))).expect("which attack");
        for per in [20, 4] {
            for accounts in [1, 10, 100, u64::MAX] {
                let mut found: BTreeMap<Keying, Vec<Option<usize>>> = BTreeMap::new();
                for attack in 0..8 {
                    let own = x.iter().zip(&of_attack).filter(|(_, of)| **of == attack);
                    let own: Vec<RowVisit> =
                        own.map(|(visit, _)| visit.clone()).take(24 * per).collect();
                    for (keying, rows) in
                        until_told(prints.measured.threshold, &clean, &own, per, accounts)
                    {
                        found.entry(keying).or_default().push(rows);
                    }
                }
                let told = |keying: Keying| {
                    let mut rows: Vec<usize> = found[&keying].iter().flatten().copied().collect();
                    rows.sort_unstable();
                    let (median, most) = (rows.get(rows.len() / 2), rows.last());
                    format!("{} {} of 8, {median:?} ({most:?})", keying.name(), rows.len())
                };
                let told = [Keying::Client, Keying::Cell, Keying::Stream].map(told).join("; ");
                println!("{name}, {per} of {} rows, accounts {accounts}: {told}", 800 + per);
            }
        }
    }
}

/// Rows of an attack until each keying tells of it; of clients and cells, of one of the attack's.
fn until_told(
    threshold: usize,
    clean: &[RowVisit],
    attack: &[RowVisit],
    per: usize,
    accounts: u64,
) -> BTreeMap<Keying, Option<usize>> {
    const FIRST: u64 = 1 << 40;
    let mut feed = Feed::new(terms(threshold, 20_000));
    let mut until: BTreeMap<Keying, Option<usize>> = [Keying::Client, Keying::Cell, Keying::Stream]
        .into_iter()
        .map(|keying| (keying, None))
        .collect();
    let cells: Vec<String> =
        attack.iter().map(|visit| format!("{:08x}", visit.cell.expect("printed"))).collect();
    for (number, clean) in clean.chunks(800).enumerate() {
        let mut rows = clean.to_vec();
        let from = number * per;
        for (i, visit) in attack.iter().enumerate().skip(from).take(per) {
            rows.push(RowVisit {
                client: Some(ClientName(FIRST + i as u64 % accounts)),
                ..visit.clone()
            });
        }
        feed.window(number as i64, rows);
        for message in feed.told.drain(..) {
            let Message::Clients(told) = message else { continue };
            for found in told.findings.iter().filter(|found| found.mark == "matched") {
                let is_ours = match found.keying {
                    Keying::Client => {
                        u64::from_str_radix(&found.key, 16).is_ok_and(|key| key >= FIRST)
                    }
                    Keying::Cell => cells.contains(&found.key),
                    Keying::Stream => true,
                };
                if is_ours {
                    until.get_mut(&found.keying).expect("it is there").get_or_insert(from + per);
                }
            }
        }
        if from >= attack.len() {
            break;
        }
    }
    until
}
