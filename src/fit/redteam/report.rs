//! What a person reads of an attack on a bundle.

use std::fmt;

use serde::Serialize;

use crate::record::Probability;

/// What the attacks achieved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub bundle: String,
    pub digest: String,
    pub budget: Probability,
    /// Rows attacked.
    pub rows: usize,
    pub steps: usize,
    pub restarts: usize,
    /// Detectors without a gradient: adaptive attacks go around them blindly.
    pub unseen: Vec<String>,
    pub attacks: Vec<Line>,
}

/// One attack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    pub attack: &'static str,
    /// `None` where the attack looks for the least change by itself.
    pub strength: Option<f32>,
    pub on_support: bool,
    /// Share of the rows whose answer is wrong afterwards.
    pub fooled: f64,
    /// Share of the rows whose answer is wrong and that are not flagged.
    pub passed: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bundle, digest, budget, rows, steps, restarts, .. } = self;
        writeln!(f, "attacks on {bundle} ({}), budget {budget}", &digest[..16])?;
        writeln!(f, "  {rows} rows that the model has right and the guard passes; {steps} steps")?;
        write!(f, "\n  attack                      strength   fooled  passed")?;
        for Line { attack, strength, on_support, fooled, passed } in &self.attacks {
            let name = format!("{attack}{}", if *on_support { ", on support" } else { "" });
            let strength = strength.map_or("-".into(), |strength| format!("{strength}"));
            let (fooled, passed) = (100.0 * fooled, 100.0 * passed);
            write!(f, "\n  {name:27} {strength:>8}  {fooled:>6.1}%  {passed:>5.1}%")?;
        }
        write!(
            f,
            "\n\n  adaptive: climbs through the whole bundle, best of {} tries a row. Passed: the model \
             is wrong and\n  nothing is flagged. Attacks with more steps pass more; keep bundles like \
             secrets.",
            3 * restarts
        )?;
        if !self.unseen.is_empty() {
            write!(f, "\n  without a gradient, not climbed: {}", self.unseen.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_fools_the_model_and_what_passes_the_guard_too() {
        let line = |attack, strength, on_support, fooled, passed| Line {
            attack,
            strength,
            on_support,
            fooled,
            passed,
        };
        let report = Report {
            bundle: "images".into(),
            digest: "0123456789abcdef0123".into(),
            budget: "1%".parse().unwrap(),
            rows: 100,
            steps: 50,
            restarts: 2,
            unseen: vec!["range".into()],
            attacks: vec![
                line("PGD", Some(0.05), false, 0.99, 0.01),
                line("adaptive", Some(0.05), true, 0.9, 0.625),
                line("C&W", None, false, 1.0, 0.2),
            ],
        };
        insta::assert_snapshot!(report);
    }
}
