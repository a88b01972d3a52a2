//! A campaign over three shops that none of them sees alone.
//!
//! Each shop scores its own records with the bundle that all three share. For a quarter of an hour one record in a hundred of each is an
//! attack: too few for any shop's alarm. The shops add their counts under encryption, and the alarm of the sum fires.
//!
//! Rows are real ones of the bundle's slice, scored once; what each shop receives is drawn from them. Keys, records, sums and
//! shares are those of `tripline federate`, without files.

mod parties;
mod rows;
mod write;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::config::{Config, Problems, Secret, Stream};
use crate::federate::Rejection;
use crate::model::Runtime;
use crate::monitor::{Alert, Status};
use crate::record::Timestamp;
use crate::score::{Guard, GuardFailure};
use crate::shell::federate::{FederateError, Listener};
use crate::shell::run::{Prepared, RunError};
use crate::shell::trial::Trial;
use crate::watch::{Counts, Tally};
use parties::Parties;
use rows::ScoredRows;

pub use write::write_evidence;

/// What to show.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub bundle: PathBuf,
    pub seed: u64,
    /// Windows of a minute.
    pub windows: u32,
    /// Those with attacks: in every second one each shop has one.
    pub attacked: Range<u32>,
}

impl Campaign {
    /// What each shop receives in a window.
    fn tallies(
        &self,
        rows: &ScoredRows,
        minute: u32,
        draw: &mut ChaCha8Rng,
    ) -> [Tally; SHOPS.len()] {
        let attacked =
            |shop: u32| self.attacked.contains(&minute) && (minute + shop).is_multiple_of(2);
        [0, 1, 2].map(|shop| rows.window(attacked(shop), draw))
    }

    /// Attacks on all shops.
    pub fn attacks(&self) -> u32 {
        let minutes = self.attacked.clone();
        minutes
            .map(|minute| (0..3).filter(|shop| (minute + shop).is_multiple_of(2)).count() as u32)
            .sum()
    }
}

/// A shop, and what it saw alone.
#[derive(Clone, Debug)]
pub struct Shop {
    pub name: &'static str,
    pub counts: Counts,
    /// What its own monitor would have told.
    pub alerts: Vec<Alert>,
}

/// What happened.
pub struct CampaignOutcome {
    pub shops: Vec<Shop>,
    pub together: Counts,
    /// What the federation's monitor told, and in which window.
    pub alerts: Vec<(u32, Alert)>,
    /// Bytes of a shop's record of a window, and numbers in it.
    pub record_bytes: usize,
    pub counters: usize,
    pub elapsed: Duration,
}

impl CampaignOutcome {
    /// Whether it went as it should: the shops together were told, none of them alone.
    pub fn is_seen_only_together(&self) -> bool {
        let fires = |alert: &Alert| alert.status == Status::Firing;
        self.alerts.iter().any(|(_, alert)| fires(alert))
            && !self.shops.iter().any(|shop| shop.alerts.iter().any(fires))
    }
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    #[error("the demo's own configuration is wrong:\n{0}")]
    Config(Problems),
    #[error("{path}: {error}", path = path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("the slice has no clean rows, or no attacks")]
    Empty,
    #[error(transparent)]
    Stream(#[from] RunError),
    #[error(transparent)]
    Federate(#[from] FederateError),
    #[error("the federation refused its own record: {0}")]
    Rejected(#[from] Rejection),
    #[error("the guard cannot score: {0}")]
    Guard(#[from] GuardFailure),
}

const SHOPS: [&str; 3] = ["bakery", "florist", "grocer"];
const WINDOW_MS: i64 = 60_000;
/// Records of a shop in a window.
const RECORDS: usize = 50;
/// Where the demo's time begins, 2027-01-15T08:00:00Z: it asks no clock.
const START: i64 = 1_800_000_000_000;

/// Runs it; `watch` is called after each window.
///
/// # Errors
/// If the bundle or its slice cannot be read.
pub fn campaign(
    options: &Campaign,
    watch: &mut dyn FnMut(u32),
) -> Result<CampaignOutcome, CampaignError> {
    let started = Instant::now();
    let Street { stream, guard, rows } = &Street::new(&options.bundle)?;
    let mut parties = Parties::new(guard)?;
    let listen = || Listener::with_guard(&parties.federation, stream, guard);
    let mut alone = SHOPS.iter().map(|_| listen()).collect::<Result<Vec<_>, _>>()?;
    let mut together = listen()?;
    let mut outcome = CampaignOutcome {
        shops: SHOPS.map(|name| Shop { name, counts: Counts::default(), alerts: vec![] }).into(),
        together: Counts::default(),
        alerts: vec![],
        record_bytes: 0,
        counters: parties.federation.counters(),
        elapsed: Duration::ZERO,
    };
    let mut draw = ChaCha8Rng::seed_from_u64(options.seed);
    for minute in 0..options.windows {
        let window = Timestamp(START + i64::from(minute) * WINDOW_MS);
        let tallies = options.tallies(rows, minute, &mut draw);
        for ((shop, listener), tally) in outcome.shops.iter_mut().zip(&mut alone).zip(&tallies) {
            shop.counts.add(&tally.counts);
            shop.alerts.extend(listener.hear(&parties.federation, window, tally.clone()));
        }
        let (tally, bytes) = parties.add(window, &tallies)?;
        outcome.record_bytes = bytes;
        outcome.together.add(&tally.counts);
        let alerts = together.hear(&parties.federation, window, tally);
        outcome.alerts.extend(alerts.into_iter().map(|alert| (minute, alert)));
        watch(minute + 1);
    }
    outcome.elapsed = started.elapsed();
    Ok(outcome)
}

/// The stream that each shop has, and its records.
struct Street {
    stream: Stream,
    guard: Arc<Guard>,
    rows: ScoredRows,
}

impl Street {
    fn new(bundle: &Path) -> Result<Self, CampaignError> {
        let text = config_text(bundle);
        let none = |_: Secret<'_>| Err("the demo has no secrets".to_owned());
        let config = Config::read(Path::new("demo"), &text, [], &none);
        let stream = config.map_err(CampaignError::Config)?.streams.remove(0);
        let runtime = Runtime::load(None).map_err(RunError::from)?;
        let prepared = Prepared::new(&runtime, &Trial::none(), &stream, None)?;
        let guard = prepared.guard.clone();
        let (mut scorer, _) = prepared.into_scorer();
        let rows = ScoredRows::read(bundle, &mut scorer)?;
        Ok(Self { stream, guard, rows })
    }
}

/// The configuration of a shop.
fn config_text(bundle: &Path) -> String {
    let bundle = std::path::absolute(bundle).unwrap_or_else(|_| bundle.to_owned());
    let bundle = toml::Value::String(bundle.display().to_string());
    format!(
        "instance = \"demo\"\n\n[kafka]\nbrokers = \"127.0.0.1:9092\"\n\n[[stream]]\nname = \"shops\"\n\
         input = \"shops.requests\"\nbundle = {bundle}\nbudget = \"1%\"\nmode = \"enforce\"\n\
         on_flagged = \"quarantine\"\n\n[stream.alerts]\nwindow_ms = {WINDOW_MS}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::federate::Federation;

    /// Which of the shops, and last their sum, were told of an attack.
    fn fired(street: &Street, federation: &Federation, options: &Campaign) -> [bool; 4] {
        let Street { stream, guard, rows } = street;
        let mut listeners =
            [(); 4].map(|()| Listener::with_guard(federation, stream, guard).expect("one bundle"));
        let mut draw = ChaCha8Rng::seed_from_u64(options.seed);
        let mut fired = [false; 4];
        for minute in 0..options.windows {
            let window = Timestamp(START + i64::from(minute) * WINDOW_MS);
            let tallies = options.tallies(rows, minute, &mut draw);
            let mut sum = Tally::default();
            tallies.iter().for_each(|tally| sum.add(tally));
            let told = tallies.into_iter().chain([sum]);
            for ((listener, fired), tally) in listeners.iter_mut().zip(&mut fired).zip(told) {
                let alerts = listener.hear(federation, window, tally);
                *fired |= alerts.iter().any(|alert| alert.status == Status::Firing);
            }
        }
        fired
    }

    #[test]
    fn of_12_campaigns_at_least_11_page_together_and_at_most_3_of_36_shops_alone() {
        let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/shuttle");
        let street = Street::new(&bundle).unwrap();
        let parties = Parties::new(&street.guard).unwrap();
        let (mut alone, mut together, mut calm) = (0, 0, 0);
        for seed in 0..12 {
            let bundle = bundle.clone();
            let mut options = Campaign { bundle, seed, windows: 40, attacked: 20..34 };
            let [a, b, c, sum] = fired(&street, &parties.federation, &options);
            alone += [a, b, c].into_iter().filter(|&fired| fired).count();
            together += usize::from(sum);
            options.attacked = 0..0;
            calm +=
                fired(&street, &parties.federation, &options).into_iter().filter(|&f| f).count();
        }
        println!("together {together} of 12, alone {alone} of 36, without attacks {calm} of 48");
        assert!(together >= 11, "{together} of 12 sums were told");
        assert!(alone <= 3, "{alone} of 36 shops were told");
        assert!(calm <= 1, "{calm} of 48 were told of nothing");
    }
}
