//! Which column of a file fills which cell of a record.

use std::path::Path;

use super::error::EvaluateError;
use crate::fit::data::table::{Kind, Source, TableError, columns};
use crate::record::{Feature, Schema};

/// Where a record's cells stand in the file, and what is said about it beside them.
pub(super) struct Columns {
    /// One per cell: the feature, and its column; an id may have none.
    pub cells: Vec<(Feature, Option<usize>)>,
    /// What an integer is divided by, if the file holds integers where the schema has pixels.
    pub divided: bool,
    /// Says what the row is.
    pub label: Option<usize>,
    /// Says whether the row is wanted.
    pub only: Option<usize>,
    pub unread: Vec<String>,
}

impl Columns {
    /// `label` and `only` are columns that say something about a row.
    ///
    /// # Errors
    /// If the file lacks what the bundle looks at, or these: which, and what there is.
    pub fn of(
        file: &Path,
        source: &dyn Source,
        schema: &Schema,
        label: Option<&str>,
        only: Option<&str>,
    ) -> Result<Self, EvaluateError> {
        let names = source.names();
        let refused = |found| {
            let (file, advice) = (file.to_owned(), columns(names));
            TableError::Refused { file, found, advice }
        };
        let place = |name: &str| names.iter().position(|column| column == name);
        let aside = |name: Option<&str>| match name {
            None => Ok(None),
            Some(name) => {
                place(name).map(Some).ok_or_else(|| refused(format!("there is no column {name:?}")))
            }
        };
        let (label, only) = (aside(label)?, aside(only)?);
        let arrays = Kind::of(file)? == Kind::Arrays;
        let mut cells = vec![];
        if arrays {
            let says = |at: usize| Some(at) == label || Some(at) == only || names[at] == "y";
            let numbers: Vec<usize> = (0..names.len()).filter(|&at| !says(at)).collect();
            let wanted: Vec<Feature> = schema.features.iter().flat_map(pixels).collect();
            if numbers.len() != wanted.len() {
                let (got, expected) = (numbers.len(), wanted.len());
                let found = format!("{got} numbers a row; the bundle's rows have {expected}");
                return Err(refused(found).into());
            }
            cells.extend(wanted.into_iter().zip(numbers.into_iter().map(Some)));
        } else {
            let lacks = |f: &&Feature| f.width() > 0 && place(f.name()).is_none();
            let lacking: Vec<_> = schema.features.iter().filter(lacks).map(Feature::name).collect();
            if !lacking.is_empty() {
                let lacking = lacking.join(", ");
                let found = format!("the bundle's features {lacking} are no columns");
                return Err(refused(found).into());
            }
            cells.extend(schema.features.iter().map(|f| (f.clone(), place(f.name()))));
        }
        let read = |at: usize| {
            [label, only].contains(&Some(at)) || cells.iter().any(|(_, c)| *c == Some(at))
        };
        let unread = (0..names.len()).filter(|&at| !read(at)).map(|at| names[at].clone()).collect();
        Ok(Self { divided: arrays && source.integers(), cells, label, only, unread })
    }
}

/// One feature per cell of `feature`.
fn pixels(feature: &Feature) -> Vec<Feature> {
    let cells = if matches!(feature, Feature::Image { .. }) { feature.width() as usize } else { 1 };
    vec![feature.clone(); cells]
}
