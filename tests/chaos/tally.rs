//! What the guards' logs say, counted.
//!
//! It sees what cannot be seen from outside: that one was fenced, that partitions came and went.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// What happened to the fleet.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// kill -9 by us.
    pub kills: u64,
    /// kill -9 by a failpoint, per window.
    pub windows: BTreeMap<&'static str, u64>,
    /// The same, per role that came to the window.
    pub roles: BTreeMap<String, u64>,
    /// kill -9 by nobody we know.
    pub mysteries: u64,
    /// Ends with another status than 0 that nobody killed.
    pub exits: u64,
    pub fencings: u64,
    pub given_up: u64,
    /// Times a partition went on where its state ends, because its group told an older offset.
    pub behind: u64,
    pub rebalances: u64,
    pub rebalances_in_flight: u64,
    pub zombies: u64,
    /// Zombies that went on under the name that another had taken: each fences the other.
    pub duels: u64,
    /// I8, in words; empty if it holds.
    pub zombie_faults: Vec<String>,
    /// Bytes at the highest, by the kernel's count.
    pub rss_max: u64,
    pub panics: Vec<String>,
}

/// A log file, and how far it was read.
pub struct Log {
    pub path: PathBuf,
    pub read: u64,
}

impl Tally {
    pub fn hear(&mut self, name: &str, line: &Value) {
        let said = message(line);
        self.fencings += u64::from(is_fencing(line));
        self.given_up += u64::from(said.contains("beginning again"));
        self.behind += u64::from(said.contains("tells an offset behind"));
        self.rebalances += u64::from(["assigned", "handed over"].contains(&said));
        self.rebalances += u64::from(said.starts_with("lost:"));
        let in_flight = line["fields"]["in_flight"].as_bool().unwrap_or(false);
        self.rebalances_in_flight += u64::from(in_flight);
        if said.contains("panicked") {
            self.panics.push(format!("{name}: {line}"));
        }
    }
}

/// What a line says.
pub fn message(line: &Value) -> &str {
    line["fields"]["message"].as_str().unwrap_or_default()
}

fn is_fencing(line: &Value) -> bool {
    let fields = &line["fields"];
    let texts = ["message", "error", "reason"].map(|key| fields[key].as_str().unwrap_or_default());
    let known = ["took over transactional id", "take nothing more under transactional id"];
    texts.iter().any(|text| known.iter().any(|said| text.contains(said)))
}

impl Log {
    /// What was written since, line by line; a line that is not JSON is kept as its message.
    pub fn lines(&mut self) -> Vec<Value> {
        let mut text = vec![];
        let Ok(mut file) = File::open(&self.path) else { return vec![] };
        if file.seek(SeekFrom::Start(self.read)).is_err() || file.read_to_end(&mut text).is_err() {
            return vec![];
        }
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        self.read += whole as u64;
        let text = String::from_utf8_lossy(&text[..whole]);
        let line = |line: &str| {
            let other = || serde_json::json!({ "fields": { "message": line } });
            serde_json::from_str(line).unwrap_or_else(|_| other())
        };
        text.lines().map(line).collect()
    }

    /// What is there by now was said before.
    pub fn skip(&mut self) {
        self.lines();
    }
}

/// Whether who says this has heard from the group or the brokers since it stood still.
pub fn knows(said: &str) -> bool {
    let heard =
        ["assigned", "handed over", "lost:", "transaction aborted", "standing back", "stopped"];
    heard.iter().any(|known| said.starts_with(known))
}

/// How long a commit took: one that took longer than its process stood still was asked for before.
pub fn took(line: &Value) -> Duration {
    let text = line["fields"]["took"].as_str().unwrap_or_default();
    let number = |unit: &str| text.strip_suffix(unit)?.parse::<f64>().ok();
    let seconds = number("ms").map(|n| n / 1e3).or_else(|| number("µs").map(|n| n / 1e6));
    Duration::from_secs_f64(seconds.or_else(|| number("s")).unwrap_or(0.0))
}

/// The most memory that a process ever had, in bytes; 0 if it is gone.
pub fn rss(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}
