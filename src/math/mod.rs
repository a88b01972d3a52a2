//! Numerical kernels with shapes, units and sources; no domain words.

mod auroc;
#[cfg(feature = "fit")]
mod curve;
mod divergence;
mod draw;
#[cfg(feature = "fit")]
mod interval;
#[cfg(feature = "fit")]
mod k_means;
mod level_sample;
mod moments;
mod poisson;
mod tail;
#[cfg(feature = "fit")]
mod whitening;
mod windows;

pub use auroc::auroc;
#[cfg(feature = "fit")]
pub use curve::{Corner, average_precision, exceeding, roc, threshold};
pub use divergence::{kl, kl_softened, log_softmax_rows};
pub use draw::draw;
#[cfg(feature = "fit")]
pub use interval::{auroc_interval, wilson};
#[cfg(feature = "fit")]
pub use k_means::k_means;
pub use level_sample::{Group, LevelSample, MEMBERS_MAX};
pub use moments::Moments;
pub use poisson::poisson_upper;
pub use tail::RankTail;
#[cfg(feature = "fit")]
pub use whitening::whitening;
pub use windows::max_window_mean;
