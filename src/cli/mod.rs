//! The command line: arguments in, what the commands say out.

#[cfg(feature = "fit")]
pub mod fit;
