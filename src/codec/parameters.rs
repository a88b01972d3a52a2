//! Parameters of an Open Inference Protocol (V2) request that change what a server reads.
//!
//! Triton reads a tensor from shared memory where a parameter says so, whatever data stand beside it.
//! MLServer decodes a tensor as its `content_type` says. What no server that we know of decodes by may
//! stand there: a priority, a timeout, the name of a sequence.

use crate::open::fold;
use crate::record::{Ambiguity, Fault};

/// The parameter that says how MLServer decodes a tensor, or all of them.
const CONTENT_TYPE: &str = "content_type";

/// Decodings that leave the elements as they stand: an array, strings.
const PLAIN: [&str; 4] = ["", "np", "str", "raw"];
/// A table: of a whole request, its columns are the tensors; a tensor is one column anyway.
const TABLE: &str = "pd";

/// Where Triton finds a tensor in memory that it shares with the sender.
const ELSEWHERE: [&str; 3] =
    ["shared_memory_region", "shared_memory_offset", "shared_memory_byte_size"];

/// What a parameter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Request,
    Tensor,
}

/// Checks one parameter; `said` is its value, if that is text. Says whether it makes a table of the
/// request: then each tensor must be a column.
///
/// # Errors
/// If it changes what a server reads.
pub(super) fn check(of: Of, name: &str, said: Option<&str>) -> Result<bool, Fault> {
    let refused = Err(Fault::Ambiguous(Ambiguity::Parameter));
    if ELSEWHERE.iter().any(|known| fold::is_same(known, name)) {
        return refused;
    }
    match said {
        _ if !fold::is_same(CONTENT_TYPE, name) => Ok(false),
        Some(said) if PLAIN.contains(&said) => Ok(false),
        Some(TABLE) => Ok(of == Of::Request),
        _ => refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_leads_elsewhere_or_decodes_otherwise_is_a_fault() {
        for (name, said) in [
            ("shared_memory_region", Some("theirs")),
            ("shared_memory_offset", None),
            ("Shared_Memory_Region", Some("theirs")),
            ("content_type", Some("base64")),
            ("content_type", Some("datetime")),
            ("content_type", None),
            ("Content_type", Some("pd2")),
        ] {
            assert!(check(Of::Request, name, said).is_err(), "{name} {said:?}");
        }
        assert_eq!(check(Of::Request, "content_type", Some("pd")), Ok(true));
        assert_eq!(check(Of::Tensor, "content_type", Some("pd")), Ok(false));
        for (name, said) in [("content_type", Some("np")), ("priority", None), ("id", Some("7"))] {
            assert_eq!(check(Of::Tensor, name, said), Ok(false), "{name} {said:?}");
        }
    }
}
