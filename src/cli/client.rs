//! `tripline client`

use std::io::Read as _;

use super::Exit;
use super::config::ConfigFile;
use crate::config::Stream;
use crate::monitor::utc;

/// Say the pseudonym of a client whose id you have
///
/// Alerts name clients by pseudonym. Nothing leads back from one to an id: who looks for a client tries the ids that he
/// has. The key is read from the files that the configuration names, and is never printed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// The stream, if there are several
    #[arg(short, long)]
    stream: Option<String>,
    /// The id, as records say it; `-` reads ids from standard input, one a line
    id: String,
}

impl Args {
    pub fn run(self) -> Exit {
        let Some(config) = self.config.read_for(&["key"]) else { return Exit::Config };
        let wanted =
            |stream: &&Stream| self.stream.as_ref().is_none_or(|name| *name == stream.name);
        let streams: Vec<&Stream> = config.streams.iter().filter(wanted).collect();
        let [stream] = streams[..] else {
            let names: Vec<&str> = config.streams.iter().map(|stream| &*stream.name).collect();
            eprintln!("error: name one of the streams with --stream: {}", names.join(", "));
            return Exit::Config;
        };
        let Some(names) = stream.clients.as_ref().and_then(|clients| clients.names.as_ref()) else {
            eprintln!(
                "error: stream {}: records are not asked who sent them: set enabled = true in [stream.clients], \
                 say where the id is in [stream.clients.id], and name a [[stream.clients.key]]",
                stream.name
            );
            return Exit::Config;
        };
        let ids = match self.id.as_str() {
            "-" => {
                let mut text = String::new();
                if let Err(error) = std::io::stdin().read_to_string(&mut text) {
                    eprintln!("error: {error}");
                    return Exit::Failed;
                }
                text
            }
            id => id.to_owned(),
        };
        for id in ids.lines() {
            for (from, name) in names.all(id.as_bytes()) {
                println!("{name} since {}", utc(from));
            }
        }
        Exit::Ok
    }
}
