//! The report in words.

use std::fmt;

use super::{Hint, PrivacyReport, SetReport};

/// A share as a person reads it.
fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

impl fmt::Display for PrivacyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, k, limit, .. } = self;
        writeln!(
            f,
            "{rows} rows. A group is all rows with the same values; small is one of fewer than {k} subjects.\n"
        )?;
        let width =
            self.columns.iter().map(|column| column.name.chars().count()).max().unwrap_or(0);
        let width = width.clamp(6, 32);
        writeln!(f, "{:width$}  distinct  of rows  unique   small", "column")?;
        for column in &self.columns {
            let notes = [
                column.shape.map(|shape| format!("looks like {}", shape.name())),
                column.hint.map(|hint| words(hint).to_owned()),
                (column.missing > 0).then(|| format!("{} missing", column.missing)),
            ];
            let notes: Vec<String> = notes.into_iter().flatten().collect();
            let (share, unique, small) =
                (percent(column.distinct_share), percent(column.unique), percent(column.small));
            let line = format!(
                "{:width$}  {:>8}  {share:>7}  {unique:>6}  {small:>6}  {}",
                column.name,
                column.distinct,
                notes.join("; ")
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        self.write_sets(f, "pairs", &self.pairs)?;
        self.write_sets(f, "triples", &self.triples)?;
        if !self.left_out.is_empty() {
            writeln!(
                f,
                "\nnot combined, because there are too many columns: {}",
                self.left_out.join(", ")
            )?;
        }
        let proposed = self.proposed();
        if proposed.is_empty() {
            return writeln!(
                f,
                "\nNo pair or triple has more than {} of its rows in small groups.",
                percent(*limit)
            );
        }
        let sets: Vec<String> = proposed.iter().map(|set| format!("{set:?}")).collect();
        writeln!(f, "\nTo be told when a stream does so (docs/privacy.md):\n\n[stream.privacy]")?;
        writeln!(f, "sets = [{}]", sets.join(", "))?;
        writeln!(f, "key = \"pseudonyms\" # the name of a [[key]]")
    }
}

fn words(hint: Hint) -> &'static str {
    match hint {
        Hint::Identifier => "an identifier: drop it or make it a pseudonym",
        Hint::Revealing => "points to people alone: round it",
        Hint::Constant => "one value",
    }
}

impl PrivacyReport {
    fn write_sets(
        &self,
        f: &mut fmt::Formatter<'_>,
        noun: &str,
        sets: &[SetReport],
    ) -> fmt::Result {
        if sets.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{noun} of the other columns, the worst first")?;
        writeln!(f, "unique   small  columns")?;
        for set in sets {
            let (unique, small) = (percent(set.unique), percent(set.small));
            writeln!(f, "{unique:>6}  {small:>6}  {}{}", set.columns.join(", "), self.helps(set))?;
        }
        Ok(())
    }

    /// The mildest change that brings the share below the limit, or what is left after the strongest.
    fn helps(&self, set: &SetReport) -> String {
        let Some((all, single)) = set.coarser.split_last() else { return String::new() };
        let best = single.iter().min_by(|a, b| a.small.total_cmp(&b.small));
        let enough = best.filter(|best| best.small <= self.limit);
        let told = |how: &str, small: f64| format!("; {how}: {}", percent(small));
        match (enough, best) {
            (Some(best), _) => told(&best.how, best.small),
            (None, Some(best)) if all.small > self.limit => {
                format!("{}{}", told(&best.how, best.small), told(&all.how, all.small))
            }
            _ => told(&all.how, all.small),
        }
    }
}
