//! Which windows a trustee has opened, and over which sum: it opens each once.
//!
//! Two sums of one window that differ by a site give away that site's counts. A trustee that loses this list
//! loses the promise; what else it has does not help.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::group::DIGEST;
use super::keys::{hex, unhex};
use super::{Rejection, SummedWindow};

/// Windows that are remembered one by one: 11 hours of windows of 10 s. Older ones are not opened any more.
const REMEMBERED: usize = 4096;
const FORMAT: &str = "tripline-federation-opened-v1";

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenedWindows {
    /// Digests of sums, by their windows.
    opened: BTreeMap<i64, [u8; DIGEST]>,
    /// Windows before this are not opened.
    floor: i64,
}

/// A sum that a trustee may open. Whoever holds it writes the list to disk before the share leaves.
#[derive(Debug)]
pub struct Permission<'a>(pub(super) &'a SummedWindow);

impl OpenedWindows {
    /// Notes that `sum` is opened. The same sum again is no other opening: a trustee that fell after it wrote its list goes on.
    ///
    /// # Errors
    /// If its window was opened over another sum, or is too old to know.
    pub fn admit<'a>(&mut self, sum: &'a SummedWindow) -> Result<Permission<'a>, Rejection> {
        let window = sum.window.0;
        if window < self.floor {
            return Err(Rejection::TooOld { window });
        }
        if *self.opened.entry(window).or_insert(sum.digest) != sum.digest {
            return Err(Rejection::OpenedBefore { window });
        }
        while self.opened.len() > REMEMBERED {
            let (oldest, _) = self.opened.pop_first().expect("there are many");
            self.floor = oldest + 1;
        }
        Ok(Permission(sum))
    }

    /// One line per window.
    pub fn to_text(&self) -> String {
        let mut text = format!("{FORMAT} {}\n", self.floor);
        for (window, digest) in &self.opened {
            let _ = writeln!(text, "{window} {}", hex(digest));
        }
        text += "end\n";
        text
    }

    /// # Errors
    /// If `text` is not such a list, whole and in order.
    pub fn from_text(text: &str) -> Result<Self, Rejection> {
        let mut lines = (1..).zip(text.split_inclusive('\n'));
        let first = lines.next().and_then(|(_, line)| {
            line.strip_prefix(FORMAT)?.strip_prefix(' ')?.strip_suffix('\n')?.parse().ok()
        });
        let floor: i64 = first.ok_or(Rejection::Opened { line: 1 })?;
        let mut opened = BTreeMap::new();
        let mut is_whole = false;
        for (line, words) in lines {
            let damaged = Rejection::Opened { line };
            if is_whole {
                return Err(damaged);
            }
            if words == "end\n" {
                is_whole = true;
                continue;
            }
            let words = words.strip_suffix('\n').and_then(|words| words.split_once(' '));
            let pair = words
                .and_then(|(window, digest)| Some((window.parse::<i64>().ok()?, unhex(digest)?)));
            let Some((window, digest)) = pair else { return Err(damaged) };
            let later = opened.last_key_value().is_none_or(|(&last, _)| last < window);
            if window < floor || !later || opened.len() == REMEMBERED {
                return Err(damaged);
            }
            opened.insert(window, digest);
        }
        match is_whole {
            true => Ok(Self { opened, floor }),
            false => Err(Rejection::Opened { line: opened.len() + 2 }),
        }
    }
}
