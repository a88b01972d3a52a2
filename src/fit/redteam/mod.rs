//! Attacks on a finished bundle: what gets around it, by attackers who know the protected model, and
//! by attackers who hold the bundle.
//!
//! Every guard of this kind falls to the second; how far is what this measures. A row counts as
//! passed if the protected model is wrong about it and the record path does not flag it. Low numbers
//! say that *these* attacks failed, with these steps: an upper bound they are not.

mod error;
mod report;
mod soft_guard;
mod trial;

pub use error::RedteamError;
pub use report::{Line, Report};
pub use trial::{Options, redteam};
