//! What a network may be made of, decided before ONNX Runtime sees it.
//!
//! A bundle may come from somebody who wants to stall the guard. So a network is a fixed number of
//! operators, each with a size that follows from its constants and the number of rows: no loops and
//! no branches, nothing drawn, no data in other files, no size that a row's *values* decide
//! (`sizes.rs`). What such a network needs for one row, it needs for every row; a trial under limits
//! (`shell/trial.rs`) then measures the rest: how long it takes and how much memory.
//!
//! It cannot see what a constant size costs (40 GB of zeros are one operator), nor an operator of the
//! standard that is slow for rare numbers.

mod proto;
mod sizes;

use std::collections::BTreeMap;

use prost::Message;

use self::proto::{Function, Graph, Model, Node, SparseTensor, Tensor};

/// Whose network it is: what it may be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// One of the guard's own: operators of the ONNX standard, no functions.
    Standard,
    /// The protected model, in whatever a common exporter writes: functions, trees of `ai.onnx.ml`,
    /// fused and quantized operators of ONNX Runtime.
    Exported,
}

/// Why a network is refused. The words follow the network's name.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum GraphError {
    #[error("is no ONNX file: {0}")]
    NotOnnx(prost::DecodeError),
    #[error("is in ONNX Runtime's own format, which cannot be checked; export it as .onnx")]
    OrtFormat,
    #[error("is an ONNX file without a graph: export it again")]
    NoGraph,
    #[error(
        "uses {op} of the domain {domain:?}; export it with operators of the ONNX standard only"
    )]
    Domain { op: String, domain: String },
    #[error("uses {op}, which {why}; {advice}")]
    Operator { op: String, why: &'static str, advice: &'static str },
    #[error("keeps the tensor {tensor:?} in another file; export it into one file")]
    External { tensor: String },
    #[error("has the tensor {tensor:?} of {dims:?} numbers; {NUMBERS_MAX} are the most")]
    TooLarge { tensor: String, dims: Vec<i64> },
    #[error(
        "has more than {NODES_MAX} operators, those of its functions counted where they are used"
    )]
    TooLong,
    #[error("calls functions within functions more than {DEPTH_MAX} deep, {name:?} among them")]
    TooDeep { name: String },
    #[error("has the function {name:?} of the domain {domain:?} {why}")]
    Function { name: String, domain: String, why: &'static str },
    #[error("says how to train it; export it in inference mode")]
    Training,
    #[error(
        "uses {op}, whose size here depends on the numbers in a row: one record could cost more than \
         any that was tried; export it with sizes that are constant"
    )]
    Size { op: String },
}

/// Operators whose output is drawn, not computed.
const RANDOM: [&str; 6] = [
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
];

/// Operators that run other graphs.
const CONTROL: [&str; 4] = ["If", "Loop", "Scan", "SequenceMap"];

/// Fused and quantized operators that ONNX Runtime writes into an optimized model. All have the size
/// that their inputs have.
const FUSED: [&str; 32] = [
    "Attention",
    "BiasGelu",
    "BiasSoftmax",
    "BiasSplitGelu",
    "ConvTransposeWithDynamicPads",
    "DequantizeLinear",
    "DynamicQuantizeMatMul",
    "EmbedLayerNormalization",
    "FastGelu",
    "FusedConv",
    "FusedGemm",
    "FusedMatMul",
    "FusedMatMulActivation",
    "Gelu",
    "MatMulInteger16",
    "MatMulIntegerToFloat",
    "MatMulNBits",
    "MultiHeadAttention",
    "NhwcMaxPool",
    "QAttention",
    "QGemm",
    "QLinearAdd",
    "QLinearAveragePool",
    "QLinearConcat",
    "QLinearConv",
    "QLinearGlobalAveragePool",
    "QLinearLeakyRelu",
    "QLinearMul",
    "QLinearSigmoid",
    "QLinearSoftmax",
    "QuantizeLinear",
    "QuickGelu",
];

const STANDARD: [&str; 2] = ["", "ai.onnx"];
const TREES: &str = "ai.onnx.ml";
const RUNTIME: &str = "com.microsoft";

/// Operators of a network: more than ten times those of the largest classifier we met.
const NODES_MAX: usize = 50_000;
/// Functions within functions.
const DEPTH_MAX: usize = 32;
/// Numbers in one tensor of the file: 1 GiB of `f32`.
const NUMBERS_MAX: u64 = 1 << 28;

/// Holds `onnx` to all of the above.
///
/// # Errors
/// The first thing that it has or does and may not.
pub fn check(onnx: &[u8], vocabulary: Vocabulary) -> Result<(), GraphError> {
    // ONNX Runtime looks for these bytes and then reads another format than the one checked here.
    if onnx.get(4..8) == Some(b"ORTM") {
        return Err(GraphError::OrtFormat);
    }
    let model = Model::decode(onnx).map_err(GraphError::NotOnnx)?;
    let graph = model.graph.as_ref().ok_or(GraphError::NoGraph)?;
    if !model.training_info.is_empty() {
        return Err(GraphError::Training);
    }
    let functions = functions(&model.functions, vocabulary)?;
    graph.check(&functions, vocabulary)?;
    for function in functions.values() {
        nodes(&function.node, &[], &functions, vocabulary)?;
    }
    sizes::check(graph, &functions)
}

type Functions<'a> = BTreeMap<(&'a str, &'a str), &'a Function>;

/// Functions by domain and name, each of which means one thing.
fn functions(all: &[Function], vocabulary: Vocabulary) -> Result<Functions<'_>, GraphError> {
    let mut functions = Functions::new();
    for function in all {
        let Function { name, domain, overload, .. } = function;
        let wrong = |why| {
            let (name, domain) = (name.clone(), domain.clone());
            Err(GraphError::Function { name, domain, why })
        };
        if vocabulary == Vocabulary::Standard {
            let (op, domain) = (name.clone(), domain.clone());
            return Err(GraphError::Domain { op, domain });
        }
        if STANDARD.contains(&domain.as_str()) || [TREES, RUNTIME].contains(&domain.as_str()) {
            return wrong("where an operator could have that name");
        }
        if !overload.is_empty() || functions.insert((domain, name), function).is_some() {
            return wrong("more than once");
        }
    }
    Ok(functions)
}

impl Graph {
    fn check(&self, functions: &Functions<'_>, vocabulary: Vocabulary) -> Result<(), GraphError> {
        self.tensors().try_for_each(Tensor::check)?;
        self.sparse_initializer.iter().try_for_each(SparseTensor::check)?;
        nodes(&self.node, &self.initializer, functions, vocabulary)
    }
}

/// Holds `nodes`, which may use `constants`, to everything but sizes.
fn nodes(
    nodes: &[Node],
    constants: &[Tensor],
    functions: &Functions<'_>,
    vocabulary: Vocabulary,
) -> Result<(), GraphError> {
    let is_false = |name: &String| {
        let made = nodes.iter().filter(|node| node.op_type == "Constant");
        let made = made.filter(|node| node.output.contains(name));
        let made = made.flat_map(|node| &node.attribute).filter_map(|a| a.t.as_ref());
        let given = constants.iter().filter(|tensor| tensor.name == *name);
        made.chain(given).next().is_some_and(Tensor::is_false)
    };
    for node in nodes {
        node.check(functions, vocabulary)?;
        // Its third input asks whether it is in training, and then it is random.
        let mode = node.input.get(2).filter(|name| !name.is_empty());
        if node.op_type == "Dropout" && mode.is_some_and(|name| !is_false(name)) {
            return Err(drawn("Dropout"));
        }
    }
    Ok(())
}

impl Node {
    fn check(&self, functions: &Functions<'_>, vocabulary: Vocabulary) -> Result<(), GraphError> {
        let (op, domain) = (self.op_type.as_str(), self.domain.as_str());
        let known = match (domain, vocabulary) {
            (domain, _) if STANDARD.contains(&domain) => true,
            (_, Vocabulary::Standard) => false,
            (TREES, Vocabulary::Exported) => true,
            (RUNTIME, Vocabulary::Exported) => FUSED.contains(&op),
            (domain, Vocabulary::Exported) => functions.contains_key(&(domain, op)),
        };
        if !known {
            return Err(GraphError::Domain { op: op.into(), domain: domain.into() });
        }
        if RANDOM.contains(&op) {
            return Err(drawn(op));
        }
        let branches = self.attribute.iter().any(|a| a.g.is_some() || !a.graphs.is_empty());
        if branches || CONTROL.contains(&op) {
            let why = "runs another graph: what it costs depends on the row";
            let advice = "export it without branches and loops";
            return Err(GraphError::Operator { op: op.into(), why, advice });
        }
        for attribute in &self.attribute {
            attribute.tensors().try_for_each(Tensor::check)?;
            attribute.sparse().try_for_each(SparseTensor::check)?;
        }
        Ok(())
    }
}

fn drawn(op: &str) -> GraphError {
    let (why, advice) = ("is drawn, not computed", "export it in inference mode");
    GraphError::Operator { op: op.into(), why, advice }
}

impl Tensor {
    fn check(&self) -> Result<(), GraphError> {
        // Any other place than the default: of a place that is named twice a reader in C++ may
        // remember the first.
        if self.data_location != 0 || !self.external_data.is_empty() {
            return Err(GraphError::External { tensor: self.name.clone() });
        }
        check_dims(&self.name, &self.dims)
    }
}

impl SparseTensor {
    /// It is unpacked where it is used.
    fn check(&self) -> Result<(), GraphError> {
        let name = self.values.as_ref().map_or("", |values| &values.name);
        check_dims(name, &self.dims)
    }
}

fn check_dims(name: &str, dims: &[i64]) -> Result<(), GraphError> {
    let size = |&dim: &i64| u64::try_from(dim).ok();
    let numbers = dims.iter().map(size).try_fold(1_u64, |n, d| n.checked_mul(d?));
    match numbers {
        Some(numbers) if numbers <= NUMBERS_MAX => Ok(()),
        _ => Err(GraphError::TooLarge { tensor: name.into(), dims: dims.to_vec() }),
    }
}

#[cfg(test)]
mod tests;
