//! A new configuration: the example with some of its lines answered.

use super::EXAMPLE;

/// What is known of a new configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    pub brokers: Option<String>,
    /// librdkafka's settings: name, and value in TOML.
    pub properties: Vec<(String, String)>,
    pub stream: Option<NewStream>,
}

/// What is known of its stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewStream {
    pub name: String,
    pub input: String,
    /// Lines of a comment above it.
    pub seen: Vec<String>,
    /// Keys of `[[stream]]` with their values in TOML.
    pub keys: Vec<(&'static str, String)>,
    /// Lines of a comment above its first output.
    pub steps: Vec<String>,
}

/// The example with `answers` in place of its own values; everything else keeps its words.
pub fn template(answers: &Answers) -> String {
    let mut text = String::new();
    let mut table = "";
    let mut steps = answers.stream.iter().flat_map(|stream| &stream.steps).peekable();
    for line in EXAMPLE.lines().filter(|line| !line.starts_with("#:")) {
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']']);
        }
        let key = line.strip_prefix("# ").unwrap_or(line).split(" = ").next().unwrap_or_default();
        match answer(answers, table, key) {
            Some(value) if line.contains(" = ") => text += &format!("{key} = {value}"),
            _ if line == "[[stream]]" => {
                for seen in answers.stream.iter().flat_map(|stream| &stream.seen) {
                    text += &format!("# {seen}\n");
                }
                text += line;
            }
            _ if line == "[[stream.output]]" => {
                if steps.peek().is_some() {
                    text.push('\n');
                }
                steps.by_ref().for_each(|step| text += &format!("# {step}\n"));
                text += line;
            }
            _ => text += line,
        }
        text.push('\n');
        if table == "kafka.properties" && line.starts_with('[') {
            for (name, value) in &answers.properties {
                text += &format!("{} = {value}\n", quoted(name));
            }
        }
    }
    text
}

/// What stands at `key` instead of the example's value.
fn answer(answers: &Answers, table: &str, key: &str) -> Option<String> {
    if (table, key) == ("kafka", "brokers") {
        return answers.brokers.as_deref().map(quoted);
    }
    let stream = answers.stream.as_ref()?;
    match (table, key) {
        ("stream", "name") => Some(quoted(&stream.name)),
        ("stream", "input") => Some(quoted(&stream.input)),
        ("stream", "bundle") => Some(quoted(&format!("models/{}", stream.name))),
        ("stream", key) => {
            stream.keys.iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone())
        }
        ("stream.topics", key) => {
            // As the reader names them.
            let suffix = key.replace('_', "-");
            Some(quoted(&format!("{}.{suffix}", stream.name)))
        }
        _ => None,
    }
}

/// A string in TOML, on one line whatever is in it: it may stand in a comment.
pub(super) fn quoted(text: &str) -> String {
    // JSON's escapes are TOML's; only the delete character is one that TOML wants escaped besides.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    fn read(answers: &Answers) -> Config {
        let text = template(answers);
        Config::read(Path::new("tripline.toml"), &text, [], &|_| Ok("hunter2".into()))
            .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
    }

    #[test]
    fn without_answers_it_is_the_example() {
        let example =
            Config::read(Path::new("tripline.toml"), EXAMPLE, [], &|_| Err(String::new()));
        assert_eq!(Ok(read(&Answers::default())), example);
    }

    #[test]
    fn every_answer_takes_its_place_and_the_rest_stays() {
        let config = read(&Answers {
            brokers: Some("kafka:9092".into()),
            properties: vec![("sasl.password".into(), "{ env = \"P\" }".into())],
            stream: Some(NewStream {
                name: "pay\"ments".replace('"', "-"),
                input: "payments.requests".into(),
                seen: vec!["500 records".into()],
                keys: vec![("value_bytes_max", "4096".into()), ("fields", "[\"/a\"]".into())],
                steps: vec!["a step".into()],
            }),
        });
        let stream = &config.streams[0];
        assert_eq!((&*stream.name, &*stream.input), ("pay-ments", "payments.requests"));
        assert_eq!(stream.topics.dead_letter, "pay-ments.dead-letter");
        assert_eq!((stream.codec.value_bytes_max, stream.rows_max), (4096, 256));
        assert_eq!(stream.codec.fields.as_ref().unwrap().pointers(), ["/a"]);
        assert_eq!(config.kafka.brokers, "kafka:9092");
        assert_eq!(config.kafka.properties["sasl.password"].expose(), "hunter2");
    }
}
