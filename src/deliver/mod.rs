//! Exactly once: from a record fetched to a transaction committed, whatever fails in between.
//!
//! The worker, the monitor and the followers of a stream as plain state machines over a [`Session`]. They know
//! when to commit, when to hand over, when to begin again; they do no I/O of their own.

mod answer_reader;
mod arrivals;
mod backoff;
mod crash_loop;
mod emit;
mod follower;
mod hanging;
mod inbox;
mod join_follower;
mod monitor;
mod progress;
mod recovery;
mod refusal;
mod scorer;
mod session;
mod spans;
mod stall;
mod worker;

pub use answer_reader::{ANSWERS_KEY, AnswerDriver};
pub use backoff::Backoff;
pub use crash_loop::{CRASH_LOOP_KEY, CrashLoopGuard};
pub use emit::{POINTER, TIMESTAMP};
pub use follower::{Follower, FollowerDriver, FollowerError, FollowerState, begin_follower};
pub use hanging::{GROUP, HangingTransactions, Outputs};
pub use inbox::Inbox;
pub use join_follower::JOIN_KEY;
pub use monitor::{EVIDENCE_PARTITION, MONITOR_KEY, MonitorDriver, begin_monitor};
pub use progress::{
    Durations, FollowerFacts, Following, Progress, QUANTILES, Sizes, Spread, Standing, Values,
};
pub use refusal::{Form, Objection, Refusal, Takes};
pub use scorer::Scorer;
pub use session::{
    Beginning, Change, Fetched, Forward, ForwardKey, Keep, Kept, KeptIn, Output, Session,
    SessionError, Start, numbered_key,
};
pub use spans::{
    BatchCounts, BatchSpan, LINKS_MAX, OPEN_BATCHES_MAX, SpanCounts, SpanQueue, SpanSource,
    TraceParent,
};
pub use worker::{BATCH_BYTES_MAX, LANE_KEY, Resting, Timing, Worker, begin_lane};
