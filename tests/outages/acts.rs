//! The acts: what is done, and what must hold after it.

mod disk;

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use self::disk::disk_full;
use crate::alerts;
use crate::cluster::Cluster;
use crate::stream::{Row, Stream};

/// Whether the guard is killed while an act is played: at moments that this seed draws.
pub type Kills = Option<u64>;

/// One thing that befalls the log.
pub struct Act {
    pub name: &'static str,
    pub what: &'static str,
    pub play: fn(Kills) -> Row,
}

pub const ALL: [Act; 12] = [
    Act {
        name: "retention-down",
        what: "the guard is down, retention passes its offset",
        play: retention_down,
    },
    Act {
        name: "retention-running",
        what: "the guard stands still, retention passes its offset",
        play: retention_running,
    },
    Act {
        name: "anew-held",
        what: "the input topic is made anew; then `state reset`",
        play: anew_held,
    },
    Act {
        name: "anew-accepted",
        what: "the input topic is made anew, `accept_gap = true`",
        play: anew_accepted,
    },
    Act { name: "evidence-anew", what: "the evidence topic is made anew", play: evidence_anew },
    Act {
        name: "open-transaction",
        what: "a sender leaves a transaction open for a minute and a half; others send behind it",
        play: open_transaction,
    },
    Act {
        name: "unreadable-batch",
        what: "a batch of 5 kB unpacks to more than the client takes; then `receive.message.max.bytes` is raised",
        play: unreadable_batch,
    },
    Act {
        name: "disk-full",
        what: "the broker's disk is full for 90 s, and it ends; then it is started again",
        play: disk_full,
    },
    Act {
        name: "unclean-held",
        what: "an unclean election takes the input's newest records; then `state reset`",
        play: unclean_held,
    },
    Act { name: "unclean-accepted", what: "the same, `accept_gap = true`", play: unclean_accepted },
    Act {
        name: "unclean-output",
        what: "an unclean election takes the newest records of `sanitized`; then `state reset --from`",
        play: unclean_output,
    },
    Act {
        name: "unclean-state",
        what: "an unclean election takes the newest state; then `state reset`",
        play: unclean_state,
    },
];

/// Those of every run: one of each kind.
pub const SHORT: [&str; 3] = ["retention-down", "anew-held", "unclean-held"];

const LOST: &str = "tripline_input_records_lost_total";
const OUTPUTS_LOST: &str = "tripline_output_records_lost_total";
const FIRING: &str = "tripline_incident_firing";
const PATIENCE: Duration = Duration::from_secs(60);

fn cluster(nodes: usize) -> (tempfile::TempDir, Cluster) {
    let dir = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start(Path::new(dir.path()), nodes, 1);
    (dir, cluster)
}

/// What every act ends with: the account, and that the process lives.
fn end(stream: &mut Stream<'_>, mut row: Row, expected: u64) -> Row {
    (row.lost, row.twice) = stream.account();
    row.kills = stream.guard.kills();
    if let Some(status) = stream.guard.ended() {
        row.problems.push(format!("the process ended by itself: {status}"));
    }
    if row.lost != expected {
        row.problems.push(format!("{} records never left, {expected} could not", row.lost));
    }
    if row.twice > 0 {
        row.problems.push(format!("{} records left twice", row.twice));
    }
    if row.said.is_none() {
        row.problems.push("nobody was told within a minute".into());
    }
    if row.goes_on.is_none() {
        row.problems.push("it does not go on".into());
    }
    if !row.problems.is_empty() {
        let log = std::fs::read_to_string(stream.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        eprintln!("{}", lines[lines.len().saturating_sub(80)..].join("\n"));
    }
    row
}

/// A metric begins anew with the process; who kills that asks the alerts.
fn told(row: &mut Row, stream: &Stream<'_>, kills: Kills, expected: f64) {
    let since = Instant::now();
    let count = || match kills {
        None => stream.metric(LOST),
        Some(_) => alerts::told(stream.cluster, &stream.name, "lost"),
    };
    row.told = count();
    while kills.is_some() && row.told < expected && since.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(500));
        row.told = count();
    }
    if row.told != expected {
        row.problems.push(format!("{} records were told lost, {expected} were", row.told));
    }
}

/// Two hundred records are done.
fn begun<'a>(
    kills: Kills,
    cluster: &'a mut Cluster,
    name: &str,
    more: &str,
    fragile: &[&str],
) -> Stream<'a> {
    let mut stream = Stream::new(cluster, name, more, fragile);
    stream.start();
    stream.feed(200);
    stream.wait_left(200, PATIENCE).expect("the first records leave");
    if let Some(seed) = kills {
        stream.guard.kill_now_and_then(seed);
    }
    stream
}

fn retention_down(kills: Kills) -> Row {
    let (_dir, mut cluster) = cluster(1);
    let mut stream = begun(kills, &mut cluster, "down", "", &[]);
    stream.guard.stop();
    stream.feed(200);
    stream.delete_below(180);
    stream.feed(20);
    let since = Instant::now();
    stream.start();
    let mut row = Row { said: stream.said(since, &[LOST, FIRING], &[]), ..Row::default() };
    row.goes_on = stream.wait_left(260, PATIENCE);
    told(&mut row, &stream, kills, 160.0);
    end(&mut stream, row, 160)
}

fn retention_running(kills: Kills) -> Row {
    let (_dir, mut cluster) = cluster(1);
    let mut stream = begun(kills, &mut cluster, "running", "", &[]);
    stream.guard.freeze(true);
    // A request that was on its way when it was stopped gets these few.
    stream.feed(10);
    stream.feed(290);
    stream.delete_below(200);
    stream.feed(20);
    let since = Instant::now();
    stream.guard.freeze(false);
    let mut row = Row { said: stream.said(since, &[LOST, FIRING], &[]), ..Row::default() };
    stream.wait_left(320, PATIENCE);
    row.goes_on = Some(since.elapsed());
    let (lost, _) = stream.account();
    // What was fetched before it stood still may have left.
    told(&mut row, &stream, kills, lost as f64);
    end(&mut stream, row, lost)
}

fn anew(stream: &mut Stream<'_>) -> Instant {
    stream.delete("requests");
    std::thread::sleep(Duration::from_millis(300));
    stream.create("requests", &[]);
    let since = Instant::now();
    stream.feed(60);
    since
}

fn anew_held(kills: Kills) -> Row {
    let (_dir, mut cluster) = cluster(1);
    let mut stream = begun(kills, &mut cluster, "anew", "", &[]);
    let since = anew(&mut stream);
    let mut row = Row { said: stream.said(since, &[], &["made anew"]), ..Row::default() };
    stream.feed(300);
    std::thread::sleep(Duration::from_secs(8));
    if stream.left().len() != 200 {
        row.problems.push(format!("{} records left while it was held", stream.left().len()));
    }
    stream.guard.stop();
    stream.tripline(&["state", "reset", "--stream", "anew", "--yes"]);
    stream.start();
    row.goes_on = stream.wait_left(560, PATIENCE);
    end(&mut stream, row, 0)
}

fn anew_accepted(kills: Kills) -> Row {
    let (_dir, mut cluster) = cluster(1);
    let mut stream = begun(kills, &mut cluster, "accepted", "accept_gap = true", &[]);
    let since = anew(&mut stream);
    let mut row = Row::default();
    stream.feed(300);
    row.said = stream.said(since, &[FIRING], &[]);
    row.goes_on = stream.wait_left(560, PATIENCE);
    end(&mut stream, row, 0)
}

fn evidence_anew(kills: Kills) -> Row {
    let (_dir, mut cluster) = cluster(1);
    let mut stream = begun(kills, &mut cluster, "evidence", "", &[]);
    stream.delete("evidence");
    std::thread::sleep(Duration::from_millis(300));
    stream.tripline(&["topics", "--apply"]);
    let since = Instant::now();
    stream.feed(100);
    let mut row = Row { goes_on: stream.wait_left(300, PATIENCE), ..Row::default() };
    let words = "the evidence topic is another log";
    while row.said.is_none() && since.elapsed() < PATIENCE {
        let log = std::fs::read_to_string(stream.log()).unwrap_or_default();
        row.said = log.contains(words).then(|| since.elapsed());
        std::thread::sleep(Duration::from_millis(200));
    }
    end(&mut stream, row, 0)
}

fn open_transaction(kills: Kills) -> Row {
    let (_dir, mut cluster) = cluster(1);
    let mut stream = begun(kills, &mut cluster, "open", "", &[]);
    let mut client = stream.cluster.client();
    client.set("transactional.id", "somebody").set("transaction.timeout.ms", "600000");
    let producer: BaseProducer = client.create().expect("a producer");
    producer.init_transactions(Duration::from_secs(30)).expect("an id");
    producer.begin_transaction().expect("begun");
    producer
        .send(BaseRecord::<(), str>::to("open.requests").partition(0).payload("[]"))
        .expect("room");
    producer.flush(Duration::from_secs(20)).expect("it is there");
    let since = Instant::now();
    stream.feed(100);
    let mut row = Row {
        said: stream.said_within(since, Duration::from_secs(90), &["stalled: "]),
        ..Row::default()
    };
    producer.abort_transaction(Duration::from_secs(30)).expect("aborted");
    row.goes_on = stream.wait_left(300, PATIENCE);
    end(&mut stream, row, 0)
}

fn unreadable_batch(kills: Kills) -> Row {
    let (_dir, mut cluster) = cluster(1);
    let mut stream = begun(kills, &mut cluster, "batch", "", &[]);
    let mut client = stream.cluster.client();
    client.set("message.max.bytes", "500000000").set("queue.buffering.max.kbytes", "600000");
    client.set("compression.type", "zstd");
    let producer: BaseProducer = client.create().expect("a producer");
    let blanks = vec![b' '; 110_000_000];
    producer
        .send(BaseRecord::<(), [u8]>::to("batch.requests").partition(0).payload(&blanks))
        .expect("room");
    producer.flush(Duration::from_secs(60)).expect("the broker takes it");
    let since = Instant::now();
    stream.feed(100);
    let mut row = Row {
        said: stream.said_within(since, Duration::from_secs(90), &["stalled: "]),
        ..Row::default()
    };
    stream.guard.stop();
    stream.set("receive.message.max.bytes", "400000000");
    stream.start();
    row.goes_on = stream.wait_left(300, PATIENCE);
    end(&mut stream, row, 0)
}

/// Of a fragile topic node 2 has nothing of what node 1 alone took, and leads when node 1 is gone. Node 3 has all
/// other topics too.
fn unclean(stream: &mut Stream<'_>) {
    stream.cluster.nodes[1].end(false);
    // Until node 1 knows that it is alone.
    std::thread::sleep(Duration::from_secs(12));
    // Who dies before he has looked at what he wrote, or written down what he saw, does not miss it (docs/operations.md).
    stream.guard.spare(true);
    stream.feed(100);
    stream.wait_left(300, PATIENCE).expect("they leave");
    // Long enough for somebody to look.
    std::thread::sleep(Duration::from_secs(5));
    stream.guard.spare(false);
    stream.cluster.nodes[0].end(false);
    stream.cluster.nodes[1].start();
    stream.cluster.nodes[1].wait_ready();
    stream.cluster.nodes[0].start();
    stream.cluster.nodes[0].wait_ready();
}

fn unclean_held(kills: Kills) -> Row {
    let (_dir, mut cluster) = cluster(3);
    let mut stream = begun(kills, &mut cluster, "unclean", "", &["requests"]);
    unclean(&mut stream);
    let since = Instant::now();
    stream.feed(200);
    let words = &["lost its newest records"];
    let mut row = Row { said: stream.said(since, &[], words), ..Row::default() };
    stream.guard.stop();
    stream.tripline(&["state", "reset", "--stream", "unclean", "--yes"]);
    stream.start();
    row.goes_on = stream.wait_left(500, PATIENCE);
    end(&mut stream, row, 0)
}

fn unclean_accepted(kills: Kills) -> Row {
    let (_dir, mut cluster) = cluster(3);
    let mut stream = begun(kills, &mut cluster, "accepts", "accept_gap = true", &["requests"]);
    unclean(&mut stream);
    let since = Instant::now();
    stream.feed(200);
    let mut row = Row { said: stream.said(since, &[FIRING], &[]), ..Row::default() };
    row.goes_on = stream.wait_left(500, PATIENCE);
    end(&mut stream, row, 0)
}

fn unclean_output(kills: Kills) -> Row {
    let (_dir, mut cluster) = cluster(3);
    let mut stream = begun(kills, &mut cluster, "output", "", &["sanitized"]);
    unclean(&mut stream);
    let since = Instant::now();
    let mut row = Row { said: stream.said(since, &[OUTPUTS_LOST, FIRING], &[]), ..Row::default() };
    let (gone, _) = stream.account();
    let count = || match kills {
        None => stream.metric(OUTPUTS_LOST),
        Some(_) => alerts::told(stream.cluster, &stream.name, "outputs_lost"),
    };
    row.told = count();
    while row.told < gone as f64 && since.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(500));
        row.told = count();
    }
    if gone == 0 || row.told < gone as f64 {
        row.problems.push(format!("{gone} records are gone, {} were told", row.told));
    }
    stream.guard.stop();
    for command in stream.commands("state reset") {
        let words: Vec<&str> = command.split(' ').collect();
        stream.tripline(&[&words[1..], &["--yes"]].concat());
    }
    stream.start();
    stream.feed(50);
    row.goes_on = stream.wait_left(350, PATIENCE);
    let row = end(&mut stream, row, 0);
    // What was flagged between those that were lost is held back once more.
    Row { problems: row.problems.into_iter().filter(|p| !p.contains("twice")).collect(), ..row }
}

fn unclean_state(kills: Kills) -> Row {
    let (_dir, mut cluster) = cluster(3);
    let mut stream = begun(kills, &mut cluster, "state", "", &["state"]);
    unclean(&mut stream);
    let since = Instant::now();
    stream.feed(50);
    let mut row =
        Row { said: stream.said(since, &[], &["its state covers", "is firing"]), ..Row::default() };
    stream.guard.stop();
    for what in [&[][..], &["--monitor"]] {
        stream.tripline(&[&["state", "reset", "--stream", "state", "--yes"], what].concat());
    }
    stream.start();
    row.goes_on = stream.wait_left(350, PATIENCE);
    end(&mut stream, row, 0)
}
