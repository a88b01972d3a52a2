//! A receiver of webhooks on the loopback interface.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::site::{SECRET, SOON};
use crate::harness::Process;
/// A request that somebody made.
#[derive(Clone, Debug)]
pub struct Request {
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    /// Key and status of the alert in it.
    pub fn says(&self) -> (String, String) {
        let alert: Value = serde_json::from_slice(&self.body).expect("an alert");
        let text = |name: &str| alert[name].as_str().expect("a text").to_owned();
        (text("dedup_key"), text("status"))
    }

    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
}

/// A receiver on the loopback interface.
pub struct Hook {
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Hook {
    /// `answer` says with which status, if at all, the request of this number is answered.
    pub fn listen(
        port: u16,
        answer: impl Fn(usize, &Request) -> Option<u16> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let heard = requests.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            let mut unanswered = vec![];
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = read(&stream) else { continue };
                let number = heard.lock().expect("no panic").len();
                let status = answer(number, &request);
                heard.lock().expect("no panic").push(request);
                let mut stream = stream;
                match status {
                    Some(status) => {
                        let _ = write!(
                            stream,
                            "HTTP/1.1 {status} said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                        );
                    }
                    None => unanswered.push(stream),
                }
            }
        });
        Self { requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }

    pub fn wait_for(&self, n: usize) -> Vec<Request> {
        let started = Instant::now();
        while self.requests().len() < n {
            assert!(started.elapsed() < SOON, "{n} requests: {:#?}", self.requests());
            std::thread::sleep(Duration::from_millis(50));
        }
        self.requests()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let (mut headers, mut line) = (BTreeMap::new(), String::new());
    reader.read_line(&mut line).ok()?;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request { headers, body })
}

/// Holds every signature against an implementation that is not ours.
pub fn check_signatures(requests: &[Request]) {
    assert_eq!(ask("webhook.py", &[SECRET], requests).len(), requests.len());
}

/// Each request as the SDK of CloudEvents reads it.
pub fn read_events(requests: &[Request]) -> Vec<Value> {
    let lines = ask("events.py", &[], requests);
    lines.iter().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The lines that a script of `tests/clients` writes about `requests`.
fn ask(script: &str, arguments: &[&str], requests: &[Request]) -> Vec<String> {
    let line = |request: &Request| {
        let body = STANDARD.encode(&request.body);
        format!("{}\n", json!({"headers": request.headers, "body": body}))
    };
    let lines: String = requests.iter().map(line).collect();
    let mut script = Process::client(script, arguments);
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}
