//! What a schema learns from the training part: a category's values, and what stands in for a
//! missing cell.

use std::path::Path;

use super::table::{TableError, option};
use crate::record::{Feature, Schema};

/// The schema with what the rows `train` of `parts[0]` teach, and every part's rows brought into
/// its width. Shapes: each of `parts` `[n · width]` of `schema`, then of the schema returned; a
/// missing cell is NaN in all its columns, before and after.
///
/// A category keeps the values that training rows have; with `impute`, a feature that some row of
/// `parts[0]` lacks gets the median or the most frequent value of the training rows. A feature that
/// no clean row lacks must be in every record: honest senders do not leave it out.
///
/// # Errors
/// If a category has no value in the training part.
pub fn learned_schema(
    file: &Path,
    schema: Schema,
    impute: bool,
    train: &[usize],
    parts: [&mut Vec<f32>; 2],
) -> Result<Schema, TableError> {
    let width = schema.width();
    let x: &[f32] = parts[0];
    let column = |j: usize| train.iter().map(move |&i| x[i * width + j]);
    let lacks = |j: usize| impute && x.iter().skip(j).step_by(width).any(|value| value.is_nan());
    let mut kept = Vec::with_capacity(width);
    let mut features = Vec::with_capacity(schema.features.len());
    for (feature, columns) in schema.columns() {
        let first = columns.start;
        let mut feature = feature.clone();
        match &mut feature {
            Feature::Number { impute, .. } => {
                if lacks(first) {
                    *impute = median(column(first).filter(|value| !value.is_nan()).collect());
                }
                kept.push(first);
            }
            Feature::Category { name, values, impute } => {
                let counts: Vec<usize> = columns
                    .clone()
                    .map(|j| column(j).filter(|&value| value == 1.0).count())
                    .collect();
                let most = counts.iter().max().copied().unwrap_or(0);
                if most == 0 {
                    return Err(TableError::Refused {
                        file: file.to_owned(),
                        found: format!("column {name:?} has no value in the training rows"),
                        advice: option("--ignore", name),
                    });
                }
                if lacks(first) {
                    let at = counts.iter().position(|&count| count == most);
                    *impute = at.map(|at| values[at].clone());
                }
                kept.extend(columns.zip(&counts).filter(|(_, count)| **count > 0).map(|(j, _)| j));
                let mut counts = counts.iter();
                values.retain(|_| counts.next().is_some_and(|&count| count > 0));
            }
            Feature::Image { .. } => kept.extend(columns),
            Feature::Id { .. } => {}
        }
        features.push(feature);
    }
    for rows in parts {
        narrow(rows, width, &kept);
    }
    Ok(Schema { features })
}

/// Keeps the columns `kept`, ascending, of `rows` `[n · width]`, in place.
fn narrow(rows: &mut Vec<f32>, width: usize, kept: &[usize]) {
    if kept.len() == width {
        return;
    }
    let n = rows.len() / width;
    for i in 0..n {
        for (to, &from) in kept.iter().enumerate() {
            rows[i * kept.len() + to] = rows[i * width + from];
        }
    }
    rows.truncate(n * kept.len());
}

/// The lower of the middle two, so that it is a number that was there.
fn median(mut values: Vec<f32>) -> Option<f32> {
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable_by(middle, f32::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::MISSING;

    fn schema() -> Schema {
        let values = ["a", "b", "c"].map(String::from).to_vec();
        let category = Feature::Category { name: "c".into(), values, impute: None };
        Schema { features: vec![category, Feature::number("x", 0.0, 9.0)] }
    }

    #[test]
    fn a_value_that_only_other_rows_have_is_not_learned() {
        let (mut x, mut other) = (vec![0., 0., 1., 5., 1., 0., 0., 7.], vec![0., 1., 0., 3.]);
        let learned =
            learned_schema(Path::new("f"), schema(), false, &[0], [&mut x, &mut other]).unwrap();
        let Feature::Category { values, .. } = &learned.features[0] else { panic!() };
        assert_eq!(values, &["c"]);
        assert_eq!((x, other), (vec![1.0, 5.0, 0.0, 7.0], vec![0.0, 3.0]));
    }

    #[test]
    fn what_stands_in_for_the_missing_is_learned_from_the_training_rows_alone() {
        let m = MISSING;
        let mut x = vec![
            1., 0., 0., 2., //
            1., 0., 0., 4., //
            0., 1., 0., m, //
            m, m, m, 9.,
        ];
        let learned =
            learned_schema(Path::new("f"), schema(), true, &[0, 1, 2], [&mut x, &mut vec![]])
                .unwrap();
        let [Feature::Category { impute: word, .. }, Feature::Number { impute: number, .. }] =
            &learned.features[..]
        else {
            panic!()
        };
        assert_eq!((word.as_deref(), *number), (Some("a"), Some(2.0)));
        assert_eq!(learned.check(), Ok(()));
    }

    #[test]
    fn what_no_clean_row_lacks_must_be_in_every_record() {
        let mut x = vec![1., 0., 0., 2.];
        let learned =
            learned_schema(Path::new("f"), schema(), true, &[0], [&mut x, &mut vec![]]).unwrap();
        assert!(matches!(learned.features[1], Feature::Number { impute: None, .. }));
    }
}
