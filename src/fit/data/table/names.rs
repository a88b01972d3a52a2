//! Names of a CSV's columns: whether its first line holds them, and what columns without names are called.
//!
//! A line of numbers is a row, unless the numbers count; one of words that stand below it again is a row too. It cannot
//! tell a row of words from names where no word comes twice.

use std::path::Path;

use super::cell;
use super::source::TableError;
use crate::codec::Scalar;

/// Whether the cell is a number.
pub fn is_number(cell: &str) -> bool {
    cell::number(Scalar::Text(cell)).is_some()
}

/// Whether the line is cells of numbers alone.
pub fn is_all_numbers(line: &[String]) -> bool {
    line.iter().all(|cell| is_number(cell))
}

/// Names of the columns of a file whose first line is a row of numbers.
pub fn numbered(first: &[String]) -> Option<Vec<String>> {
    let is_count = *first == ["0", "1"] || *first == ["1", "2"];
    let is_row = is_all_numbers(first) && !first.is_empty() && !is_count && !are_steps(first);
    is_row.then(|| (0..first.len()).map(|at| format!("x{at}")).collect())
}

/// Whether the cells are numbers with one step between them: what pandas calls columns without names, years
/// or wavelengths.
fn are_steps(cells: &[String]) -> bool {
    let numbers: Vec<f64> = cells.iter().filter_map(|cell| cell.parse().ok()).collect();
    let step = |pair: &[f64]| pair[1] - pair[0];
    let mut steps = numbers.windows(2).map(step);
    let Some(first) = steps.next().filter(|step| *step != 0.0) else { return false };
    cells.len() > 2
        && numbers.len() == cells.len()
        && steps.all(|step| (step - first).abs() < 1e-9 * first.abs())
}

/// The names in the first line.
///
/// # Errors
/// If it holds a number where a name belongs, or one name in which blanks may stand for a delimiter.
pub fn names_of(file: &Path, first: &[String]) -> Result<Vec<String>, TableError> {
    let number = |name: &&String| name.parse::<f64>().is_ok();
    if let [name] = first
        && name.contains("  ")
    {
        return Err(TableError::Refused {
            file: file.to_owned(),
            found: format!("the first line holds one name, {name:?}"),
            advice: "say with --delimiter what stands between cells; write columns of a fixed width as CSV, \
                     with pandas read_fwf"
                .into(),
        });
    }
    // Behind the name of the index, if there is one.
    let rest = &first[usize::from(first.first().is_some_and(String::is_empty))..];
    match first.iter().find(number).filter(|_| !are_steps(rest)) {
        None => Ok(first.to_vec()),
        Some(number) => Err(TableError::Refused {
            file: file.to_owned(),
            found: format!("the first line holds {number:?} where a name belongs"),
            advice: "give the names with --header a,b,c; if the line holds them, the same".into(),
        }),
    }
}

/// Whether the names of a first line are none: most of them stand in their own columns again, row by row.
///
/// # Errors
/// If so, what to do.
pub fn is_no_row(file: &Path, names: &[String], rows: &[Vec<String>]) -> Result<(), TableError> {
    let is_again = |(at, name): (usize, &String)| {
        let values = rows.iter().filter(|row| *row != names).filter_map(|row| row.get(at));
        !name.is_empty() && values.into_iter().any(|value| value == name)
    };
    let again = names.iter().enumerate().filter(|&named| is_again(named)).count();
    if 2 * again <= names.len() {
        return Ok(());
    }
    Err(TableError::Refused {
        file: file.to_owned(),
        found: format!(
            "the first line ({}) looks like a row: its cells stand below it again",
            names.join(" ")
        ),
        advice: "give the names with --header a,b,c; if the line holds them, the same".into(),
    })
}
