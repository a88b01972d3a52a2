//! An opened window as evidence: what a monitor of the federation hears.

use super::Federation;
use crate::record::{Offset, Partition, Timestamp};
use crate::watch::{Evidence, Message, Presence, Tally, Tick, Window, WindowStart};

/// The messages that tell a monitor of one window: that its time is over, its counts, and that nothing more comes of it. Windows are told
/// by their start, ascending; one that was told is not counted again. Which record was flagged first a federation does not know.
pub fn messages(federation: &Federation, window: WindowStart, tally: Tally) -> [Message; 3] {
    let length = federation.window_ms() as i64;
    let partition = Partition(0);
    let number = window.0 / length;
    let tick = Tick { at: Timestamp(window.0 + length) };
    let evidence = Evidence {
        baseline: federation.baseline().to_owned(),
        partition,
        from: Offset(number),
        to: Offset(number + 1),
        begins: false,
        head: None,
        read_out: false,
        windows: vec![Window { tally, ..Window::empty(window) }],
    };
    [
        Message::Tick(tick),
        Message::Evidence(evidence),
        Message::Presence(Presence { partition, quiet: true }),
    ]
}
