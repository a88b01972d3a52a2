//! Kafka: clients, transactions, assignments, restoring, topics.

pub mod access;
mod assignment;
mod client;
pub mod compare;
mod ending;
mod feed;
mod group;
mod native;
mod observer;
mod refused;
mod restore;
mod session;
mod survey;
pub mod topics;
mod transaction;

pub use client::Clients;
pub use feed::{Feed, Fetched, Place, QUEUE_KIB, Turn};
pub use group::Group;
pub use native::{OVERHEAD, RecordHeaders};
pub use session::{HEADERS_SENDING_MAX, Session, stamp};
pub use transaction::{Sending, Transactions};
