//! What the protocol promises: sums are exact, nobody opens alone, and all that is wrong is refused by its name.

mod costs;
mod hostile;
mod sums;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::record::Timestamp;
use crate::watch::{Cells, Counts, Tally};

const WINDOW_MS: i64 = 10_000;

fn chance(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A federation with all its secrets.
struct World {
    federation: Federation,
    sites: Vec<SiteSecret>,
    trustees: Vec<TrusteeSecret>,
    chance: ChaCha20Rng,
}

impl World {
    fn new(sites: usize, trustees: usize, cells: usize) -> Self {
        let mut chance = chance(7);
        let sites: Vec<_> = (0..sites)
            .map(|i| SiteSecret::generate(&format!("site-{i}"), &mut chance).unwrap())
            .collect();
        let trustees: Vec<_> = (0..trustees)
            .map(|i| TrusteeSecret::generate(&format!("trustee-{i}"), &mut chance).unwrap())
            .collect();
        let mut text = Federation::head("shops", "0123456789abcdef", WINDOW_MS as u64, cells);
        sites.iter().for_each(|site| text += &site.public_lines());
        trustees.iter().for_each(|trustee| text += &trustee.public_lines(&mut chance));
        let federation = Federation::read(&text).unwrap();
        Self { federation, sites, trustees, chance }
    }

    fn seal(&mut self, site: usize, window: i64, tally: &Tally) -> Vec<u8> {
        let window = Timestamp(window * WINDOW_MS);
        self.sites[site].seal(&self.federation, window, tally, &mut self.chance).unwrap()
    }

    fn read(&self, record: &[u8]) -> Contribution {
        Contribution::read(&self.federation, record).unwrap()
    }

    /// What every site sends for a window, and what they count together.
    fn window(&mut self, window: i64) -> (Vec<Contribution>, Tally) {
        let mut total = Tally::default();
        let cells = self.federation.cells();
        let each = (0..self.sites.len()).map(|site| {
            let tally = tally(site as u64 + 1, cells);
            total.add(&tally);
            let record = self.seal(site, window, &tally);
            self.read(&record)
        });
        (each.collect(), total)
    }

    fn share(&mut self, trustee: usize, sum: &SummedWindow) -> Vec<u8> {
        let mut opened = OpenedWindows::default();
        let permission = opened.admit(sum).unwrap();
        self.trustees[trustee].share(&self.federation, permission, &mut self.chance).unwrap()
    }

    fn shares(&mut self, sum: &SummedWindow) -> Vec<TrusteeShare> {
        let records: Vec<_> = (0..self.trustees.len()).map(|i| self.share(i, sum)).collect();
        let read = |record: &Vec<u8>| TrusteeShare::read(&self.federation, sum, record).unwrap();
        records.iter().map(read).collect()
    }
}

fn tally(of: u64, cells: usize) -> Tally {
    let counts = Counts { rows: 100 * of, flagged: of, quarantined: of, ..Counts::default() };
    let counted =
        (0..cells as u32).map(|cell| if cell.is_multiple_of(3) { 0 } else { cell * of as u32 });
    Tally { counts, cells: Cells::of(counted.collect()), ..Tally::default() }
}

#[test]
fn what_the_sites_counted_together_is_opened_and_nothing_else() {
    let mut world = World::new(4, 3, 20);
    let (contributions, total) = world.window(5);
    let sum = SummedWindow::of(&world.federation, &contributions).unwrap();
    assert_eq!(sum.sites(&world.federation), ["site-0", "site-1", "site-2", "site-3"]);
    let again = SummedWindow::read(&world.federation, sum.to_bytes(), &contributions).unwrap();
    let shares = world.shares(&again);
    let opened = again.open(&world.federation, &shares, &Logarithms::new()).unwrap();
    assert_eq!(opened, total);
    assert_eq!(opened.counts.rows, 1000);
}

#[test]
fn a_record_is_as_long_as_the_page_says() {
    let mut world = World::new(3, 2, 13);
    let n = world.federation.counters();
    assert_eq!(n, 20);
    let (contributions, _) = world.window(0);
    let record = world.seal(0, 0, &tally(1, 13));
    assert_eq!(record.len(), 212 + 64 * n);
    let sum = SummedWindow::of(&world.federation, &contributions).unwrap();
    assert_eq!(sum.to_bytes().len(), 84 + 64 * n + 34 * 3);
    assert_eq!(world.share(1, &sum).len(), 180 + 32 * n);
}
