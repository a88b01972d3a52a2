//! What to do next: commands that a person copies. Each shows text, names the topic in which the records are, and
//! works where `run` was started.

use super::{About, Cause, Incident};
use crate::decide::{Mode, OnFlagged};
use crate::record::{Offset, Partition};
use crate::watch::Exemplar;

/// Clients that are named.
const NAMED: usize = 3;
/// Records of an output that a command shows.
const NEWEST: usize = 20;

/// The steps for an incident; `typical` are flagged records that stand for the others.
pub fn next_steps(about: &About, incident: &Incident, typical: &[Exemplar]) -> Vec<String> {
    let (stream, file) = (&about.stream, quoted(&about.file));
    let why = format!("tripline reasons -c {file} --stream {stream}");
    let at = |(partition, offset): (Partition, Offset)| format!(" {partition}/{offset}");
    let newest = |topic: &str| format!("{why} --of {topic} --newest {NEWEST}");
    let mut steps = vec![];
    match incident.cause {
        Cause::Attack | Cause::Access if incident.is_of_clients() => {
            steps.extend(clients(about, incident, &why));
        }
        // It has no other members.
        Cause::Access => {}
        Cause::Attack => {
            steps.extend(clients(about, incident, &why));
            let places: Vec<(Partition, Offset)> = match typical {
                [] => incident.first.into_iter().collect(),
                typical => typical.iter().map(|one| (one.partition, one.offset)).collect(),
            };
            if !places.is_empty() {
                steps.push(why.clone() + &places.into_iter().map(at).collect::<String>());
            }
            steps.extend(flagged_go_to(about, incident).into_iter().map(newest));
            if about.policy.mode == Mode::Observe {
                let enforce = "hold such records back: set mode = \"enforce\" for this stream";
                steps.push(enforce.to_owned());
            }
        }
        Cause::Tampering => {
            steps.extend(incident.first.map(|first| why.clone() + &at(first)));
            steps.push(
                "compare the file that the server has loaded with the one that was released: sha256sum, or its \
                 signature"
                    .to_owned(),
            );
            steps.push(
                "until that is known, serve the last release that is known to be good, or none".to_owned(),
            );
            steps.push(format!(
                "if another model was released on purpose, fit a bundle with it and give it to stream {stream}"
            ));
        }
        Cause::Quality => {
            // What can be read goes on, whatever stands in for its missing values and whatever its timestamp.
            let held = about.policy.mode == Mode::Enforce && incident.counts.faults > 0;
            steps.push(newest(if held { "dead-letter" } else { "sanitized" }));
        }
        Cause::Drift => steps.push(format!(
            "if the change is meant to stay, fit a bundle on newer data and give it to stream {stream}"
        )),
        Cause::NoData => steps.push(format!(
            "kcat -b {} -C -t {} -o -1 -e -f 'partition %p, offset %o: %T ms\\n'",
            about.brokers, about.input
        )),
        Cause::Stall => {
            steps.extend(incident.first.map(|first| why.clone() + &at(first)));
            steps.push(format!("tripline state show -c {file} --stream {stream}"));
            steps.push(format!("tripline check -c {file} --connect"));
        }
        Cause::DataLoss => {
            steps.push(format!("tripline state show -c {file} --stream {stream}"));
        }
        Cause::Privacy => steps.push(
            "round or leave out these features before the records reach the input topic, and fit a bundle on rows \
             made the same way: `tripline columns FILE --privacy` shows what each rounding does"
                .to_owned(),
        ),
    }
    steps
}

/// What can be done about clients: at the gateway, for a record of theirs is like any other.
fn clients(about: &About, incident: &Incident, why: &str) -> Vec<String> {
    let file = quoted(&about.file);
    let own = incident.members.iter().filter(|member| !member.inhibited);
    let found: Vec<_> =
        own.filter_map(|member| member.finding.client.as_ref()).take(NAMED).collect();
    let mut steps = vec![];
    for client in &found {
        if let Some(pseudonym) = &client.pseudonym {
            steps.push(format!(
                "at the gateway, limit the client whose pseudonym is {pseudonym}, or give it labels without \
                 probabilities; `tripline client -c {file} --stream {} ID` says the pseudonym of an id",
                about.stream
            ));
        }
    }
    if !found.is_empty() && steps.is_empty() {
        steps.push(
            "at the gateway, look for whoever sent the records named here; answer with labels without \
             probabilities, and limit new accounts"
                .to_owned(),
        );
    }
    let places: String = found
        .iter()
        .filter_map(|client| client.sample)
        .map(|place| format!(" {}/{}", place.partition, place.offset))
        .collect();
    if !places.is_empty() {
        steps.push(format!("{why}{places}"));
    }
    steps
}

/// Outputs by which flagged records of the incident left.
fn flagged_go_to(about: &About, incident: &Incident) -> Vec<&'static str> {
    let counts = &incident.counts;
    match (about.policy.mode, about.policy.on_flagged) {
        (Mode::Observe, _) => vec!["sanitized"],
        (Mode::Enforce, OnFlagged::Quarantine) => vec!["quarantine"],
        (Mode::Enforce, OnFlagged::Correct) => {
            let held = (counts.quarantined > 0).then_some("quarantine");
            held.into_iter().chain((counts.corrected > 0).then_some("sanitized")).collect()
        }
    }
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    match !path.is_empty() && path.chars().all(is_plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_to_a_shell() {
        for (path, word) in [
            ("/etc/tripline/tripline.toml", "/etc/tripline/tripline.toml"),
            ("my config.toml", "'my config.toml'"),
            ("it's$(x).toml", "'it'\\''s$(x).toml'"),
        ] {
            assert_eq!(quoted(path), word);
        }
    }
}
