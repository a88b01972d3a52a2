//! Every category gets exactly one of its values: the one with the largest number, the first of equals.

use std::ops::Range;

use super::{Kind, Step, Suspect};
use crate::record::{Feature, Schema};

pub const KIND: Kind = Kind { name: "one-hot", make: |schema| Box::new(OneHot::new(schema)) };

/// `one-hot`
#[derive(Debug)]
struct OneHot {
    /// Columns of each category.
    categories: Vec<Range<usize>>,
}

impl OneHot {
    fn new(schema: &Schema) -> Self {
        let category = |(feature, columns)| match feature {
            &Feature::Category { .. } => Some(columns),
            _ => None,
        };
        Self { categories: schema.columns().filter_map(category).collect() }
    }
}

impl Step for OneHot {
    fn apply(&self, _: &Suspect<'_>, row: &mut [f32]) {
        for columns in &self.categories {
            let most = columns.clone().rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
            for column in columns.clone() {
                row[column] = f32::from(u8::from(Some(column) == most));
            }
        }
    }
}
