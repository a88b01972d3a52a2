//! A comparison as one page that needs nothing else: no script, no font, no picture from elsewhere.
//!
//! It shows the rows that went worst, so it holds payloads: keep it where the rows may be kept.

mod card;
mod chart;
mod page;
mod text;

pub(in crate::fit) use card::png;
pub use page::page;
pub(in crate::fit) use page::{POLICY, STYLE};
pub(in crate::fit) use text::{Text, count};
