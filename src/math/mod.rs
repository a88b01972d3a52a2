//! Numerical kernels with shapes, units and sources; no domain words.

mod auroc;
mod divergence;
mod moments;
mod tail;
mod windows;

pub use auroc::auroc;
pub use divergence::{kl, log_softmax_rows};
pub use moments::Moments;
pub use tail::RankTail;
pub use windows::max_window_mean;
