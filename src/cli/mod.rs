//! The command line: one file per command.

#![allow(
    clippy::disallowed_methods,
    reason = "the rim: how long a command took, and what its environment sets"
)]

mod access;
mod audit;
#[cfg(feature = "fit")]
mod audit_data;
mod check;
mod client;
#[cfg(feature = "fit")]
mod columns;
#[cfg(feature = "fit")]
mod columns_report;
mod config;
mod demo;
#[cfg(feature = "fit")]
mod evaluate;
mod federate;
#[cfg(feature = "fit")]
mod fit;
mod init;
mod reasons;
mod places;
#[cfg(feature = "fit")]
mod redteam;
mod replay;
mod run;
mod simulate;
mod state;
mod topics;
mod trial;
mod why;

use clap::{Parser, Subcommand};

use crate::shell::out;

/// Guards the inputs of a served model: attacked records are corrected or held back, on Kafka.
#[derive(Debug, Parser)]
#[command(name = "tripline", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show Tripline at work: embedded broker, bundled model, real attacks
    Demo(demo::Args),
    /// Write a commented configuration, from a sample of a topic if there is one
    Init(init::Args),
    /// Guard the streams of a configuration until told to stop
    Run(run::Args),
    /// Send recorded traffic through a configuration, or two, and say what would differ
    Replay(replay::Args),
    Why(why::Args),
    /// Say everything that is wrong with a configuration
    Check(check::Args),
    /// Say the pseudonym of a client whose id you have
    Client(client::Args),
    /// Say who came to a stream, when, from where and how often, by pseudonym
    Access(access::Args),
    /// Print what a configuration can say
    Config(config::Args),
    /// Print or create the topics that a configuration needs
    Topics(topics::Args),
    /// Run the delivery on a simulated cluster under seeded faults, and check what came of it
    Simulate(simulate::Args),
    /// Say in words why records were flagged or could not be read
    Reasons(reasons::Args),
    /// Show or reset what the streams remember
    State(state::Args),
    Federate(federate::Args),
    Audit(audit::Args),
    #[command(hide = true)]
    Trial(trial::Args),
    /// Learn from clean rows what is normal, and write a bundle
    #[cfg(feature = "fit")]
    Fit(Box<fit::Args>),
    #[cfg(feature = "fit")]
    Evaluate(Box<evaluate::Args>),
    #[cfg(feature = "fit")]
    AuditData(audit_data::Args),
    #[cfg(feature = "fit")]
    Columns(columns_report::Args),
    /// Attack a bundle, as one who knows the model and as one who holds the bundle
    #[cfg(feature = "fit")]
    Redteam(redteam::Args),
}

/// What a command ends with: an exit code of `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    /// Something went wrong while working.
    Failed = 1,
    /// An audit found something that somebody must look at.
    Found = 2,
    /// A configuration, a bundle or the cluster is not as it must be (`EX_CONFIG`).
    Config = 78,
}

impl Cli {
    /// Runs the command; errors are printed already.
    pub fn run(self) -> Exit {
        let exit = match self.command {
            Command::Demo(args) => args.run(),
            Command::Init(args) => args.run(),
            Command::Run(args) => args.run(),
            Command::Replay(args) => args.run(),
            Command::Reasons(args) => args.run(),
            Command::Check(args) => args.run(),
            Command::Access(args) => args.run(),
            Command::Client(args) => args.run(),
            Command::Config(args) => args.run(),
            Command::Topics(args) => args.run(),
            Command::Simulate(args) => args.run(),
            Command::Why(args) => args.run(),
            Command::State(args) => args.run(),
            Command::Federate(args) => args.run(),
            Command::Audit(args) => args.run(),
            Command::Trial(args) => args.run(),
            #[cfg(feature = "fit")]
            Command::Fit(args) => args.run(),
            #[cfg(feature = "fit")]
            Command::Evaluate(args) => args.run(),
            #[cfg(feature = "fit")]
            Command::AuditData(args) => args.run(),
            #[cfg(feature = "fit")]
            Command::Columns(args) => args.run(),
            #[cfg(feature = "fit")]
            Command::Redteam(args) => args.run(),
        };
        match (exit, out::finish()) {
            (Exit::Ok, false) => Exit::Failed,
            (exit, _) => exit,
        }
    }
}
