//! What was found about a client, a cell or all clients, and the words for it.

use super::{ClientEvidence, Finding, RowPlace, percent, short};
use crate::clients::{MarkConcern, QUOTA, mark};
use crate::monitor::Cause;
use crate::watch::access::access_watch;
use crate::watch::{ClientFinding, Keying};

impl Finding {
    /// What the client monitor found.
    pub fn of_client(found: &ClientFinding) -> Self {
        let named = |keying| (found.keying == keying).then(|| found.key.clone());
        let of_watch = || access_watch(&found.mark).map(|watch| watch.atlas());
        let atlas =
            mark(&found.mark).map(|mark| mark.atlas()).or_else(of_watch).unwrap_or(OF_QUOTA);
        let client = ClientEvidence {
            keying: found.keying,
            pseudonym: named(Keying::Client),
            cell: named(Keying::Cell),
            mark: found.mark.clone(),
            marked: found.marked,
            clean_share: short(found.clean_share),
            atlas: atlas.iter().map(|&id| id.to_owned()).collect(),
            sample: found.sample.map(|(partition, offset)| RowPlace { partition, offset }),
        };
        let feature = match found.keying {
            Keying::Client => format!("client {}", found.key),
            Keying::Cell => format!("cell {}", found.key),
            Keying::Stream => "all clients".to_owned(),
        };
        Self {
            watch: WATCH.into(),
            feature,
            measure: "share".into(),
            typical: if found.allowed > 0 {
                found.allowed as f64
            } else {
                short(found.clean_share)
            },
            seen: short(found.marked as f64 / found.rows.max(1) as f64),
            psi: 0.0,
            chi2: 0.0,
            rows: found.rows,
            partition: None,
            and_above: false,
            client: Some(client),
        }
    }
}

/// What findings about clients call their watch.
const WATCH: &str = "clients";
/// Techniques that a client is suspected of who sends more than he may.
const OF_QUOTA: &[&str] = &["AML.T0029", "AML.T0034"];

/// The incident that it belongs to.
pub fn cause(found: &ClientFinding) -> Cause {
    match mark(&found.mark).map(|mark| mark.concern()) {
        Some(MarkConcern::Attack) => Cause::Attack,
        Some(MarkConcern::Access) | None => Cause::Access,
    }
}

/// `client 9f3c5a7710b24e68: 12 of 14 rows are near-duplicates of other rows, usually at most 0.1%`
pub(super) fn words(finding: &Finding, client: &ClientEvidence) -> String {
    let (feature, rows, marked) = (&finding.feature, finding.rows, client.marked);
    if client.mark == QUOTA {
        return format!("{feature}: more than {} rows in the time of its quota", finding.typical);
    }
    if let Some(watch) = access_watch(&client.mark) {
        let usual = match client.clean_share > 0.0 {
            true => format!(", usually {}", percent(client.clean_share)),
            false => String::new(),
        };
        return format!("{feature}: {marked} of {rows} {}{usual}", watch.words());
    }
    let what = mark(&client.mark).map_or("are marked", |mark| mark.words());
    format!(
        "{feature}: {marked} of {rows} rows {what}, usually at most {}",
        percent(client.clean_share)
    )
}
