//! What an audit found, for people and for programs.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::PathBuf;

use super::duplicates::Duplicates;
use super::shared::{COHESION_OWN, COHESION_WRONG, Group, Kind};
use super::{DOUBTED, NEIGHBOURS, Rows};
use crate::fit::evaluate::html::count;

/// All that was found. Rows are counted from 0, in the order of the file.
pub struct Report {
    pub file: PathBuf,
    pub rows: Rows,
    pub labels: Vec<i64>,
    /// Rows that may be poisoned, the group that is closest together first.
    pub groups: Vec<Group>,
    /// Rows that may be mislabelled, and of their neighbours the share with another label: the largest first.
    pub doubted: Vec<(usize, f32)>,
    pub duplicates: Duplicates,
}

/// Rows that are named in a line.
const NAMED: usize = 8;

impl Report {
    /// Whether somebody must look: poison, rows with two labels, or rows of the test file. A row that is there twice and
    /// one whose neighbours differ are common in sound data.
    pub fn is_finding(&self) -> bool {
        let Duplicates { disputed, leaked, .. } = &self.duplicates;
        !(self.groups.is_empty() && disputed.is_empty() && leaked.is_empty())
    }

    /// A line per row and finding: `row,label,finding,group,score`. The score of poison is the row's place in its group, from
    /// 1 down; of a mislabelled one the share of its neighbours with another label.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_csv(&self, to: impl io::Write) -> io::Result<()> {
        let mut out = csv::Writer::from_writer(to);
        out.write_record(["row", "label", "finding", "group", "score"])?;
        let mut line = |row: usize, finding: &str, group: usize, score: f32| {
            let label = self.rows.y[row].to_string();
            let (row, group, score) = (row.to_string(), group.to_string(), score.to_string());
            out.write_record([&row, &label, finding, &group, &score])
        };
        for (at, group) in self.groups.iter().enumerate() {
            for (place, &row) in group.rows.iter().enumerate() {
                line(row, group.kind.name(), at, 1.0 - place as f32 / group.rows.len() as f32)?;
            }
        }
        for &(row, share) in &self.doubted {
            line(row, "mislabelled", 0, share)?;
        }
        let Duplicates { alike, disputed, leaked } = &self.duplicates;
        for (finding, groups) in [("two-labels", disputed), ("twice", alike)] {
            for (at, group) in groups.iter().enumerate() {
                group.iter().try_for_each(|&row| line(row, finding, at, 1.0))?;
            }
        }
        for &(row, test) in leaked {
            line(row, "in-test-file", test, 1.0)?;
        }
        out.flush()
    }
}

impl Kind {
    /// What programs call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongLabel => "poison-wrong-label",
            Self::OwnLabel => "poison-own-label",
        }
    }

    /// What people read.
    pub(super) fn words(self) -> String {
        match self {
            Self::WrongLabel => {
                format!(
                    "look like rows of other labels (limit {COHESION_WRONG:.2}, less for many rows)"
                )
            }
            Self::OwnLabel => format!("are among all rows of the label (limit {COHESION_OWN:.2})"),
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { file, rows, labels, groups, doubted, duplicates } = self;
        let (n, labels) = (count(rows.y.len()), labels.len());
        writeln!(f, "{}: {n} rows, {labels} labels\n", file.display())?;
        match groups.len() {
            0 => writeln!(f, "poison: no group of rows shares what its look-alikes lack")?,
            _ => {
                writeln!(f, "POISON, PERHAPS: rows of one label share what their look-alikes lack")?
            }
        }
        for group in groups {
            let Group { label, kind, rows, cohesion, .. } = group;
            writeln!(
                f,
                "  label {label}: {} rows, cohesion {cohesion:.2}; they {}\n    rows {}",
                count(rows.len()),
                kind.words(),
                some(rows)
            )?;
        }
        let own: Vec<usize> = doubted.iter().map(|&(row, _)| row).collect();
        writeln!(
            f,
            "labels in doubt: {} rows; {:.0} % or more of their {NEIGHBOURS} neighbours have another label, the most first{}",
            count(own.len()),
            100.0 * DOUBTED,
            if own.is_empty() { String::new() } else { format!("\n    rows {}", some(&own)) }
        )?;
        let Duplicates { alike, disputed, leaked } = duplicates;
        for (what, groups) in
            [("the same row with two labels", disputed), ("the same row twice", alike)]
        {
            let all: Vec<usize> = groups.iter().flatten().copied().collect();
            let (groups, named) = (count(groups.len()), count(all.len()));
            match all.is_empty() {
                true => writeln!(f, "{what}: none")?,
                false => {
                    writeln!(f, "{what}: {groups} times, {named} rows\n    rows {}", some(&all))?
                }
            }
        }
        if !leaked.is_empty() {
            let all: Vec<usize> = leaked.iter().map(|&(row, _)| row).collect();
            writeln!(
                f,
                "in the test file too: {} rows\n    rows {}",
                count(all.len()),
                some(&all)
            )?;
        }
        f.write_str(
            "\nNot seen: triggers that differ from row to row, poison of most of a label, labels wrong by policy. Look at the rows.\n",
        )
    }
}

/// The first few.
fn some(rows: &[usize]) -> String {
    let named: Vec<String> = rows.iter().take(NAMED).map(usize::to_string).collect();
    let rest = if rows.len() > NAMED { ", …" } else { "" };
    named.join(", ") + rest
}
