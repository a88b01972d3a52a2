//! Rows in JSON: a label, a name, or scores, one after the other or in nested arrays.

use serde_json::Value;

use super::{BadAnswer, BodyRow, BodySettings};

/// The row that `value` is: `3`, `"cat"`, `[0.1, 0.9]`, `[3]`.
pub(super) fn row(value: &Value, settings: &BodySettings) -> Result<BodyRow, BadAnswer> {
    match value {
        Value::Number(number) => BodyRow::of_label(number.as_f64().unwrap_or(-1.0)),
        Value::String(name) => BodyRow::of_name(name, settings),
        Value::Array(each) if each.len() == 1 => match &each[0] {
            Value::Array(_) => Err(BadAnswer("a row of rows")),
            one => row(one, settings),
        },
        Value::Array(each) => BodyRow::of_scores(&numbers(each)?, settings),
        _ => Err(BadAnswer("a row that is no label and no scores")),
    }
}

/// Rows of `shape` that stand flat in `each`, or nested.
pub(super) fn rows_of_shape(
    each: &[Value],
    shape: &[u64],
    settings: &BodySettings,
) -> Result<Vec<BodyRow>, BadAnswer> {
    if each.first().is_some_and(Value::is_array) {
        return each.iter().map(|value| row(value, settings)).collect();
    }
    let width = width(shape, each.len())?;
    each.chunks(width)
        .map(|row_of| match row_of {
            [one] => row(one, settings),
            scores => BodyRow::of_scores(&numbers(scores)?, settings),
        })
        .collect()
}

/// Values of one row in a tensor of `shape` with so many values: of one dimension each is a row.
pub(super) fn width(shape: &[u64], values: usize) -> Result<usize, BadAnswer> {
    let width = match shape {
        [] | [_] => 1,
        [_, rest @ ..] => {
            let product = rest.iter().try_fold(1_u64, |product, &n| product.checked_mul(n));
            let product = product.and_then(|product| usize::try_from(product).ok());
            product.unwrap_or(0)
        }
    };
    let fits = width > 0 && values.is_multiple_of(width);
    fits.then_some(width).ok_or(BadAnswer("a shape that its values do not have"))
}

fn numbers(each: &[Value]) -> Result<Vec<f64>, BadAnswer> {
    let number = |value: &Value| value.as_f64().ok_or(BadAnswer("a score that is no number"));
    each.iter().map(number).collect()
}
