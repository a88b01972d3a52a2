//! Incidents on their way to people: a real Kafka, a real Alertmanager, receivers that are away, choke or
//! hang, and a process that is killed while it tells.
//!
//! Alerts are written to the topic by the tests: what a monitor says is tested elsewhere.

mod alerting;
mod hook;
mod site;

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use alerting::{Alertmanager, check_metrics, tool};
use hook::{Hook, Request, check_signatures, read_events};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use site::{ALERTS, SECRET, SOON, Site, get, metric};

use crate::harness::{ShowOnPanic, free_port, root, wait_until};
use crate::turn::turn_of;

/// What fires, is said again, changes and is over in Alertmanager, while the other receiver is away for
/// a minute and this process is killed in it: 65 s of outage pass while the rest is tested, and the
/// other tests of this file run beside it.
#[test]
fn alertmanager_has_each_incident_once_while_another_receiver_is_away_and_misses_nothing() {
    let _turn = turn_of("routes");
    const AWAY: Duration = Duration::from_secs(65);
    let (alertmanager, hook) = (Alertmanager::start(), free_port());
    let site = Site::new(&format!(
        r#"
[[route]]
name = "pager"
kind = "alertmanager"
url = "http://127.0.0.1:{}"
resend_ms = 1000
[[route]]
name = "hook"
kind = "webhook"
url = "http://127.0.0.1:{hook}/incidents?key=c4n4ry"
secret = {{ env = "HOOK_SECRET" }}
[[route]]
"#,
        alertmanager.port
    ));
    let _tail = ShowOnPanic(site.log.clone());
    let mut guard = site.start();
    let begun = |route| site.metric("partitions_assigned", route) >= 1.0;
    wait_until("the routes", SOON, || ["pager", "hook", "log"].into_iter().all(begun));

    // Once, with everything that a person needs.
    site.say("a", "firing", "critical");
    alertmanager.wait_for(&[("a", "critical")]);
    let first = alertmanager.active().pop_first().expect("it fires").1;
    assert_eq!(first["labels"]["alertname"], "TriplineIncident", "{first:#}");
    assert_eq!(first["labels"]["stream"], "rows", "{first:#}");
    assert_eq!(first["startsAt"], "2026-11-23T18:51:10.000Z", "{first:#}");
    let summary = first["annotations"]["summary"].as_str().expect("a summary");
    assert!(summary.starts_with("rows: 212 of 980 records"), "{first:#}");
    assert!(
        first["annotations"]["next_steps"].as_str().is_some_and(|s| s.contains("kcat")),
        "{first:#}"
    );

    // The other receiver does not answer, and that is seen; nothing stops for it.
    wait_until("a failure", SOON, || site.metric("failing", "hook") == 1.0);
    let away_since = Instant::now();
    assert_eq!(site.metric("pending_alerts", "hook"), 1.0);
    assert_eq!(site.metric("failing", "pager"), 0.0);
    assert_eq!(site.metric("sent_total", "log"), 1.0);
    // The worker may have joined after the routes.
    wait_until("readiness", SOON, || get(site.admin, "/ready").0.contains(" 200 "));
    check_metrics(&site.metrics());

    // It is said again, and stays one alert.
    let second = alertmanager.wait_for_more(("a", "critical"), &first);
    let third = alertmanager.wait_for_more(("a", "critical"), &second);
    assert_eq!(third["fingerprint"], first["fingerprint"]);
    assert_eq!(third["startsAt"], first["startsAt"]);
    assert_eq!(alertmanager.active().len(), 1);

    // Another severity is another alert there: the first one ends. What is no alert is passed over.
    site.write("junk", Some("\u{0}[{\"status\":"));
    site.write("nothing", None);
    site.say("a", "updated", "warning");
    alertmanager.wait_for(&[("a", "warning")]);
    site.say("b", "firing", "critical");
    alertmanager.wait_for(&[("a", "warning"), ("b", "critical")]);
    assert_eq!(site.metric("unreadable_total", "pager"), 1.0);
    assert_eq!(site.metric("open_incidents", "pager"), 2.0);
    site.say("a", "resolved", "warning");
    alertmanager.wait_for(&[("b", "critical")]);

    // Killed and started again, it knows what fires, before anybody says it.
    guard.kill();
    let before = alertmanager.active().pop_first().expect("b fires").1;
    let mut guard = site.start();
    wait_until("b is open again", SOON, || site.metric("open_incidents", "pager") == 1.0);
    alertmanager.wait_for_more(("b", "critical"), &before);
    site.say("b", "resolved", "critical");
    alertmanager.wait_for(&[]);
    assert_eq!(site.metric("open_incidents", "pager"), 0.0);

    // A minute is over. The receiver comes, and hears everything in its order, signed.
    wait_until("the routes", SOON, || {
        begun("hook") && site.metric("pending_alerts", "hook") == 5.0
    });
    std::thread::sleep(AWAY.saturating_sub(away_since.elapsed()));
    check_metrics(&site.metrics());
    assert!(get(site.admin, "/ready").0.contains(" 200 "));
    let hook = Hook::listen(hook, |_, _| Some(204));
    let requests = hook.wait_for(5);
    println!("the receiver was away for {:?}", away_since.elapsed());
    let says: Vec<_> = requests.iter().map(Request::says).collect();
    let said =
        [("a", "firing"), ("a", "updated"), ("b", "firing"), ("a", "resolved"), ("b", "resolved")];
    assert_eq!(says, said.map(|(key, status)| (key.to_owned(), status.to_owned())));
    check_signatures(&requests);
    wait_until("its commit", SOON, || site.committed("hook") == (7, 7));
    wait_until("all to be well", SOON, || site.metric("failing", "hook") == 0.0);
    assert_eq!(
        (site.metric("sent_total", "hook"), site.metric("pending_alerts", "hook")),
        (5.0, 0.0)
    );
    assert!(site.metric("last_success_timestamp_seconds", "hook") > 1e9);
    check_metrics(&site.metrics());
    assert!(guard.terminate(Duration::from_secs(20)).success());
    assert_eq!(hook.requests().len(), 5, "each once");

    let log = std::fs::read_to_string(&site.log).expect("a log");
    assert!(
        log.contains("the receiver takes nothing") && log.contains("the receiver answers again")
    );
    let lines =
        log.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let told = lines.filter(|line| line["target"] == "tripline::shell::routes::log");
    let told: Vec<Value> = told.map(|line| line["fields"]["incident"].clone()).collect();
    assert_eq!(told, ["a", "a", "b", "a", "b"], "a line per change");
    for secret in [SECRET, &SECRET[6..], "c4n4ry"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

/// The receiver has it, the group does not know: whoever comes next says it again.
#[test]
fn what_was_sent_and_not_committed_is_sent_again_under_the_same_id() {
    let _turn = turn_of("routes");
    let port = free_port();
    let site = Site::new(&format!(
        r#"
[[route]]
name = "hook"
kind = "webhook"
url = "http://127.0.0.1:{port}/"
secret = {{ env = "HOOK_SECRET" }}
timeout_ms = 30000
"#
    ));
    let _tail = ShowOnPanic(site.log.clone());
    // A new route tells what fires, and not what is over.
    site.say("past", "firing", "critical");
    site.say("past", "resolved", "critical");
    site.say("a", "firing", "critical");
    let hook = Hook::listen(port, |number, request| match (number, request.says().1.as_str()) {
        // Heard, and never answered.
        (0 | 2, _) => None,
        (3, _) => Some(503),
        (_, "updated") => Some(422),
        _ => Some(200),
    });

    let mut guard = site.start();
    let first = hook.wait_for(1).remove(0);
    assert_eq!(first.says(), ("a".into(), "firing".into()));
    guard.kill();
    assert_eq!(site.committed("hook").0, 2);

    let mut guard = site.start();
    let again = hook.wait_for(2).remove(1);
    assert_eq!((again.id(), &again.body), (first.id(), &first.body));
    assert_ne!(again.headers["webhook-signature"], "");
    wait_until("the commit", SOON, || site.committed("hook").0 == 3);

    // A receiver that hangs does not keep the process from ending.
    site.say("a", "updated", "critical");
    hook.wait_for(3);
    let asked = Instant::now();
    assert!(guard.terminate(Duration::from_secs(20)).success());
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    println!("ended after {took:?} with a request of up to 30 s on its way");

    // Busy once; then one alert is refused for good, which stops nothing behind it.
    site.say("a", "resolved", "critical");
    let mut guard = site.start();
    let all = hook.wait_for(6);
    let says: Vec<String> = all.iter().map(|request| request.says().1).collect();
    assert_eq!(says, ["firing", "firing", "updated", "updated", "updated", "resolved"]);
    assert_eq!((all[3].id(), all[4].id()), (all[2].id(), all[2].id()));
    check_signatures(&all);
    wait_until("the commit", SOON, || site.committed("hook") == (5, 5));
    assert_eq!(site.metric("refused_total", "hook"), 1.0);
    assert_eq!(site.metric("failed_total", "hook"), 2.0);
    let log = std::fs::read_to_string(&site.log).expect("a log");
    assert!(log.contains("refused for good"), "{log}");

    // Of two processes one tells, and nothing more of what was told; the other goes on when it is killed.
    assert!(guard.terminate(Duration::from_secs(20)).success());
    let mut fleet = [0, 1].map(|number| {
        let admin = free_port();
        (admin, site.start_another(&format!("fleet-{number}"), admin))
    });
    let ports = fleet.each_ref().map(|(admin, _)| *admin);
    let tells = |port| metric(port, "partitions_assigned", "hook") == 1.0;
    let stands_by = |port| metric(port, "partitions_assigned", "hook") == 0.0;
    wait_until("one of two", SOON, || {
        let [a, b] = ports;
        tells(a) && stands_by(b) || tells(b) && stands_by(a)
    });
    site.say("b", "firing", "critical");
    let last = hook.wait_for(7);
    assert_eq!(last[6].says(), ("b".into(), "firing".into()));
    wait_until("the commit", SOON, || site.committed("hook") == (6, 6));
    fleet.iter_mut().find(|(port, _)| tells(*port)).expect("one tells").1.kill();
    site.say("b", "resolved", "critical");
    let last = hook.wait_for(8);
    assert_eq!(last[7].says(), ("b".into(), "resolved".into()));
    assert_eq!(hook.requests().len(), 8, "each once");
}

/// More alerts than are kept in memory: reading stops, and goes on where it was.
#[test]
fn more_alerts_than_fit_in_memory_wait_in_the_topic_and_keep_their_order() {
    let _turn = turn_of("routes");
    const KEYS: usize = 50;
    const ALL: usize = 2500;
    let port = free_port();
    let site = Site::new(&format!(
        r#"
[[route]]
name = "hook"
kind = "webhook"
url = "http://127.0.0.1:{port}/"
"#
    ));
    let _tail = ShowOnPanic(site.log.clone());
    let mut guard = site.start();
    wait_until("the route", SOON, || site.metric("partitions_assigned", "hook") == 1.0);
    let producer: BaseProducer = site.broker.client().create().expect("a producer");
    for number in 0..ALL {
        let key = format!("k{}", number % KEYS);
        let value = json!({"status": "updated", "stream": "rows", "number": number, "until": format!("{number:05}")});
        let value = value.to_string();
        producer.send(BaseRecord::to(ALERTS).key(&key).payload(&value)).expect("room");
    }
    producer.flush(Duration::from_secs(20)).expect("delivered");
    wait_until("what fits", SOON, || site.metric("pending_alerts", "hook") >= 1000.0);
    std::thread::sleep(Duration::from_secs(2));
    let waiting = site.metric("pending_alerts", "hook");
    assert!(waiting <= 1100.0, "{waiting}");
    let hook = Hook::listen(port, |_, _| Some(200));
    wait_until("all of them", 2 * SOON, || hook.requests().len() >= ALL);
    wait_until("the commit", SOON, || site.committed("hook") == (ALL as i64, ALL as i64));
    let numbers: Vec<u64> = hook
        .requests()
        .iter()
        .map(|request| {
            let alert: Value = serde_json::from_slice(&request.body).expect("an alert");
            alert["number"].as_u64().expect("a number")
        })
        .collect();
    assert_eq!(numbers, (0..ALL as u64).collect::<Vec<_>>());
    assert!(guard.terminate(Duration::from_secs(20)).success());
}

/// Every block of `language` in a page.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    page.split(&fence)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()))
        .collect()
}

#[test]
fn what_the_page_on_alerts_shows_is_taken_by_alertmanager() {
    let _turn = turn_of("routes");
    let page = std::fs::read_to_string(root().join("docs/alerts.md")).expect("the page");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let shown = blocks(&page, "yaml");
    assert!(shown.iter().any(|block| block.contains("pagerduty_configs")), "{page}");
    for (i, block) in shown.iter().enumerate() {
        let path = dir.path().join(format!("{i}.yml"));
        std::fs::write(&path, block).expect("a file");
        let output = Command::new(tool("amtool")).arg("check-config").arg(&path).output();
        let output = output.expect("amtool starts; run scripts/setup test first");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{said}\n{block}");
    }
}

/// Read by the SDK of CloudEvents, as any sink would.
#[test]
fn a_sink_of_cloudevents_has_each_change_once_and_a_second_try_has_the_same_id() {
    let _turn = turn_of("routes");
    let port = free_port();
    let site = Site::new(&format!(
        r#"
[[route]]
name = "bus"
kind = "cloudevents"
url = "http://127.0.0.1:{port}/ml/default"
"#
    ));
    let _tail = ShowOnPanic(site.log.clone());
    site.say("a", "firing", "critical");
    let hook = Hook::listen(port, |number, _| Some(if number == 0 { 503 } else { 202 }));
    let mut guard = site.start();
    hook.wait_for(2);
    site.say("a", "resolved", "critical");
    let requests = hook.wait_for(3);
    let events = read_events(&requests);
    assert_eq!(events[0], events[1]);
    assert_ne!(events[1]["attributes"]["id"], events[2]["attributes"]["id"]);
    for (event, status) in events.iter().zip(["firing", "firing", "resolved"]) {
        let attributes = &event["attributes"];
        assert_eq!(attributes["type"], format!("dev.tripline.incident.{status}"), "{event:#}");
        assert_eq!(attributes["source"], "/tripline/rows", "{event:#}");
        assert_eq!(attributes["subject"], "a", "{event:#}");
        assert_eq!(attributes["time"], "2026-11-23T18:53:10Z", "{event:#}");
        assert_eq!(
            (&event["data"]["dedup_key"], &event["data"]["status"]),
            (&"a".into(), &status.into())
        );
    }
    wait_until("its commit", SOON, || site.committed("bus") == (2, 2));
    assert!(guard.terminate(Duration::from_secs(20)).success());
}

#[test]
fn the_rules_about_the_guard_itself_are_sound_and_do_not_fire_where_all_is_well() {
    let _turn = turn_of("routes");
    let rules = root().join("k8s/monitoring");
    let mut said = String::new();
    for (what, file) in [("check", "tripline.rules.yml"), ("test", "tripline.rules.test.yml")] {
        let mut promtool = Command::new(tool("promtool"));
        let output = promtool.current_dir(&rules).args([what, "rules", file]).output();
        let output = output.expect("promtool starts; run scripts/setup test first");
        let text = [output.stdout, output.stderr].concat();
        let _ = write!(said, "{}", String::from_utf8_lossy(&text));
        assert!(output.status.success(), "{said}");
    }
    // No rule stands on a metric that there is not.
    let text = std::fs::read_to_string(rules.join("tripline.rules.yml")).expect("the rules");
    let folder = std::fs::read_dir(root().join("src/shell/metrics")).expect("the folder");
    let files = folder.map(|file| file.expect("a file").path());
    let files = files.chain([root().join("src/shell/metrics.rs")]);
    let source: String =
        files.map(|file| std::fs::read_to_string(file).expect("the source")).collect();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let metrics: Vec<&str> = words.filter(|word| word.starts_with("tripline_")).collect();
    assert!(metrics.len() > 5, "{metrics:?}");
    // They come with what they count; their rules wait for them, as in tests/broker/alert_rules.rs.
    for metric in metrics {
        let family = metric.trim_end_matches("_bucket").trim_end_matches("_count");
        assert!(source.contains(&format!("\"{family}\"")), "{metric} is no metric of ours");
    }
}
