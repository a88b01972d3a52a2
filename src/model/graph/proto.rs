//! The parts of `onnx.proto3` that the check asks about; the rest is skipped. Nested messages are
//! read to a depth of 100 and no further.

use prost::Message;

/// `ModelProto`
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    /// `TrainingInfoProto`s, of which only the presence counts.
    #[prost(message, repeated, tag = "20")]
    pub training_info: Vec<()>,
    #[prost(message, repeated, tag = "25")]
    pub functions: Vec<Function>,
}

/// `FunctionProto`
#[derive(Clone, PartialEq, Message)]
pub struct Function {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, repeated, tag = "4")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    pub output: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    pub node: Vec<Node>,
    #[prost(string, tag = "10")]
    pub domain: String,
    #[prost(string, tag = "13")]
    pub overload: String,
}

/// `GraphProto`
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "15")]
    pub sparse_initializer: Vec<SparseTensor>,
}

/// `NodeProto`
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// `AttributeProto`
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(message, optional, tag = "5")]
    pub t: Option<Tensor>,
    #[prost(message, optional, tag = "6")]
    pub g: Option<Graph>,
    #[prost(message, repeated, tag = "10")]
    pub tensors: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub graphs: Vec<Graph>,
    #[prost(message, optional, tag = "22")]
    pub sparse_tensor: Option<SparseTensor>,
    #[prost(message, repeated, tag = "23")]
    pub sparse_tensors: Vec<SparseTensor>,
}

/// `SparseTensorProto`
#[derive(Clone, PartialEq, Message)]
pub struct SparseTensor {
    #[prost(message, optional, tag = "1")]
    pub values: Option<Tensor>,
    #[prost(message, optional, tag = "2")]
    pub indices: Option<Tensor>,
    #[prost(int64, repeated, tag = "3")]
    pub dims: Vec<i64>,
}

/// `TensorProto`
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    /// `StringStringEntryProto`s, of which only the presence counts.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<()>,
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

impl Graph {
    /// Every tensor that is not in a node.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.initializer.iter().chain(self.sparse_initializer.iter().flat_map(SparseTensor::parts))
    }
}

impl Attribute {
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.t.iter().chain(&self.tensors).chain(self.sparse().flat_map(SparseTensor::parts))
    }

    pub fn sparse(&self) -> impl Iterator<Item = &SparseTensor> {
        self.sparse_tensor.iter().chain(&self.sparse_tensors)
    }
}

impl SparseTensor {
    fn parts(&self) -> impl Iterator<Item = &Tensor> {
        self.values.iter().chain(&self.indices)
    }
}

impl Tensor {
    /// Whether it is the one truth value `false`.
    pub fn is_false(&self) -> bool {
        self.int32_data == [0] && self.raw_data.is_empty()
            || self.raw_data == [0] && self.int32_data.is_empty()
    }
}
