//! Whether a size depends on the numbers in a row.
//!
//! Each value of the graph either comes from the row or is known before: constants, and whatever is
//! computed from constants and shapes. For the operators of [`SIZED`] some inputs say how large the
//! output is; those must be known before. So every shape follows from the number of rows, and what a
//! trial measured on some rows holds for all.
//!
//! Functions are followed where they are called. It is blind to strings that grow, and to how long a
//! kernel takes for rare numbers.

use std::collections::BTreeMap;

use super::proto::{Graph, Node};
use super::{DEPTH_MAX, Functions, GraphError, NODES_MAX};

/// Operators, and which of their inputs say how large the output is.
const SIZED: [(&str, &[usize]); 42] = [
    ("AffineGrid", &[1]),
    ("BlackmanWindow", &[0]),
    ("CenterCropPad", &[1]),
    ("Col2Im", &[1, 2]),
    ("Compress", &[1]),
    ("ConstantOfShape", &[0]),
    ("DFT", &[1]),
    ("Expand", &[1]),
    ("HammingWindow", &[0]),
    ("HannWindow", &[0]),
    ("MaxUnpool", &[2]),
    ("MelWeightMatrix", &[0, 1, 2]),
    ("NonMaxSuppression", &[0, 1, 2, 3, 4]),
    ("NonZero", &[0]),
    ("OneHot", &[1]),
    ("Pad", &[1, 3]),
    ("Range", &[0, 1, 2]),
    ("ReduceL1", &[1]),
    ("ReduceL2", &[1]),
    ("ReduceLogSum", &[1]),
    ("ReduceLogSumExp", &[1]),
    ("ReduceMax", &[1]),
    ("ReduceMean", &[1]),
    ("ReduceMin", &[1]),
    ("ReduceProd", &[1]),
    ("ReduceSum", &[1]),
    ("ReduceSumSquare", &[1]),
    ("Reshape", &[1]),
    ("Resize", &[1, 2, 3]),
    ("STFT", &[1, 3]),
    ("SequenceAt", &[1]),
    ("SequenceErase", &[1]),
    ("Slice", &[1, 2, 3, 4]),
    ("Split", &[1]),
    ("SplitToSequence", &[1]),
    ("Squeeze", &[1]),
    ("StringSplit", &[0]),
    ("Tile", &[1, 2]),
    ("TopK", &[1]),
    ("Unique", &[0]),
    ("Unsqueeze", &[1]),
    ("Upsample", &[1]),
];

/// Holds every operator of `graph` to it.
///
/// # Errors
/// If a size depends on the row, or the graph is too long or too deep to be followed.
pub fn check(graph: &Graph, functions: &Functions<'_>) -> Result<(), GraphError> {
    let mut from_row: BTreeMap<&str, bool> = BTreeMap::new();
    for tensor in graph.tensors() {
        from_row.insert(&tensor.name, false);
    }
    let mut walk = Walk { functions, left: NODES_MAX };
    walk.nodes(&graph.node, &mut from_row, 0)
}

struct Walk<'a> {
    functions: &'a Functions<'a>,
    /// Operators that may still be visited.
    left: usize,
}

impl Walk<'_> {
    /// `from_row` says of every value that is known by name whether it comes from the row.
    fn nodes<'n>(
        &mut self,
        nodes: &'n [Node],
        from_row: &mut BTreeMap<&'n str, bool>,
        depth: usize,
    ) -> Result<(), GraphError> {
        // The input of the graph, and whatever is used before it is computed.
        let unknown = true;
        for node in nodes {
            self.left = self.left.checked_sub(1).ok_or(GraphError::TooLong)?;
            let comes = |name: &String| {
                !name.is_empty() && from_row.get(name.as_str()).copied().unwrap_or(unknown)
            };
            let inputs: Vec<bool> = node.input.iter().map(comes).collect();
            let call = (node.domain.as_str(), node.op_type.as_str());
            let outputs = match self.functions.get(&call) {
                None => vec![of_operator(node, &inputs)?; node.output.len()],
                Some(function) if depth == DEPTH_MAX => {
                    return Err(GraphError::TooDeep { name: function.name.clone() });
                }
                Some(function) => {
                    let given = inputs.into_iter().chain(std::iter::repeat(false));
                    let names = function.input.iter().map(String::as_str);
                    let mut inside: BTreeMap<&str, bool> = names.zip(given).collect();
                    self.nodes(&function.node, &mut inside, depth + 1)?;
                    let comes = |name: &String| inside.get(name.as_str()).copied();
                    function.output.iter().map(|name| comes(name).unwrap_or(unknown)).collect()
                }
            };
            for (name, comes) in node.output.iter().zip(outputs) {
                // A name that is written twice is refused later; until then the worse counts.
                let before = from_row.get(name.as_str()).copied().unwrap_or(false);
                from_row.insert(name, before || comes);
            }
        }
        Ok(())
    }
}

/// Whether the outputs of an operator come from the row.
fn of_operator(node: &Node, inputs: &[bool]) -> Result<bool, GraphError> {
    let op = node.op_type.as_str();
    let sized = SIZED.iter().find(|(name, _)| *name == op).map_or(&[][..], |(_, inputs)| inputs);
    if sized.iter().any(|&i| inputs.get(i).copied().unwrap_or(false)) {
        return Err(GraphError::Size { op: op.into() });
    }
    Ok(!matches!(op, "Shape" | "Size") && inputs.contains(&true))
}
