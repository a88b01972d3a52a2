//! What of a configuration can change while the process runs, and what only a restart changes.

use super::{Config, Stream};

impl Config {
    /// The keys, by their names in the file, in which `next` differs and which a running process cannot change: where it
    /// reads and writes, who it is there, and its threads. Empty if `next` can be adopted.
    pub fn needs_restart(&self, next: &Self) -> Vec<String> {
        let Self { instance, onnxruntime, kafka, admin, registry, audit, otlp, streams, routes } =
            self;
        let whole = [
            ("instance", *instance != next.instance),
            ("onnxruntime", *onnxruntime != next.onnxruntime),
            ("kafka.brokers", kafka.brokers != next.kafka.brokers),
            ("kafka.group", kafka.group != next.kafka.group),
            ("admin", *admin != next.admin),
            ("registry", *registry != next.registry),
            ("audit", *audit != next.audit),
            ("otlp", *otlp != next.otlp),
            ("route", *routes != next.routes),
        ];
        let mut keys: Vec<String> =
            whole.iter().filter(|(_, changed)| *changed).map(|(key, _)| (*key).into()).collect();
        let rest = [("brokers", &kafka.brokers), ("group", &kafka.group)];
        let named = rest.iter().any(|(key, _)| keys.contains(&format!("kafka.{key}")));
        if *kafka != next.kafka && !named {
            keys.push("kafka".into());
        }
        let name = |stream: &Stream| stream.name.clone();
        let (mut now, mut then): (Vec<String>, Vec<String>) =
            (streams.iter().map(name).collect(), next.streams.iter().map(name).collect());
        if now != then {
            now.sort();
            then.sort();
            let gone = now.iter().filter(|name| !then.contains(name));
            keys.extend(gone.map(|name| format!("stream {name} (it is missing)")));
            let new = then.iter().filter(|name| !now.contains(name));
            keys.extend(new.map(|name| format!("stream {name} (it is new)")));
            if now == then {
                keys.push("the order of streams".into());
            }
            return keys;
        }
        let topic = |stream: &Stream| stream.lineage.as_ref().map(|lineage| lineage.topic.clone());
        for (now, then) in streams.iter().zip(&next.streams) {
            let of_stream = [
                ("input", now.input != then.input),
                ("topics", now.topics != then.topics),
                ("answers", topics_of(now) != topics_of(then)),
                ("workers", now.workers != then.workers),
                ("clients.enabled", now.clients.is_some() != then.clients.is_some()),
                ("clients.id", now.known_clients_topic() != then.known_clients_topic()),
                ("alerts.topic", now.alerts.topic != then.alerts.topic),
                ("lineage.topic", topic(now) != topic(then)),
                ("alerts.window_ms", now.alerts.window != then.alerts.window),
                ("alerts.per_partition", now.alerts.per_partition != then.alerts.per_partition),
            ];
            let changed = of_stream.iter().filter(|(_, changed)| *changed);
            keys.extend(changed.map(|(key, _)| format!("stream {}: {key}", now.name)));
        }
        keys
    }
}

/// Where its answers come from and where pairs go, if they are watched.
fn topics_of(stream: &Stream) -> Option<(&str, &str)> {
    stream.answers.as_ref().map(|answers| (&*answers.topic, &*answers.join_topic))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(kafka: &str, stream: &str) -> Config {
        let text = format!(
            "instance = \"a\"\n[kafka]\nbrokers = \"b:1\"\n{kafka}\n[[stream]]\nname = \"s\"\ninput = \"i\"\n\
             bundle = \"x\"\n{stream}"
        );
        let resolve = |_: super::super::Secret<'_>| Err(String::new());
        Config::read(Path::new("t.toml"), &text, [], &resolve).unwrap_or_else(|e| panic!("{e}"))
    }

    fn check(kafka: &str, stream: &str, expected: &[&str]) {
        assert_eq!(config("", "").needs_restart(&config(kafka, stream)), expected);
    }

    #[test]
    fn what_a_verdict_hangs_on_can_change_while_running() {
        check("", "", &[]);
        check("", "mode = \"enforce\"\nbudget = \"2%\"\nlinger_ms = 7\nrows_max = 9", &[]);
        check("", "[stream.alerts]\nfalse_pages = \"1/day\"\nkeep_firing_for = \"2h\"", &[]);
    }

    #[test]
    fn where_it_reads_and_who_it_is_are_named() {
        check("group = \"g\"", "", &["kafka.group"]);
        check("commit_interval_ms = 7", "workers = 2", &["kafka", "stream s: workers"]);
        check("", "[stream.topics]\nsanitized = \"z\"", &["stream s: topics"]);
        let two = "[[stream]]\nname = \"t\"\ninput = \"j\"\nbundle = \"x\"";
        check("", two, &["stream t (it is new)"]);
    }
}
