//! A model as an exporter wrote it: its nodes, inputs and outputs, with everything else kept as bytes.
//!
//! Nodes can be put before and after those of the model, and inputs and outputs can be named anew.
//! It does not look into functions: what they contain stays as it is.

use std::collections::HashSet;

use prost::Message as _;

use super::wire::{self, Field, Wire};
use crate::fit::graph::onnx::{Attribute, Node, Tensor, Type, Value, dimension};

/// A model whose graph is open.
pub struct OpenModel<'a> {
    /// Fields of the `ModelProto` beside its graph.
    around: Vec<Field<'a>>,
    /// Fields of the `GraphProto` that are neither nodes, inputs, outputs nor shapes of values.
    rest: Vec<Field<'a>>,
    /// The nodes as they are, and what is read of each.
    nodes: Vec<(Field<'a>, Node)>,
    before: Vec<Node>,
    after: Vec<Node>,
    constants: Vec<Tensor>,
    /// What must be given to it: inputs that no constant stands in for.
    pub inputs: Vec<Value>,
    pub outputs: Vec<Value>,
}

/// Fields of `ModelProto`.
pub mod model_field {
    pub const IR_VERSION: u32 = 1;
    pub const GRAPH: u32 = 7;
    pub const OPSET: u32 = 8;
}

/// Fields of `GraphProto`.
pub mod graph_field {
    pub const NODE: u32 = 1;
    pub const INITIALIZER: u32 = 5;
    pub const INPUT: u32 = 11;
    pub const OUTPUT: u32 = 12;
    pub const VALUE_INFO: u32 = 13;
}

/// From this version of the file format on, a constant needs no input of its name.
const IR_VERSION: u64 = 4;

/// Operators of the standard for a model that uses none of them: what every ONNX Runtime reads.
const OPSET: i64 = 13;

/// One axis of a value's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    Of(usize),
    Any,
}

impl<'a> OpenModel<'a> {
    /// Opens a file; none if it is no ONNX file with a graph.
    pub fn open(onnx: &'a [u8]) -> Option<Self> {
        let around = wire::read(onnx)?;
        let at = around.iter().position(|field| field.tag == model_field::GRAPH)?;
        let mut around = around;
        let Wire::Bytes(graph) = around.remove(at).value else { return None };
        let std::borrow::Cow::Borrowed(graph) = graph else { return None };
        let mut exported = Self {
            around,
            rest: vec![],
            nodes: vec![],
            before: vec![],
            after: vec![],
            constants: vec![],
            inputs: vec![],
            outputs: vec![],
        };
        let mut given = HashSet::new();
        for field in wire::read(graph)? {
            let bytes = field.as_bytes();
            match field.tag {
                graph_field::NODE => {
                    let node = Node::decode(bytes?).ok()?;
                    exported.nodes.push((field, node));
                }
                graph_field::INPUT => exported.inputs.push(Value::decode(bytes?).ok()?),
                graph_field::OUTPUT => exported.outputs.push(Value::decode(bytes?).ok()?),
                graph_field::VALUE_INFO => {}
                tag => {
                    if tag == graph_field::INITIALIZER {
                        given.insert(name_of_tensor(bytes?)?);
                    }
                    exported.rest.push(field);
                }
            }
        }
        exported.inputs.retain(|input| !given.contains(&input.name));
        Some(exported)
    }

    /// The node that computes `value`, if one does.
    pub fn producer(&self, value: &str) -> Option<&Node> {
        self.nodes.iter().map(|(_, node)| node).find(|node| node.output.iter().any(|o| o == value))
    }

    /// Makes every `OneHotEncoder` that fails on a value it does not know give 0 in all of its columns
    /// instead; what it gives for values that it knows stays. Whether there was one.
    pub fn accept_unknown_values(&mut self) -> bool {
        let mut found = false;
        for (field, node) in &mut self.nodes {
            let zeros = node.attribute.iter_mut().find(|attribute| attribute.name == "zeros");
            if let Some(zeros) =
                zeros.filter(|zeros| node.op_type == "OneHotEncoder" && zeros.i == 0)
            {
                zeros.i = 1;
                *field = Field::bytes(graph_field::NODE, node.encode_to_vec());
                found = true;
            }
        }
        found
    }

    /// Puts a node before those of the model; returns the name of its output.
    pub fn before(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
        output: &str,
    ) -> String {
        let name = self.named(output);
        self.before.push(node(op, inputs, attributes, &name));
        name
    }

    /// Puts a node after those of the model; returns the name of its output.
    pub fn after(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
        output: &str,
    ) -> String {
        let name = self.named(output);
        self.after.push(node(op, inputs, attributes, &name));
        name
    }

    /// Adds a constant; returns its name.
    pub fn constant(&mut self, tensor: Tensor) -> String {
        let name = format!("tripline_constant_{}", self.constants.len());
        self.constants.push(Tensor { name: name.clone(), ..tensor });
        name
    }

    /// `output`, or a name that no node of ours has yet.
    fn named(&self, output: &str) -> String {
        match output.is_empty() {
            true => format!("tripline_{}_{}", self.before.len(), self.after.len()),
            false => output.to_owned(),
        }
    }

    /// Takes back what was put after the nodes of the model.
    pub fn forget_after(&mut self) {
        self.after.clear();
    }

    /// The file with one input and these outputs.
    pub fn write(&self, input: &Value, outputs: &[Value]) -> Vec<u8> {
        let message = |tag, bytes: Vec<u8>| Field::bytes(tag, bytes);
        let nodes = |nodes: &[Node]| -> Vec<Field<'a>> {
            nodes.iter().map(|node| message(graph_field::NODE, node.encode_to_vec())).collect()
        };
        let mut graph = nodes(&self.before);
        graph.extend(self.nodes.iter().map(|(field, _)| field.clone()));
        graph.extend(nodes(&self.after));
        graph.extend(self.rest.iter().cloned());
        let constants = self.constants.iter();
        graph.extend(constants.map(|c| message(graph_field::INITIALIZER, c.encode_to_vec())));
        graph.push(message(graph_field::INPUT, input.encode_to_vec()));
        graph.extend(outputs.iter().map(|o| message(graph_field::OUTPUT, o.encode_to_vec())));
        let mut model = vec![];
        for field in &self.around {
            model.push(match (field.tag, &field.value) {
                (model_field::IR_VERSION, Wire::Varint(version)) => {
                    Field::varint(field.tag, IR_VERSION.max(*version))
                }
                _ => field.clone(),
            });
        }
        if !self.uses_the_standard() {
            let opset = crate::fit::graph::onnx::Opset { domain: String::new(), version: OPSET };
            model.push(message(model_field::OPSET, opset.encode_to_vec()));
        }
        model.push(message(model_field::GRAPH, wire::write(&graph)));
        wire::write(&model)
    }

    fn uses_the_standard(&self) -> bool {
        let opsets = self.around.iter().filter(|field| field.tag == model_field::OPSET);
        let mut opsets = opsets
            .filter_map(|field| crate::fit::graph::onnx::Opset::decode(field.as_bytes()?).ok());
        opsets.any(|opset| ["", "ai.onnx"].contains(&opset.domain.as_str()))
    }
}

fn node(op: &str, inputs: &[&str], attribute: Vec<Attribute>, output: &str) -> Node {
    Node {
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: vec![output.into()],
        op_type: op.into(),
        attribute,
        ..Node::default()
    }
}

/// The name in a `TensorProto`, whose numbers are not read.
fn name_of_tensor(tensor: &[u8]) -> Option<String> {
    const NAME: u32 = 8;
    let fields = wire::read(tensor)?;
    let name = fields.iter().rev().find(|field| field.tag == NAME)?;
    Some(std::str::from_utf8(name.as_bytes()?).ok()?.to_owned())
}

/// The type of a tensor's elements and its axes, if they are known; none if it is no tensor.
pub fn tensor_of(value: &Value) -> Option<(i32, Option<Vec<Axis>>)> {
    let Type { tensor_type: Some(tensor) } = value.r#type.as_ref()? else { return None };
    let axes = tensor.shape.as_ref().map(|shape| {
        let axis = |dim: &crate::fit::graph::onnx::Dimension| match dim.value {
            Some(dimension::Value::DimValue(size)) if size > 0 => Axis::Of(size as usize),
            _ => Axis::Any,
        };
        shape.dim.iter().map(axis).collect()
    });
    Some((tensor.elem_type, axes))
}
