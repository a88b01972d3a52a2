//! `tripline audit-data`: which rows of a training set are poisoned, mislabelled, or there twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Exit;
use crate::fit::data::units::ImageShape;
use crate::fit::data_audit::{Options, Report, audit, page};
use crate::fit::progress::Reporter;

/// Look for poisoned, mislabelled and doubled rows in labelled training data, before anything is trained on it.
///
/// Exit status: 0 nothing was found, 2 somebody must look.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Arrays of rows: .npy, .npz (x, and labels in y) or IDX, each also gzipped
    #[arg(long, value_name = "FILE")]
    data: PathBuf,

    /// The labels, if they are not in the same file
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// Rows that must not be among those of --data: each that is there too is told
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,

    /// The rows are images: channels, height, width. Rows of two dimensions are taken as images of one channel
    #[arg(long, value_name = "CxHxW")]
    image: Option<ImageShape>,

    /// What an integer pixel is divided by to reach [0, 1]
    #[arg(long, value_name = "NUMBER", default_value_t = 255.0)]
    scale: f32,

    /// Writes every row that was found: row,label,finding,group,score
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Writes a page with the rows, and with the trigger as a picture
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide = true)]
    seed: u64,
}

impl Args {
    pub fn run(self) -> Exit {
        let Self { data, labels, test, image, scale, out, html, seed } = self;
        let options = Options { data, labels, test, image, scale, seed };
        let report = match audit(&options, &mut Reporter::new(Duration::MAX)) {
            Ok(report) => report,
            Err(error) => {
                eprintln!("error: {error}");
                return Exit::Failed;
            }
        };
        print!("{report}");
        let written = write(&report, out.as_deref(), html.as_deref());
        if let Err((file, error)) = written {
            eprintln!("error: {}: {error}", file.display());
            return Exit::Failed;
        }
        if report.is_finding() { Exit::Found } else { Exit::Ok }
    }
}

fn write<'f>(
    report: &Report,
    out: Option<&'f Path>,
    html: Option<&'f Path>,
) -> Result<(), (&'f Path, std::io::Error)> {
    if let Some(file) = out {
        let written = fs::File::create(file).and_then(|to| report.write_csv(to));
        written.map_err(|error| (file, error))?;
    }
    if let Some(file) = html {
        fs::write(file, page(report)).map_err(|error| (file, error))?;
    }
    Ok(())
}
