//! Every number is moved into its bounds of the schema.

use super::{Kind, Step, Suspect};

pub const KIND: Kind = Kind { name: "clamp", make: |schema| Box::new(Clamp(schema.bounds())) };

/// `clamp`
#[derive(Debug)]
struct Clamp(Vec<(f32, f32)>);

impl Step for Clamp {
    fn apply(&self, _: &Suspect<'_>, row: &mut [f32]) {
        row.iter_mut().zip(&self.0).for_each(|(x, &(min, max))| *x = x.clamp(min, max));
    }
}
