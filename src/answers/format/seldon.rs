//! Seldon Core 1: `{"data": {"ndarray": […]}}` or `{"data": {"tensor": {"shape": […], "values": […]}}}`.

use serde_json::Value;

use super::number::{row, rows_of_shape};
use super::oip_json::shape;
use super::{AnswerBody, AnswerFormat, BadAnswer, BodyRow, BodySettings};

/// `seldon`
#[derive(Debug)]
pub struct SeldonAnswer;

impl AnswerFormat for SeldonAnswer {
    fn name(&self) -> &'static str {
        "seldon"
    }

    fn fits(&self, body: &AnswerBody<'_>) -> bool {
        let data = body.member("data");
        data.is_some_and(|data| data.get("ndarray").is_some() || data.get("tensor").is_some())
    }

    fn read(
        &self,
        body: &AnswerBody<'_>,
        settings: &BodySettings,
    ) -> Result<(Option<String>, Vec<BodyRow>), BadAnswer> {
        let data = body.member("data").ok_or(BadAnswer("no data"))?;
        let puid = body.member("meta").and_then(|meta| meta.get("puid"));
        let id = puid.and_then(Value::as_str).map(str::to_owned);
        if let Some(each) = data.get("ndarray").and_then(Value::as_array) {
            let rows: Result<_, _> = each.iter().map(|value| row(value, settings)).collect();
            return Ok((id, rows?));
        }
        let tensor = data.get("tensor").ok_or(BadAnswer("neither ndarray nor tensor"))?;
        let values = tensor.get("values").and_then(Value::as_array);
        let values = values.ok_or(BadAnswer("a tensor without values"))?;
        Ok((id, rows_of_shape(values, &shape(tensor), settings)?))
    }
}
