//! What an act did, as a row of the table.

use super::*;

/// What an act came to.
#[derive(Default)]
pub struct Row {
    pub lost: u64,
    pub told: f64,
    pub twice: u64,
    pub said: Option<Duration>,
    pub goes_on: Option<Duration>,
    /// How often the guard was killed meanwhile.
    pub kills: u64,
    pub problems: Vec<String>,
    /// It could not be played here: there is no line.
    pub skipped: bool,
}

impl Row {
    /// A line of the table.
    pub fn line(&self, what: &str) -> String {
        let Self { lost, told, twice, said, goes_on, .. } = self;
        let seconds = |time: &Option<Duration>| {
            time.map_or("–".to_owned(), |time| format!("{:.0} s", time.as_secs_f64().ceil()))
        };
        let (said, goes_on) = (seconds(said), seconds(goes_on));
        format!("| {what} | {lost} | {told} | {twice} | {said} | {goes_on} |")
    }
}
