//! A site's part: its evidence becomes windows, and each window a record for the folder.

use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use super::files;
use super::folder::{Author, ExchangeFolder, when};
use super::listen::site_monitor;
use super::{Done, FederateError, Keyring, Say, chance};
use crate::config::Stream;
use crate::federate::Federation;
use crate::record::Offset;
use crate::shell::bundle::open_regular;
use crate::watch::{Message, Tally, WindowStart};

/// Bytes of one message of the evidence topic: more than any topic takes.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// Windows without a record that are filled in between two others. A longer pause stays one.
const GAP_MAX: i64 = 1000;

/// What a site needs to seal its windows.
pub struct Sealing<'a> {
    pub federation: &'a Federation,
    pub keyring: &'a Keyring,
    pub stream: &'a Stream,
    pub folder: &'a ExchangeFolder,
}

/// Seals every window that is complete in `evidence`: values of the stream's evidence topic, a line each, in their order. A window
/// that was sealed before is left as it is. A window without records is sealed too: otherwise a sum would wait for it.
///
/// # Errors
/// If a file cannot be read or written, or the stream does not score as the federation does.
pub fn seal(of: &Sealing<'_>, evidence: &Path, tell: Say<'_>) -> Result<Done, FederateError> {
    let mut done = Done::default();
    for (window, tally) in closed(of, evidence, tell)? {
        match seal_one(of, window, &tally)? {
            Sealed::Now => done.done += 1,
            Sealed::Before => {}
            Sealed::No(reason) => {
                done.refused += 1;
                tell(format!("window {} is left out: {reason}", when(window)));
            }
        }
    }
    tell(format!("{} windows sealed", done.done));
    Ok(done)
}

enum Sealed {
    Now,
    Before,
    No(String),
}

fn seal_one(of: &Sealing<'_>, window: WindowStart, tally: &Tally) -> Result<Sealed, FederateError> {
    let site = of.keyring.site()?;
    site.number(of.federation).map_err(|rejection| of.keyring.rejected(rejection))?;
    let from = Author::Site(site.name());
    if of.folder.path(window, from).exists() {
        return Ok(Sealed::Before);
    }
    let record = match site.seal(of.federation, window, tally, &mut chance()) {
        Ok(record) => record,
        Err(rejection) => return Ok(Sealed::No(format!("{rejection} [{}]", rejection.name()))),
    };
    match of.folder.write(window, from, &record) {
        Err(FederateError::Exists { .. }) => Ok(Sealed::Before),
        written => written.map(|()| Sealed::Now),
    }
}

/// The windows that are complete, by their start: closed as the site's own monitor closes them.
fn closed(
    of: &Sealing<'_>,
    evidence: &Path,
    tell: Say<'_>,
) -> Result<Vec<(WindowStart, Tally)>, FederateError> {
    let mut monitor = site_monitor(of.federation, of.stream)?;
    let mut reader = BufReader::new(open_regular(evidence)?);
    let (mut line, mut offset, mut unreadable, mut others) = (vec![], 0, 0, 0);
    let (mut alerts, mut windows) = (vec![], vec![]);
    loop {
        line.clear();
        let mut limited = reader.by_ref().take(LINE_BYTES_MAX);
        if limited.read_until(b'\n', &mut line).map_err(files::failed(evidence))? == 0 {
            break;
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        match Message::from_bytes(text) {
            Err(_) => unreadable += 1,
            Ok(Message::Evidence(said)) if said.baseline != of.federation.baseline() => others += 1,
            Ok(message) => monitor.take(Offset(offset), &message, &mut alerts),
        }
        // A site's own alerts are its own monitor's to tell.
        alerts.clear();
        offset += 1;
        windows.append(&mut monitor.drain_closed());
    }
    for (n, what) in [(unreadable, "cannot be read"), (others, "are of another bundle or budget")] {
        if n > 0 {
            tell(format!("{n} messages of {} {what} and are left out", evidence.display()));
        }
    }
    Ok(without_gaps(windows, of.federation.window_ms() as i64))
}

/// `windows`, with empty ones between them.
fn without_gaps(windows: Vec<(WindowStart, Tally)>, length: i64) -> Vec<(WindowStart, Tally)> {
    let mut all: Vec<(WindowStart, Tally)> = vec![];
    for (window, tally) in windows {
        if let Some(&(last, _)) = all.last()
            && (window.0 - last.0) / length <= GAP_MAX
        {
            let mut start = last.0 + length;
            while start < window.0 {
                all.push((crate::record::Timestamp(start), Tally::default()));
                start += length;
            }
        }
        all.push((window, tally));
    }
    all
}
