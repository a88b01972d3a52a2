//! A deadline of ours around calls into librdkafka that may never come back.
//!
//! | call | what bounds it |
//! | --- | --- |
//! | `send_offsets_to_transaction` | nothing: a lost answer of the group's coordinator loses the call ([librdkafka #5456]); [`within`] |
//! | `commit` of a consumer's offsets | `socket.timeout.ms` and the session, once each; [`native::commit_offsets`](super::native::commit_offsets) waits as long as we say |
//! | `init_transactions`, `begin_transaction`, `commit_transaction`, `abort_transaction`, `flush` | their timeout; the second half of each is answered by the client's own thread |
//! | `committed_offsets`, `fetch_watermarks`, `fetch_metadata`, `seek_partitions` | their timeout |
//! | admin requests | their timeout, and 5 s of ours on top |
//! | `assign`, `unassign`, `pause`, `resume`, `subscribe` | answered by the client's own thread, which waits for no broker |
//! | dropping a client | leaving a group waits for brokers: [`part_with`](super::transaction::part_with) gives it a thread of its own |
//!
//! A call that is left behind keeps its thread and its client, because nobody can end either. So there
//! may be only so many of them: beyond that the caller waits with them, and the watchdog ends the process.
//!
//! [librdkafka #5456]: https://github.com/confluentinc/librdkafka/issues/5456

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tracing::{error, info};

/// Calls that were left behind and have not come back.
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// Each keeps a client: half a dozen threads and some megabytes.
const LEFT_MAX: usize = 64;

/// How many calls were left behind and have not come back.
pub fn left_behind() -> usize {
    LEFT.load(Ordering::Relaxed)
}

/// What `call` gives, or `None` if it does not come back within `patience`. It goes on then, on a
/// thread that nobody waits for.
pub fn within<T: Send + 'static>(
    what: &'static str,
    patience: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if left_behind() >= LEFT_MAX {
        error!(what, "{LEFT_MAX} calls into librdkafka hang: this one is waited for");
        return Some(call());
    }
    let (sender, receiver) = mpsc::sync_channel(0);
    let body = move || {
        // Nobody listens any more: it came back late.
        if sender.send(call()).is_err() {
            LEFT.fetch_sub(1, Ordering::Relaxed);
            info!(what, "a call that was left behind has come back");
        }
    };
    if let Err(error) = thread::Builder::new().name("deadline".into()).spawn(body) {
        error!(what, %error, "no thread for a call into librdkafka");
        return None;
    }
    let answer = receiver.recv_timeout(patience).ok();
    if answer.is_none() {
        // Counted before the other end is gone, which is when the receiver is dropped.
        LEFT.fetch_add(1, Ordering::Relaxed);
    }
    drop(receiver);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_does_not_come_back_is_left_behind_until_it_does() {
        assert_eq!(within("a test", Duration::from_secs(10), || 7), Some(7));
        assert_eq!(left_behind(), 0);
        let (come_back, waits) = mpsc::channel::<()>();
        let hangs = move || waits.recv().is_ok();
        assert_eq!(within("a test", Duration::from_millis(20), hangs), None);
        assert_eq!(left_behind(), 1);
        come_back.send(()).expect("it still waits");
        while left_behind() > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}
