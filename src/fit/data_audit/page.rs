//! What an audit found as one page that needs nothing else: no script, no font, no picture from elsewhere.
//!
//! It shows rows: keep it where the rows may be kept.

use std::fmt::Write;

use ndarray::ArrayView1;

use super::shared::Group;
use super::{Report, Rows};
use crate::fit::evaluate::html::{POLICY, STYLE, Text, count, png};
use crate::record::Feature;

/// Rows that are shown of each group.
const SHOWN: usize = 12;

/// The page.
pub fn page(report: &Report) -> String {
    let name = Text(report.file.display());
    let mut html = format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>Audit of {name}</title><style>{STYLE}</style></head><body>"#
    );
    let (n, labels) = (count(report.rows.y.len()), report.labels.len());
    let _ = write!(
        html,
        r#"<h1>What the rows of {name} share</h1><p class="faint">{n} rows, {labels} labels. Rows are counted from 0.</p><pre>{}</pre>"#,
        Text(report)
    );
    for group in &report.groups {
        section(&mut html, &report.rows, group);
    }
    if !report.doubted.is_empty() {
        html.push_str("<h2>Labels in doubt</h2><div class=\"cards\">");
        for &(row, share) in report.doubted.iter().take(2 * SHOWN) {
            let said = format!("{:.0} % of its neighbours differ", 100.0 * share);
            card(&mut html, &report.rows, row, &said);
        }
        html.push_str("</div>");
    }
    html.push_str("</body></html>\n");
    html
}

fn section(html: &mut String, rows: &Rows, group: &Group) {
    let Group { label, kind, cohesion, direction, .. } = group;
    let _ = write!(
        html,
        "<h2>Label {label}: {} rows share something</h2><p>They {}. Cohesion {cohesion:.2}.</p>",
        count(group.rows.len()),
        Text(kind.words())
    );
    let largest = direction.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
    match image(rows) {
        Some([channels, height, width]) => {
            // Grey is nothing; lighter is more than the look-alikes have, darker less.
            let shown = direction.mapv(|x| 0.5 + 0.5 * x / largest);
            let picture = picture(shown.view(), [channels, height, width]);
            let _ = write!(
                html,
                r#"<div class="pictures"><figure><span class="frame"><img alt="" src="data:image/png;base64,{picture}"></span><figcaption>what they share: lighter is more than their look-alikes have, darker less</figcaption></figure></div>"#
            );
        }
        None => {
            let mut order: Vec<usize> = (0..direction.len()).collect();
            order.sort_by(|&a, &b| direction[b].abs().total_cmp(&direction[a].abs()));
            html.push_str("<table><tr><th>column</th><th>share</th></tr>");
            for &at in order.iter().take(10) {
                let name = rows.schema.name_of(crate::record::FeatureId(at as u32));
                let share = 100.0 * direction[at] / largest;
                let _ = write!(html, "<tr><td>{}</td><td>{share:+.0} %</td></tr>", Text(name));
            }
            html.push_str("</table>");
        }
    }
    html.push_str(r#"<div class="cards">"#);
    group.rows.iter().take(SHOWN).for_each(|&row| card(html, rows, row, ""));
    html.push_str("</div>");
}

fn card(html: &mut String, rows: &Rows, row: usize, said: &str) {
    let _ = write!(
        html,
        r#"<article class="card"><p class="what"><b>row {row}</b> labelled {}</p>"#,
        rows.y[row]
    );
    if let Some(shape) = image(rows) {
        let picture = picture(rows.x.row(row), shape);
        let _ = write!(
            html,
            r#"<div class="pictures"><figure><span class="frame"><img alt="" src="data:image/png;base64,{picture}"></span></figure></div>"#
        );
    }
    let _ = write!(html, r#"<p class="names">{}</p></article>"#, Text(said));
}

/// The shape of the rows, if they are images.
fn image(rows: &Rows) -> Option<[usize; 3]> {
    match rows.schema.features[..] {
        [Feature::Image { channels, height, width, .. }] => {
            Some([channels, height, width].map(|length| length as usize))
        }
        _ => None,
    }
}

fn picture(row: ArrayView1<'_, f32>, [channels, height, width]: [usize; 3]) -> String {
    png(width, height, |at| {
        [0, 1, 2].map(|channel| {
            let plane = if channels < 3 { 0 } else { channel };
            (row[plane * height * width + at].clamp(0.0, 1.0) * 255.0).round() as u8
        })
    })
}
