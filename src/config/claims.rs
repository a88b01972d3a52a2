//! Names that end up in Kafka: each must be one Kafka takes, and none may be wanted twice.
//!
//! Two streams that write to one topic would break the accounting of both, and a stream that
//! reads what it writes would never come to an end. It cannot see topics that another process
//! writes, nor a loop through one.

use super::reader::{Form, Reader, Section};
use super::value::Origin;

/// What the streams of one file have claimed so far.
#[derive(Default)]
pub(super) struct Claims {
    names: Vec<String>,
    /// Inputs and outputs: nobody shares one.
    own: Vec<Claim>,
    /// Alert topics: streams may share one with each other.
    alerts: Vec<Claim>,
    /// Topics of events: so too.
    events: Vec<Claim>,
}

struct Claim {
    topic: String,
    path: String,
    origin: Option<Origin>,
}

/// Longest topic name Kafka allows.
const NAME_MAX: usize = 249;

pub(super) const NAME: Form<'static> = Form {
    help: "write a name of letters, digits, `.`, `_` and `-`",
    pattern: Some("^[A-Za-z0-9._-]{1,249}$"),
};

/// Kafka's rule for topics, which we keep for every name that ends up in Kafka.
pub(super) fn check_name(written: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let "" | "." | ".." = written {
        return Err(format!("{written:?} is not a name"));
    }
    if let Some(c) = written.chars().find(|&c| !allowed(c)) {
        return Err(format!("{c:?} cannot be part of a name"));
    }
    match written.len() {
        0..=NAME_MAX => Ok(written.to_owned()),
        long => Err(format!("{long} characters are too many; Kafka allows {NAME_MAX}")),
    }
}

impl Claims {
    /// A stream's name, from which its topics are named too.
    pub fn name(&mut self, section: &mut Section<'_>) -> String {
        let help = "write a name of its own, of letters, digits, `.`, `_` and `-`";
        section.demand("name", "\"digits\"");
        section
            .read("name", Form { help, ..NAME }, |written| self.check_own(written))
            .unwrap_or_default()
    }

    fn check_own(&mut self, written: &str) -> Result<String, String> {
        const SUFFIX: &str = ".dead-letter";
        check_name(written)?;
        if written.len() + SUFFIX.len() > NAME_MAX {
            return Err(format!("too long: {written}{SUFFIX} would pass Kafka's {NAME_MAX}"));
        }
        if self.names.iter().any(|name| name == written) {
            return Err(format!("an earlier stream is called {written:?} too"));
        }
        self.names.push(written.to_owned());
        Ok(written.to_owned())
    }

    pub fn input(&mut self, section: &mut Section<'_>) -> String {
        section.demand("input", "\"digits\"");
        self.output(section, "input", String::new())
    }

    /// A topic that nobody shares.
    pub fn output(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        default: String,
    ) -> String {
        let claim = claim(section, key, default);
        let topic = claim.topic.clone();
        self.own.push(claim);
        topic
    }

    pub fn alerts(&mut self, section: &mut Section<'_>, default: &str) -> String {
        let claim = claim(section, "topic", default.into());
        let topic = claim.topic.clone();
        self.alerts.push(claim);
        topic
    }

    /// A topic of events, which streams may share with each other, if it is given.
    pub fn events(&mut self, section: &mut Section<'_>) -> Option<String> {
        let claim = claim(section, "topic", String::new());
        let topic = claim.topic.clone();
        self.events.push(claim);
        Some(topic).filter(|topic| !topic.is_empty())
    }

    /// Notes every topic that is wanted twice, at the later of the two places.
    pub fn check(&self, reader: &Reader<'_>) {
        let later = self.own.iter().enumerate().map(|(i, claim)| (claim, &self.own[..i]));
        let alerts = self.alerts.iter().map(|claim| (claim, &self.own[..]));
        let events = self.events.iter();
        let beside_own = events.clone().map(|claim| (claim, &self.own[..]));
        let beside_alerts = events.map(|claim| (claim, &self.alerts[..]));
        for (claim, earlier) in later.chain(alerts).chain(beside_own).chain(beside_alerts) {
            let Some(other) = earlier.iter().find(|other| collide(&other.topic, &claim.topic))
            else {
                continue;
            };
            let message = match other.topic == claim.topic {
                true if other.path == format!("{}.input", owner(&claim.path)) => {
                    format!("a loop: {:?} is already `{}`", claim.topic, other.path)
                }
                true => format!("the topic {:?} is already `{}`", claim.topic, other.path),
                false => format!(
                    "Kafka does not take {:?} beside {:?}, which is `{}`: `.` and `_` count as one",
                    claim.topic, other.topic, other.path
                ),
            };
            reader.note(
                &claim.path,
                claim.origin.as_ref(),
                message,
                "give one of them another topic",
            );
        }
    }
}

/// `stream[0]` of `stream[0].topics.state`
fn owner(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// Whether Kafka would refuse to hold both: in its metrics `.` and `_` are the same.
fn collide(a: &str, b: &str) -> bool {
    let same = |x: u8| if x == b'_' { b'.' } else { x };
    !a.is_empty() && a.bytes().map(same).eq(b.bytes().map(same))
}

fn claim(section: &mut Section<'_>, key: &'static str, default: String) -> Claim {
    let path = section.path_of(key);
    let origin = section.origin_of(key).or(section.origin.clone());
    let topic = section.read(key, NAME, check_name);
    // A default made from a name that is missing collides with others of its kind.
    let default = if default.starts_with('.') { String::new() } else { default };
    Claim { topic: topic.unwrap_or(default), path, origin }
}
