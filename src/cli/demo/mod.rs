//! `tripline demo`

mod federation;
mod live;
mod report;

use std::io::IsTerminal;
use std::path::PathBuf;

use super::Exit;
use crate::shell::demo::{Depth, Options, run};
use crate::shell::telemetry;

/// Show Tripline at work: an embedded broker, the bundled model, real images with attacks among
/// them, and what was caught of these
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    other: Option<Other>,
    /// How many records to send
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(200..=1_000_000))]
    records: u32,
    /// Chooses the images and their order
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object instead of words
    #[arg(long)]
    json: bool,
    /// The bundle to guard with; its folder `slice` holds the images
    #[arg(long, value_name = "DIR", default_value = "models/fashion-mnist")]
    bundle: PathBuf,
    /// Where the picture goes
    #[arg(long, value_name = "DIR", default_value = "demo-out")]
    out: PathBuf,
}

/// Other things to show.
#[derive(Debug, clap::Subcommand)]
enum Other {
    /// Show a campaign over three sites that none of them sees alone
    Federation(federation::Args),
}

impl Args {
    pub fn run(self) -> Exit {
        if let Some(Other::Federation(args)) = self.other {
            return args.run();
        }
        // The demo speaks for itself; who wants the log asks for it.
        if std::env::var_os("RUST_LOG").is_some() {
            telemetry::start(telemetry::LogFormat::Text);
        }
        let Self { records, seed, json, bundle, out, .. } = self;
        let bundle = found(bundle);
        let options = Options { records: records as usize, seed, bundle, out };
        let mut live = live::Live::start(&options);
        let ended = run(&options, &mut |moment| live.show(moment));
        let alerts_seen = live.end();
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(error) => {
                eprintln!("error: {error}");
                return Exit::Failed;
            }
        };
        if json {
            println!("{}", report::json(&outcome));
        } else {
            let alerts_seen = alerts_seen && std::io::stdout().is_terminal();
            print!("{}", report::words(&outcome, &options, colours(), alerts_seen));
        }
        match report::is_complete(&outcome, &options) {
            true => Exit::Ok,
            false => {
                eprintln!("error: records are missing or came out twice");
                Exit::Failed
            }
        }
    }
}

/// The folder as it is named, or below a folder that holds this program: of a checkout, from wherever it
/// is called.
fn found(bundle: PathBuf) -> PathBuf {
    let exe = std::env::current_exe().and_then(|exe| exe.canonicalize()).unwrap_or_default();
    let mut above = exe.ancestors().skip(1).map(|folder| folder.join(&bundle));
    match bundle.exists() {
        true => bundle,
        false => above.find(|folder| folder.exists()).unwrap_or(bundle),
    }
}

/// How many colours standard output takes; `None` if it is no terminal, or asked to be plain.
fn colours() -> Option<Depth> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    if !std::io::stdout().is_terminal() || !variable("NO_COLOR").is_empty() {
        return None;
    }
    match (variable("COLORTERM").as_str(), variable("TERM")) {
        ("truecolor" | "24bit", _) => Some(Depth::True),
        (_, term) if term.contains("256color") => Some(Depth::Palette),
        _ => None,
    }
}
