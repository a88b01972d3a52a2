//! A bundle's networks, tried in a process of their own before a stream depends on them.
//!
//! `model::graph` decides what a network may be made of; what it costs nobody can tell without running
//! it: one operator may fill 40 GB while it is loaded. So `check` and `run` start this program once
//! more, under limits of memory and time, hand it the bytes that they will load themselves (never a
//! path: the files may change), and go on only if one row and a full batch came back. A child that is
//! ended by the kernel takes nothing along.
//!
//! What is tried are rows of constants. That is enough because no size may depend on a row's numbers.
//! It cannot see an operator of ONNX Runtime that is slow for rare numbers: at run time
//! `guard_timeout_ms` is for that.

use std::io::{self, BufRead, Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::cgroup;
use super::memory_limit::mib;
use crate::bundle::{Bundle, NETWORKS};
use crate::model::{Deadline, ModelError, Network, Runtime};

/// How bundles are tried.
#[derive(Clone, Debug)]
pub struct Trial {
    program: Option<PathBuf>,
    load: Duration,
    memory: Option<u64>,
}

/// Why a bundle is not taken.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    #[error("{reason} (tried with {rows} rows and {} of memory)", mib(*memory))]
    Refused { reason: String, rows: usize, memory: u64 },
    #[error(
        "its networks did not come back within {limit:?} from being loaded and tried with {rows} rows"
    )]
    Late { limit: Duration, rows: usize },
    #[error(
        "its networks ended the process that tried them with {rows} rows and {} of memory ({status}): \
         they need more, or break ONNX Runtime", mib(*memory)
    )]
    Died { status: ExitStatus, rows: usize, memory: u64 },
    #[error("its networks cannot be tried: {0}")]
    Process(io::Error),
}

/// Processor time to load all networks: those of the bundles that come with Tripline take 0.3 s.
const LOAD: Duration = Duration::from_secs(12);
/// A batch may take so long even where `guard_timeout_ms` says less: that is about this machine on a
/// bad day, this about a bundle that never comes back.
const BATCH_AT_LEAST: Duration = Duration::from_secs(5);
/// How much longer than its processor time a trial may take where others want the processor too.
const WAIT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);

/// Memory beside the networks' files and what a row takes.
const MEMORY: u64 = 1 << 30;
/// Copies of a network's file that stand beside each other while it is loaded and optimized.
const MEMORY_PER_BYTE: u64 = 8;
/// For all layers at once: 64 channels of a 28×28 image are 0.2 MiB.
const MEMORY_PER_ROW: u64 = 1 << 20;
/// Never less than this, however small the machine: the C library reserves an arena per thread.
const MEMORY_AT_LEAST: u64 = 256 << 20;

/// Characters of a reason.
const REASON_MAX: usize = 1000;

/// What the child is told, as a line of JSON; the networks' bytes follow.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    width: usize,
    rows: usize,
    memory: u64,
    load: Duration,
    batch: Duration,
    /// Bytes of each of [`NETWORKS`].
    networks: [Option<u64>; NETWORKS.len()],
}

impl Trial {
    /// By another process of this same program, whose `trial` command it is.
    pub fn by_this_program() -> Self {
        // Not its path: the file may have been replaced since.
        Self::by("/proc/self/exe")
    }

    /// By `program`, which is Tripline.
    pub fn by(program: impl Into<PathBuf>) -> Self {
        Self { program: Some(program.into()), load: LOAD, memory: None }
    }

    /// Not at all: the networks are checked, but not run before the first record. For programs that
    /// have no `trial` command.
    pub fn none() -> Self {
        Self { program: None, load: LOAD, memory: None }
    }

    /// This trial with `bytes` of memory.
    pub fn within(self, bytes: u64) -> Self {
        Self { memory: Some(bytes), ..self }
    }

    /// Loads the networks of `bundle`, runs a row and then `rows` of them, each within `batch`.
    ///
    /// # Errors
    /// If it does not come back within its limits, or says why not.
    pub fn run(
        &self,
        runtime: &Runtime,
        bundle: &Bundle,
        rows: usize,
        batch: Duration,
    ) -> Result<(), TrialError> {
        let Some(program) = &self.program else { return Ok(()) };
        let networks = NETWORKS.each_ref().map(|kind| bundle.network(kind.file));
        let bytes: usize = networks.iter().flatten().map(|onnx| onnx.len()).sum();
        let request = Request {
            width: bundle.manifest.schema.width(),
            rows,
            memory: self.memory.unwrap_or_else(|| memory(bytes as u64, rows as u64)),
            load: self.load,
            batch: batch.max(BATCH_AT_LEAST),
            networks: networks.map(|onnx| onnx.map(|onnx| onnx.len() as u64)),
        };
        let limit = request.processor() + WAIT;
        let mut child = start(program, runtime).map_err(TrialError::Process)?;
        let mut input = child.stdin.take().expect("a pipe");
        let ended = thread::scope(|scope| {
            let mut line = serde_json::to_vec(&request).expect("plain data");
            line.push(b'\n');
            scope.spawn(move || {
                let parts = networks.iter().flatten().copied();
                // A child that ends before it has read everything says why by itself.
                std::iter::once(&line[..]).chain(parts).try_for_each(|part| input.write_all(part))
            });
            wait(&mut child, limit)
        });
        let (memory, status) = (request.memory, ended.map_err(TrialError::Process)?);
        let Some(status) = status else { return Err(TrialError::Late { limit, rows }) };
        let mut reason = String::new();
        let mut output = child.stdout.take().expect("a pipe").take(8 * REASON_MAX as u64);
        // What is no text is no reason.
        let _ = output.read_to_string(&mut reason);
        match (status.code(), reason.trim()) {
            (Some(0), _) => Ok(()),
            (Some(_), reason) if !reason.is_empty() => {
                Err(TrialError::Refused { reason: reason.into(), rows, memory })
            }
            _ if status.signal() == Some(rustix::process::Signal::XCPU.as_raw()) => {
                Err(TrialError::Late { limit: request.processor(), rows })
            }
            _ => Err(TrialError::Died { status, rows, memory }),
        }
    }
}

impl Request {
    /// Processor time for everything: a row, then a batch.
    fn processor(&self) -> Duration {
        self.load + 2 * self.batch
    }
}

/// What `bytes` of networks and `rows` may take here.
fn memory(bytes: u64, rows: u64) -> u64 {
    let enough = MEMORY + MEMORY_PER_BYTE * bytes + MEMORY_PER_ROW * rows;
    // In a container the child counts with us.
    let here = cgroup::limit().map_or(u64::MAX, |limit| limit.bytes / 2);
    enough.min(here).max(MEMORY_AT_LEAST)
}

fn start(program: &Path, runtime: &Runtime) -> io::Result<Child> {
    let library = std::path::absolute(runtime.library())?;
    let mut command = Command::new(program);
    // Nothing of ours reaches it: no secret, no folder that a relative name would be looked up in.
    command.arg("trial").env_clear().env("ORT_DYLIB_PATH", library).current_dir("/");
    command.envs(std::env::var_os("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
}

/// Until it ends, or `limit` is over: then it is ended.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

/// The child's side: reads a request from `input` and does what it says.
///
/// # Errors
/// Why the networks are not taken.
pub fn answer(input: &mut impl BufRead) -> Result<(), String> {
    answered(input).map_err(|reason| reason.chars().take(REASON_MAX).collect())
}

fn answered(input: &mut impl BufRead) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let mut line = String::new();
    input.take(1 << 16).read_line(&mut line).map_err(|e| told(&e))?;
    let request: Request = serde_json::from_str(&line).map_err(|e| told(&e))?;
    let runtime = Runtime::load(None).map_err(|e| told(&e))?;
    limit_memory(request.memory).map_err(|e| told(&e))?;
    limit_processor(request.load).map_err(|e| told(&e))?;
    let mut networks = vec![];
    for (kind, bytes) in NETWORKS.iter().zip(request.networks) {
        let Some(bytes) = bytes else { continue };
        let mut onnx = vec![0; bytes as usize];
        input.read_exact(&mut onnx).map_err(|e| told(&e))?;
        let network = Network::load(&runtime, kind.name, &onnx, request.width);
        networks.push(network.map_err(|e| told(&e))?);
    }
    limit_processor(request.processor()).map_err(|e| told(&e))?;
    let deadline = Deadline::new(request.batch).map_err(|e| told(&e))?;
    let values = [0.0, 1.0, -1.0, 0.5].into_iter().cycle();
    let mut out = vec![];
    for network in networks {
        let mut network = network.limited(deadline.clone());
        for rows in [1, request.rows] {
            let x: Vec<f32> = (values.clone().take(rows))
                .flat_map(|value| std::iter::repeat_n(value, request.width))
                .collect();
            match network.run(&x, &mut out) {
                // Rows that nobody sent: what becomes of their numbers is of no interest.
                Ok(()) | Err(ModelError::NotFinite { .. }) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
    Ok(())
}

/// `more` than what we have: address space, and what of it can be written to. No core is dumped.
fn limit_memory(more: u64) -> io::Result<()> {
    const PAGE: u64 = 4096;
    // Pages: size, resident, shared, text, lib, data.
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages = |at: usize| pages.split_whitespace().nth(at).and_then(|n| n.parse::<u64>().ok());
    let limit = |resource, at| {
        let now = pages(at).ok_or(io::ErrorKind::InvalidData)?;
        lower(resource, now * PAGE + more)
    };
    limit(Resource::As, 0)?;
    limit(Resource::Data, 5)?;
    lower(Resource::Core, 0)
}

/// What is over it is ended. The harder limit stays as it is, so that this one can be raised.
fn limit_processor(time: Duration) -> io::Result<()> {
    lower(Resource::Cpu, time.as_secs().max(1))
}

fn lower(resource: Resource, to: u64) -> io::Result<()> {
    let maximum = getrlimit(resource).maximum;
    let current = Some(maximum.map_or(to, |maximum| maximum.min(to)));
    Ok(setrlimit(resource, Rlimit { current, maximum })?)
}
