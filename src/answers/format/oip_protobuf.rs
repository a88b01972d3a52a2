//! The Open Inference Protocol in Protobuf: `inference.ModelInferResponse`, contents typed or raw.

use super::number::width;
use super::oip_json::is_scores;
use super::{AnswerBody, AnswerFormat, BadAnswer, BodyRow, BodySettings};

/// `oip-protobuf`
#[derive(Debug)]
pub struct OipProtobufAnswer;

/// `inference.ModelInferResponse`, as far as it is read.
#[derive(Clone, PartialEq, prost::Message)]
struct ModelInferResponse {
    #[prost(string, tag = "3")]
    id: String,
    #[prost(message, repeated, tag = "5")]
    outputs: Vec<InferOutputTensor>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    raw_output_contents: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct InferOutputTensor {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    datatype: String,
    #[prost(int64, repeated, tag = "3")]
    shape: Vec<i64>,
    #[prost(message, optional, tag = "5")]
    contents: Option<InferTensorContents>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct InferTensorContents {
    #[prost(int32, repeated, tag = "2")]
    int: Vec<i32>,
    #[prost(int64, repeated, tag = "3")]
    int64: Vec<i64>,
    #[prost(uint32, repeated, tag = "4")]
    uint: Vec<u32>,
    #[prost(uint64, repeated, tag = "5")]
    uint64: Vec<u64>,
    #[prost(float, repeated, tag = "6")]
    fp32: Vec<f32>,
    #[prost(double, repeated, tag = "7")]
    fp64: Vec<f64>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    bytes: Vec<Vec<u8>>,
}

impl AnswerFormat for OipProtobufAnswer {
    fn name(&self) -> &'static str {
        "oip-protobuf"
    }

    fn fits(&self, body: &AnswerBody<'_>) -> bool {
        body.json.is_none()
    }

    fn read(
        &self,
        body: &AnswerBody<'_>,
        settings: &BodySettings,
    ) -> Result<(Option<String>, Vec<BodyRow>), BadAnswer> {
        let read: ModelInferResponse = prost::Message::decode(body.bytes)
            .map_err(|_| BadAnswer("neither JSON nor an OIP response"))?;
        let shape = |tensor: &InferOutputTensor| -> Vec<u64> {
            tensor.shape.iter().map(|&n| u64::try_from(n).unwrap_or(0)).collect()
        };
        let outputs = &read.outputs;
        let chosen = match &settings.output {
            Some(wanted) => outputs.iter().position(|output| output.name == *wanted),
            None => {
                let scores = outputs.iter().position(|output| is_scores(&shape(output)));
                scores.or((!outputs.is_empty()).then_some(0))
            }
        };
        let chosen = chosen.ok_or(BadAnswer("no such output"))?;
        let output = &outputs[chosen];
        let id = (!read.id.is_empty()).then(|| read.id.clone());
        let names = output.contents.as_ref().map(|contents| contents.bytes.as_slice());
        if let Some(names @ [_, ..]) = names {
            let name = |bytes: &Vec<u8>| {
                let name = std::str::from_utf8(bytes).map_err(|_| BadAnswer("no UTF-8"))?;
                BodyRow::of_name(name, settings)
            };
            return Ok((id, names.iter().map(name).collect::<Result<_, _>>()?));
        }
        let raw = read.raw_output_contents.get(chosen).map(Vec::as_slice);
        let values = values(output, raw)?;
        let width = width(&shape(output), values.len())?;
        let rows = values.chunks(width).map(|row| match row {
            [one] => BodyRow::of_label(*one),
            scores => BodyRow::of_scores(scores, settings),
        });
        Ok((id, rows.collect::<Result<_, _>>()?))
    }
}

/// The numbers of an output.
fn values(output: &InferOutputTensor, raw: Option<&[u8]>) -> Result<Vec<f64>, BadAnswer> {
    macro_rules! raw_as {
        ($type:ty, $bytes:expr) => {{
            let each = $bytes.chunks_exact(size_of::<$type>());
            if !each.remainder().is_empty() {
                return Err(BadAnswer("raw contents that end in the middle of a number"));
            }
            let number = |b: &[u8]| <$type>::from_le_bytes(b.try_into().expect("as long")) as f64;
            each.map(number).collect()
        }};
    }
    if let Some(raw) = raw {
        return Ok(match output.datatype.as_str() {
            "FP32" => raw_as!(f32, raw),
            "FP64" => raw_as!(f64, raw),
            "INT32" => raw_as!(i32, raw),
            "INT64" => raw_as!(i64, raw),
            "UINT8" => raw_as!(u8, raw),
            "UINT32" => raw_as!(u32, raw),
            "UINT64" => raw_as!(u64, raw),
            _ => {
                return Err(BadAnswer("raw contents of a datatype that is no label and no score"));
            }
        });
    }
    let contents = output.contents.as_ref().ok_or(BadAnswer("an output without contents"))?;
    let InferTensorContents { int, int64, uint, uint64, fp32, fp64, .. } = contents;
    let each = int.iter().map(|&n| f64::from(n));
    let each = each.chain(int64.iter().map(|&n| n as f64));
    let each = each.chain(uint.iter().map(|&n| f64::from(n)));
    let each = each.chain(uint64.iter().map(|&n| n as f64));
    Ok(each.chain(fp32.iter().map(|&x| f64::from(x))).chain(fp64.iter().copied()).collect())
}
