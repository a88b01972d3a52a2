//! How a client is dropped without a wait.

use tracing::warn;

/// Drops a client on a thread of its own, because leaving a group waits for brokers.
pub fn part_with(client: impl Send + 'static) {
    let thread = std::thread::Builder::new().name("farewell".into());
    if let Err(error) = thread.spawn(move || drop(client)) {
        warn!(%error, "no thread to let a client go on");
    }
}
