//! What talks HTTP to somebody: an address, and who we are to them.

use super::kafka::Hidden;
use super::reader::{Kind, Section, Text};
use super::value::Origin;

/// How we say who we are.
#[derive(Clone, Debug, PartialEq)]
pub enum Login {
    Nobody,
    Basic { user: String, password: Hidden<String> },
    Bearer(Hidden<String>),
}

impl Login {
    /// Reads `user`, `password` and `token`. `variable` begins the names in examples.
    pub(super) fn read(section: &mut Section<'_>, variable: &str) -> Self {
        let (user, password) =
            (section.text("user", Kind::Text(None)), secret(section, "password"));
        let token = secret(section, "token");
        let note = |key: &str, help: &str| {
            let origin = section.origin_of(key).or(section.origin.clone());
            section.reader.note(section.path_of(key), origin.as_ref(), "is missing", help);
        };
        match (user, password, token) {
            (None, None, None) => Self::Nobody,
            (_, _, Some(token)) => Self::Bearer(Hidden::new(token.value)),
            (Some(user), Some(password), None) => {
                Self::Basic { user: user.value, password: Hidden::new(password.value) }
            }
            (None, Some(_), None) => {
                note("user", "write `user = \"tripline\"` beside the password");
                Self::Nobody
            }
            (Some(_), None, None) => {
                let help = format!("write `password = {{ env = \"{variable}_PASSWORD\" }}`");
                note("password", &help);
                Self::Nobody
            }
        }
    }
}

/// A string that must not stand in the file.
pub(super) fn secret(section: &mut Section<'_>, key: &'static str) -> Option<Text> {
    let stands = section.key_origin_of(key);
    let text = section.text(key, Kind::Text(None))?;
    if !text.secret && matches!(text.origin, Origin::File(_)) {
        let help = "write { env = \"NAME\" } or { file = \"path\" }";
        let message = "a secret must not stand in this file";
        section.reader.note(section.path_of(key), stands.as_ref(), message, help);
    }
    Some(text)
}

/// An address without a login in it, and, unless `query`, without a question; `what` for a message.
pub(super) fn check_url(written: &str, query: bool, what: &str) -> Result<String, String> {
    let rest = written.strip_prefix("http://").or_else(|| written.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    // What follows an @ is the host; what stands before it would be printed with the URL.
    if host.contains('@') {
        return Err("a user and a password in the address would be logged".into());
    }
    let plain = !written.contains('#') && !written.contains(char::is_whitespace);
    match host.is_empty() || !plain || !query && written.contains('?') {
        true => Err(format!("{written:?} is not the address of {what}")),
        false if query => Ok(written.to_owned()),
        false => Ok(written.trim_end_matches('/').to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_would_log_a_password_is_none() {
        let check = |written| check_url(written, false, "a registry");
        assert!(check("https://me:hunter2@registry").is_err());
        for bad in ["registry:8081", "ftp://registry", "http://", "http://a b", "http://a/?x=1"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!(check("http://r:8080/apis/v7/"), Ok("http://r:8080/apis/v7".into()));
    }

    #[test]
    fn an_address_may_ask_a_question_where_that_is_its_business() {
        let check = |written| check_url(written, true, "a receiver");
        assert_eq!(check("https://a/b?key=1&c=@d"), Ok("https://a/b?key=1&c=@d".into()));
        assert_eq!(check("https://a?key=1"), Ok("https://a?key=1".into()));
        for bad in ["https://?key=1", "https://me:hunter2@a/b", "https://a/b#c", "a/b?c"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
