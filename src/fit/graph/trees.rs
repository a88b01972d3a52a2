//! A small tree ensemble for tests, as an exporter writes one: `TreeEnsembleClassifier` of `ai.onnx.ml`.

use prost::Message as _;

use super::export::model_of;
use super::onnx::{Attribute, FLOATS, Graph, INTS, Node, Opset, STRING, STRINGS, rows_of};

/// Probabilities of two labels for rows of `d` numbers: every stump `(column, threshold)` has one vote, for
/// label 1 where the column is above its threshold.
pub fn stumps(d: usize, stumps: &[(usize, f32)]) -> Vec<u8> {
    let trees = stumps.len() as i64;
    let ints = |name: &str, ints: Vec<i64>| Attribute {
        name: name.into(),
        ints,
        kind: INTS,
        ..Attribute::default()
    };
    let floats = |name: &str, floats: Vec<f32>| Attribute {
        name: name.into(),
        floats,
        kind: FLOATS,
        ..Attribute::default()
    };
    // Of each tree: the root, the leaf below the threshold, the leaf above it.
    let of_nodes = |each: [i64; 3]| (0..trees).flat_map(|_| each).collect::<Vec<_>>();
    let modes = ["BRANCH_LEQ", "LEAF", "LEAF"].map(|mode| mode.as_bytes().to_vec());
    let modes = Attribute {
        name: "nodes_modes".into(),
        strings: (0..trees).flat_map(|_| modes.clone()).collect(),
        kind: STRINGS,
        ..Attribute::default()
    };
    let root = |at: usize, i: usize| if i == 0 { stumps[at].0 as i64 } else { 0 };
    let value = |at: usize, i: usize| if i == 0 { stumps[at].1 } else { 0.0 };
    let each = || (0..stumps.len()).flat_map(|at| (0..3).map(move |i| (at, i)));
    let attribute = vec![
        ints("nodes_treeids", (0..trees).flat_map(|tree| [tree; 3]).collect()),
        ints("nodes_nodeids", of_nodes([0, 1, 2])),
        ints("nodes_featureids", each().map(|(at, i)| root(at, i)).collect()),
        floats("nodes_values", each().map(|(at, i)| value(at, i)).collect()),
        modes,
        ints("nodes_truenodeids", of_nodes([1, 0, 0])),
        ints("nodes_falsenodeids", of_nodes([2, 0, 0])),
        ints("class_treeids", (0..trees).flat_map(|tree| [tree; 2]).collect()),
        ints("class_nodeids", (0..trees).flat_map(|_| [1, 2]).collect()),
        ints("class_ids", (0..trees).flat_map(|_| [0, 1]).collect()),
        floats("class_weights", vec![1.0 / trees as f32; 2 * stumps.len()]),
        ints("classlabels_int64s", vec![0, 1]),
        Attribute {
            name: "post_transform".into(),
            s: b"NONE".to_vec(),
            kind: STRING,
            ..Attribute::default()
        },
    ];
    let node = Node {
        input: vec!["x".into()],
        output: vec!["label".into(), "probabilities".into()],
        op_type: "TreeEnsembleClassifier".into(),
        domain: "ai.onnx.ml".into(),
        attribute,
    };
    let graph = Graph {
        name: "stumps".into(),
        node: vec![node],
        input: vec![rows_of("x", d)],
        output: vec![rows_of("probabilities", 2)],
        ..Graph::default()
    };
    let mut model = model_of(graph);
    model.opset_import.push(Opset { domain: "ai.onnx.ml".into(), version: 1 });
    model.encode_to_vec()
}
