//! What brings incidents from the alerts topics to people. One file per route.

mod alertmanager;
mod cloudevents;
mod counters;
mod desk;
mod log;
mod open;
mod openlineage;
pub(in crate::shell) mod post;
pub mod received;
mod sender;
mod webhook;

use std::time::Duration;

pub use counters::Counters;
pub use desk::QUEUE_BYTES_MAX;
pub use open::OPEN_BYTES_MAX;
pub use sender::{RouteError, Routes};

use self::received::Received;
use super::http::CaFileError;
use crate::config::{Route, To};
use crate::record::Timestamp;

/// Whoever is told. Called by one thread.
pub trait Receiver: Send {
    /// Tells one change; `before` is what was last told of the same incident, if it is open.
    ///
    /// # Errors
    /// If it was not taken.
    fn tell(
        &self,
        news: &Received,
        before: Option<&Received>,
        now: Timestamp,
    ) -> Result<(), Refusal>;

    /// How often it must be told again what still fires, if it forgets.
    fn resend(&self) -> Option<Duration> {
        None
    }

    /// Says again what still fires.
    ///
    /// # Errors
    /// If it was not taken.
    fn remind(&self, _firing: &[&Received], _now: Timestamp) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Why something was not taken. No reason holds an address or a secret.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// It may be tried again, not before `after` if the receiver said so.
    Later { reason: String, after: Option<Duration> },
    /// However often it is tried, it will not be.
    Never { reason: String },
}

/// All routes: what a route's name in the configuration stands for.
fn receiver(route: &Route) -> Result<(&'static str, Box<dyn Receiver>), CaFileError> {
    Ok(match &route.to {
        To::Alertmanager { at, resend } => {
            ("alertmanager", Box::new(alertmanager::Alertmanager::new(at, *resend)?))
        }
        To::CloudEvents { at } => ("cloudevents", Box::new(cloudevents::EventSink::new(at)?)),
        To::Log => ("log", Box::new(log::Log::new(&route.name))),
        To::OpenLineage { at } => {
            let streams = route.streams.as_deref();
            ("openlineage", Box::new(openlineage::OpenLineage::new(at, streams)?))
        }
        To::Webhook { at, secret } => {
            ("webhook", Box::new(webhook::Webhook::new(at, secret.as_ref())?))
        }
    })
}
