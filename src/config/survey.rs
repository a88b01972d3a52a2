//! What a sample of values suggests: their format, their fields, what each may be.
//!
//! A suggestion for a person to read, not knowledge to score by: it cannot tell an amount from a
//! number that happens to vary, nor a category from a name that few people have. What people wrote
//! is private until shown otherwise: a text is repeated only if it looks like a category's value,
//! and a field's name only if many records have it.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::field::{FEW, Field};
use super::template::quoted;
use crate::codec::select::members;
use crate::codec::{ContentHeaders, Fields, Format, shown};
use crate::privacy::TextShape;

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    sizes: Vec<usize>,
    formats: BTreeMap<Looks, usize>,
    fields: BTreeMap<String, Field>,
    /// Their pointers in the order in which records have them, as `fit` has the columns of a file.
    order: Vec<String>,
    /// There were more fields than we keep.
    beyond: bool,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Looks {
    /// Bytes that are nothing else are `u8`.
    Like(Format),
    /// Its header names a format that is none of ours.
    Foreign,
    Empty,
}

/// More fields than these are not kept: a map with people's names as keys has no end.
const FIELDS_MAX: usize = 1000;
/// A value that is meant to grow: four times the largest seen, at least 64 KiB.
const ROOM: usize = 4;
const ROOM_MIN: usize = 64 << 10;

impl Survey {
    /// Takes one record's value.
    pub fn take(&mut self, value: &[u8], headers: &ContentHeaders<'_>) {
        self.sizes.push(value.len());
        let silent = *headers == ContentHeaders::default();
        let looks = match shown(headers, value) {
            _ if value.is_empty() => Looks::Empty,
            // Many a number begins with a 0 byte, as a frame does.
            Ok(Format::Confluent) | Err(_) if silent && floats(value) => Looks::Like(Format::F32Le),
            Ok(format) => Looks::Like(format),
            Err(_) if silent => Looks::Like(Format::U8),
            Err(_) => Looks::Foreign,
        };
        *self.formats.entry(looks).or_default() += 1;
        if looks == Looks::Like(Format::Json)
            && let Ok(document) = serde_json::from_slice::<&RawValue>(value)
        {
            self.walk(document, String::new());
        }
    }

    pub fn records(&self) -> usize {
        self.sizes.len()
    }

    /// Median and largest size of a value, in bytes.
    pub fn sizes(&self) -> (usize, usize) {
        let mut sorted = self.sizes.clone();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        (median, sorted.last().copied().unwrap_or(0))
    }

    /// The format that most records have, if it is one that a stream can be read with.
    pub fn format(&self) -> Option<Format> {
        let same_size = self.sizes.windows(2).all(|pair| pair[0] == pair[1]);
        match *self.formats.iter().max_by_key(|(_, count)| **count)?.0 {
            // Bytes of any length are anything; of one length they may be an image.
            Looks::Like(Format::U8) if !same_size => None,
            Looks::Like(format) => Some(format),
            Looks::Foreign | Looks::Empty => None,
        }
    }

    /// Sentences about what was seen, without any value.
    pub fn seen(&self) -> Vec<String> {
        let name = |looks: &Looks| match looks {
            Looks::Like(Format::Confluent) => "confluent: a frame, which needs a [registry]",
            Looks::Like(format) => format.name(),
            Looks::Foreign => "a content-type we do not know",
            Looks::Empty => "nothing",
        };
        let formats: Vec<String> = self
            .formats
            .iter()
            .map(|(looks, count)| format!("{count} × {}", name(looks)))
            .collect();
        let (median, largest) = self.sizes();
        let mut seen = vec![
            format!("Looks like: {}.", formats.join(", ")),
            format!("Sizes: half of them up to {median} bytes, the largest {largest}."),
        ];
        match self.format() {
            None => seen.push("No format fits most of them: set `codec` by hand.".into()),
            Some(Format::F32Le | Format::U8) => seen.push(
                "A guess from lengths and bytes alone: any bytes can be read so. Check `codec`."
                    .into(),
            ),
            Some(_) => {}
        }
        if self.beyond {
            seen.push(format!(
                "There are more than {FIELDS_MAX} fields; only these were looked at."
            ));
        }
        seen
    }

    /// The keys of `[[stream]]` that follow from it, in TOML.
    pub fn keys(&self) -> Vec<(&'static str, String)> {
        let room = (ROOM * self.sizes().1).max(ROOM_MIN).next_power_of_two().min(1_000_000_000);
        let mut keys = vec![("value_bytes_max", room.to_string())];
        if let Some(format) = self.format() {
            keys.push(("codec", quoted(format.name())));
        }
        keys.extend(self.fields().map(|fields| ("fields", fields)));
        keys
    }

    /// Steps that make personal data poorer in quarantine, as lines of a comment; none without any.
    pub fn steps(&self) -> Vec<String> {
        let fields = self.order.iter().filter_map(|pointer| self.fields.get_key_value(pointer));
        let mut lines: Vec<String> = vec![];
        for (pointer, field) in fields {
            let Some((shape, count)) = field.personal() else { continue };
            let (step, setting) = match shape {
                TextShape::Email => ("pseudonym", "key = \"pseudonyms-2026\""),
                TextShape::Iban | TextShape::Card => ("mask", "keep_last = 4"),
                TextShape::Phone => ("mask", "keep_last = 2"),
            };
            let (name, of) = (shape.name(), field.records);
            lines.extend([
                format!("{count} of {of} values look like {name}:"),
                "[[stream.output.step]]".to_owned(),
                format!("field = {}", quoted(pointer)),
                format!("do = {}", quoted(step)),
                setting.to_owned(),
            ]);
        }
        if !lines.is_empty() {
            let head = [
                "Proposed, because the sample has what looks like personal data. For it to happen in quarantine take these",
                "`# ` away, also from the [[key]] that a pseudonym names, and remove the tables below that are about quarantine.",
                "[[stream.output]]",
                "of = \"quarantine\"",
            ];
            lines.splice(0..0, head.map(str::to_owned));
        }
        lines
    }

    /// The pointers as an array of TOML, each with what was seen there; `None` without any.
    fn fields(&self) -> Option<String> {
        let documents = self.formats.get(&Looks::Like(Format::Json)).copied().unwrap_or(0);
        let (mut lines, mut pointers) = (String::new(), vec![]);
        let (mut left_out, mut rare) = (vec![], 0);
        let fields = self.order.iter().filter_map(|pointer| self.fields.get_key_value(pointer));
        for (pointer, field) in fields {
            match field.verdict(documents) {
                Ok(words) => {
                    pointers.push(pointer.clone());
                    lines += &format!("    {}, # {words}\n", quoted(pointer));
                }
                Err(_) if field.records < FEW.min(documents) => rare += 1,
                Err(words) => {
                    left_out.push(format!("    # left out: {} ({words})\n", quoted(pointer)))
                }
            }
        }
        // Only what the reader takes is suggested.
        Fields::new(pointers).ok()?;
        if rare > 0 {
            left_out.push(format!(
                "    # left out: {rare} fields that fewer than {FEW} records have\n"
            ));
        }
        Some(format!("[\n{lines}{}]", left_out.concat()))
    }

    fn walk(&mut self, value: &RawValue, pointer: String) {
        if let Some(members) = members(value.get()) {
            for (key, inner) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                self.walk(inner, format!("{pointer}/{key}"));
            }
            return;
        }
        if !self.fields.contains_key(&pointer) && self.fields.len() == FIELDS_MAX {
            self.beyond = true;
            return;
        }
        let Ok(value) = serde_json::from_str::<Value>(value.get()) else { return };
        if !self.fields.contains_key(&pointer) {
            self.order.push(pointer.clone());
        }
        self.fields.entry(pointer).or_default().take(&value);
    }
}

/// Whether it reads as 32-bit floats of sizes that people use.
fn floats(value: &[u8]) -> bool {
    let (words, rest) = value.as_chunks::<4>();
    let sane = |word: &[u8; 4]| {
        let x = f32::from_le_bytes(*word).abs();
        x == 0.0 || (1e-20..1e20).contains(&x)
    };
    !words.is_empty() && rest.is_empty() && words.iter().all(sane)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Answers, Config, NewStream, template};
    use super::*;

    fn survey(values: impl IntoIterator<Item = String>) -> Survey {
        let mut survey = Survey::default();
        values
            .into_iter()
            .for_each(|value| survey.take(value.as_bytes(), &ContentHeaders::default()));
        survey
    }

    fn written(survey: &Survey) -> String {
        let (name, input) = ("payments".to_owned(), "payments.requests".to_owned());
        let (seen, keys, steps) = (survey.seen(), survey.keys(), survey.steps());
        let stream = NewStream { name, input, seen, keys, steps };
        template(&Answers { stream: Some(stream), ..Answers::default() })
    }

    fn payment(i: u64) -> String {
        let country = ["DE", "FR", "PT"][i as usize % 3];
        let rare = if i == 7 { r#", "note": "call me", "x-mueller": 1"# } else { "" };
        let age = if i.is_multiple_of(5) { "null".into() } else { (20 + i % 40).to_string() };
        format!(
            r#"{{"id": {}, "amount": {}.5, "shop": {{"country": "{country}", "name": "shop {i}"}},
            "vip": {}, "age": {age}, "pixels": [[0, {i}], [2, 3]], "tags": ["a"], "steps": [{}]{rare}}}"#,
            1_700_000_000 + i,
            i % 90,
            i.is_multiple_of(2),
            "1,".repeat(i as usize % 3) + "1",
        )
    }

    #[test]
    fn a_sample_of_payments_suggests_what_a_person_would_take() {
        let survey = survey((0..500).map(payment));
        let written = written(&survey);
        let start = written.find("# Looks like").unwrap();
        let end = start + written[start..].find("# \"observe\"").unwrap();
        insta::assert_snapshot!(&written[start..end]);
        assert!(!written.contains("mueller") && !written.contains("shop 7"), "{written}");
    }

    #[test]
    fn bytes_of_one_length_may_be_an_image_and_of_several_are_nothing() {
        let take = |values: &[&[u8]]| {
            let mut survey = Survey::default();
            values.iter().for_each(|value| survey.take(value, &ContentHeaders::default()));
            survey.format()
        };
        assert_eq!(take(&[&[9, 200, 7], &[1, 2, 3]]), Some(Format::U8));
        assert_eq!(take(&[&[9, 200, 7], &[1, 2]]), None);
        assert_eq!(take(&[&1.5_f32.to_le_bytes(), &0_f32.to_le_bytes()]), Some(Format::F32Le));
        assert_eq!(take(&[b"{}", b"[1]", b"\x00\x00\x00\x00\x07\x02a"]), Some(Format::Json));
        assert_eq!(take(&[b"\x00\x00\x00\x00\x07\x02a"]), Some(Format::Confluent));
        assert_eq!(take(&[b"{\"instances\": [[1]]}"]), Some(Format::KserveV1));
    }

    #[test]
    fn personal_data_in_the_sample_proposes_steps_and_is_not_repeated() {
        let customer = |i: usize| {
            format!(
                r#"{{"mail": "ada{i}@example.org", "card": "4111 1111 1111 1111", "amount": {i}}}"#
            )
        };
        let written = written(&survey((0..50).map(customer)));
        let step = "# 50 of 50 values look like email:\n# [[stream.output.step]]\n# field = \"/mail\"\n\
                    # do = \"pseudonym\"\n# key = \"pseudonyms-2026\"\n";
        assert!(written.contains(step), "{written}");
        assert!(
            written.contains("# field = \"/card\"\n# do = \"mask\"\n# keep_last = 4\n"),
            "{written}"
        );
        assert!(!written.contains("ada7") && !written.contains("4111"), "{written}");
        assert!(Survey::default().steps().is_empty());
    }

    proptest! {
        #[test]
        fn whatever_is_sampled_the_file_that_follows_can_be_read(
            documents in proptest::collection::vec(
                "\\{\"[a-z/~\"\\\\\n\u{e4}#]{0,4}\": (1|\"[ -~]{0,30}\"|null|[0-9]{1,9}|\\[1, 2\\])\\}",
                0..30,
            ),
            junk in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let mut survey = survey(documents);
            survey.take(&junk, &ContentHeaders::default());
            let text = written(&survey);
            let read = Config::read("tripline.toml".as_ref(), &text, [], &|_| Err(String::new()));
            prop_assert!(read.is_ok(), "{}\n{text}", read.unwrap_err());
        }
    }
}
