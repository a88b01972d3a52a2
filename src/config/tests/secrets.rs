//! No accident of an editor shows a secret.

use super::*;

/// What nobody may ever see.
const CANARY: &str = "c4n4ry";

/// Secrets where they belong, where they do not, and with more around them than usual.
const SECRETIVE: &str = r#"instance = "tripline-0"
kafka.group = "g"
[kafka]
brokers = "localhost:9092"
[kafka.properties]
"sasl.username" = { env = "USERNAME" }
"sasl.password" = "c4n4ry"
sasl.oauthbearer.config = "a=b, c=c4n4ry"
"ssl.key.pem" = """
c4n4ry
"""
ssl.key.password = { file = "key" }
oidc = { client.secret = 'c4n4ry', retries = [1] }
[[stream]]
name = { env = "NAME" }
input = { env = "INPUT" }
bundle = { file = "bundle" }
budget = { env = "BUDGET" }
mode = { env = "MODE" }
fields = ["/a", { env = "FIELD" }]
[[route]]
name = { env = "NAME" }
kind = "webhook"
url = { env = "URL" }
user = "me"
password = 'c4n4ry'
secret = "c4n4ry"
[[route]]
kind = { env = "KIND" }
streams = [{ env = "NAME" }]
token = { file = "token" }
"#;

/// One small accident of an editor.
fn mutate(text: &mut String, (what, at, to): (u8, usize, usize)) {
    let mut chars: Vec<char> = text.chars().collect();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (i, l) = (at % chars.len().max(1), at % lines.len().max(1));
    let junk = ['"', '\'', '=', '[', ']', '{', '}', ',', '.', '#', '\n', ' ', 'x', '\\'];
    match what {
        0 if !chars.is_empty() => drop(chars.remove(i)),
        1 => chars.insert(i.min(chars.len()), junk[to % junk.len()]),
        2 if !lines.is_empty() => drop(lines.remove(l)),
        3 if !lines.is_empty() => lines.insert(to % lines.len(), lines[l].clone()),
        4 if !lines.is_empty() => {
            let other = to % lines.len();
            lines.swap(l, other);
        }
        _ => chars.truncate(i),
    }
    *text = if !(2..=4).contains(&what) { chars.into_iter().collect() } else { lines.join("\n") };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_accident_shows_a_secret(
        accidents in proptest::collection::vec((0..6_u8, any::<usize>(), any::<usize>()), 0..5),
        variable in "(KAFKA|STREAM__0|ADMIN|ROUTE__0)__(PROPERTIES|BUDGET|MODE|WORKERS|LISTEN|URL)(__SASL_PASSWORD)?",
        value in proptest::sample::select(vec![
            "c4n4ry", "{ env = \"X\" }", "[\"c4n4ry\"]", "{ a = \"c4n4ry\" }",
        ]),
    ) {
        let mut text = SECRETIVE.to_owned();
        accidents.into_iter().for_each(|accident| mutate(&mut text, accident));
        let fetch = |_: Secret<'_>| Ok(CANARY.to_owned());
        let plain = variable.ends_with("PROPERTIES__SASL_PASSWORD") || value.contains("env");
        let variables = plain.then(|| (format!("TRIPLINE__{variable}"), value.to_owned()));
        let read = Config::read(Path::new("etc/tripline.toml"), &text, variables, &fetch);
        match read {
            Err(problems) => {
                let shown = format!("{problems}\n{problems:?}");
                prop_assert!(!shown.contains(CANARY), "{text}\n\n{shown}");
            }
            // A name or a topic is shown, wherever it is kept; a setting of Kafka is not.
            Ok(config) => {
                let to: Vec<_> = config.routes.iter().map(|route| &route.to).collect();
                prop_assert!(!format!("{:?} {to:?}", config.kafka).contains(CANARY), "{text}");
            }
        }
    }
}
