//! Layers → ONNX bytes, so that what `fit` learned runs where any ONNX file runs.
//!
//! Dense layers only (`Gemm`, `Relu`, `Sigmoid`, and `Max` and `Min` before them), 32-bit floats, any number of rows at a time.

use prost::Message as _;

use super::layers::{Activation, Layer, Limits};
use super::onnx::{Attribute, Graph, INT, Model, Node, Opset, Tensor, rows_of};

/// Name of the network's input and of its output, `[n, d]` both.
pub const INPUT: &str = "x";
pub const OUTPUT: &str = "twin";

/// Operator set 17 with file format 8: read by every ONNX Runtime from 1.12 on.
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

/// protobuf's own limit on a message.
const BYTES_MAX: usize = i32::MAX as usize;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the network would be {bytes} bytes of ONNX; at most {} are possible", BYTES_MAX)]
pub struct TooLarge {
    pub bytes: usize,
}

/// The layers as an ONNX file with one input `x [n, d]`, held to `limits` before the first layer,
/// and one output `twin [n, out]`. The same layers give the same bytes.
///
/// # Errors
/// If it would not fit into a protobuf message: rows over about 900 000 wide at 256 hidden units.
///
/// # Panics
/// If there is no layer.
///
/// # Source
/// ONNX, `onnx/onnx.proto3`: the tags below are its tags.
pub fn onnx(limits: Option<&Limits>, layers: &[Layer]) -> Result<Vec<u8>, TooLarge> {
    let mut graph = Graph { name: "autoencoder".into(), ..Graph::default() };
    let mut rows = INPUT.to_owned();
    if let Some(Limits { low, high }) = limits {
        // Max(x, low), then Min(·, high).
        let ends = [("Max", "low", low, "above"), ("Min", "high", high, "within")];
        for (op_type, name, ends, end) in ends {
            graph.initializer.push(Tensor::of(name, &[ends.len()], ends.iter().copied()));
            graph.node.push(Node {
                input: vec![rows, name.into()],
                output: vec![end.into()],
                op_type: op_type.into(),
                ..Node::default()
            });
            rows = end.to_owned();
        }
    }
    for (i, layer) in layers.iter().enumerate() {
        let last = i + 1 == layers.len();
        let (out, width) = layer.w.dim();
        let [w, b] = ["w", "b"].map(|name| format!("{name}{i}"));
        graph.initializer.push(Tensor::of(&w, &[out, width], layer.w.iter().copied()));
        graph.initializer.push(Tensor::of(&b, &[out], layer.b.iter().copied()));

        let op_type = match layer.activation {
            Activation::Linear => None,
            Activation::Relu => Some("Relu"),
            Activation::Sigmoid => Some("Sigmoid"),
        };
        let end = if last { OUTPUT.to_owned() } else { format!("rows{i}") };
        let product = if op_type.is_some() { format!("z{i}") } else { end.clone() };
        // Gemm: rows · wᵀ + b, with the weights as they are, [out, in].
        let transposed =
            Attribute { name: "transB".into(), i: 1, kind: INT, ..Attribute::default() };
        graph.node.push(Node {
            input: vec![rows, w, b],
            output: vec![product.clone()],
            op_type: "Gemm".into(),
            attribute: vec![transposed],
            ..Node::default()
        });
        if let Some(op_type) = op_type {
            graph.node.push(Node {
                input: vec![product],
                output: vec![end.clone()],
                op_type: op_type.into(),
                ..Node::default()
            });
        }
        rows = end;
    }
    let ends = layers.first().zip(layers.last()).expect("a network has a layer");
    graph.input.push(rows_of(INPUT, ends.0.w.ncols()));
    graph.output.push(rows_of(OUTPUT, ends.1.w.nrows()));
    to_bytes(&model_of(graph))
}

/// The file around a graph.
pub fn model_of(graph: Graph) -> Model {
    Model {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        opset_import: vec![Opset { domain: String::new(), version: OPSET }],
    }
}

pub fn to_bytes(model: &Model) -> Result<Vec<u8>, TooLarge> {
    match model.encoded_len() {
        bytes if bytes > BYTES_MAX => Err(TooLarge { bytes }),
        _ => Ok(model.encode_to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ArrayView2};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::fit::graph::layers::forward;
    use crate::model::{Network, Runtime};

    /// Random layers of these widths, `last` at the end.
    fn layers(widths: &[usize], last: Activation) -> Vec<Layer> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut number = || rng.random_range(-0.2_f32..0.2);
        let pairs = widths.windows(2);
        let mut layers: Vec<Layer> = pairs
            .map(|pair| Layer {
                w: Array2::from_shape_simple_fn((pair[1], pair[0]), &mut number),
                b: (0..pair[1]).map(|_| number()).collect(),
                activation: Activation::Relu,
            })
            .collect();
        layers.last_mut().unwrap().activation = last;
        layers
    }

    #[test]
    fn the_file_holds_the_weights_bit_for_bit_under_the_names_its_nodes_use() {
        let layers = layers(&[3, 5, 3], Activation::Linear);
        let model = Model::decode(&onnx(None, &layers).unwrap()[..]).unwrap();
        let graph = model.graph.unwrap();
        for (i, layer) in layers.iter().enumerate() {
            let [w, b] = [&graph.initializer[2 * i], &graph.initializer[2 * i + 1]];
            assert_eq!(w.dims, [layer.w.nrows() as i64, layer.w.ncols() as i64]);
            let bytes = |values: &[f32]| -> Vec<u8> {
                values.iter().flat_map(|v| v.to_le_bytes()).collect()
            };
            assert_eq!(w.raw_data, bytes(layer.w.as_slice().unwrap()));
            assert_eq!(b.raw_data, bytes(&layer.b));
        }
        let ops: Vec<_> = graph.node.iter().map(|node| node.op_type.as_str()).collect();
        assert_eq!(ops, ["Gemm", "Relu", "Gemm"]);
        let mut known = vec![INPUT.to_owned()];
        known.extend(graph.initializer.iter().map(|tensor| tensor.name.clone()));
        for node in &graph.node {
            assert!(node.input.iter().all(|name| known.contains(name)), "{node:?}");
            known.extend(node.output.iter().cloned());
        }
        assert_eq!(known.last().unwrap(), OUTPUT);
    }

    #[test]
    fn numbers_beyond_the_limits_count_as_the_limits() {
        let runtime = Runtime::load(None).unwrap();
        let layers = layers(&[3, 8, 2, 8, 3], Activation::Linear);
        let limits = Limits { low: vec![-1.0, f32::MIN, 0.0], high: vec![1.0, f32::MAX, 0.5] };
        let bytes = onnx(Some(&limits), &layers).unwrap();
        let mut network = Network::load(&runtime, "the autoencoder", &bytes, 3).unwrap();
        let (mut beyond, mut at) = (vec![], vec![]);
        network.run(&[-7.0, 3.0, 1e30], &mut beyond).unwrap();
        network.run(&[-1.0, 3.0, 0.5], &mut at).unwrap();
        assert_eq!(beyond, at);
    }

    #[test]
    fn onnx_runtime_gives_what_the_layers_give_in_batches_of_any_size() {
        let runtime = Runtime::load(None).unwrap();
        for (d, last) in
            [(784, Activation::Sigmoid), (6, Activation::Linear), (1, Activation::Relu)]
        {
            let layers = layers(&[d, 256, 64, 256, d], last);
            let bytes = onnx(None, &layers).unwrap();
            let mut network = Network::load(&runtime, "the autoencoder", &bytes, d).unwrap();
            let x: Vec<f32> = (0..7 * d).map(|i| (i % 11) as f32 / 10.0).collect();
            let expected = forward(&layers, ArrayView2::from_shape((7, d), &x).unwrap());
            for rows in [1, 7] {
                let mut out = Vec::new();
                network.run(&x[..rows * d], &mut out).unwrap();
                assert_eq!(out.len(), rows * d);
                for (got, expected) in out.iter().zip(&expected) {
                    // Sums of up to 784 products, in another order.
                    assert!((got - expected).abs() < 1e-5 * expected.abs().max(1.0), "{got}");
                }
            }
        }
    }
}
