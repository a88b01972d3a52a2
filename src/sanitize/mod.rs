//! What is delivered instead of a flagged row: small steps, one file each. This file holds the trait
//! and the list. `field/` has the steps that make values poorer for whoever reads an output, `output/` what becomes
//! of a value that leaves.
//!
//! A bundle names its steps in order. Each one changes the row that the step before it left; the first
//! one gets the row as the record has it. What comes out is encoded, read again and scored again before
//! it is delivered: a row that would be flagged or that the schema does not allow is held back.

mod bit_depth;
mod clamp;
mod field;
mod one_hot;
mod output;
mod reconstruct;

use std::fmt;

use crate::decide::Version;
use crate::record::{Columns, Rows, Schema};

pub use field::{DROP, FIELD_STEPS, FieldKind, FieldSettings, FieldStep, Leaf, Unfit};
pub use output::{
    BadOutput, FeatureStep, HeaderRule, KeyFate, KeyRule, Output, OutputSpec, OutputSpecs,
    OutputTables, RECORD_KEY, Scratch, StepSpec, TraceDetail, ValueForm,
};

/// One transformation of a flagged row.
pub trait Step: fmt::Debug + Send + Sync {
    /// Columns it reads; the pipeline fills each once per batch. It never runs a network.
    fn needs(&self) -> Columns {
        Columns::X
    }

    /// Changes `row`, `[d]`, which stands for the suspect's row. Finite numbers stay finite.
    fn apply(&self, suspect: &Suspect<'_>, row: &mut [f32]);
}

/// A flagged row of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Suspect<'a> {
    pub rows: Rows<'a>,
    pub row: usize,
    /// Whose version of the row was decided for.
    pub version: Version,
}

/// An entry of the list: how one kind of step comes to be.
pub struct Kind {
    pub name: &'static str,
    pub make: fn(&Schema) -> Box<dyn Step>,
}

/// Every step there is.
pub const ALL: &[Kind] = &[bit_depth::KIND, clamp::KIND, one_hot::KIND, reconstruct::KIND];

/// The steps of a bundle that names none.
pub const DEFAULT: [&str; 3] = ["reconstruct", "one-hot", "clamp"];

/// A bundle names a step that this build does not have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the bundle names the step {0:?}, which this build does not have")]
pub struct UnknownStep(pub String);

/// The steps that a bundle names, in its order.
///
/// # Errors
/// If one of them is not in the list.
pub fn steps(named: Option<&[String]>, schema: &Schema) -> Result<Vec<Box<dyn Step>>, UnknownStep> {
    let step = |name: &str| {
        let kind = ALL.iter().find(|kind| kind.name == name);
        kind.map(|kind| (kind.make)(schema)).ok_or_else(|| UnknownStep(name.to_owned()))
    };
    match named {
        Some(names) => names.iter().map(|name| step(name)).collect(),
        None => DEFAULT.into_iter().map(step).collect(),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::record::Feature;

    fn schema() -> Schema {
        let values = ["a", "b", "c"].map(String::from).to_vec();
        let category = Feature::Category { name: "c".into(), values, impute: None };
        Schema { features: vec![category, Feature::number("x", 0.0, 1.0)] }
    }

    fn check(names: Option<&[&str]>, twin: [f32; 4], expected: [f32; 4]) {
        let (x, twin) = (array![[0.0, 1.0, 0.0, 0.5]], array![twin]);
        let rows = Rows { twin: twin.view(), ..Rows::only(x.view()) };
        let suspect = Suspect { rows, row: 0, version: Version::Twin };
        let mut row = x.row(0).to_vec();
        let names = names.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>());
        for step in steps(names.as_deref(), &schema()).unwrap() {
            step.apply(&suspect, &mut row);
        }
        assert_eq!(row, expected, "{names:?}");
    }

    #[test]
    fn a_bundle_that_names_no_steps_delivers_its_reconstruction_inside_the_schema() {
        check(None, [0.1, 0.4, 0.4, 2.0], [0.0, 1.0, 0.0, 1.0]);
        // The category is chosen before anything is clamped.
        check(None, [0.0, 1.5, 1.75, -1.0], [0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn named_steps_are_taken_in_their_order_and_no_others() {
        check(Some(&[]), [0.1, 0.4, 0.4, 2.0], [0.0, 1.0, 0.0, 0.5]);
        check(Some(&["reconstruct"]), [0.1, 0.4, 0.4, 2.0], [0.1, 0.4, 0.4, 2.0]);
        check(
            Some(&["reconstruct", "clamp", "one-hot"]),
            [0.0, 1.5, 1.75, -1.0],
            [0.0, 1.0, 0.0, 0.0],
        );
        let unknown = steps(Some(&["blur".to_owned()]), &schema()).map(|steps| steps.len());
        assert_eq!(unknown, Err(UnknownStep("blur".into())));
    }
}
