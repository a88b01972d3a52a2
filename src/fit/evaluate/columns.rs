//! Which column of a file fills which cell of a record.

use super::{EvaluateError, Options};
use crate::fit::table::{Kind, Source, TableError, columns};
use crate::record::{Feature, Schema};

/// Where a record's cells stand in the file.
pub(super) struct Columns {
    /// One per cell: the feature, and its column; an id may have none.
    pub cells: Vec<(Feature, Option<usize>)>,
    /// What an integer is divided by, if the file holds integers where the schema has pixels.
    pub divided: bool,
    pub label: Option<usize>,
    pub unread: Vec<String>,
}

impl Columns {
    /// # Errors
    /// If the file lacks what the bundle looks at: which, and what there is.
    pub fn of(
        options: &Options,
        source: &dyn Source,
        schema: &Schema,
    ) -> Result<Self, EvaluateError> {
        let names = source.names();
        let refused = |found| {
            let (file, advice) = (options.data.clone(), columns(names));
            Err(TableError::Refused { file, found, advice }.into())
        };
        let label = match &options.label {
            None => None,
            Some(label) => match label.place(names) {
                Some(at) => Some(at),
                None => return refused(format!("there is no column {:?}", label.name)),
            },
        };
        let arrays = Kind::of(&options.data)? == Kind::Arrays;
        let mut cells = vec![];
        if arrays {
            let numbers: Vec<usize> =
                (0..names.len()).filter(|&at| names[at] != "y" && Some(at) != label).collect();
            let wanted: Vec<Feature> = schema.features.iter().flat_map(pixels).collect();
            if numbers.len() != wanted.len() {
                let (got, expected) = (numbers.len(), wanted.len());
                return refused(format!("{got} numbers a row; the bundle's rows have {expected}"));
            }
            cells.extend(wanted.into_iter().zip(numbers.into_iter().map(Some)));
        } else {
            let place = |name: &str| names.iter().position(|column| column == name);
            let lacks = |f: &&Feature| f.width() > 0 && place(f.name()).is_none();
            let lacking: Vec<_> = schema.features.iter().filter(lacks).map(Feature::name).collect();
            if !lacking.is_empty() {
                return refused(format!(
                    "the bundle's features {} are no columns",
                    lacking.join(", ")
                ));
            }
            cells.extend(schema.features.iter().map(|f| (f.clone(), place(f.name()))));
        }
        let read = |at: usize| Some(at) == label || cells.iter().any(|(_, c)| *c == Some(at));
        let unread = (0..names.len()).filter(|&at| !read(at)).map(|at| names[at].clone()).collect();
        Ok(Self { divided: arrays && source.integers(), cells, label, unread })
    }
}

/// One feature per cell of `feature`.
fn pixels(feature: &Feature) -> Vec<Feature> {
    let cells = if matches!(feature, Feature::Image { .. }) { feature.width() as usize } else { 1 };
    vec![feature.clone(); cells]
}
