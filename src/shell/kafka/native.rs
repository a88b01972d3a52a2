//! Everything `unsafe` of this crate, here and below: calls that the safe API lacks or gets wrong.

#![allow(
    unsafe_code,
    reason = "librdkafka is C: what its safe wrapper lacks is called here, and nowhere else"
)]

mod admin;
mod error;
mod groups;
mod headers;
mod names;
mod offsets;
mod owned;
mod topics;
mod transaction;

pub use self::admin::Operations;
pub use self::error::NativeError;
pub use self::groups::{GroupMember, commit_offsets, group_members, group_operations, member_id};
pub use self::headers::{OVERHEAD, RecordHeaders, header};
pub use self::offsets::{Listed, Which, known_end, leader_epoch, offsets, seek_in_epoch};
pub use self::topics::{topic_ids, topic_operations};
pub use self::transaction::{commit_transaction, touch_group};
