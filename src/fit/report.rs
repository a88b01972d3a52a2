//! What `fit` says when it is done: enough to score the bundle, nothing to look up.

use std::fmt;
use std::path::PathBuf;

use super::data::budget::flagged_interval;
use super::guard::dependence;
use super::guard::measured::Measured;
use super::train::trainer::{Stopped, Trained};
use crate::bundle::{Correction, Manifest};

/// A finished fit.
#[derive(Clone, Debug)]
pub struct Report {
    pub folder: PathBuf,
    /// Hexadecimal SHA-256 of the manifest.
    pub digest: String,
    pub manifest: Manifest,
    /// Epoch kept, epochs begun and why they ended; the layers are gone.
    pub trained: Trained,
    /// Whether it was an autoencoder that was trained; else the restorer.
    pub has_autoencoder: bool,
    /// For how many independent rows a row counts, if rows come in groups.
    pub clustering: Option<f64>,
    /// What the protected model's inputs and outputs were taken for.
    pub found: Option<String>,
    pub accuracy: Option<Accuracy>,
    /// Labelled attacks that were measured, and how many more are no row of the schema.
    pub attacks: Option<(usize, usize)>,
    /// What the detectors cost, and what they caught of the attacks that were given.
    pub measured: Measured,
    /// Why no attacks of our own could be made on the protected model.
    pub no_gradient: Option<String>,
    /// Whether it was asked to make attacks by queries then.
    pub query_attacks: bool,
    /// How rows in time order depend on each other.
    pub dependence: Option<dependence::Measured>,
}

/// How often the protected model is right on the test rows that have a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    pub rows: usize,
    pub right: usize,
    /// On what the restorer, or else the autoencoder, makes of them: the price of correcting a clean record.
    pub right_corrected: usize,
}

impl Report {
    /// Between how many of the test rows a sound guard flags, in 99 of 100 fits.
    pub fn flagged_expected(&self) -> (usize, usize) {
        let Manifest { budget, clean, provenance, .. } = &self.manifest;
        // Rows of a group say the same: as if there were fewer of them, and each counted as often.
        let times = self.clustering.unwrap_or(1.0);
        let fewer = |rows: u64| (rows as f64 / times).round() as usize;
        let (low, high) =
            flagged_interval(*budget, fewer(provenance.rows.merged), fewer(clean.rows));
        ((low as f64 * times) as usize, (high as f64 * times).ceil() as usize)
    }

    /// Whether the flagged share of the test rows is one that chance explains. More than the
    /// interval's end means that test and calibration rows differ; fewer can also be ties.
    pub fn flagged_as_expected(&self) -> bool {
        self.manifest.clean.flagged as usize <= self.flagged_expected().1
    }

    /// How the network came about, and what is protected.
    fn write_training(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trained { epoch, epochs, loss, loss_validation, .. } = self.trained;
        let came = |why: &str| format!("epoch {epoch} of {epochs}{why}");
        let came = match self.trained.stopped {
            Stopped::Finished => came(""),
            Stopped::Early => came(", then no better"),
            Stopped::Asked => came(", then out of time: another run will differ"),
            Stopped::Brought => "brought along".to_owned(),
        };
        let network = if self.has_autoencoder { "autoencoder" } else { "restorer   " };
        writeln!(f, "  {network}  {came}; error {loss:.3e}, validation {loss_validation:.3e}")?;
        if let Some(found) = &self.found {
            writeln!(f, "  protected    {found}")?;
        }
        Ok(())
    }
}

/// What correcting does to answers.
fn words(correction: &Correction) -> String {
    let Correction { rows, lost, loss_max, restored, distrusted } = correction;
    let mut text = format!("of {rows} clean rows {:.1}% lose the right answer", 100.0 * lost);
    if let Some(restored) = restored {
        text += &format!("; {:.1}% of own attacks have theirs back", 100.0 * restored);
    }
    if !distrusted.is_empty() {
        text += &format!("; versions with the labels {distrusted:?} are held back");
    }
    if !correction.is_bearable() {
        text += &format!(
            ". MORE THAN {loss_max}: on_flagged = \"correct\" will be refused \
             (--correction-loss-max)"
        );
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manifest { name, budget, clean, provenance, schema, .. } = &self.manifest;
        let rows = provenance.rows;
        writeln!(f, "bundle {name} in {}", self.folder.display())?;
        writeln!(f, "  digest       {}", self.digest)?;
        writeln!(
            f,
            "  rows         {} wide: {} train, {} validation, {} + {} calibration, {} test",
            schema.width(),
            rows.train,
            rows.validation,
            rows.ranks,
            rows.merged,
            rows.test
        )?;
        for said in schema.scaling() {
            writeln!(f, "  scaling      {said}")?;
        }
        self.write_training(f)?;
        if let Some(why) = &self.no_gradient {
            let what = match (self.measured.own.is_empty(), self.query_attacks) {
                (false, _) => "by queries alone",
                (true, false) => "NONE (--query-attacks asks it); small perturbations mostly pass",
                (true, true) => "NONE: too few queries succeed; small perturbations mostly pass",
            };
            writeln!(
                f,
                "  own attacks  {what}: the protected model cannot be differentiated ({why})"
            )?;
        }
        if let Some((rows, refused)) = self.attacks {
            let rows = rows + refused;
            writeln!(
                f,
                "  attacks      {rows} rows that the label does not call clean, learned by nothing; \
                 {refused} outside the schema"
            )?;
        }
        writeln!(f, "{}", self.measured)?;
        writeln!(
            f,
            "  p-values     of records of up to {} rows are ranks; of larger ones extrapolated",
            self.measured.rows_max
        )?;
        if let Some(Accuracy { rows, right, right_corrected }) = self.accuracy {
            let share = |right: usize| 100.0 * right as f64 / rows.max(1) as f64;
            writeln!(
                f,
                "  accuracy     protected model right on {:.1}% of {rows} test rows, on {:.1}% if all were corrected",
                share(right),
                share(right_corrected)
            )?;
        }
        if let Some(correction) = &self.manifest.correction {
            writeln!(f, "  correction   {}", words(correction))?;
        }
        if let Some(measured) = &self.dependence {
            writeln!(f, "  time order   {measured}")?;
        }
        if let Some(times) = self.clustering {
            writeln!(f, "  groups       flagged rows come together: {times:.1} rows count as one")?;
        }
        let (low, high) = self.flagged_expected();
        write!(
            f,
            "  clean        {} of {} test rows flagged at {budget}; {low} to {high} in 99 of 100 fits",
            clean.flagged, clean.rows
        )?;
        if !self.flagged_as_expected() {
            write!(
                f,
                "\n\nMORE THAN CHANCE EXPLAINS: are the rows copies of each other, or few of a kind?"
            )?;
        }
        Ok(())
    }
}
