//! `tripline init`

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Exit;
use super::config::{refused, secret};
use crate::codec::ContentHeaders;
use crate::config::{Answers, Config, NewStream, Survey, template};
use crate::shell::kafka::Clients;
use crate::shell::sample::{Limits, sample};

/// Write a commented configuration, from a sample of a topic if there is one
///
/// Values are private: of what people wrote, only what looks like a category is repeated.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Look at the newest records of this topic
    #[arg(long, value_name = "TOPIC")]
    from_topic: Option<String>,
    /// Where to find the cluster
    #[arg(long, value_name = "HOST:PORT,…")]
    brokers: Option<String>,
    /// A setting of librdkafka; secrets as `sasl.password={ env = "NAME" }`
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = property)]
    properties: Vec<(String, String)>,
    /// How many records to look at
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1000))]
    records: u32,
    /// Write the sampled values here, a line of JSON each, to fit on. They are as private as the
    /// topic
    #[arg(long, value_name = "FILE", requires = "from_topic")]
    rows_out: Option<PathBuf>,
    /// The file to write; never overwritten
    #[arg(short, long, value_name = "FILE", default_value = "tripline.toml")]
    output: PathBuf,
}

/// `NAME=VALUE`, the value as TOML: a reference stays one, everything else is a string.
fn property(written: &str) -> Result<(String, String), String> {
    let (name, value) = written.split_once('=').ok_or("write NAME=VALUE")?;
    let value = value.trim();
    let value = match value.starts_with('{') {
        true => value.to_owned(),
        false => toml::Value::String(value.to_owned()).to_string(),
    };
    Ok((name.trim().to_owned(), value))
}

impl Args {
    pub fn run(self) -> Exit {
        let written = match &self.from_topic {
            None => self.written(Answers::default()).map(|()| {
                println!(
                    "\nNext:\n  \
                     1. tripline fit …           learns what is normal, writes a bundle\n  \
                     2. write brokers, input, bundle and names into {file}: those that stand there are an example's\n  \
                     3. tripline check -c {file} --connect\n\
                     `tripline init --from-topic TOPIC --brokers HOST:PORT` fills in what it sees in the topic.",
                    file = self.output.display()
                );
            }),
            Some(topic) => self.survey(topic),
        };
        match written {
            Ok(()) => Exit::Ok,
            Err((exit, error)) => {
                eprintln!("error: {error}");
                exit
            }
        }
    }

    fn survey(&self, topic: &str) -> Result<(), (Exit, String)> {
        if self.output.exists() {
            return Err((Exit::Failed, exists(&self.output)));
        }
        let name = stream_name(topic);
        let stream =
            NewStream { name: name.clone(), input: topic.to_owned(), ..NewStream::default() };
        // The file without a sample already says how to reach the cluster, and is checked like any.
        let config = self.checked(&template(&self.answers(stream.clone())))?;
        let clients = Clients::new(config.kafka, "init");

        let mut rows = match &self.rows_out {
            None => None,
            Some(path) => Some((path, private(path).map_err(|e| failed(path, &e))?)),
        };
        let (mut survey, mut rows_written, mut disk) = (Survey::default(), 0, Ok(()));
        let sampled = sample(&clients, topic, Limits::of_a_look(self.records as usize), |seen| {
            let Some(value) = seen.value else { return true };
            survey.take(value, &ContentHeaders::of(seen.headers));
            if let (Some((_, file)), true) = (&mut rows, disk.is_ok())
                && let Some(line) = json_line(value)
            {
                disk = file.write_all(&line);
                rows_written += 1;
            }
            true
        });
        let sampled = sampled.map_err(|error| (Exit::Failed, error.to_string()))?;
        if let Some((path, _)) = &rows {
            disk.map_err(|error| failed(path, &error))?;
        }

        let mut seen = vec![format!(
            "Seen in the newest {} records of {} partitions{}:",
            sampled.records,
            sampled.partitions,
            if sampled.cut_short { ", cut short" } else { "" },
        )];
        if sampled.empty > 0 {
            seen.push(format!("{} without a value.", sampled.empty));
        }
        let keys = match survey.records() {
            0 => {
                seen.push("Nothing to go by: set `codec` and `fields` by hand.".into());
                vec![]
            }
            _ => {
                seen.extend(survey.seen());
                survey.keys()
            }
        };
        seen.iter().for_each(|line| println!("{line}"));
        let steps = survey.steps();
        if !steps.is_empty() {
            println!(
                "Some of it looks like personal data: the file proposes steps for quarantine."
            );
        }
        self.written(self.answers(NewStream { seen, keys, steps, ..stream }))?;
        if let Some((path, _)) = &rows {
            println!("{}: {rows_written} rows, readable by you alone", path.display());
        }
        println!(
            "\nNext:\n  \
             1. read {file}; values of categories stand in it: remove what is private\n  \
             2. collect rows that you know to be clean, thousands of them\n  \
             3. tripline fit …           learns what is normal, writes models/{name}\n  \
             4. tripline topics -c {file} --apply\n  \
             5. tripline check -c {file} --connect\n\
             An editor completes keys with `tripline config schema > tripline.schema.json` and\n\
             `#:schema tripline.schema.json` as the first line.",
            file = self.output.display(),
        );
        Ok(())
    }

    fn answers(&self, stream: NewStream) -> Answers {
        Answers {
            brokers: self.brokers.clone(),
            properties: self.properties.clone(),
            stream: Some(stream),
        }
    }

    fn checked(&self, text: &str) -> Result<Config, (Exit, String)> {
        let read = Config::read(&self.output, text, [], &secret);
        let config = read.map_err(|problems| (Exit::Config, problems.to_string()))?;
        match refused(&config).into_iter().next() {
            Some(why) => Err((Exit::Config, why)),
            None => Ok(config),
        }
    }

    /// Writes the file, once it can be read.
    fn written(&self, answers: Answers) -> Result<(), (Exit, String)> {
        let brokers = self.brokers.clone();
        let text = template(&Answers { brokers, properties: self.properties.clone(), ..answers });
        self.checked(&text)?;
        let create = OpenOptions::new().write(true).create_new(true).open(&self.output);
        let mut file = create.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => (Exit::Failed, exists(&self.output)),
            _ => failed(&self.output, &error),
        })?;
        file.write_all(text.as_bytes()).map_err(|error| failed(&self.output, &error))?;
        println!("{}: written", self.output.display());
        Ok(())
    }
}

fn exists(path: &Path) -> String {
    format!("{} already exists and is not overwritten; choose another with -o", path.display())
}

fn failed(path: &Path, error: &io::Error) -> (Exit, String) {
    (Exit::Failed, format!("{}: {error}", path.display()))
}

/// A new file that nobody else can read.
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A value as one line, if it is JSON.
fn json_line(value: &[u8]) -> Option<Vec<u8>> {
    let document: Box<serde_json::value::RawValue> = serde_json::from_slice(value).ok()?;
    // A line end in JSON is never part of a string: there it is escaped.
    let mut line: Vec<u8> =
        document.get().bytes().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { b }).collect();
    line.push(b'\n');
    Some(line)
}

/// What the stream of a topic is called: the topic, without the word for what it holds.
fn stream_name(topic: &str) -> String {
    let words = ["requests", "request", "inputs", "input", "inference", "raw"];
    let named = |word: &str| {
        let rest = topic.strip_suffix(word)?;
        rest.strip_suffix(['.', '-', '_']).filter(|rest| !rest.is_empty())
    };
    words.iter().find_map(|word| named(word)).unwrap_or(topic).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_called_after_its_topic_without_the_word_for_what_it_holds() {
        for (topic, name) in [
            ("fraud.requests", "fraud"),
            ("fraud-input", "fraud"),
            ("requests", "requests"),
            (".requests", ".requests"),
            ("quests", "quests"),
        ] {
            assert_eq!(stream_name(topic), name, "{topic}");
        }
    }

    #[test]
    fn a_document_of_several_lines_is_one_line_and_keeps_its_numbers() {
        let line = json_line(b"{\n  \"a\": 1.10,\r\n  \"b\": \"x\\ny\"\n}\n").unwrap();
        assert_eq!(line, b"{   \"a\": 1.10,    \"b\": \"x\\ny\" }\n");
        assert_eq!(json_line(b"1 2"), None);
    }
}
