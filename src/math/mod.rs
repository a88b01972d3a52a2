//! Numerical kernels with shapes, units and sources; no domain words.

mod auroc;
mod divergence;
mod draw;
#[cfg(feature = "fit")]
mod k_means;
mod moments;
mod tail;
#[cfg(feature = "fit")]
mod whitening;
mod windows;

pub use auroc::auroc;
pub use divergence::{kl, log_softmax_rows};
pub use draw::draw;
#[cfg(feature = "fit")]
pub use k_means::k_means;
pub use moments::Moments;
pub use tail::RankTail;
#[cfg(feature = "fit")]
pub use whitening::whitening;
pub use windows::max_window_mean;
