//! The federated monitor and one that is fed the plaintext sum say the same, and remember the same bytes.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use tripline::federate::{
    Contribution, Federation, Logarithms, OpenedWindows, SiteSecret, SummedWindow, TrusteeSecret,
    TrusteeShare,
};
use tripline::monitor::{Alert, Status};
use tripline::record::Timestamp;
use tripline::score::Guard;
use tripline::shell::federate::Listener;
use tripline::shell::run;
use tripline::watch::Tally;

use super::{CleanRows, WINDOW_MS, stream};

/// All parties of a federation with three sites and two trustees.
struct Parties {
    federation: Federation,
    sites: Vec<SiteSecret>,
    trustees: Vec<(TrusteeSecret, OpenedWindows)>,
    logarithms: Logarithms,
    chance: ChaCha20Rng,
}

impl Parties {
    fn new(guard: &Guard) -> Self {
        let mut chance = ChaCha20Rng::seed_from_u64(11);
        let cells = guard.signals().cells();
        let mut text = Federation::head("shops", guard.baseline(), WINDOW_MS as u64, cells);
        let sites: Vec<_> = ["a", "b", "c"]
            .map(|name| SiteSecret::generate(name, &mut chance).expect("a name"))
            .into();
        sites.iter().for_each(|site| text += &site.public_lines());
        let mut trustees = vec![];
        for name in ["t", "u"] {
            let trustee = TrusteeSecret::generate(name, &mut chance).expect("a name");
            text += &trustee.public_lines(&mut chance);
            trustees.push((trustee, OpenedWindows::default()));
        }
        let federation = Federation::read(&text).expect("it is sound");
        Self { federation, sites, trustees, logarithms: Logarithms::new(), chance }
    }

    fn open(&mut self, window: Timestamp, tallies: &[Tally]) -> Tally {
        let Self { federation, sites, trustees, logarithms, chance } = self;
        let sealed = sites.iter().zip(tallies).map(|(site, tally)| {
            let record = site.seal(federation, window, tally, chance).expect("it is sealed");
            Contribution::read(federation, &record).expect("it is sound")
        });
        let sum = SummedWindow::of(federation, &sealed.collect::<Vec<_>>()).expect("a sum");
        let shares = trustees.iter_mut().map(|(trustee, opened)| {
            let permission = opened.admit(&sum).expect("it was not opened before");
            let share = trustee.share(federation, permission, chance).expect("a share");
            TrusteeShare::read(federation, &sum, &share).expect("it is sound")
        });
        let shares: Vec<_> = shares.collect();
        sum.open(federation, &shares, logarithms).expect("it opens")
    }
}

/// `windows` windows; every `each`th goes through encryption, the others as their sum.
fn equal(bundle: &str, windows: i64, each: i64, attacked: bool) -> Vec<Alert> {
    let stream = stream(bundle);
    let (_, guard) = run::guard(&stream).expect("the bundle is sound");
    let mut parties = Parties::new(&guard);
    let listen = |parties: &Parties| {
        Listener::with_guard(&parties.federation, &stream, &guard).expect("one baseline")
    };
    let (mut federated, mut plain) = (listen(&parties), listen(&parties));
    let (clean, mut chance) = (CleanRows::new(guard.signals()), ChaCha20Rng::seed_from_u64(5));
    let (mut told, mut encrypted) = (vec![], 0);
    for i in 0..windows {
        let window = Timestamp(i * WINDOW_MS);
        let attacks = u64::from(attacked && (windows / 4..windows / 2).contains(&i));
        let tallies = [(); 3].map(|()| clean.draw(8, attacks, &mut chance));
        let mut sum = Tally::default();
        tallies.iter().for_each(|tally| sum.add(tally));
        let opened = match i % each {
            0 => {
                encrypted += 1;
                parties.open(window, &tallies)
            }
            _ => sum.clone(),
        };
        assert_eq!(opened, sum, "window {i}");
        let alerts = federated.hear(&parties.federation, window, opened);
        assert_eq!(alerts, plain.hear(&parties.federation, window, sum), "window {i}");
        if i % 10 == 9 || !alerts.is_empty() {
            assert_eq!(federated.to_bytes(), plain.to_bytes(), "window {i}");
        }
        told.extend(alerts);
    }
    println!("{bundle}: {windows} windows, {encrypted} encrypted, {} alerts", told.len());
    told
}

/// The monitor is a function of what it hears, so what matters is that each opened window equals its sum. All of 1,000 windows
/// of three bundles through encryption take an hour: `..._of_every_window` below does that for one.
#[test]
fn alerts_and_state_of_the_federated_monitor_equal_those_of_one_fed_the_plaintext_sum() {
    for (bundle, each) in [("shuttle", 125), ("nsl-kdd", 250), ("fashion-mnist", 500)] {
        for attacked in [false, true] {
            let alerts = equal(bundle, 1000, each, attacked);
            let fired = alerts.iter().filter(|alert| alert.status == Status::Firing).count();
            assert!(!attacked || fired > 0, "{bundle}: nothing fired, so little was compared");
        }
    }
}

/// `WINDOWS=100` makes it shorter.
#[test]
#[ignore = "it takes ten minutes"]
fn alerts_and_state_equal_those_of_the_plaintext_sum_with_encryption_of_every_window() {
    let windows = std::env::var("WINDOWS").map_or(1000, |text| text.parse().expect("a number"));
    for attacked in [false, true] {
        equal("shuttle", windows, 1, attacked);
    }
}
