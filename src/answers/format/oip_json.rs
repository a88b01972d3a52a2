//! The Open Inference Protocol (KServe V2) in JSON: `{"id": …, "outputs": [{"name", "shape", "datatype", "data"}]}`.

use serde_json::Value;

use super::number::rows_of_shape;
use super::{AnswerBody, AnswerFormat, BadAnswer, BodyRow, BodySettings};

/// `oip-json`
#[derive(Debug)]
pub struct OipJsonAnswer;

impl AnswerFormat for OipJsonAnswer {
    fn name(&self) -> &'static str {
        "oip-json"
    }

    fn fits(&self, body: &AnswerBody<'_>) -> bool {
        body.member("outputs").is_some()
    }

    fn read(
        &self,
        body: &AnswerBody<'_>,
        settings: &BodySettings,
    ) -> Result<(Option<String>, Vec<BodyRow>), BadAnswer> {
        let outputs = body.member("outputs").and_then(Value::as_array);
        let outputs = outputs.ok_or(BadAnswer("no outputs"))?;
        let name = |output: &Value| output.get("name").and_then(Value::as_str).map(str::to_owned);
        // Scores say more than a label does.
        let has_scores = |output: &&Value| is_scores(&shape(output));
        let output = match &settings.output {
            Some(wanted) => outputs.iter().find(|output| name(output).as_ref() == Some(wanted)),
            None => outputs.iter().find(has_scores).or(outputs.first()),
        };
        let output = output.ok_or(BadAnswer("no such output"))?;
        let data = output.get("data").and_then(Value::as_array);
        let data = data.ok_or(BadAnswer("an output without data in JSON"))?;
        let id = body.member("id").and_then(Value::as_str).map(str::to_owned);
        Ok((id, rows_of_shape(data, &shape(output), settings)?))
    }
}

pub(super) fn shape(tensor: &Value) -> Vec<u64> {
    let each = tensor.get("shape").and_then(Value::as_array);
    each.map(|each| each.iter().map(|n| n.as_u64().unwrap_or(0)).collect()).unwrap_or_default()
}

/// Whether a row of this shape has several values.
pub(super) fn is_scores(shape: &[u64]) -> bool {
    shape.len() >= 2 && shape[1..].iter().any(|&n| n > 1)
}
