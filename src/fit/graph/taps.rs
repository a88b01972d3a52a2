//! The protected model with a second output: what its inner layers say of a row.
//!
//! The model's own bytes come first and stay as they are; nodes that read inner values are appended to
//! its file. (A protobuf message that is written twice into one file is read as both together.) Read
//! are the logits, the last value of each of the three coarsest sizes of image, as means of its four
//! quarters and maxima, and the inputs of the last layer. A model without a `Gemm` or `MatMul` at its
//! end has no such inputs, and gets no second output.

use candle_core::Tensor;
use prost::Message as _;

use super::gradient::{Function, GradientError, int, ints};
use super::onnx::{Attribute, Graph, Model, Node, rows_of};

/// The model with its second output.
pub struct Tapped {
    pub onnx: Vec<u8>,
    /// Numbers of the second output.
    pub width: usize,
    /// How many of the last of them are inputs of the model's last layer.
    pub last_inputs: usize,
}

/// Sizes of image that are read, the coarsest.
const SIZES: usize = 3;

/// More numbers than this are no cheap second look any more.
const WIDTH_MAX: usize = 4096;

/// What stands between the last layer and the answer, and changes no number or adds a bias.
const PASSING: [&str; 6] = ["Identity", "Dropout", "Flatten", "Reshape", "Squeeze", "Add"];

/// A value on the way through the model.
struct Value {
    name: String,
    op: String,
    inputs: Vec<String>,
    /// Without the rows.
    shape: Vec<usize>,
}

/// Appends a second output to `onnx`, the file that `model` was read from; `sample` [n, d] are any rows.
/// `None` if there is nothing to read.
///
/// # Errors
/// If the model cannot be applied.
pub fn tap(
    onnx: &[u8],
    model: &Function,
    sample: &Tensor,
) -> Result<Option<Tapped>, GradientError> {
    let mut values = vec![];
    let logits = model.trace(sample, &mut |node, name, shape| {
        let (name, op, inputs) = (name.to_owned(), node.op_type.clone(), node.input.clone());
        values.push(Value { name, op, inputs, shape: shape.get(1..).unwrap_or(&[]).to_vec() });
    })?;
    let find = |name: &str| values.iter().find(|value| value.name == name);
    let mut last = find(model.output());
    while let Some(value) = last.filter(|value| PASSING.contains(&value.op.as_str())) {
        last = find(&value.inputs[0]);
    }
    let last = last.filter(|value| ["Gemm", "MatMul"].contains(&value.op.as_str()));
    let Some(inputs) = last.and_then(|value| find(&value.inputs[0])) else { return Ok(None) };
    let [last_inputs] = inputs.shape[..] else { return Ok(None) };
    let mut added = Added { graph: Graph::default(), parts: vec![], width: 0 };
    added.part(model.output().to_owned(), logits.dim(1)?);
    for value in blocks(&values) {
        added.block(value);
    }
    added.part(inputs.name.clone(), last_inputs);
    let Added { mut graph, parts, width } = added;
    if width > WIDTH_MAX {
        return Ok(None);
    }
    graph.node.push(node("Concat", parts, OUTPUT.into(), vec![int("axis", 1)]));
    graph.output.push(rows_of(OUTPUT, width));
    let model = Model { graph: Some(graph), ..Model::default() };
    let onnx = [onnx, &model.encode_to_vec()].concat();
    Ok(Some(Tapped { onnx, width, last_inputs }))
}

/// What the second output is called.
const OUTPUT: &str = "tripline_layers";

/// The last value of each of the coarsest sizes of image: ends of blocks.
fn blocks(values: &[Value]) -> Vec<&Value> {
    let mut ends: Vec<&Value> = vec![];
    for value in values.iter().filter(|value| value.shape.len() == 3) {
        match ends.iter_mut().find(|end| end.shape[1..] == value.shape[1..]) {
            Some(end) => *end = value,
            None => ends.push(value),
        }
    }
    ends.sort_by_key(|end| std::cmp::Reverse(end.shape[1] * end.shape[2]));
    // The size of the row itself says what the row says.
    ends.split_off(1.min(ends.len()).max(ends.len().saturating_sub(SIZES)))
}

/// What is appended.
struct Added {
    graph: Graph,
    /// Names of what the second output is made of.
    parts: Vec<String>,
    width: usize,
}

impl Added {
    fn part(&mut self, name: String, width: usize) {
        self.parts.push(name);
        self.width += width;
    }

    /// Means over quarters and maxima of an image, flattened.
    fn block(&mut self, value: &Value) {
        let [c, h, w] = value.shape[..] else { return };
        let (down, across) = ((h / 2).max(1), (w / 2).max(1));
        let quarters =
            [h.min(h - down + usize::from(h == 1)), w.min(w - across + usize::from(w == 1))];
        let parts = (h.min(2)) * (w.min(2));
        let pairs = |a: usize, b: usize| [a as i64, b as i64];
        let mean = vec![
            ints("kernel_shape", &pairs(quarters[0], quarters[1])),
            ints("strides", &pairs(down, across)),
        ];
        self.pooled("AveragePool", &value.name, mean, c * parts);
        if parts > 1 {
            let whole = [ints("kernel_shape", &pairs(h, w)), ints("strides", &pairs(1, 1))];
            self.pooled("MaxPool", &value.name, whole.into(), c);
        }
    }

    fn pooled(&mut self, op: &str, from: &str, attributes: Vec<Attribute>, width: usize) {
        let at = self.graph.node.len();
        let (pooled, flat) = (format!("tripline_{at}"), format!("tripline_{}", at + 1));
        self.graph.node.push(node(op, vec![from.into()], pooled.clone(), attributes));
        self.graph.node.push(node("Flatten", vec![pooled], flat.clone(), vec![int("axis", 1)]));
        self.part(flat, width);
    }
}

fn node(op: &str, input: Vec<String>, output: String, attribute: Vec<Attribute>) -> Node {
    let (output, op_type) = (vec![output], op.into());
    Node { input, output, op_type, attribute, ..Node::default() }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::fit::graph::gradient::{Builder, rows};
    use crate::model::{Network, Runtime};

    /// A classifier of 3×8×8 images with three sizes of image and 5 inputs of its last layer.
    fn classifier() -> Vec<u8> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut b = Builder::new("classifier", 192, &mut rng);
        let x = b.reshape(&b.input(), &[3, 8, 8]);
        let mut x = b.convolution(&x, (3, 4), 3, 1, 2.0);
        for _ in 0..2 {
            let z = b.convolution(&x, (4, 4), 3, 2, 2.0);
            x = b.relu(&z);
        }
        let x = b.reshape(&x, &[16]);
        let x = b.dense(&x, 16, 5, 2.0);
        let x = b.relu(&x);
        let x = b.dense(&x, 5, 7, 1.0);
        b.finish(&x, 7).unwrap().into_onnx().unwrap().unwrap()
    }

    #[test]
    fn the_answer_of_a_tapped_model_has_the_same_bits_and_its_layers_are_those_of_candle() {
        let runtime = Runtime::load(None).unwrap();
        let onnx = classifier();
        let values: Vec<f32> = (0..2 * 192).map(|i| (i % 13) as f32 / 13.0).collect();
        let sample = rows(values.clone(), 192).unwrap();
        let tapped = tap(&onnx, &Function::read(&onnx).unwrap(), &sample).unwrap().unwrap();
        // Logits, four quarters and maxima of 4×4 and of 2×2, inputs of the last layer.
        assert_eq!((tapped.width, tapped.last_inputs), (7 + 20 + 20 + 5, 5));
        let load = |onnx: &[u8]| Network::load(&runtime, "the protected model", onnx, 192).unwrap();
        let (mut before, mut after, mut layers) = (vec![], vec![], vec![]);
        load(&onnx).run(&values, &mut before).unwrap();
        let mut network = load(&tapped.onnx);
        assert_eq!(network.beside(), tapped.width);
        network.run_both(&values, &mut after, Some(&mut layers)).unwrap();
        assert_eq!(before, after);
        let soft = Function::read_beside(&tapped.onnx).unwrap().unwrap();
        let soft: Vec<f32> = soft.apply(&sample).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(soft.len(), layers.len());
        assert!(soft.iter().zip(&layers).all(|(a, b)| (a - b).abs() < 1e-4));
    }

    #[test]
    fn a_model_with_one_output_has_nothing_beside_it() {
        assert!(Function::read_beside(&classifier()).unwrap().is_none());
    }
}
