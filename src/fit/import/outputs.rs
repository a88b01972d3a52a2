//! Which output of a model says how likely each label is, and as what.
//!
//! Exporters write the label first and the probabilities second, or as a sequence of maps, or an
//! embedding beside the logits. What cannot be told by type, width or name is asked for, not guessed.
//! It cannot see that a single number between 0 and 1 is no probability: it says that it takes it for one.

use super::open::{OpenModel, tensor_of};
use crate::bundle::Manifest;
use crate::fit::graph::gradient::int;
use crate::fit::graph::onnx::{BFLOAT16, DOUBLE, FLOAT, FLOAT16, Tensor, Value, tensor_value};
use crate::model::ProbeOutput;

/// An output that may be the answer.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What the exporter calls it.
    name: String,
    /// The tensor that holds it.
    tensor: String,
}

/// The answer, as it was found.
pub struct Scores {
    tensor: String,
    /// Of [`Form::Apart`] the tensors of the labels after the first.
    others: Vec<String>,
    form: Form,
    /// What was found, for the report.
    pub found: String,
}

/// What the answer is before it is one number per label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// So many numbers a row.
    Labels(usize),
    /// The logit of the second of two labels.
    Logit,
    /// The probability of the second of two labels.
    Probability,
    /// A probability in a tensor of its own for each of so many labels.
    Apart(usize),
}

/// Words in the name of an answer, the most telling first.
const TELLING: [&str; 7] = ["logit", "prob", "softmax", "score", "sigmoid", "class", "pred"];

/// The outputs that hold numbers of which a row could have some for each label.
pub fn candidates(model: &OpenModel<'_>) -> Vec<Candidate> {
    let of = |output: &Value| {
        let name = output.name.clone();
        match tensor_of(output) {
            Some((element, _)) => [FLOAT, FLOAT16, DOUBLE, BFLOAT16]
                .contains(&element)
                .then(|| Candidate { tensor: name.clone(), name }),
            // A sequence of maps from label to probability: the tensor that it was made of.
            None => {
                let maker = model.producer(&name).filter(|node| node.op_type == "ZipMap")?;
                Some(Candidate { name, tensor: maker.input.first()?.clone() })
            }
        }
    };
    model.outputs.iter().filter_map(of).collect()
}

/// Adds an output of `f32` for each candidate, of whatever shape.
pub fn show(model: &mut OpenModel<'_>, candidates: &[Candidate]) -> Vec<Value> {
    let mut values = vec![];
    for (i, Candidate { tensor, .. }) in candidates.iter().enumerate() {
        let to = vec![int("to", FLOAT.into())];
        let name = model.after("Cast", &[tensor], to, &format!("tripline_output_{i}"));
        values.push(tensor_value(&name, FLOAT, None, None));
    }
    values
}

/// Chooses the answer. `probed` are the candidates for a batch of `rows`; `said` is a name, or a name
/// with `=logit`.
///
/// # Errors
/// If nothing tells which it is: in words that follow "the protected model".
pub fn choose(
    model: &OpenModel<'_>,
    candidates: &[Candidate],
    probed: &[ProbeOutput],
    rows: usize,
    said: Option<&str>,
) -> Result<Scores, String> {
    let width = |i: usize| {
        let ProbeOutput { shape, values } = &probed[i];
        let by_row = shape.first() == Some(&(rows as i64)) && values.len().is_multiple_of(rows);
        by_row.then(|| values.len() / rows).filter(|k| (1..=Manifest::LABELS_MAX).contains(k))
    };
    let widths: Vec<(usize, usize)> =
        (0..candidates.len()).filter_map(|i| Some((i, width(i)?))).collect();
    let list = || -> String {
        let all = widths.iter().map(|&(i, k)| format!("{} ({k} a row)", candidates[i].name));
        all.collect::<Vec<_>>().join(", ")
    };
    if said.is_none()
        && let Some(scores) = apart(&widths, candidates, probed, rows)
    {
        return Ok(scores);
    }
    let (said, is_logit) = match said {
        Some(said) => match said.strip_suffix("=logit") {
            Some(name) => (Some(name), true),
            None => (Some(said), false),
        },
        None => (None, false),
    };
    let chosen = match (said, &widths[..]) {
        (_, []) => Err("has no output with numbers for each row: is it a classifier?".into()),
        (Some(name), all) => all
            .iter()
            .find(|(i, _)| candidates[*i].name == name)
            .ok_or_else(|| format!("has no output {name:?} with numbers; it has {}", list())),
        (None, [one]) => Ok(one),
        (None, all) => telling(all, candidates).ok_or_else(|| {
            format!("has {}; say which one is the answer: --model-output NAME", list())
        }),
    };
    let &(at, k) = chosen?;
    let Candidate { name, tensor } = candidates[at].clone();
    if k > 1 {
        let found = format!("{name}: {k} labels");
        return Ok(Scores { tensor, others: vec![], form: Form::Labels(k), found });
    }
    let values = &probed[at].values;
    let two = |form, tensor, what: &str| {
        let found = format!("{name}: one number, taken as {what} of the second of two labels");
        Ok(Scores { tensor, others: vec![], form, found })
    };
    if is_logit {
        return two(Form::Logit, tensor, "the logit");
    }
    if let Some(logit) = before_sigmoid(model, &tensor) {
        return two(Form::Logit, logit, "the probability");
    }
    if values.iter().all(|p| (0.0..=1.0).contains(p)) {
        return two(Form::Probability, tensor, "the probability");
    }
    let worst = values.iter().copied().find(|p| !(0.0..=1.0).contains(p)).unwrap_or(f32::NAN);
    Err(format!(
        "gives one number per row, {worst} for one of them, which is no probability; protected are \
         classifiers of 2 to {} labels. If it is the logit of two labels, say --model-output {name}=logit",
        Manifest::LABELS_MAX
    ))
}

/// An output for each label, if that is what they are: one number each, which together are probabilities.
fn apart(
    widths: &[(usize, usize)],
    candidates: &[Candidate],
    probed: &[ProbeOutput],
    rows: usize,
) -> Option<Scores> {
    let is_share = |p: &f32| (0.0..=1.0).contains(p);
    let sum = |row: usize| widths.iter().map(|&(i, _)| probed[i].values[row]).sum::<f32>();
    let are_probabilities = widths.len() > 1
        && widths.iter().all(|&(i, k)| k == 1 && probed[i].values.iter().all(is_share))
        && (0..rows).all(|row| (sum(row) - 1.0).abs() < 1e-3);
    are_probabilities.then(|| {
        let of = |at: &(usize, usize)| candidates[at.0].clone();
        let names: Vec<String> = widths.iter().map(|at| of(at).name).collect();
        Scores {
            tensor: of(&widths[0]).tensor,
            others: widths[1..].iter().map(|at| of(at).tensor).collect(),
            form: Form::Apart(widths.len()),
            found: format!("{}: {} labels", names.join(", "), widths.len()),
        }
    })
}

/// The one candidate whose name says that it is the answer.
fn telling<'w>(
    widths: &'w [(usize, usize)],
    candidates: &[Candidate],
) -> Option<&'w (usize, usize)> {
    for word in TELLING {
        let named = |(i, _): &&(usize, usize)| candidates[*i].name.to_lowercase().contains(word);
        let mut named = widths.iter().filter(named);
        if let Some(one) = named.next() {
            return named.next().is_none().then_some(one);
        }
    }
    None
}

/// What the `Sigmoid` at the end reads, if there is one.
fn before_sigmoid(model: &OpenModel<'_>, tensor: &str) -> Option<String> {
    let mut tensor = tensor;
    // A graph has no circles; a file that is no graph may.
    for _ in 0..16 {
        let node = model.producer(tensor)?;
        let input = node.input.first()?;
        match node.op_type.as_str() {
            "Sigmoid" => return Some(input.clone()),
            "Identity" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Cast" => tensor = input,
            _ => return None,
        }
    }
    None
}

impl Scores {
    /// How many labels it knows.
    pub fn labels(&self) -> usize {
        match self.form {
            Form::Labels(k) | Form::Apart(k) => k,
            Form::Logit | Form::Probability => 2,
        }
    }

    /// Whether the model's first output is the answer as it is declared.
    pub fn is_first(&self, model: &OpenModel<'_>) -> bool {
        use super::open::Axis;
        let Some(first) = model.outputs.first() else { return false };
        let declared =
            tensor_of(first) == Some((FLOAT, Some(vec![Axis::Any, Axis::Of(self.labels())])));
        declared && first.name == self.tensor && matches!(self.form, Form::Labels(_))
    }

    /// Puts after the model what makes one number per label of it, and gives the output.
    pub fn finish(&self, model: &mut OpenModel<'_>, rows: Option<i64>) -> Value {
        let k = self.labels() as i64;
        let to = vec![int("to", FLOAT.into())];
        let numbers = model.after("Cast", &[&self.tensor], to, "tripline_numbers");
        let wide = if let Form::Labels(k) = self.form { k as i64 } else { 1 };
        let shape = model.constant(Tensor::of_ints("", &[-1, wide]));
        let last = "tripline_scores";
        match self.form {
            Form::Labels(_) => model.after("Reshape", &[&numbers, &shape], vec![], last),
            Form::Apart(_) => {
                let mut each = vec![numbers];
                for (i, other) in self.others.iter().enumerate() {
                    let to = vec![int("to", FLOAT.into())];
                    each.push(model.after("Cast", &[other], to, &format!("tripline_label_{i}")));
                }
                let one = |(i, numbers): (usize, String)| {
                    let name = format!("tripline_column_{i}");
                    model.after("Reshape", &[&numbers, &shape], vec![], &name)
                };
                let columns: Vec<String> = each.into_iter().enumerate().map(one).collect();
                let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
                model.after("Concat", &columns, vec![int("axis", 1)], last)
            }
            Form::Logit => {
                // Half below and half above: their difference is the logit.
                let one = model.after("Reshape", &[&numbers, &shape], vec![], "tripline_one");
                let both = Tensor::of("", &[1, 2], [-0.5, 0.5].into_iter());
                let both = model.constant(both);
                model.after("MatMul", &[&one, &both], vec![], last)
            }
            Form::Probability => {
                let one = model.after("Reshape", &[&numbers, &shape], vec![], "tripline_one");
                let both = model.constant(Tensor::of("", &[1, 2], [-1.0, 1.0].into_iter()));
                let rest = model.constant(Tensor::of("", &[1, 2], [1.0, 0.0].into_iter()));
                let both = model.after("MatMul", &[&one, &both], vec![], "tripline_both");
                model.after("Add", &[&both, &rest], vec![], last)
            }
        };
        tensor_value(last, FLOAT, rows, Some(&[k as usize]))
    }
}
