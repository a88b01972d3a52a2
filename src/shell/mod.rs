//! The only I/O: Kafka, disk, HTTP, clock, signals, logs.

pub mod admin;
pub mod bundle;
pub mod clock;
pub mod demo;
pub mod kafka;
pub mod memory;
pub mod road;
pub mod registry;
pub mod run;
pub mod sample;
pub mod telemetry;
mod watchdog;
