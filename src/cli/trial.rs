//! `tripline trial`: what `check` and `run` start to try a bundle's networks. Not for people.

use super::Exit;
use crate::shell::trial;

/// Try networks that standard input brings, under limits of memory and time
#[derive(Debug, clap::Args)]
pub struct Args {}

impl Args {
    pub fn run(self) -> Exit {
        match trial::answer(&mut std::io::stdin().lock()) {
            Ok(()) => Exit::Ok,
            Err(reason) => {
                println!("{reason}");
                Exit::Failed
            }
        }
    }
}
