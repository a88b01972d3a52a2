//! `tripline demo federation`

use std::io::IsTerminal as _;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Exit, found};
use crate::monitor::Status;
use crate::shell::demo::{Campaign, CampaignOutcome, campaign, write_evidence};

/// Show a campaign over three sites that none of them sees alone
///
/// Their counts are added under encryption; only the sum is opened, by two trustees together.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Chooses the records and their order
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The bundle that all three use; its folder `slice` holds the rows
    #[arg(long, value_name = "DIR", default_value = "models/shuttle")]
    bundle: PathBuf,
    /// Write the shops' evidence and a configuration into this folder instead, to try `tripline federate` on
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
}

/// Windows of a minute, and those with attacks.
const WINDOWS: u32 = 40;
const ATTACKED: Range<u32> = 20..34;

impl Args {
    pub fn run(self) -> Exit {
        let bundle = found(self.bundle);
        let options = Campaign { bundle, seed: self.seed, windows: WINDOWS, attacked: ATTACKED };
        if let Some(dir) = &self.write {
            return match write_evidence(&options, dir) {
                Ok(()) => Exit::Ok,
                Err(error) => {
                    eprintln!("error: {error}");
                    Exit::Failed
                }
            };
        }
        let bar = ProgressBar::new(u64::from(WINDOWS)).with_style(
            ProgressStyle::with_template("{bar:40} {pos}/{len} windows encrypted, added, opened")
                .expect("a template of ours"),
        );
        if !std::io::stderr().is_terminal() {
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        let ended = campaign(&options, &mut |windows| bar.set_position(u64::from(windows)));
        bar.finish_and_clear();
        match ended {
            Ok(outcome) => {
                print!("{}", words(&outcome, &options));
                if outcome.is_seen_only_together() { Exit::Ok } else { Exit::Failed }
            }
            Err(error) => {
                eprintln!("error: {error}");
                Exit::Failed
            }
        }
    }
}

fn words(outcome: &CampaignOutcome, options: &Campaign) -> String {
    let mut lines = vec![format!(
        "Three shops, one bundle, {} minutes. In minutes {} to {} there are {} attacks, 1 in 100 records of each shop.\n",
        options.windows,
        options.attacked.start + 1,
        options.attacked.end,
        options.attacks()
    )];
    for shop in &outcome.shops {
        let (rows, flagged) = (shop.counts.rows, shop.counts.flagged);
        lines.push(format!(
            "  {:<8} alone   {rows} records, {flagged} flagged ({})   {}",
            shop.name,
            share(flagged, rows),
            match shop.alerts.len() {
                0 => "no alert".to_owned(),
                n => format!("{n} alerts"),
            }
        ));
    }
    let (rows, flagged) = (outcome.together.rows, outcome.together.flagged);
    let firing = outcome.alerts.iter().filter(|(_, alert)| alert.status == Status::Firing);
    let alerts: Vec<_> = firing.collect();
    let told = match alerts.first() {
        Some((minute, _)) => format!("alert in minute {}", minute + 1),
        None => "no alert".to_owned(),
    };
    lines.push(format!(
        "  all three together {rows} records, {flagged} flagged ({})   {told}\n",
        share(flagged, rows)
    ));
    lines.extend(alerts.iter().map(|(_, alert)| format!("  {}", alert.summary)));
    lines.push(format!(
        "\nWhat left a shop: {} bytes a window, {} counters under encryption. What was opened: the sums, by two trustees together. {:.0} s.",
        outcome.record_bytes,
        outcome.counters,
        outcome.elapsed.as_secs_f64()
    ));
    lines.join("\n") + "\n"
}

fn share(flagged: u64, rows: u64) -> String {
    format!("{:.2} %", 100.0 * flagged as f64 / rows.max(1) as f64)
}
