//! Without a network. Against OpenBao and moto: `tests/broker/csfle.rs`.

use super::aws::Signatory;
use super::*;
use crate::config::AwsKey;

/// The example of AWS's Signature Version 4 test suite.
const SIGNATORY: Signatory<'_> = Signatory {
    access_key_id: "AKIDEXAMPLE",
    secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    region: "us-east-1",
    service: "service",
};

#[test]
fn requests_of_aws_test_suite_are_signed_as_it_says() {
    let headers = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
    for (method, signature) in [
        ("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ] {
        let signed = SIGNATORY.authorization((method, "/"), &headers, b"").unwrap();
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={signature}"
        );
        assert_eq!(signed, expected, "{method}");
    }
}

#[test]
fn what_another_secret_wrapped_is_no_key_and_the_reason_shows_nothing_secret() {
    let service = KeyService::new(&Kms::Local(Hidden::new("hunter2".into()))).unwrap();
    for wrapped in [&b""[..], b"short", &[7; 60]] {
        let refused = service.unwrap(wrapped).unwrap_err();
        assert!(refused.contains("another `secret`") && !refused.contains("hunter2"), "{refused}");
    }
}

/// A server that answers each request alike, and what it heard of the first.
fn serve(status: &'static str, body: &'static str) -> (String, std::sync::mpsc::Receiver<String>) {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let lines = reader.by_ref().lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let length = head.iter().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ")?.parse().ok()
            });
            let mut sent = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut sent).unwrap();
            let _ = tell.send(format!("{}\n{}", head.join("\n"), String::from_utf8_lossy(&sent)));
            let length = body.len();
            let _ = write!(
                &stream,
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
        }
    });
    (url, heard)
}

fn aws(endpoint: &str) -> KeyService {
    let key = AwsKey {
        arn: "arn:aws:kms:eu-central-1:1:key/k".into(),
        region: "eu-central-1".into(),
        endpoint: endpoint.into(),
        access_key_id: Hidden::new("AKIDEXAMPLE".into()),
        secret_access_key: Hidden::new("hunter2".into()),
        session_token: Some(Hidden::new("session".into())),
        ca_file: None,
    };
    KeyService::new(&Kms::Aws(key)).unwrap()
}

#[test]
fn aws_is_asked_with_a_signature_and_what_it_says_is_told_by_type() {
    let (url, heard) = serve("200 OK", r#"{"KeyId": "k", "Plaintext": "aGVsbG8="}"#);
    assert_eq!(**aws(&url).unwrap(b"wrapped").unwrap(), *b"hello");
    let heard = heard.recv().unwrap();
    for expected in [
        "TrentService.Decrypt",
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
        r#""CiphertextBlob":"d3JhcHBlZA==""#,
        &format!("host: {}", url.trim_start_matches("http://")),
    ] {
        assert!(heard.to_lowercase().contains(&expected.to_lowercase()), "{expected}: {heard}");
    }
    for (body, meaning) in [
        (r#"{"__type": "com.amazonaws.kms#NotFoundException"}"#, "look at `arn`"),
        (r#"{"__type": "AccessDeniedException", "Message": "no"}"#, "kms:Decrypt"),
        (r#"{"__type": "InvalidCiphertextException"}"#, "not wrapped with this key"),
        ("<html>", "it gave no key"),
    ] {
        let refused = aws(&serve("400 Bad Request", body).0).unwrap(b"x").unwrap_err();
        assert!(refused.contains(meaning) && !refused.contains("hunter2"), "{refused}");
    }
    assert!(aws("http://127.0.0.1:9").unwrap(b"x").is_err());
}
