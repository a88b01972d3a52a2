//! Against a server of a few canned answers on the loopback interface. By hand against OpenBao: docs/privacy.md.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::thread;

use super::*;

/// Path, status and body.
type Canned = (&'static str, &'static str, String);

/// Answers whatever `answers` holds for a path now, everything else with 404; passes on what it heard.
struct Server {
    url: String,
    heard: mpsc::Receiver<String>,
    answers: Arc<Mutex<Vec<Canned>>>,
}

fn serve(answers: Vec<Canned>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, heard) = mpsc::channel();
    let answers = Arc::new(Mutex::new(answers));
    let now = answers.clone();
    // Ends with the test's process: nobody connects any more.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = vec![];
            for line in reader.by_ref().lines().map_while(Result::ok) {
                if line.is_empty() {
                    break;
                }
                head.push(line);
            }
            let length = head.iter().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body).unwrap();
            let path = head[0].split(' ').nth(1).unwrap_or_default().to_owned();
            let all = now.lock().unwrap();
            let found = all.iter().find(|(known, ..)| path == *known);
            let (status, text) = found
                .map_or(("404 Not Found", r#"{"errors":[]}"#), |(_, status, body)| (status, body));
            let _ = tell.send(format!("{}\n\n{}", head.join("\n"), String::from_utf8_lossy(&body)));
            let _ = write!(
                &stream,
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            );
        }
    });
    Server { url, heard, answers }
}

const DECRYPT: &str = "/v1/transit/decrypt/tripline";
const LOGIN: &str = "/v1/auth/approle/login";
const JWK: &str = r#"{"kty":"oct","kid":"r1","k":"aHVudGVyMi1vZi10aGlydHktdHdvLWJ5dGVzLS0tLS0"}"#;

fn plaintext(text: &str) -> String {
    format!(r#"{{"data":{{"plaintext":"{}"}}}}"#, STANDARD.encode(text))
}

fn vault(url: &str, login: VaultLogin) -> Vault {
    let key = VaultKey {
        name: "requests".into(),
        url: url.into(),
        mount: "transit".into(),
        key: "tripline".into(),
        login,
        ca_file: None,
        cache: Duration::from_secs(3600),
        wrapped: Some("vault:v1:abc\n".into()),
    };
    Vault { agent: http::agent(None).unwrap(), key }
}

fn token(text: &str) -> VaultLogin {
    VaultLogin::Token(Hidden::new(text.to_owned()))
}

fn unwrap(server: &Server, login: VaultLogin) -> Result<Vec<Jwk>, String> {
    vault(&server.url, login).unwrap(&mut None)
}

#[test]
fn a_key_or_a_set_is_unwrapped_with_a_token() {
    let server = serve(vec![(DECRYPT, "200 OK", plaintext(JWK))]);
    let keys = unwrap(&server, token("s.hunter2")).unwrap();
    assert_eq!(keys[0].id.as_deref(), Some("r1"));
    let heard = server.heard.recv().unwrap();
    assert!(heard.to_lowercase().contains("x-vault-token: s.hunter2"), "{heard}");
    assert!(heard.ends_with(r#"{"ciphertext":"vault:v1:abc"}"#), "{heard}");
    let set = format!("{{\"keys\": [{JWK}, {}]}}", JWK.replace("r1", "r2"));
    let server = serve(vec![(DECRYPT, "200 OK", plaintext(&set))]);
    assert_eq!(unwrap(&server, token("t")).unwrap().len(), 2);
}

#[test]
fn whatever_is_no_key_is_said_in_the_vaults_words_and_shows_no_secret() {
    let one = |status, body: &str| vec![(DECRYPT, status, body.to_owned())];
    let check = |answers, expected: &str| {
        let said = unwrap(&serve(answers), token("s.hunter2")).unwrap_err();
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("aHVudGVyMi1v"), "{said}");
    };
    check(one("503 Service Unavailable", r#"{"errors":["Vault is sealed"]}"#), "Vault is sealed");
    check(one("403 Forbidden", r#"{"errors":["permission denied"]}"#), "look at the token");
    check(vec![], "look at `mount`");
    let old = r#"{"errors":["ciphertext version is disallowed by policy (too old)"]}"#;
    check(one("400 Bad Request", old), "too old");
    check(one("200 OK", "<html>"), "no answer of a vault");
    check(one("200 OK", r#"{"data":{"plaintext":"*"}}"#), "no base64");
    check(one("200 OK", &plaintext(r#"{"kty":"oct","k":"hunter2!"}"#)), "the JWK's k");
    check(one("302 Found", ""), "302");
    let nobody = Server { url: "http://127.0.0.1:9".into(), ..serve(vec![]) };
    assert!(unwrap(&nobody, token("s.hunter2")).is_err());
}

#[test]
fn a_role_logs_in_once_and_again_when_its_token_is_over() {
    let auth = |token: &str| format!(r#"{{"auth":{{"client_token":"{token}"}}}}"#);
    let server = serve(vec![(LOGIN, "200 OK", auth("first")), (DECRYPT, "200 OK", plaintext(JWK))]);
    let login = VaultLogin::AppRole { role_id: "r".into(), secret_id: Hidden::new("s".into()) };
    let (vault, mut held) = (vault(&server.url, login), None);
    for _ in 0..2 {
        vault.unwrap(&mut held).unwrap();
    }
    let heard: Vec<String> = server.heard.try_iter().collect();
    assert_eq!(heard.iter().filter(|head| head.contains(LOGIN)).count(), 1, "{heard:?}");
    *server.answers.lock().unwrap() = vec![
        (LOGIN, "200 OK", auth("second")),
        (DECRYPT, "403 Forbidden", r#"{"errors":["permission denied"]}"#.into()),
    ];
    let said = vault.unwrap(&mut held).unwrap_err();
    assert!(said.contains("403"), "{said}");
    let heard: Vec<String> = server.heard.try_iter().collect();
    assert_eq!(heard.len(), 3, "it tries, logs in, and tries once more: {heard:?}");
    assert!(heard[2].to_lowercase().contains("x-vault-token: second"), "{heard:?}");
}
