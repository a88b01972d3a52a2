//! Which headers of a record go with it: all but those of our own names.
//!
//! Who reads `tripline-verdict` must be able to believe it. A sender can write a header of that name,
//! and readers of several headers of one name take the first or the last. So a sender's headers of our
//! names are removed before ours are added. Others mind the case of a name or do not, so we do not.

/// Our headers begin so.
const OURS: &[u8] = b"tripline-";
/// The error headers of a dead letter begin so.
const CONNECT: &[u8] = b"__connect.errors.";

/// Whether a sender's header of this name goes with the record.
pub fn is_theirs(name: &[u8]) -> bool {
    !begins(name, OURS)
}

/// Whether a sender's header of this name goes with a dead letter, which has error headers of ours.
pub fn is_theirs_on_a_dead_letter(name: &[u8]) -> bool {
    is_theirs(name) && !begins(name, CONNECT)
}

fn begins(name: &[u8], with: &[u8]) -> bool {
    name.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_our_names_are_not_the_senders() {
        for name in ["tripline-verdict", "tripline-trace", "Tripline-Anything", "tripline-"] {
            assert!(!is_theirs(name.as_bytes()), "{name}");
        }
        for name in ["tripline", "x-tripline-verdict", "content-type", "", "tripline_x"] {
            assert!(is_theirs_on_a_dead_letter(name.as_bytes()), "{name}");
        }
        let connect = b"__connect.errors.topic";
        assert!(is_theirs(connect));
        assert!(!is_theirs_on_a_dead_letter(connect));
        assert!(!is_theirs_on_a_dead_letter(b"tripline-verdict"));
    }
}
