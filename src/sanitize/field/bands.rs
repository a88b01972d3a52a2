//! A number becomes the band that it lies in: `"18..65"`, `"<18"`, `">=65"`.
//!
//! A number in quotes is that number. Bands that few records lie in name people all the same: look at
//! `tripline columns --privacy` before choosing edges.

use std::fmt::Write as _;

use super::{FieldKind, FieldSettings, FieldStep, Leaf, Unfit};

pub const KIND: FieldKind = FieldKind { name: "bands", takes: &["edges"], make };

/// `bands`
#[derive(Debug)]
struct Bands {
    edges: Vec<f64>,
    /// One more than edges, each in quotes.
    names: Vec<String>,
}

/// More edges than these generalize nothing.
const EDGES_MAX: usize = 256;

fn make(settings: &FieldSettings) -> Result<Box<dyn FieldStep>, String> {
    let edges = settings.edges.clone().unwrap_or_default();
    let rises = edges.windows(2).all(|pair| pair[0] < pair[1]);
    if edges.is_empty() || edges.len() > EDGES_MAX || !rises || !edges.iter().all(|e| e.is_finite())
    {
        return Err(format!("1 to {EDGES_MAX} edges are wanted, each larger than the one before"));
    }
    let mut names = vec![format!("\"<{}\"", edges[0])];
    names.extend(edges.windows(2).map(|pair| format!("\"{}..{}\"", pair[0], pair[1])));
    let mut last = String::new();
    let _ = write!(last, "\">={}\"", edges[edges.len() - 1]);
    names.push(last);
    Ok(Box::new(Bands { edges, names }))
}

impl FieldStep for Bands {
    fn apply(&self, leaf: &Leaf<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let (Leaf::Text(text) | Leaf::Bare(text)) = leaf else { return Err(Unfit::Step) };
        let number: f64 = text.trim().parse().map_err(|_| Unfit::Step)?;
        if number.is_nan() {
            return Err(Unfit::Step);
        }
        let band = self.edges.partition_point(|&edge| edge <= number);
        out.extend_from_slice(self.names[band].as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn a_number_lies_in_the_band_that_begins_with_it() {
        let settings = FieldSettings { edges: Some(vec![18.0, 65.5]), ..FieldSettings::default() };
        check(
            "bands",
            &settings,
            &[
                (Leaf::Bare("17.999"), Ok("\"<18\"")),
                (Leaf::Bare("18"), Ok("\"18..65.5\"")),
                (Leaf::Bare("65.5"), Ok("\">=65.5\"")),
                (Leaf::Bare("-1e400"), Ok("\"<18\"")),
                (Leaf::Text(" 40 "), Ok("\"18..65.5\"")),
                (Leaf::Text("forty"), Err(Unfit::Step)),
                (Leaf::Text("nan"), Err(Unfit::Step)),
                (Leaf::Bare("true"), Err(Unfit::Step)),
                (Leaf::Nested, Err(Unfit::Step)),
            ],
        );
    }

    #[test]
    fn edges_that_do_not_rise_are_refused() {
        for edges in [vec![], vec![2.0, 1.0], vec![1.0, 1.0], vec![f64::NAN]] {
            let settings = FieldSettings { edges: Some(edges), ..FieldSettings::default() };
            assert!(make(&settings).is_err());
        }
    }
}
