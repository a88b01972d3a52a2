//! The readers: programs that stay up, take records on standard input and say what rows they find.
//! `read.py` has the frames.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::record::{ATTACK, CELLS, CLEAN, Record};

/// What one view of a reader found: nothing if it refuses the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// `go.struct`: the reader, and the way in which a server uses it.
    pub view: String,
    pub rows: Option<Rows>,
}

/// Rows as a model would get them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    pub n: usize,
    pub numbers: Vec<f32>,
}

impl Rows {
    /// Whether they are as wide as the model's input: a model takes no others.
    pub fn fit(&self) -> bool {
        self.n > 0 && self.numbers.len() == self.n * CELLS
    }

    /// What the table calls them, if we read `ours`. Minus zero is zero, for every model.
    pub fn word(&self, ours: Option<&Rows>) -> &'static str {
        let is = |row: &[f32], what: &[i64; CELLS]| {
            row.iter().zip(what).all(|(x, &other)| *x == other as f32)
        };
        let mut rows = self.numbers.chunks(CELLS);
        match self.fit() {
            false => "misfit",
            true if rows.clone().any(|row| is(row, &ATTACK)) => "attack",
            true if rows.all(|row| is(row, &CLEAN)) => "clean",
            true if ours == Some(self) => "same",
            true => "other",
        }
    }
}

impl Reading {
    pub fn reader(&self) -> &str {
        self.view.split('.').next().unwrap_or(&self.view)
    }

    /// Whether a server of a stream with these settings reads so: one that goes by name takes neither
    /// the first of several tensors nor tensors in their order.
    pub fn counts_under(&self, settings: &str) -> bool {
        let place = ["head", "order"].iter().any(|way| self.view.ends_with(way));
        !(place && settings.contains("inputs_by = \"name\""))
    }

    fn read(said: &str) -> Self {
        let (view, rows) = said.split_once('=').expect("view=rows");
        let rows = (rows != "!").then(|| {
            let (n, hex) = rows.split_once(':').expect("n:hex");
            let number = |at: usize| {
                let bits = u32::from_str_radix(&hex[at..at + 8], 16).expect("hex");
                f32::from_bits(bits.swap_bytes())
            };
            let numbers = (0..hex.len()).step_by(8).map(number).collect();
            Rows { n: n.parse().expect("a count"), numbers }
        });
        Self { view: view.to_owned(), rows }
    }
}

/// The dialects, as frames name them.
pub fn letter(codec: &str) -> u8 {
    match codec {
        "json" => b'j',
        "kserve-v1" => b'v',
        "oip-json" => b'o',
        "oip-protobuf" => b'p',
        "cloudevents" => b'c',
        "auto" => b'a',
        other => panic!("no reader reads {other}"),
    }
}

/// A running program, which may hold several readers.
struct Program {
    child: Child,
    input: Option<BufWriter<ChildStdin>>,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(mut command: Command) -> Self {
        let name = format!("{command:?}");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}; run scripts/setup test first"));
        let input = child.stdin.take().map(|pipe| BufWriter::with_capacity(1 << 16, pipe));
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, input, output }
    }

    /// Asks about all records; they are written while answers are read, so that no pipe fills.
    fn ask(&mut self, frames: &[u8], n: usize) -> Vec<Vec<Reading>> {
        let mut input = self.input.take().expect("one at a time");
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| {
                input.write_all(frames).and_then(|()| input.flush()).expect("the reader listens");
                input
            });
            let mut answers = Vec::with_capacity(n);
            let mut line = String::new();
            for _ in 0..n {
                line.clear();
                let length = self.output.read_line(&mut line).expect("text");
                assert!(length > 0, "a reader ended: {:?}", self.child.wait());
                let said = line.trim_end_matches('\n').split('\t').filter(|said| !said.is_empty());
                answers.push(said.map(Reading::read).collect());
            }
            self.input = Some(writing.join().expect("it was written"));
            answers
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All readers.
pub struct Readers {
    programs: Vec<Program>,
}

impl Readers {
    pub fn start() -> Self {
        let commands = [python(&["json", "orjson", "kserve"]), python(&["triton"]), go(), java()];
        Self { programs: commands.into_iter().map(Program::start).collect() }
    }

    /// What every reader finds in each record of a stream of this codec.
    pub fn read(&mut self, codec: &str, records: &[Record]) -> Vec<Vec<Reading>> {
        let mut frames = vec![];
        for record in records {
            let headers: String =
                record.headers.iter().map(|(name, text)| format!("{name}\x1f{text}\x1e")).collect();
            let length = 3 + headers.len() + record.value.len();
            frames.extend((length as u32).to_le_bytes());
            frames.push(letter(codec));
            frames.extend((headers.len() as u16).to_le_bytes());
            frames.extend_from_slice(headers.as_bytes());
            frames.extend_from_slice(&record.value);
        }
        let mut all = vec![vec![]; records.len()];
        std::thread::scope(|scope| {
            let (frames, n) = (&frames, records.len());
            let asked = self.programs.iter_mut().map(|one| scope.spawn(move || one.ask(frames, n)));
            for answers in asked.collect::<Vec<_>>() {
                let answers = answers.join().expect("a reader answers");
                all.iter_mut().zip(answers).for_each(|(all, one)| all.extend(one));
            }
        });
        all
    }
}

/// Every word that a reader's views come to, if we read `ours`.
pub fn words<'r>(
    readings: &'r [Reading],
    ours: Option<&Rows>,
) -> BTreeMap<&'r str, Vec<&'static str>> {
    let mut words: BTreeMap<&str, Vec<&'static str>> = BTreeMap::new();
    for reading in readings {
        let word = reading.rows.as_ref().map_or("refuses", |rows| rows.word(ours));
        let all = words.entry(reading.reader()).or_default();
        if !all.contains(&word) {
            all.push(word);
            all.sort_unstable();
        }
    }
    words
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn source(name: &str) -> PathBuf {
    root().join("tests/readers").join(name)
}

fn python(readers: &[&str]) -> Command {
    let mut command = Command::new(root().join(".tools/venv/bin/python"));
    command.arg(source("read.py")).args(readers).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Compiled each time: Go's own cache knows whether there is anything to do.
fn go() -> Command {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("read-go");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(source("read.go")).env("GO111MODULE", "off");
    let status = build.status().expect("go runs; run scripts/setup test first");
    assert!(status.success(), "read.go does not compile");
    Command::new(program)
}

/// The jars that Kafka and the registry bring: pinned, like them.
fn java() -> Command {
    let jar = |folder: &str, name: &str| {
        let folder = root().join(folder);
        let entries = std::fs::read_dir(&folder);
        let entries = entries.unwrap_or_else(|e| panic!("{}: {e}", folder.display())).flatten();
        let is = |path: &PathBuf| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let version = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
            version.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        let found = entries.map(|entry| entry.path()).find(is);
        found.unwrap_or_else(|| panic!("no {name} in {}", folder.display()))
    };
    let jackson = ["jackson-annotations", "jackson-core", "jackson-databind"];
    let mut jars: Vec<_> = jackson.iter().map(|name| jar(".tools/kafka/libs", name)).collect();
    jars.push(jar(".tools/registry/lib", "com.google.protobuf.protobuf-java"));
    let path = std::env::join_paths(jars).expect("paths without colons");
    let mut command = Command::new("java");
    command.args(["-XX:+UseSerialGC", "-Xmx512m", "-cp"]).arg(path).arg(source("Read.java"));
    command
}
