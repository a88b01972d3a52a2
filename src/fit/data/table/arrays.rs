//! `.npy`, `.npz` and IDX as a table: columns `x0`, `x1`, …, `y` if there are labels, and whatever
//! array was asked for by its name.

use std::ops::ControlFlow;
use std::path::Path;

use super::source::{Reading, Row, Source, TableError, kept};
use crate::codec::Scalar;
use crate::fit::data::dataset::{DataError, Dataset};

/// Arrays that lie in memory.
pub struct Arrays {
    names: Vec<String>,
    kept: Vec<usize>,
    set: Dataset,
}

impl Arrays {
    pub fn open(file: &Path, reading: &Reading) -> Result<Self, TableError> {
        let marks = reading.marks.as_deref().filter(|name| *name != "y");
        let set = Dataset::load_marked(file, reading.labels.as_deref(), marks, true);
        let set = set.map_err(|error| match error {
            DataError::Read { file, source } => TableError::Read { file, source },
            DataError::Refused { file, found, accepted } => {
                let (found, advice) = (format!("found {found}"), format!("accepted: {accepted}"));
                TableError::Refused { file, found, advice }
            }
        })?;
        let mut all: Vec<String> = (0..set.x.ncols()).map(|j| format!("x{j}")).collect();
        all.extend(set.y.is_some().then(|| "y".to_owned()));
        all.extend(marks.map(str::to_owned));
        let mut reading = reading.clone();
        reading.ignore.retain(|name| name != "y" || all.contains(name));
        let kept = kept(file, &all, &reading)?;
        Ok(Self { names: kept.iter().map(|&at| all[at].clone()).collect(), kept, set })
    }
}

impl Source for Arrays {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn has_names(&self) -> bool {
        false
    }

    fn integers(&self) -> bool {
        self.set.integer
    }

    fn visit(&self, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), TableError> {
        let (n, d) = self.set.x.dim();
        let aside = || self.set.y.iter().chain(&self.set.marks);
        let mut all = vec![Scalar::Null; d + aside().count()];
        for (i, row) in self.set.x.rows().into_iter().enumerate() {
            let numbers = row.iter().map(|&x| f64::from(x));
            all.iter_mut()
                .zip(numbers.chain(aside().map(|whole| whole[i] as f64)))
                .for_each(|(cell, x)| *cell = Scalar::Number(x));
            let cells: Vec<_> = self.kept.iter().map(|&at| all[at]).collect();
            let done = i as f32 / n as f32;
            if each(&Row { number: i as u64 + 1, cells: &cells, done }).is_break() {
                break;
            }
        }
        Ok(())
    }
}
