//! How rows reach a model: what it takes, made of the columns that we have.
//!
//! A model takes the row as one tensor, or each feature by its name, or groups of features that
//! somebody named with `--model-input`. Names decide; positions only within one tensor, which has no
//! names. It cannot know in which unit or order a tensor wants its numbers: those of the file are given.

use std::ops::Range;

use super::open::{Axis, OpenModel, tensor_of};
use crate::fit::graph::gradient::{int, ints};
use crate::fit::graph::onnx::{
    self, BFLOAT16, BOOL, DOUBLE, FLOAT, FLOAT16, INT8, INT16, INT32, INT64, TEXT, Tensor, UINT8,
    UINT16, UINT32, UINT64, Value, tensor_value,
};
use crate::record::{Feature, Schema};

/// The one input that the model has now.
pub struct Rows {
    name: String,
    /// Axes of a row.
    axes: Vec<usize>,
    /// How many rows the model said it takes at a time, if it said so.
    pub batch: Option<usize>,
    /// Whether nothing was put before the model.
    pub is_its_own: bool,
    /// What was found, for the report.
    pub found: String,
}

/// What a row is called before it is cut up.
const ROWS: &str = "tripline_rows";

const NUMBERS: [i32; 13] = [
    FLOAT, UINT8, INT8, UINT16, INT16, INT32, INT64, BOOL, FLOAT16, DOUBLE, UINT32, UINT64,
    BFLOAT16,
];

impl Rows {
    /// Axes of a row.
    pub fn axes(&self) -> &[usize] {
        &self.axes
    }

    /// The input, of any number of rows or of so many.
    pub fn value(&self, rows: Option<i64>) -> Value {
        tensor_value(&self.name, FLOAT, rows, Some(&self.axes))
    }
}

/// Puts before the model what makes its inputs of rows of `schema`. `said` are inputs and their
/// features.
///
/// # Errors
/// If the features do not say what an input is: in words that follow "the protected model".
pub fn connect(
    model: &mut OpenModel<'_>,
    schema: &Schema,
    said: &[(String, Vec<String>)],
) -> Result<Rows, String> {
    if let Some((name, _)) =
        said.iter().find(|(name, _)| model.inputs.iter().all(|i| i.name != *name))
    {
        return Err(format!("has no input {name:?}; it has {}", names(&model.inputs)));
    }
    match &model.inputs.clone()[..] {
        [] => Err("has no input".into()),
        [input] if said.is_empty() => one_tensor(model, input, schema),
        inputs => by_name(model, inputs, schema, said),
    }
}

/// The row as one tensor.
fn one_tensor(model: &mut OpenModel<'_>, input: &Value, schema: &Schema) -> Result<Rows, String> {
    let (d, name) = (schema.width(), &input.name);
    let is_words = tensor_of(input).is_some_and(|(element, _)| element == TEXT);
    if is_words && feature_called(schema, name).is_some() {
        return by_name(model, std::slice::from_ref(input), schema, &[]);
    }
    let (element, axes) = numbers_of(input)?;
    let batch = axes.as_ref().and_then(|axes| match axes.first() {
        Some(Axis::Of(rows)) => Some(*rows),
        _ => None,
    });
    let rest = axes.as_deref().map(|axes| axes.get(1..).unwrap_or(&[]));
    if let Some((axes, order)) = whole(rest, schema) {
        let turned = order == Order::ChannelsLast;
        let found = match order {
            Order::Flat => format!("{name}: the row"),
            Order::ChannelsFirst => format!("{name}: the image, channels first"),
            Order::ChannelsLast => format!("{name}: the image, channels last"),
        };
        if element == FLOAT && !turned {
            return Ok(Rows { name: name.clone(), axes, batch, is_its_own: true, found });
        }
        let mut value = ROWS.to_owned();
        if turned {
            let &[h, w, c] = &axes[..] else { unreachable!("an image has three axes") };
            value = reshape(model, &value, &[c, h, w], "");
            value = model.before("Transpose", &[&value], vec![ints("perm", &[0, 2, 3, 1])], "");
        } else if axes.len() > 1 {
            value = reshape(model, &value, &axes, "");
        }
        value = whole_numbers(model, value, element, schema);
        cast(model, &value, element, name);
        return Ok(Rows { axes: vec![d], name: ROWS.into(), batch, is_its_own: false, found });
    }
    let scored = || schema.columns().filter(|(_, columns)| !columns.is_empty());
    let width = rest.and_then(|rest| match rest {
        [Axis::Of(width)] => Some(*width),
        _ => None,
    });
    if width == Some(scored().count()) {
        let pieces: Vec<(&Feature, Range<usize>)> = scored().collect();
        let value = together(model, &pieces, false)?;
        cast(model, &value, element, name);
        let found = format!("{name}: the row, each category as the number that its values are");
        return Ok(Rows { axes: vec![d], name: ROWS.into(), batch, is_its_own: false, found });
    }
    if feature_called(schema, name).is_some() {
        return by_name(model, std::slice::from_ref(input), schema, &[]);
    }
    let takes = rest.map_or("a row".to_owned(), |rest| {
        let axis = |axis: &Axis| match axis {
            Axis::Of(size) => size.to_string(),
            Axis::Any => "?".to_owned(),
        };
        rest.iter().map(axis).collect::<Vec<_>>().join("x")
    });
    Err(format!(
        "takes {takes} numbers a row as {name:?}; the rows have {d}: {}. Leave columns out with --ignore \
         or --id, or say which features it takes: --model-input {name}=COLUMN,COLUMN",
        features(schema)
    ))
}

/// How the numbers of a row stand in a tensor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Flat,
    ChannelsFirst,
    ChannelsLast,
}

/// The axes of a row that is the whole row, one by one; none if `rest` is something else.
fn whole(rest: Option<&[Axis]>, schema: &Schema) -> Option<(Vec<usize>, Order)> {
    let d = schema.width();
    let image = match schema.features.iter().filter(|f| f.width() > 0).collect::<Vec<_>>()[..] {
        [&Feature::Image { channels, height, width, .. }] => {
            Some([channels, height, width].map(|size| size as usize))
        }
        _ => None,
    };
    let fits = |axes: &[usize]| {
        let rest = rest.unwrap_or(&[Axis::Any]);
        let same = |(axis, size): (&Axis, &usize)| *axis == Axis::Any || *axis == Axis::Of(*size);
        rest.len() == axes.len() && rest.iter().zip(axes).all(same)
    };
    if let Some([c, h, w]) = image {
        if fits(&[c, h, w]) {
            return Some((vec![c, h, w], Order::ChannelsFirst));
        }
        if fits(&[h, w, c]) {
            // One channel stands in the same place first and last.
            let order = if c == 1 { Order::Flat } else { Order::ChannelsLast };
            return Some((vec![h, w, c], order));
        }
        if c == 1 && fits(&[h, w]) {
            return Some((vec![h, w], Order::Flat));
        }
    }
    if fits(&[d]) {
        return Some((vec![d], Order::Flat));
    }
    // Any other shape of as many numbers, as it always was.
    let sizes = rest?.iter().map(|axis| match axis {
        Axis::Of(size) => Some(*size),
        Axis::Any => None,
    });
    let sizes: Vec<usize> = sizes.collect::<Option<_>>()?;
    let is_image = image.is_some_and(|[c, ..]| c > 1) && sizes.len() > 1;
    (!sizes.is_empty() && sizes.iter().product::<usize>() == d && !is_image)
        .then_some((sizes, Order::Flat))
}

/// Each input from the features that it is called after, or that were said.
fn by_name(
    model: &mut OpenModel<'_>,
    inputs: &[Value],
    schema: &Schema,
    said: &[(String, Vec<String>)],
) -> Result<Rows, String> {
    let mut batch = None;
    let mut unknown = vec![];
    let mut found = vec![];
    for input in inputs {
        let name = &input.name;
        let named = said.iter().find(|(said, _)| said == name).map(|(_, columns)| columns.clone());
        let columns = match named {
            Some(columns) => columns,
            None => match feature_called(schema, name) {
                Some(feature) => vec![feature.to_owned()],
                None => {
                    unknown.push(format!("{name:?}"));
                    continue;
                }
            },
        };
        let mut pieces = vec![];
        for column in &columns {
            let mut all = schema.columns().filter(|(_, columns)| !columns.is_empty());
            let piece = all.find(|(feature, _)| feature.name() == column);
            pieces.push(piece.ok_or_else(|| {
                format!("shall take {column:?} as {name:?}; the features are {}", features(schema))
            })?);
        }
        let (element, axes) =
            tensor_of(input).ok_or_else(|| format!("takes {name:?}, which is no tensor"))?;
        if element != TEXT && !NUMBERS.contains(&element) {
            return Err(format!("takes {name:?}, which is neither numbers nor words"));
        }
        if let Some(Axis::Of(rows)) = axes.as_deref().and_then(<[Axis]>::first) {
            batch = Some(*rows);
        }
        let mut value = together(model, &pieces, element == TEXT)?;
        if axes.as_ref().is_some_and(|axes| axes.len() == 1) {
            value = reshape(model, &value, &[], "");
        }
        cast(model, &value, element, name);
        found.push(format!("{name}: {}", columns.join(", ")));
    }
    if !unknown.is_empty() {
        return Err(format!(
            "takes {}, which no feature is called; the features are {}. Say which it takes: \
             --model-input INPUT=COLUMN",
            unknown.join(", "),
            features(schema)
        ));
    }
    let (axes, found) = (vec![schema.width()], found.join("; "));
    Ok(Rows { name: ROWS.into(), axes, batch, is_its_own: false, found })
}

/// The features side by side, one number or word each: `[n, features]`.
fn together(
    model: &mut OpenModel<'_>,
    pieces: &[(&Feature, Range<usize>)],
    words: bool,
) -> Result<String, String> {
    let mut values = vec![];
    for (feature, columns) in pieces {
        values.push(match (feature, words) {
            (Feature::Number { .. }, false) => gather(model, ROWS, columns.clone()),
            (Feature::Number { name, .. }, true) => {
                return Err(format!(
                    "takes words for {name:?}, which is a number here; say --category {name} if its \
                     numbers are codes"
                ));
            }
            (Feature::Category { name, values, .. }, words) => {
                let table = if words { words_of(values) } else { numbers_of_words(name, values)? };
                category(model, columns.clone(), table)
            }
            (other, _) => return Err(format!("takes {:?} beside others", other.name())),
        });
    }
    Ok(match &values[..] {
        [one] => one.clone(),
        many => {
            let many: Vec<&str> = many.iter().map(String::as_str).collect();
            model.before("Concat", &many, vec![int("axis", 1)], "")
        }
    })
}

/// The value of a category, `[n, 1]`; the last entry of `table` if it has none of its values.
fn category(model: &mut OpenModel<'_>, columns: Range<usize>, table: Tensor) -> String {
    let first = gather(model, ROWS, columns.start..columns.start + 1);
    let [zero, half] = [0.0, 0.5].map(|x| model.constant(Tensor::of("", &[1], [x].into_iter())));
    let nothing = model.before("Mul", &[&first, &zero], vec![], "");
    let half = model.before("Add", &[&nothing, &half], vec![], "");
    let one_hot = gather(model, ROWS, columns);
    let with_none = model.before("Concat", &[&one_hot, &half], vec![int("axis", 1)], "");
    let at = model.before("ArgMax", &[&with_none], vec![int("axis", 1), int("keepdims", 1)], "");
    let table = model.constant(table);
    model.before("Gather", &[&table, &at], vec![int("axis", 0)], "")
}

fn words_of(values: &[String]) -> Tensor {
    let never_seen = String::new();
    let words: Vec<String> = values.iter().cloned().chain([never_seen]).collect();
    Tensor::of_words("", &words)
}

fn numbers_of_words(name: &str, values: &[String]) -> Result<Tensor, String> {
    let number = |word: &String| match word.as_str() {
        "true" => Ok(1.0),
        "false" => Ok(0.0),
        word => word.parse().map_err(|_| {
            format!(
                "takes a number for {name:?}, which has the word {word:?}; export it with the words"
            )
        }),
    };
    let mut numbers: Vec<f32> = values.iter().map(number).collect::<Result<_, _>>()?;
    numbers.push(0.0);
    Ok(Tensor::of("", &[numbers.len()], numbers.into_iter()))
}

fn gather(model: &mut OpenModel<'_>, rows: &str, columns: Range<usize>) -> String {
    let at: Vec<i64> = columns.map(|column| column as i64).collect();
    let at = model.constant(Tensor::of_ints("", &at));
    model.before("Gather", &[rows, &at], vec![int("axis", 1)], "")
}

fn reshape(model: &mut OpenModel<'_>, value: &str, axes: &[usize], output: &str) -> String {
    let shape: Vec<i64> = std::iter::once(-1).chain(axes.iter().map(|&size| size as i64)).collect();
    let shape = model.constant(Tensor::of_ints("", &shape));
    model.before("Reshape", &[value, &shape], vec![], output)
}

/// The pixels as integers, if the model takes integers.
fn whole_numbers(
    model: &mut OpenModel<'_>,
    value: String,
    element: i32,
    schema: &Schema,
) -> String {
    let scale = schema.features.iter().find_map(|feature| match feature {
        Feature::Image { scale, .. } => Some(*scale),
        _ => None,
    });
    let integers = ![FLOAT, FLOAT16, DOUBLE, BFLOAT16].contains(&element);
    let Some(scale) = scale.filter(|_| integers) else { return value };
    let [scale, half] = [scale, 0.5].map(|x| model.constant(Tensor::of("", &[1], [x].into_iter())));
    let scaled = model.before("Mul", &[&value, &scale], vec![], "");
    let above = model.before("Add", &[&scaled, &half], vec![], "");
    model.before("Floor", &[&above], vec![], "")
}

/// Gives `value` the type that the input called `name` wants, and that name.
fn cast(model: &mut OpenModel<'_>, value: &str, element: i32, name: &str) {
    match element {
        FLOAT | TEXT => model.before("Identity", &[value], vec![], name),
        element => model.before("Cast", &[value], vec![int("to", element.into())], name),
    };
}

fn numbers_of(input: &Value) -> Result<(i32, Option<Vec<Axis>>), String> {
    let name = &input.name;
    let (element, axes) =
        tensor_of(input).ok_or_else(|| format!("takes {name:?}, which is no tensor"))?;
    match NUMBERS.contains(&element) {
        true => Ok((element, axes)),
        false if element == onnx::TEXT => Err(format!(
            "takes all columns as words in {name:?}; export it with one input per column"
        )),
        false => Err(format!("takes {name:?}, which is neither numbers nor words")),
    }
}

/// The feature of this name, or the only one whose letters and digits are the same.
fn feature_called<'s>(schema: &'s Schema, name: &str) -> Option<&'s str> {
    let plain = |name: &str| -> String {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let scored = || schema.features.iter().filter(|f| f.width() > 0).map(Feature::name);
    if let Some(feature) = scored().find(|feature| *feature == name) {
        return Some(feature);
    }
    let mut alike = scored().filter(|feature| plain(feature) == plain(name));
    alike.next().filter(|_| alike.next().is_none())
}

fn names(values: &[Value]) -> String {
    values.iter().map(|value| format!("{:?}", value.name)).collect::<Vec<_>>().join(", ")
}

fn features(schema: &Schema) -> String {
    const SHOWN: usize = 12;
    let scored: Vec<&str> =
        schema.features.iter().filter(|f| f.width() > 0).map(Feature::name).collect();
    let more = match scored.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", scored.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", "))
}
