//! A real Alertmanager and promtool.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::site::{SOON, get};
use crate::harness::{Process, free_port, root, wait_until};
pub fn tool(name: &str) -> PathBuf {
    root().join(".tools/alerting/bin").join(name)
}

/// A real one, on the loopback interface, with its data in `target/tmp`.
pub struct Alertmanager {
    _process: Process,
    pub port: u16,
    _dir: tempfile::TempDir,
}

impl Alertmanager {
    pub fn start() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let (config, port) = (dir.path().join("alertmanager.yml"), free_port());
        std::fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
            .expect("a file");
        let child = Command::new(tool("alertmanager"))
            .current_dir(root().join(".tools/alerting"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--cluster.listen-address=", "--log.level=error"])
            .stderr(Stdio::inherit())
            .spawn()
            .expect("alertmanager starts; run scripts/setup test first");
        let alertmanager = Self { _process: Process { child }, port, _dir: dir };
        wait_until("Alertmanager", SOON, || get(port, "/-/ready").0.contains(" 200 "));
        alertmanager
    }

    /// What fires, by key and severity.
    pub fn active(&self) -> BTreeMap<(String, String), Value> {
        let (_, body) = get(self.port, "/api/v2/alerts?active=true");
        let alerts: Vec<Value> = serde_json::from_str(&body).unwrap_or_default();
        let label =
            |alert: &Value, name: &str| alert["labels"][name].as_str().unwrap_or("").to_owned();
        let named = alerts.into_iter();
        named.map(|a| ((label(&a, "dedup_key"), label(&a, "severity")), a)).collect()
    }

    /// Waits until exactly these fire.
    pub fn wait_for(&self, expected: &[(&str, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(k, s)| ((*k).to_owned(), (*s).to_owned())).collect();
        let started = Instant::now();
        while self.active().keys().cloned().collect::<Vec<_>>() != expected {
            assert!(started.elapsed() < SOON, "not {expected:?}: {:#?}", self.active());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the alert of `key` is said again, and what it says then.
    pub fn wait_for_more(&self, key: (&str, &str), than: &Value) -> Value {
        let key = (key.0.to_owned(), key.1.to_owned());
        let mut now = Value::Null;
        let later = |now: &Value, field: &str| now[field].as_str() > than[field].as_str();
        wait_until("the alert to be said again", SOON, || {
            now = self.active().remove(&key).unwrap_or_default();
            later(&now, "endsAt") && later(&now, "updatedAt")
        });
        now
    }
}

/// `promtool check metrics`, which also looks at names and help.
pub fn check_metrics(page: &str) {
    let mut promtool = Command::new(tool("promtool"));
    let promtool = promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let promtool = promtool.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = promtool.spawn().expect("promtool starts; run scripts/setup test first");
    child.stdin.take().expect("piped").write_all(page.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}\n{page}");
}
