//! The page from its title to its notes.

use std::fmt::Write;

use super::chart::Curve;
use super::text::{Text, count};
use super::{card, chart};
use crate::fit::evaluate::measure::Measure;
use crate::fit::evaluate::report::{area, areas, percent, percents};
use crate::fit::evaluate::sample::Sample;
use crate::fit::evaluate::specimen::Specimen;
use crate::fit::evaluate::suspects::{Report, Suspect};
use crate::math::Corner;
use crate::record::Action;

/// Nothing may be fetched and nothing may run, whatever stands in the page.
pub(in crate::fit) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

pub(in crate::fit) const STYLE: &str = include_str!("style.css");

/// The page.
pub fn page(report: &Report) -> String {
    let Report { bundle, digest, budget, .. } = report;
    let (name, digest) = (Text(bundle), Text(&digest[..16]));
    let mut html = format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>Evaluation of {name}</title><style>{STYLE}</style></head><body>"#
    );
    let _ = write!(
        html,
        r#"<h1>What {name} tells apart</h1><p class="faint">Bundle <code>{digest}</code>, at a budget of {budget}: the share of clean records that may be flagged. Every row went the way of a stream's records.</p>"#
    );
    summary(&mut html, report);
    for (i, suspect) in report.suspects.iter().enumerate() {
        section(&mut html, report, suspect, i);
    }
    let false_flags: Vec<_> =
        report.clean.highest.iter().filter(|s| s.action != Action::Pass).collect();
    let title = match false_flags.len() {
        0 => "No clean row was flagged".to_owned(),
        _ => "Clean rows that were flagged, the most suspicious first".to_owned(),
    };
    let _ = write!(html, "<h2>False flags</h2>");
    cards(&mut html, report, &title, &false_flags);
    notes(&mut html);
    html.push_str("</body></html>\n");
    html
}

/// One line per file.
fn summary(html: &mut String, report: &Report) {
    let (low, high) = report.clean.flagged_expected;
    let sample = &report.clean.sample;
    let models = report.knows_answers();
    html.push_str(r#"<div class="scroll"><table><tr><th>file</th><th>rows</th><th>flagged</th><th>AUROC</th><th>average<br>precision</th><th>TPR at<br>1% FPR</th><th>TPR at<br>0.1% FPR</th>"#);
    if models {
        html.push_str("<th>model right<br>before</th><th>if all were<br>corrected</th><th>as<br>delivered</th><th>held<br>back</th>");
    }
    html.push_str("</tr><tr><td><b>clean</b></td>");
    let _ = write!(html, "<td>{}</td>", count(sample.n));
    flagged(html, sample);
    html.push_str("<td></td><td></td><td></td><td></td>");
    answers(html, sample, models);
    html.push_str("</tr>");
    for (i, suspect) in report.suspects.iter().enumerate() {
        let _ = write!(
            html,
            r##"<tr><td><a href="#s{i}"><b>{}</b></a></td><td>{}</td>"##,
            Text(&suspect.name),
            count(suspect.sample.n)
        );
        flagged(html, &suspect.sample);
        measures(html, &suspect.merged);
        answers(html, &suspect.sample, models);
        html.push_str("</tr>");
    }
    let _ = write!(
        html,
        r#"<caption>Small print below a number: its 95% interval. Clean: <code>{}</code>; a sound guard flags {low} to {high} of them in 99 of 100 fits.</caption></table></div>"#,
        Text(&sample.rows)
    );
    if sample.flagged > high {
        html.push_str(r#"<p class="warning">More clean rows are flagged than chance explains: they are not like those of the calibration.</p>"#);
    }
    let unread = &report.clean.unread;
    if !unread.is_empty() {
        let _ = write!(html, r#"<p class="small faint">Not read: {}</p>"#, Text(unread.join(", ")));
    }
}

/// Everything about one suspect.
fn section(html: &mut String, report: &Report, suspect: &Suspect, i: usize) {
    let Suspect { name, sample, .. } = suspect;
    let _ = write!(
        html,
        r#"<h2 id="s{i}">{}</h2><p class="faint">{} rows of <code>{}</code></p>"#,
        Text(name),
        count(sample.n),
        Text(&sample.rows)
    );
    if !sample.refused.is_empty() {
        let each = sample.refused.iter().map(|(fault, n)| format!("{} {fault}", count(*n)));
        let each = each.collect::<Vec<_>>().join(", ");
        let _ =
            write!(html, r#"<p class="small">Refused, and so dead letters: {}</p>"#, Text(each));
    }
    charts(html, report, suspect);
    let _ = write!(
        html,
        r#"<div class="scroll"><table><tr><th>score</th><th>AUROC</th><th>average precision</th><th>TPR at 1% FPR</th><th>TPR at 0.1% FPR</th></tr><tr class="merged"><td>merged</td>"#
    );
    measures(html, &suspect.merged);
    html.push_str("</tr>");
    for (kind, measure) in &suspect.detectors {
        let _ = write!(html, "<tr><td>{}</td>", Text(kind));
        measures(html, measure);
        html.push_str("</tr>");
    }
    html.push_str("</table></div>");
    let missed: Vec<_> = suspect.lowest.iter().filter(|s| s.action == Action::Pass).collect();
    let title = match sample.scored() - sample.flagged {
        0 => "Every row was flagged".to_owned(),
        n => format!("Not flagged: {} rows, the least suspicious first", count(n)),
    };
    cards(html, report, &title, &missed);
    let flagged: Vec<_> = suspect.highest.iter().filter(|s| s.action != Action::Pass).collect();
    if !flagged.is_empty() {
        cards(html, report, "Flagged, the most suspicious first", &flagged);
    }
}

fn charts(html: &mut String, report: &Report, suspect: &Suspect) {
    let kinds = suspect.detectors.iter().map(|(kind, _)| kind.as_str());
    let names: Vec<_> =
        std::iter::once(("merged", None)).chain(kinds.zip((0..).map(Some))).collect();
    let curves: Vec<_> = names
        .iter()
        .zip(&report.clean.scores)
        .zip(&suspect.scores)
        .map(|((&(name, colour), clean), suspects)| Curve { name, colour, clean, suspects })
        .collect();
    let at = Corner { fpr: report.clean.sample.flagged_share, tpr: suspect.sample.flagged_share };
    let roc = chart::roc_chart(&curves, report.budget.get(), at);
    let bars = chart::histogram(&report.clean.scores[0], &suspect.scores[0], report.threshold);
    let mut legend = String::new();
    for (name, colour) in names {
        let class =
            colour.map_or("merged-key".to_owned(), |colour: usize| format!("c{}", colour % 8));
        let _ = write!(legend, r#"<span><i class="{class}"></i>{}</span>"#, Text(name));
    }
    let _ = write!(
        html,
        r#"<div class="charts"><figure class="chart"><b>Flagged suspects against flagged clean rows</b>{roc}<p class="legend">{legend}<span><i class="dash"></i>budget; the dot is where this guard stands</span></p></figure><figure class="chart"><b>Merged scores</b>{bars}<p class="legend"><span><i class="clean-key"></i>clean</span><span><i class="suspect-key"></i>{}</span><span><i class="dash"></i>flagged from here</span></p></figure></div><br>"#,
        Text(&suspect.name)
    );
}

fn cards(html: &mut String, report: &Report, title: &str, all: &[&Specimen]) {
    let _ = write!(html, r#"<h3>{}</h3><div class="cards">"#, Text(title));
    for specimen in all {
        html.push_str(&card::card(specimen, &report.schema, &report.kinds));
    }
    html.push_str("</div>");
}

fn flagged(html: &mut String, sample: &Sample) {
    cell(html, percent(sample.flagged_share), percents(sample.flagged_interval));
}

fn measures(html: &mut String, measure: &Measure) {
    cell(html, area(measure.auroc), areas(measure.auroc_interval));
    cell(html, area(measure.ap), areas(measure.ap_interval));
    cell(html, percent(measure.tpr_at_1pct), percents(measure.tpr_at_1pct_interval));
    cell(html, percent(measure.tpr_at_01pct), percents(measure.tpr_at_01pct_interval));
}

fn cell(html: &mut String, number: String, interval: String) {
    let _ = write!(html, "<td>{number}<small>{interval}</small></td>");
}

fn answers(html: &mut String, sample: &Sample, known: bool) {
    if !known {
        return;
    }
    let accuracy = sample.accuracy;
    for share in [accuracy.before, accuracy.if_all_corrected, accuracy.delivered] {
        let _ = write!(html, "<td>{}</td>", share.map_or("–".to_owned(), percent));
    }
    let _ = write!(html, "<td>{}</td>", percent(sample.held_back_share));
}

/// What the numbers mean, and what they cannot say.
fn notes(html: &mut String) {
    html.push_str(r#"<h2>How to read this</h2><ul class="small">
<li><b>Flagged</b> is what the guard does: p at or below the budget, calibrated before it saw these files. <b>TPR at 1%</b> is what a threshold read off the clean rows here would give: at most 1% of them exceed it, and what equals it is not flagged. With fewer clean rows than 100, or 1,000 for 0.1%, none may exceed it.</li>
<li><b>Average precision</b> depends on how many rows there are of either kind; compare it only between files of one size.</li>
<li><b>Intervals</b>: Wilson's for shares, with the threshold taken as given; Newcombe's method 5 for AUROC; for average precision Wilson's with the suspects as its rows. They know the number of rows and nothing else: copies of one attack count as many.</li>
<li><b>As delivered</b> counts rows that passed or were corrected; what is held back reaches no model and is told beside it.</li>
<li><b>Why</b> is where the detector with the largest share of the merged score looks, each picture scaled to its own largest part.</li>
<li>An attacker who holds the bundle gets around any of these detectors; rows that fit or calibrated the bundle flatter it.</li>
</ul>"#);
}
