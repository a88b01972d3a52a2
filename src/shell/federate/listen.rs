//! Monitors of a federation: at a site one that closes the windows, and one that hears what was opened.

use crate::config::Stream;
use crate::federate::{self, Federation};
use crate::monitor::{Alert, Frame, Monitor};
use crate::score::Guard;
use crate::shell::run;
use crate::watch::{Tally, WindowStart};
use std::sync::Arc;

use super::FederateError;

/// The first lines of the file of a federation that scores as `stream` does.
///
/// # Errors
/// If the bundle of `stream` cannot be read.
pub fn head(name: &str, stream: &Stream) -> Result<String, FederateError> {
    let (_, guard) = run::guard(stream)?;
    let window_ms = stream.alerts.window.as_millis() as u64;
    Ok(Federation::head(name, guard.baseline(), window_ms, guard.signals().cells()))
}

/// Frame of the federation's monitor: that of `stream`, under the federation's name.
fn frame(federation: &Federation, stream: &Stream, guard: &Guard) -> Result<Frame, FederateError> {
    let (ours, theirs) = (guard.baseline(), federation.baseline());
    let mismatch = |what: String| {
        let stream = &stream.name;
        Err(FederateError::Mismatch(format!("stream {stream}: {what}")))
    };
    if ours != theirs {
        return mismatch(format!(
            "its bundle and budget make baseline {ours}; the federation has {theirs}: all sites use one bundle and one budget"
        ));
    }
    let (ours, theirs) = (guard.signals().cells(), federation.cells());
    if ours != theirs {
        return mismatch(format!("its bundle has {ours} cells; the federation has {theirs}"));
    }
    let (ours, theirs) = (stream.alerts.window.as_millis(), u128::from(federation.window_ms()));
    if ours != theirs {
        return mismatch(format!(
            "window_ms is {ours} in [stream.alerts]; in the federation it is {theirs}"
        ));
    }
    let mut stream = stream.clone();
    stream.name = federation.name().to_owned();
    // What is opened is of no partition, and comes in its own time.
    stream.alerts.per_partition = false;
    stream.alerts.no_data = None;
    Ok(run::frame(&stream, guard))
}

/// The monitor that closes a site's windows.
///
/// # Errors
/// If `stream` does not score as the federation does.
pub fn site_monitor(federation: &Federation, stream: &Stream) -> Result<Monitor, FederateError> {
    let (_, guard) = run::guard(stream)?;
    let frame = frame(federation, stream, &guard)?;
    Ok(Monitor::new(Arc::new(frame)).keeping_windows())
}

/// Hears windows of a federation, or of one site of it, as their counts become known.
#[derive(Clone, Debug)]
pub struct Listener {
    monitor: Monitor,
}

impl Listener {
    /// A listener that has heard nothing.
    ///
    /// # Errors
    /// If `stream` does not score as the federation does.
    pub fn new(federation: &Federation, stream: &Stream) -> Result<Self, FederateError> {
        let (_, guard) = run::guard(stream)?;
        Self::with_guard(federation, stream, &guard)
    }

    /// Takes a bundle that was read already.
    ///
    /// # Errors
    /// As [`Listener::new`].
    pub fn with_guard(
        federation: &Federation,
        stream: &Stream,
        guard: &Guard,
    ) -> Result<Self, FederateError> {
        let frame = frame(federation, stream, guard)?;
        Ok(Self { monitor: Monitor::new(Arc::new(frame)) })
    }

    /// The listener that wrote `state`, and what is to be said of incidents that nobody follows any more.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn restored(self, state: &[u8]) -> Result<(Self, Vec<Alert>), FederateError> {
        let restored = self.monitor.covering(state);
        let (monitor, ended) =
            restored.map_err(|error| FederateError::Mismatch(error.to_string()))?;
        Ok((Self { monitor }, ended))
    }

    /// Windows before this count no more.
    pub fn frontier(&self) -> WindowStart {
        self.monitor.frontier()
    }

    pub fn hear(
        &mut self,
        federation: &Federation,
        window: WindowStart,
        tally: Tally,
    ) -> Vec<Alert> {
        let mut alerts = vec![];
        for message in federate::messages(federation, window, tally) {
            self.monitor.take(self.monitor.next(), &message, &mut alerts);
        }
        alerts
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.monitor.to_bytes()
    }

    /// How near an alarm is, in [0, 1).
    pub fn level(&self) -> f64 {
        self.monitor.level()
    }
}
