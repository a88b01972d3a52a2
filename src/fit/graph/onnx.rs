//! The messages of `onnx.proto3` that we read and write, by hand: no `protoc`, no build script.
//!
//! Fields that nobody here asks about are skipped when read and absent when written; the tags are
//! ONNX's own.

use prost::Message;

/// `TensorProto.DataType`
pub const FLOAT: i32 = 1;
pub const UINT8: i32 = 2;
pub const INT8: i32 = 3;
pub const UINT16: i32 = 4;
pub const INT16: i32 = 5;
pub const INT32: i32 = 6;
pub const INT64: i32 = 7;
pub const TEXT: i32 = 8;
pub const BOOL: i32 = 9;
pub const FLOAT16: i32 = 10;
pub const DOUBLE: i32 = 11;
pub const UINT32: i32 = 12;
pub const UINT64: i32 = 13;
pub const BFLOAT16: i32 = 16;

/// `AttributeProto.AttributeType`
pub const FLOAT_ATTRIBUTE: i32 = 1;
pub const INT: i32 = 2;
pub const STRING: i32 = 3;
#[cfg(test)]
pub const FLOATS: i32 = 6;
pub const INTS: i32 = 7;
#[cfg(test)]
pub const STRINGS: i32 = 8;

/// `ModelProto`
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    #[prost(string, tag = "2")]
    pub producer_name: String,
    #[prost(string, tag = "3")]
    pub producer_version: String,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<Opset>,
}

/// `OperatorSetIdProto`
#[derive(Clone, PartialEq, Message)]
pub struct Opset {
    #[prost(string, tag = "1")]
    pub domain: String,
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// `GraphProto`
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<Value>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<Value>,
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
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(float, tag = "2")]
    pub f: f32,
    #[prost(int64, tag = "3")]
    pub i: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub s: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    pub t: Option<Tensor>,
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub strings: Vec<Vec<u8>>,
    #[prost(int32, tag = "20")]
    pub kind: i32,
}

/// `TensorProto`
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_data: Vec<Vec<u8>>,
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub name: String,
    /// Little-endian, row-major.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
}

/// `ValueInfoProto`
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<Type>,
}

/// `TypeProto`
#[derive(Clone, PartialEq, Message)]
pub struct Type {
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorType>,
}

/// `TypeProto.Tensor`
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

/// `TensorShapeProto`
#[derive(Clone, PartialEq, Message)]
pub struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// `TensorShapeProto.Dimension`
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    #[prost(oneof = "dimension::Value", tags = "1, 2")]
    pub value: Option<dimension::Value>,
}

pub mod dimension {
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Value {
        #[prost(int64, tag = "1")]
        DimValue(i64),
        #[prost(string, tag = "2")]
        DimParam(String),
    }
}

impl Tensor {
    /// `f32` numbers, row-major.
    pub fn of(name: &str, dims: &[usize], values: impl Iterator<Item = f32>) -> Self {
        Self {
            dims: dims.iter().map(|&size| size as i64).collect(),
            data_type: FLOAT,
            name: name.into(),
            raw_data: values.flat_map(f32::to_le_bytes).collect(),
            ..Self::default()
        }
    }

    /// Whole numbers in one dimension: shapes and axes.
    pub fn of_ints(name: &str, values: &[i64]) -> Self {
        Self {
            dims: vec![values.len() as i64],
            data_type: INT64,
            name: name.into(),
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            ..Self::default()
        }
    }

    /// Words in one dimension.
    pub fn of_words(name: &str, words: &[String]) -> Self {
        Self {
            dims: vec![words.len() as i64],
            data_type: TEXT,
            name: name.into(),
            string_data: words.iter().map(|word| word.clone().into_bytes()).collect(),
            ..Self::default()
        }
    }

    /// Its numbers, row-major; `None` if it holds no numbers that we read, or not as many as its
    /// dimensions say.
    pub fn numbers(&self) -> Option<Numbers> {
        let raw = &self.raw_data;
        let numbers = match self.data_type {
            FLOAT if raw.is_empty() => Numbers::Floats(self.float_data.clone()),
            FLOAT => Numbers::Floats(of_bytes(raw, f32::from_le_bytes)),
            DOUBLE if raw.is_empty() => {
                Numbers::Floats(self.double_data.iter().map(|&v| v as f32).collect())
            }
            DOUBLE => Numbers::Floats(
                of_bytes(raw, f64::from_le_bytes).into_iter().map(|v| v as f32).collect(),
            ),
            INT64 if raw.is_empty() => Numbers::Ints(self.int64_data.clone()),
            INT64 => Numbers::Ints(of_bytes(raw, i64::from_le_bytes)),
            INT32 if raw.is_empty() => {
                Numbers::Ints(self.int32_data.iter().map(|&v| v.into()).collect())
            }
            INT32 => Numbers::Ints(
                of_bytes(raw, i32::from_le_bytes).into_iter().map(i64::from).collect(),
            ),
            _ => return None,
        };
        let size = |&dim: &i64| usize::try_from(dim).ok();
        let promised = self.dims.iter().map(size).try_fold(1_usize, |n, d| n.checked_mul(d?))?;
        (numbers.len() == promised).then_some(numbers)
    }
}

/// What a tensor holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    Floats(Vec<f32>),
    Ints(Vec<i64>),
}

impl Numbers {
    fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Ints(values) => values.len(),
        }
    }
}

fn of_bytes<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.chunks_exact(N).map(|bytes| read(bytes.try_into().expect("N bytes"))).collect()
}

/// A tensor of `elem_type` whose first axis is the rows, `axes` the others; of any shape without them.
pub fn tensor_value(
    name: &str,
    elem_type: i32,
    rows: Option<i64>,
    axes: Option<&[usize]>,
) -> Value {
    let rows = match rows {
        Some(rows) => dimension::Value::DimValue(rows),
        None => dimension::Value::DimParam("n".into()),
    };
    let shape = axes.map(|axes| {
        let axes = axes.iter().map(|&size| dimension::Value::DimValue(size as i64));
        let dim = std::iter::once(rows).chain(axes);
        Shape { dim: dim.map(|value| Dimension { value: Some(value) }).collect() }
    });
    let tensor_type = Some(TensorType { elem_type, shape });
    Value { name: name.into(), r#type: Some(Type { tensor_type }) }
}

/// A value of any number of rows, `width` wide.
pub fn rows_of(name: &str, width: usize) -> Value {
    tensor_value(name, FLOAT, None, Some(&[width]))
}
