//! Kafka: clients, transactions, assignments, restoring, topics.

pub mod access;
mod assignment;
mod client;
mod ending;
mod feed;
mod group;
mod native;
mod restore;
mod session;
pub mod topics;
mod transaction;

pub use client::Clients;
pub use feed::{Feed, Fetched, Place, QUEUE_KIB, Turn};
pub use group::Group;
pub use session::{Session, headers, stamp};
pub use transaction::{Sending, Transactions};
