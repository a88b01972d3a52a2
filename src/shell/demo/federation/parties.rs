//! Everybody of the demo's federation, in one process.

use std::thread;

use super::{CampaignError, SHOPS, WINDOW_MS};
use crate::federate::{
    Contribution, Federation, Logarithms, OpenedWindows, Rejection, SiteSecret, SummedWindow,
    TrusteeSecret, TrusteeShare,
};
use crate::record::Timestamp;
use crate::score::Guard;
use crate::shell::federate::chance;
use crate::watch::Tally;

/// Everybody who has a key.
pub struct Parties {
    pub federation: Federation,
    sites: Vec<SiteSecret>,
    trustees: Vec<(TrusteeSecret, OpenedWindows)>,
    logarithms: Logarithms,
}

impl Parties {
    /// Three shops; one of them and an auditor are the trustees.
    pub fn new(guard: &Guard) -> Result<Self, CampaignError> {
        let mut chance = chance();
        let cells = guard.signals().cells();
        let mut text = Federation::head("high-street", guard.baseline(), WINDOW_MS as u64, cells);
        let (mut sites, mut trustees) = (vec![], vec![]);
        for name in SHOPS {
            let site = SiteSecret::generate(name, &mut chance)?;
            text += &site.public_lines();
            sites.push(site);
        }
        for name in [SHOPS[0], "auditor"] {
            let trustee = TrusteeSecret::generate(name, &mut chance)?;
            text += &trustee.public_lines(&mut chance);
            trustees.push((trustee, OpenedWindows::default()));
        }
        let federation = Federation::read(&text)?;
        Ok(Self { federation, sites, trustees, logarithms: Logarithms::new() })
    }

    /// Each shop encrypts, somebody adds, each trustee shares, the monitor opens; and the bytes of one shop's record.
    pub fn add(
        &mut self,
        window: Timestamp,
        tallies: &[Tally],
    ) -> Result<(Tally, usize), CampaignError> {
        let federation = &self.federation;
        // Each shop has a machine of its own.
        let records: Result<Vec<Vec<u8>>, Rejection> = thread::scope(|scope| {
            let each = self.sites.iter().zip(tallies).map(|(site, tally)| {
                scope.spawn(move || site.seal(federation, window, tally, &mut chance()))
            });
            let each: Vec<_> = each.collect();
            each.into_iter().map(|sealing| sealing.join().expect("it does not panic")).collect()
        });
        let records = records?;
        let read = |record: &Vec<u8>| Contribution::read(federation, record);
        let contributions = records.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let sum = SummedWindow::of(federation, &contributions)?;
        let mut shares = vec![];
        for (trustee, opened) in &mut self.trustees {
            let permission = opened.admit(&sum)?;
            let share = trustee.share(federation, permission, &mut chance())?;
            shares.push(TrusteeShare::read(federation, &sum, &share)?);
        }
        Ok((sum.open(federation, &shares, &self.logarithms)?, records[0].len()))
    }
}
