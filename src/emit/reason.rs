//! `tripline-reason`: what spoke against a record, in words that a person reads.
//!
//! Only what was flagged or could not be read carries it. It names features of the schema and says in which way
//! they are odd: `Make: never seen (62%); Age: above what is usual (21%)`. Values of the record are in it only
//! where the operator allows that: then it says `Make: "Tesla", never seen (62%); Age: 97, usually 35 (21%)`.
//! UTF-8 on one line, at most [`REASON_BYTES_MAX`] bytes.

use std::ops::Range;

use crate::record::{Feature, Manner, Oddity, Reason, Reasons, Schema, shown};

/// Name of the header.
pub const REASON: &str = "tripline-reason";

/// Longest value of the header. What does not fit is left out, the smallest shares first.
pub const REASON_BYTES_MAX: usize = 512;

/// What there is to tell of a flagged row.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    pub schema: &'a Schema,
    pub reasons: Reasons,
    /// The row as it was scored, and what it is compared with, `[d]` each.
    pub x: &'a [f32],
    pub typical: &'a [f32],
    /// Two features whose values are rare together, if that is what is odd, and whether no training row had both.
    pub pair: Option<(u32, u32, bool)>,
}

/// One feature of an account.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clause {
    pub oddity: Oddity,
    /// Of everything that speaks against the row; none of a pair.
    pub share: Option<f32>,
}

impl Account<'_> {
    /// The features, what is most odd first; each once.
    pub fn clauses(&self) -> Vec<Clause> {
        let mut clauses: Vec<Clause> = vec![];
        for reason in self.reasons.iter() {
            let Some((feature, of, columns)) = self.feature(reason) else { continue };
            let manner = manner(of, &self.x[columns], reason);
            let oddity = Oddity { feature, manner, with: None };
            match clauses.iter_mut().find(|clause| clause.oddity == oddity) {
                // Pixels of one image.
                Some(known) => known.share = known.share.map(|share| share + reason.share),
                None => clauses.push(Clause { oddity, share: Some(reason.share) }),
            }
        }
        // A share that rounds to nothing says nothing.
        clauses.retain(|clause| clause.share.is_none_or(|share| share >= 0.005));
        let is_plain = clauses.first().is_some_and(|clause| clause.oddity.manner == Manner::Unseen);
        if let Some((feature, with, _)) = self.pair.filter(|_| !is_plain) {
            let oddity = Oddity { feature, manner: Manner::Pair, with: Some(with) };
            clauses.insert(0, Clause { oddity, share: None });
        }
        clauses
    }

    /// Appends the header's value. `word` fetches what a record says of a feature that no training row had; with
    /// `None` no value is told.
    pub fn write(&self, word: Option<&dyn Fn(u32) -> Option<String>>, out: &mut Vec<u8>) {
        let start = out.len();
        for clause in self.clauses() {
            let mut text = match word {
                None => self.words(clause.oddity),
                Some(word) => self.valued(clause.oddity, word),
            };
            if let Some(share) = clause.share {
                text += &format!(" ({:.0}%)", 100.0 * share);
            }
            let separator: &[u8] = if out.len() == start { b"" } else { b"; " };
            if out.len() - start + separator.len() + text.len() > REASON_BYTES_MAX {
                break;
            }
            out.extend(separator);
            out.extend(text.bytes());
        }
    }

    /// Without a value.
    fn words(&self, oddity: Oddity) -> String {
        let text = oddity.words(self.schema);
        match (oddity.manner, self.pair) {
            (Manner::Place, _) => text + &self.place(oddity.feature),
            (Manner::Pair, Some((.., true))) => {
                text.replace("rare together", "never seen together")
            }
            _ => text,
        }
    }

    /// With the record's values.
    fn valued(&self, oddity: Oddity, word: &dyn Fn(u32) -> Option<String>) -> String {
        let name = |feature: u32| shown(self.schema.features[feature as usize].name());
        let own = name(oddity.feature);
        let value = |feature: u32| self.value(self.x, feature);
        match (oddity.manner, oddity.with) {
            (Manner::Place, _) => self.words(oddity),
            (Manner::Unseen, _) => match word(oddity.feature) {
                Some(word) => format!("{own}: {:?}, never seen", shown(&word)),
                None => self.words(oddity),
            },
            (Manner::Pair, Some(with)) => {
                let together = match self.pair {
                    Some((.., true)) => "never seen",
                    _ => "rare",
                };
                let (a, b) = (value(oddity.feature), value(with));
                format!("{own} {a} with {} {b}: {together} together", name(with))
            }
            _ => {
                let typical = self.value(self.typical, oddity.feature);
                format!("{own}: {}, usually {typical}", value(oddity.feature))
            }
        }
    }

    /// A number, or a category's value in quotes.
    fn value(&self, row: &[f32], feature: u32) -> String {
        let (of, columns) = self.schema.columns().nth(feature as usize).expect("it is one of them");
        match of {
            Feature::Category { values, .. } => {
                let own = &row[columns];
                let most = (0..own.len()).rev().max_by(|&a, &b| own[a].total_cmp(&own[b]));
                let most = most.filter(|&i| own[i] > 0.0);
                most.map_or_else(|| "another".to_owned(), |i| format!("{:?}", shown(&values[i])))
            }
            _ => number(row[columns.start]),
        }
    }

    /// `, rows 3 to 5, columns 7 to 9`, if the reasons lie in one place of this image.
    fn place(&self, feature: u32) -> String {
        let Some(window) = self.reasons.window() else { return String::new() };
        let found = self.schema.columns().nth(feature as usize);
        let Some((&Feature::Image { height, width, .. }, columns)) = found else {
            return String::new();
        };
        let (height, width) = (height as usize, width as usize);
        let corner = (window.corner.0 as usize).saturating_sub(columns.start) % (height * width);
        let (top, left) = (corner / width, corner % width);
        let (bottom, right) = (top + usize::from(window.height), left + usize::from(window.width));
        format!(", rows {top} to {}, columns {left} to {}", bottom - 1, right - 1)
    }

    fn feature(&self, reason: Reason) -> Option<(u32, &Feature, Range<usize>)> {
        let at = reason.feature.0 as usize;
        let mut features = (0..).zip(self.schema.columns());
        let (i, (feature, columns)) = features.find(|(_, (_, columns))| columns.contains(&at))?;
        Some((i, feature, columns))
    }
}

/// In which way a feature speaks against the row; `own` are its columns.
fn manner(feature: &Feature, own: &[f32], reason: Reason) -> Manner {
    match feature {
        Feature::Image { .. } => Manner::Place,
        Feature::Category { .. } if own.iter().all(|&x| x <= 0.5) => Manner::Unseen,
        Feature::Category { .. } => Manner::Unusual,
        _ if reason.seen > reason.typical => Manner::High,
        _ if reason.seen < reason.typical => Manner::Low,
        _ => Manner::Unusual,
    }
}

/// Five digits: more would not be read.
fn number(x: f32) -> String {
    format!("{x:.4e}").parse::<f64>().map_or_else(|_| x.to_string(), |short| short.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{FeatureId, Rectangle};

    fn schema() -> Schema {
        let values = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let make = values(&["Audi", "BMW"]);
        let make = Feature::Category { name: "Make".into(), values: make, impute: None };
        let fuel = values(&["diesel", "petrol"]);
        let fuel = Feature::Category { name: "Fuel".into(), values: fuel, impute: None };
        Schema { features: vec![make, Feature::number("Age", 0.0, 120.0), fuel] }
    }

    /// Of the columns Audi, BMW, Age, diesel, petrol.
    fn account<'a>(schema: &'a Schema, x: &'a [f32; 5], parts: [f32; 5]) -> Account<'a> {
        const TYPICAL: [f32; 5] = [0.0, 1.0, 35.0, 0.25, 0.75];
        let reasons = Reasons::of_parts(parts.into_iter()).against(x, &TYPICAL);
        Account { schema, reasons, x, typical: &TYPICAL, pair: None }
    }

    fn text(account: &Account<'_>, word: Option<&str>) -> String {
        let mut out = b"before".to_vec();
        let fetch = |_| word.map(str::to_owned);
        account.write(word.map(|_| &fetch as &dyn Fn(u32) -> Option<String>), &mut out);
        String::from_utf8(out.split_off(6)).unwrap()
    }

    #[test]
    fn the_words_name_features_and_hold_no_value_unless_that_is_allowed() {
        let (schema, x) = (schema(), [0.0, 0.0, 97.0, 1.0, 0.0]);
        let account = account(&schema, &x, [6.0, 0.0, 3.0, 1.0, 0.0]);
        insta::assert_snapshot!(text(&account, None), @"Make: never seen (60%); Age: above what is usual (30%); Fuel: an unusual value (10%)");
        insta::assert_snapshot!(text(&account, Some("Te\nsla")), @r#"Make: "Te sla", never seen (60%); Age: 97, usually 35 (30%); Fuel: "diesel", usually "petrol" (10%)"#);
    }

    #[test]
    fn a_pair_of_ordinary_values_is_told_before_the_features_alone() {
        let (schema, x) = (schema(), [1.0, 0.0, 20.25, 1.0, 0.0]);
        let alone = account(&schema, &x, [0.0, 0.0, 3.0, 1.0, 0.0]);
        let account = Account { pair: Some((0, 2, true)), ..alone };
        insta::assert_snapshot!(text(&account, None), @"Make with Fuel: never seen together; Age: below what is usual (75%); Fuel: an unusual value (25%)");
        let account = Account { pair: Some((0, 2, false)), ..alone };
        insta::assert_snapshot!(text(&account, Some("")), @r#"Make "Audi" with Fuel "diesel": rare together; Age: 20.25, usually 35 (75%); Fuel: "diesel", usually "petrol" (25%)"#);
    }

    #[test]
    fn reasons_in_an_image_are_one_item_with_its_place() {
        let image =
            Feature::Image { name: "image".into(), channels: 1, height: 4, width: 5, scale: 1.0 };
        let schema = Schema { features: vec![Feature::number("n", 0.0, 1.0), image] };
        let x = [0.5; 21];
        let window = Rectangle { corner: FeatureId(8), height: 2, width: 3, share: 0.5 };
        let reasons = Reasons::of_parts([0.0; 8].into_iter().chain([1.0, 1.0, 2.0]));
        let reasons = reasons.against(&x, &x);
        let of = |reasons| Account { schema: &schema, reasons, x: &x, typical: &x, pair: None };
        insta::assert_snapshot!(text(&of(reasons.within(window)), None), @"image, rows 1 to 2, columns 2 to 4 (100%)");
        insta::assert_snapshot!(text(&of(reasons), Some("")), @"image (100%)");
    }

    proptest! {
        #[test]
        fn the_header_is_bounded_text_on_one_line(names in proptest::collection::vec("\\PC{1,300}|[\\x00-\\x1f]{1,9}", 4), word in "\\PC{0,300}") {
            let values = vec!["v".to_owned()];
            let category = |name: &String| Feature::Category { name: name.clone(), values: values.clone(), impute: None };
            let schema = Schema { features: names.iter().map(category).collect() };
            let x = [0.0; 4];
            let reasons = Reasons::of_parts([1.0, 2.0, 3.0, 4.0].into_iter()).against(&x, &x);
            let account = Account { schema: &schema, reasons, x: &x, typical: &x, pair: Some((0, 3, true)) };
            for word in [None, Some(word.as_str())] {
                let text = text(&account, word);
                prop_assert!(text.len() <= REASON_BYTES_MAX && !text.chars().any(char::is_control));
            }
        }
    }
}
