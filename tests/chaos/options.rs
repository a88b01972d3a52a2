//! How a run is asked for: `cargo test --test chaos -- --minutes 5 --seed 7`, or `make chaos MINUTES=5 SEED=7`.

use tripline::sim::Mutation;

/// What `make chaos` can say.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long the stream is disturbed.
    pub minutes: f64,
    /// Instead: until so many processes of ours were killed.
    pub kills: Option<u64>,
    pub seed: u64,
    pub nodes: usize,
    /// `classic` or `consumer`.
    pub group_protocol: String,
    /// `exactly_once` or `at_least_once`.
    pub delivery: String,
    /// Records per second.
    pub rate: f64,
    /// A bug that every guard has; the run must then fail.
    pub mutation: Option<String>,
    /// Whether a tenth of the records is a hostile sender's, and the topics refuse some of them.
    pub hostile: bool,
    /// Whether brokers also stand still or are away for up to three minutes, and answer commits after seconds.
    pub outages: bool,
    /// Where data and logs stay; a directory that goes away unless given.
    pub keep: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            minutes: 1.0,
            kills: None,
            seed: 20_261_124,
            nodes: 1,
            group_protocol: "classic".into(),
            delivery: "exactly_once".into(),
            rate: 300.0,
            mutation: None,
            hostile: false,
            outages: false,
            keep: None,
        }
    }
}

impl Options {
    /// Reads the arguments; `None` if `cargo test` was asked for another test, or for a list.
    ///
    /// # Errors
    /// The first argument that is not understood.
    pub fn read(arguments: &[String]) -> Result<Option<Self>, String> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            if !name.starts_with("--") {
                // A filter for names of tests; ours is "chaos".
                if "chaos".contains(name.as_str()) {
                    continue;
                }
                return Ok(None);
            }
            if name == "--list" {
                return Ok(None);
            }
            if ["--nocapture", "--quiet", "--exact", "--show-output"].contains(&name.as_str()) {
                continue;
            }
            let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
            let wrong = || format!("{name} {value}: not understood");
            match name.as_str() {
                "--minutes" => options.minutes = value.parse().map_err(|_| wrong())?,
                "--kills" => options.kills = Some(value.parse().map_err(|_| wrong())?),
                "--seed" => options.seed = value.parse().map_err(|_| wrong())?,
                "--nodes" => options.nodes = value.parse().map_err(|_| wrong())?,
                "--rate" => options.rate = value.parse().map_err(|_| wrong())?,
                "--group-protocol" => options.group_protocol.clone_from(value),
                "--delivery" => options.delivery.clone_from(value),
                "--mutation" => options.mutation = Some(value.clone()),
                "--hostile" => {
                    options.hostile = value.parse::<u8>().map_err(|_| wrong())? > 0;
                }
                "--outages" => {
                    options.outages = value.parse::<u8>().map_err(|_| wrong())? > 0;
                }
                "--keep" => options.keep = Some(value.clone()),
                _ => return Err(wrong()),
            }
        }
        if ![1, 3].contains(&options.nodes) {
            return Err(format!("--nodes {}: 1 or 3", options.nodes));
        }
        Ok(Some(options))
    }

    /// Whether there is time to show everything.
    pub fn long(&self) -> bool {
        self.minutes >= 5.0 || self.kills.is_some()
    }

    /// Whether partitions are handed over all the time and nothing else happens: what a bug of handing
    /// over needs to show.
    pub fn handovers(&self) -> bool {
        self.mutation.as_deref() == Some(Mutation::ForgetOnRevoke.name())
    }
}
