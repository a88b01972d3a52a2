//! Why a sealed value is not opened.

use super::Fault;

/// Why a sealed value is not opened. All of it is its sender's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    #[error("it has not the five parts of a compact JWE")]
    Parts,
    #[error("its protected header cannot be read")]
    Header,
    #[error(
        "its header asks for something that we do not do: compression, extensions, keys by address"
    )]
    Forbidden,
    #[error("its algorithms are not among those that are allowed")]
    Algorithm,
    #[error("its key cannot be unwrapped with ours")]
    Key,
    #[error("it is not what was sealed, or was sealed with another key")]
    Tag,
    #[error("what its schema says is encrypted is no ciphertext")]
    Ciphertext,
    #[error("what was encrypted in a text is no text")]
    Text,
}

impl From<SealFault> for Fault {
    fn from(why: SealFault) -> Self {
        Self::Undecryptable(why)
    }
}
