//! Whether an incident that ended has come back, or another one begins.

use crate::monitor::incident::Past;
use crate::monitor::{Cause, Finding, Incident};

/// Whether what fired is what `last` was about: a watch of it saw the same again and, if it is known why records were
/// flagged, most of them for a reason that was among its first.
pub fn came_back<'f>(
    last: &Incident,
    mut fired: impl Iterator<Item = &'f Finding>,
    past: &Past,
) -> bool {
    let seen_before = |finding: &Finding| {
        let own = last.members.iter().filter(|member| !member.inhibited);
        let of =
            |finding: &Finding| (finding.watch.clone(), finding.feature.clone(), finding.partition);
        own.map(|member| &member.finding).any(|known| of(known) == of(finding))
    };
    let (before, now) = (last.reasons(3), past.oddities.largest(1));
    let another_reason = last.cause == Cause::Attack
        && !before.is_empty()
        && now
            .iter()
            .any(|&(cell, _)| !before.iter().any(|(oddity, _)| oddity.cell() == Some(cell)));
    fired.any(seen_before) && !another_reason
}
