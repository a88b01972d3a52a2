//! Kafka: clients, transactions, assignments, restoring, topics.

pub mod access;
mod assignment;
mod client;
pub mod compare;
mod cut_off;
mod deadline;
mod deliveries;
mod farewell;
mod feed;
mod group;
mod native;
mod observer;
mod quiet;
pub mod reach;
mod refused;
mod restore;
mod rivals;
mod session;
mod survey;
pub mod topics;
mod transaction;
mod words;

pub use client::Clients;
pub use deadline::left_behind;
pub use farewell::part_with;
pub use feed::{Feed, QUEUE_KIB, Turn};
pub use group::Group;
pub use native::{OVERHEAD, RecordHeaders};
pub(super) use quiet::Quiet;
pub use reach::Reach;
pub use session::{HEADERS_SENDING_MAX, Session, stamp};
pub use transaction::{Sending, Transactions};
