//! KServe's V1 protocol: `{"predictions": [3, …]}`, or scores of each label.

use serde_json::Value;

use super::number::row;
use super::{AnswerBody, AnswerFormat, BadAnswer, BodyRow, BodySettings};

/// `kserve-v1`
#[derive(Debug)]
pub struct KserveV1Answer;

impl AnswerFormat for KserveV1Answer {
    fn name(&self) -> &'static str {
        "kserve-v1"
    }

    fn fits(&self, body: &AnswerBody<'_>) -> bool {
        body.member("predictions").is_some()
    }

    fn read(
        &self,
        body: &AnswerBody<'_>,
        settings: &BodySettings,
    ) -> Result<(Option<String>, Vec<BodyRow>), BadAnswer> {
        let predictions = body.member("predictions").and_then(Value::as_array);
        let predictions = predictions.ok_or(BadAnswer("no predictions"))?;
        let rows = predictions.iter().map(|value| row(value, settings));
        let id = body.member("id").and_then(Value::as_str).map(str::to_owned);
        Ok((id, rows.collect::<Result<_, _>>()?))
    }
}
