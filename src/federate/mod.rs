//! Counts of several sites added under encryption: only the sum is ever opened.
//!
//! Sites that score by one bundle and budget count in the same cells. Each encrypts the counts of a window
//! ([`SiteSecret::seal`]), anybody adds the ciphertexts ([`SummedWindow`]), and all trustees together open the sum
//! ([`TrusteeSecret::share`], [`SummedWindow::open`]). The opened counts are evidence as of one partition, and an ordinary monitor
//! takes them ([`messages`]).
//!
//! The scheme is exponential ElGamal on Ristretto255 (ISO/IEC 18033-6, RFC 9496). It is additive: the sum of encryptions of `x` and `y`
//! opens to `x + y`, without noise. Each sender proves what it must know, so nobody can copy the ciphertext of another. Here is
//! no I/O, no clock and no chance: random numbers are arguments.
//!
//! It cannot see a site that lies within the range of a counter, nor trustees who all conspire. It is not post-quantum.

mod cipher;
mod evidence;
mod federation;
mod group;
mod keys;
mod logarithms;
mod opened;
mod preamble;
mod proof;
mod rejection;
mod share;
mod site;
mod sum;
mod window;

#[cfg(test)]
mod tests;

pub use evidence::messages;
pub use federation::{Federation, SiteKey, TrusteeKey};
pub use keys::{MemberSecret, SiteSecret, TrusteeSecret};
pub use logarithms::Logarithms;
pub use opened::{OpenedWindows, Permission};
pub use preamble::BYTES_MAX;
pub use rejection::Rejection;
pub use share::TrusteeShare;
pub use site::Contribution;
pub use sum::SummedWindow;
pub use window::COUNTERS_MAX;
