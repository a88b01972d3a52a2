//! How a share between 0 and 1 is read.

use super::reader::{Kind, Section};
use super::value::Node;
use crate::record::{BadProbability, Probability};

/// A share between 0 and 1; `is_none` ends the sentence about another number.
pub(super) fn share(
    section: &mut Section<'_>,
    key: &'static str,
    is_none: &str,
) -> Option<Probability> {
    let help = "write a share between 0 and 1: 0.01 or \"1%\"";
    let share = |read: Result<Probability, BadProbability>| match read {
        Ok(share) if share.get() > 0.0 && share.get() < 1.0 => Ok(share),
        Ok(share) => Err(format!("{share} {is_none}")),
        Err(why) => Err(why.to_string()),
    };
    let path = section.path_of(key);
    let mut value = section.take(key, Kind::Share)?;
    value.read_raw(false);
    let number = match value.node {
        Node::Float(share) => share,
        Node::Integer(share) => share as f64,
        _ => {
            let text = section.reader.text(&path, value)?;
            return section.understood(key, &text, help, |text| share(text.parse()));
        }
    };
    let note = |why| section.reader.note(path, Some(&value.origin), why, help);
    share(Probability::new(number)).map_err(note).ok()
}
