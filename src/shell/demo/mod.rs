//! The whole product in one process: a broker, the guard as `tripline run` runs it, somebody who sends images, the model
//! behind it whose answers are logged, and somebody who counts what comes out against what went in.
//!
//! The broker is librdkafka's own mock. It speaks the protocol, transactions included, but keeps
//! nothing on disk, hides nothing of an open transaction, forgets offsets committed in one and
//! drops a partition's oldest records beyond 5 MiB. So the demo shows detection and delivery, not
//! recovery: the tests against a real Kafka do that.

mod area;
mod collect;
mod deployed;
mod exhibit;
mod federation;
mod feed;
mod image;
mod picture;
mod plan;
mod queries;
mod slice;
mod tally;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;

use super::bundle::{self, BundleDirError};
use super::clock;
use super::kafka::{Clients, topics};
use super::run::{Overview, RunError, prepare, run as guard};
use super::trial::Trial;
use crate::config::{Config, Problems, Stream};
use crate::model::{ModelError, Networks, Runtime, RuntimeError};
use crate::score::{Guard, GuardError};
use collect::Collector;
use deployed::{Answered, Deployed};
use feed::Feeder;
use image::PIXELS;
use plan::{DemoAccount, Plan, searchers};
use slice::{SliceError, Slices};

pub use deployed::DeployedError;
pub use exhibit::{Exhibit, ExhibitError};
pub use federation::{Campaign, CampaignError, CampaignOutcome, Shop, campaign, write_evidence};
pub use picture::{Depth, half_blocks, heat};
pub use plan::{Phase, Truth};
pub use tally::{Kind, Tally};

/// What to show.
#[derive(Clone, Debug)]
pub struct Options {
    pub records: usize,
    pub seed: u64,
    pub bundle: PathBuf,
    /// Where the picture goes.
    pub out: PathBuf,
}

/// How far the demo is: told about ten times a second.
pub struct Moment<'a> {
    pub records: usize,
    pub fed: u64,
    pub elapsed: Duration,
    pub tally: &'a Tally,
}

/// What happened.
pub struct Outcome {
    pub tally: Tally,
    pub fed: u64,
    /// From the first record fed to the last one that came out.
    pub work: Duration,
    /// All of it.
    pub elapsed: Duration,
    pub exhibits: Vec<Exhibit>,
    /// `None` if nothing was caught.
    pub picture: Option<PathBuf>,
    /// What the deployed model answered, and how many of that with an exchanged label.
    pub answers: [u64; 2],
    /// Accounts that search, by their pseudonyms.
    pub searchers: BTreeMap<String, String>,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("the demo's own configuration is wrong:\n{0}")]
    Config(Problems),
    #[error(transparent)]
    Slice(#[from] SliceError),
    #[error("bundle: {0}")]
    Bundle(#[from] BundleDirError),
    #[error("the bundle {bundle} is for rows of {width} numbers; the demo feeds images of {PIXELS}", bundle = .bundle.display())]
    Width { bundle: PathBuf, width: usize },
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("the bundle cannot score: {0}")]
    Monitor(#[from] GuardError),
    #[error("what was caught cannot be shown: {0}")]
    Exhibit(#[from] ExhibitError),
    #[error("the guard stopped: {0}")]
    Guard(#[from] RunError),
    #[error("the deployed model: {0}")]
    Deployed(#[from] DeployedError),
    #[error("the embedded broker: {what}: {error}")]
    Kafka { what: &'static str, error: KafkaError },
    #[error("{path}: {reason}", path = path.display())]
    Picture { path: PathBuf, reason: String },
}

fn during(what: &'static str) -> impl Fn(KafkaError) -> DemoError {
    move |error| DemoError::Kafka { what, error }
}

const PARTITIONS: i32 = 4;

/// Nothing came out for so long: what is missing will not come. Joining the group takes 3 s.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long to wait for what there is to tell once everything is out: windows of a quiet stream close after three more, by
/// the clock, and the client monitor and the join come one after the other.
const EPILOGUE: Duration = Duration::from_secs(16);

/// Between two moments.
const MOMENT: Duration = Duration::from_millis(100);

/// What a file for `tripline run` would say. The broker and the bundle are filled in.
const CONFIG: &str = r#"
instance = "demo"

[kafka]
brokers = "127.0.0.1:0"

[[key]]
name = "pseudonyms"
jwk = { env = "DEMO" }

[[stream]]
name = "fashion"
input = "fashion.requests"
bundle = "."
codec = "auto"
mode = "enforce"
on_flagged = "quarantine"
budget = "1%"
fields = ["/image"]

[stream.alerts]
window_ms = 2000
keep_firing_for = "10s"

[stream.clients]
enabled = true
[stream.clients.id]
header = "x-client-id"
[[stream.clients.key]]
name = "pseudonyms"
from = "2020-01-01T00:00:00Z"

[stream.answers]
topic = "fashion.responses"
id = { header = "ce-id" }
request_id = { header = "x-request-id" }
"#;

/// The secret of all demos: 32 bytes that everybody knows.
const SECRET: [u8; 32] = *b"the demo has nothing to hide....";

/// Runs the demo; `watch` is called while it goes on.
///
/// # Errors
/// If something cannot be read, the guard stops, or the broker refuses.
pub fn run(options: &Options, watch: &mut dyn FnMut(&Moment<'_>)) -> Result<Outcome, DemoError> {
    let started = Instant::now();
    let accounts = searchers(options.records);
    let slices = Slices::read(&options.bundle)?.asking(accounts, options.seed);
    let picture = options.out.join("caught.png");
    let unwritten = |reason: String| DemoError::Picture { path: picture.clone(), reason };
    // Now, not after all the work.
    std::fs::create_dir_all(&options.out).map_err(|e| unwritten(e.to_string()))?;
    let plan = Plan::new(options.records, options.seed, &slices);
    let broker = MockCluster::new(1).map_err(during("start"))?;
    let config = config(&broker.bootstrap_servers(), &options.bundle)?;
    create_topics(&broker, &config)?;
    let bundle = bundle::read(&options.bundle)?;
    let width = bundle.manifest.schema.width();
    if width != PIXELS {
        return Err(DemoError::Width { bundle: options.bundle.clone(), width });
    }
    let mut networks = Networks::load(&Runtime::load(config.onnxruntime.as_deref())?, &bundle)?;

    let watched = show(&config, &plan, &slices, &mut networks, started, watch)?;
    let stream = &config.streams[0];
    let monitor = Guard::new(&bundle, stream.budget, stream.policy, &stream.codec)?;
    let exhibits = exhibit::exhibits(&watched.tally, &plan, &slices, &monitor, &mut networks)?;
    if !exhibits.is_empty() {
        picture::save(&exhibits, &picture).map_err(|e| unwritten(e.to_string()))?;
    }
    Ok(Outcome {
        work: watched.tally.newest - watched.fed_from,
        fed: watched.fed,
        tally: watched.tally,
        elapsed: started.elapsed(),
        picture: (!exhibits.is_empty()).then_some(picture),
        exhibits,
        answers: watched.answers,
        searchers: named(stream, accounts),
    })
}

/// What `tripline client` says of the accounts that search.
fn named(stream: &Stream, accounts: usize) -> BTreeMap<String, String> {
    let names = stream.clients.as_ref().and_then(|clients| clients.names.as_ref());
    let ids = (0..accounts).map(|number| DemoAccount::Searcher(number).id());
    let pair = |id: String| Some((names?.name(clock::now(), id.as_bytes()).to_string(), id));
    ids.filter_map(pair).collect()
}

/// What was seen while the guard ran.
struct Watched {
    tally: Tally,
    fed: u64,
    fed_from: Instant,
    answers: [u64; 2],
}

/// Guard, feeder, deployed model and collector at once, until everything that was fed came out and its incidents are
/// told, or nothing moves any more.
fn show(
    config: &Config,
    plan: &Plan,
    slices: &Slices,
    networks: &mut Networks,
    started: Instant,
    watch: &mut dyn FnMut(&Moment<'_>),
) -> Result<Watched, DemoError> {
    let stream = &config.streams[0];
    let prepared = prepare(config, &Trial::none())?;
    let clients = Clients::new(config.kafka.clone(), &config.instance).embedded();
    let overview = Overview::new(&prepared);
    let (stop, fed, came_out) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let end = clock::now();
    let collector = Collector::start(&config.kafka.brokers, PARTITIONS, stream)
        .map_err(during("start the collector"))?;
    let feeder = Feeder {
        brokers: &config.kafka.brokers,
        topic: &stream.input,
        partitions: PARTITIONS as usize,
        plan,
        slices,
        end,
        fed: &fed,
        came_out: &came_out,
        stop: &stop,
    };
    let answered = Answered::default();
    let deployed = stream.answers.as_ref().map(|answers| Deployed {
        brokers: &config.kafka.brokers,
        stream,
        answers,
        partitions: PARTITIONS,
        plan,
        slices,
        networks,
        end,
        answered: &answered,
        stop: &stop,
    });
    let records = plan.records.len();
    thread::scope(|scope| {
        // However this ends, the others are told.
        let told = Told(&stop);
        let guarding = scope.spawn(|| guard(&clients, prepared, &overview, &stop));
        while !overview.threads.iter().all(|thread| thread.is_ready(clock::now(), PATIENCE)) {
            let moment =
                Moment { records, fed: 0, elapsed: started.elapsed(), tally: &Tally::new(0) };
            watch(&moment);
            if stop.load(Ordering::Relaxed) || started.elapsed() > PATIENCE {
                break;
            }
            thread::sleep(MOMENT);
        }
        let fed_from = Instant::now();
        let feeding = scope.spawn(|| feeder.run());
        let answering = deployed.map(|deployed| scope.spawn(|| deployed.run()));
        let mut tally = Tally::new(records);
        loop {
            collector.take(MOMENT, &mut tally).map_err(during("collect"))?;
            came_out.store(tally.out(), Ordering::Relaxed);
            let fed = fed.load(Ordering::Relaxed);
            watch(&Moment { records, fed, elapsed: started.elapsed(), tally: &tally });
            let all_out = tally.out() == records as u64;
            let quiet = tally.newest.elapsed();
            let over = all_out && (tally.is_told() || quiet > EPILOGUE);
            if over || quiet > PATIENCE || stop.load(Ordering::Relaxed) {
                break;
            }
        }
        drop(told);
        let fed_well = feeding.join().expect("the feeder does not panic");
        guarding.join().expect("the guard catches its threads' panics")?;
        fed_well.map_err(during("feed"))?;
        answering.map_or(Ok(()), |model| model.join().expect("the model does not panic"))?;
        let answers = [&answered.all, &answered.exchanged].map(|n| n.load(Ordering::Relaxed));
        Ok(Watched { tally, fed: fed.load(Ordering::Relaxed), fed_from, answers })
    })
}

/// Sets its flag when dropped.
struct Told<'a>(&'a AtomicBool);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn config(brokers: &str, bundle: &Path) -> Result<Config, DemoError> {
    let secret = |_: crate::config::Secret<'_>| {
        let k = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(SECRET);
        Ok(serde_json::json!({ "kty": "oct", "k": k }).to_string())
    };
    // No overrides: the demo shows the same everywhere.
    let variables = std::iter::empty();
    let mut config = Config::read(Path::new("demo.toml"), CONFIG, variables, &secret)
        .map_err(DemoError::Config)?;
    config.kafka.brokers = brokers.to_owned();
    config.streams[0].bundle = bundle.to_owned();
    Ok(config)
}

/// The mock has no admin API: topics are made on the cluster itself.
fn create_topics(
    broker: &MockCluster<'_, rdkafka::producer::DefaultProducerContext>,
    config: &Config,
) -> Result<(), DemoError> {
    let answers = |stream: &Stream| stream.answers.as_ref().map(|answers| answers.topic.clone());
    let read = |stream: &Stream| std::iter::once(stream.input.clone()).chain(answers(stream));
    let input = config.streams.iter().flat_map(read).map(|topic| (topic, PARTITIONS));
    let wanted = topics::wanted(config).into_iter().map(|topic| match topic.like_input {
        Some(_) => (topic.name, PARTITIONS),
        None => (topic.name, topic.partitions),
    });
    for (name, partitions) in input.chain(wanted) {
        broker.create_topic(&name, partitions, 1).map_err(during("create a topic"))?;
    }
    Ok(())
}
