//! One row as a card: what it is, who spoke, and where; images as pictures, numbers and categories
//! as typical against seen.
//!
//! A heat map shows where the loudest detector looks, scaled to its own largest part: two maps cannot
//! be compared by their brightness.

use std::fmt::Write;
use std::io::Cursor;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, Rgb, RgbImage};

use super::text::{Text, number};
use crate::fit::evaluate::specimen::Specimen;
use crate::record::{Action, Feature, FeatureId, Reason, Rectangle, Schema};
use crate::shell::demo::heat;

/// An image among a row's features.
struct Plane {
    columns: Range<usize>,
    channels: usize,
    height: usize,
    width: usize,
}

const CORRECTED: &str = "corrected";

/// The card of `specimen`; `kinds` are the detectors' names.
pub fn card(specimen: &Specimen, schema: &Schema, kinds: &[String]) -> String {
    let mut html = String::from(r#"<article class="card">"#);
    let Specimen { row, p, score, .. } = specimen;
    let done = match specimen.action {
        Action::Pass => ("passed", "passed"),
        Action::Correct => ("flagged", "corrected"),
        Action::Quarantine => ("flagged", "held back"),
    };
    let _ = write!(
        html,
        r#"<p class="what"><b>row {row}</b> <span class="tag {}">{}</span> p {}, score {}</p>"#,
        done.0,
        done.1,
        number(*p),
        number(*score)
    );
    if let Some(said) = said(specimen) {
        let _ = write!(html, r#"<p class="said">{said}</p>"#);
    }
    html.push_str(&voices(specimen, kinds));
    match plane(schema) {
        Some(plane) => pictures(&mut html, specimen, &plane, &kinds[specimen.leading]),
        None => table(&mut html, specimen, schema),
    }
    html.push_str("</article>");
    html
}

/// Label and answers, as far as they are known.
fn said(specimen: &Specimen) -> Option<String> {
    let label = specimen.truth.map(|truth| format!("labelled {truth}"));
    let answers = specimen
        .answers
        .map(|(before, after)| format!("the model says {before}, and {after} when corrected"));
    let both: Vec<_> = label.into_iter().chain(answers).collect();
    (!both.is_empty()).then(|| both.join("; "))
}

/// Who spoke: a bar of the merged score, cut by detector.
fn voices(specimen: &Specimen, kinds: &[String]) -> String {
    /// A smaller share is not worth a name.
    const NAMED: f32 = 0.1;
    let mut order: Vec<usize> = (0..kinds.len()).collect();
    order.sort_by(|&a, &b| specimen.shares[b].total_cmp(&specimen.shares[a]));
    let mut bar = String::from(r#"<div class="voices">"#);
    let mut names = vec![];
    for i in order {
        let percent = 100.0 * specimen.shares[i];
        let name = Text(&kinds[i]);
        let _ = write!(
            bar,
            r#"<i class="c{}" style="width:{percent:.1}%" title="{name} {percent:.0}%"></i>"#,
            i % 8
        );
        if specimen.shares[i] >= NAMED {
            names.push(format!("{name} {percent:.0}%"));
        }
    }
    format!(r#"{bar}</div><p class="names">{}</p>"#, names.join(" · "))
}

/// The first image of a row, if there is one.
fn plane(schema: &Schema) -> Option<Plane> {
    schema.columns().find_map(|(feature, columns)| match *feature {
        Feature::Image { channels, height, width, .. } => {
            let [channels, height, width] = [channels, height, width].map(|n| n as usize);
            Some(Plane { columns, channels, height, width })
        }
        _ => None,
    })
}

fn pictures(html: &mut String, specimen: &Specimen, plane: &Plane, leading: &str) {
    let inside = |row: &[f32]| row[plane.columns.clone()].to_vec();
    let colour = |row: &[f32]| {
        let row = inside(row);
        png(plane.width, plane.height, |at| {
            let channel = |c: usize| {
                let c = if plane.channels < 3 { 0 } else { c };
                (row[c * plane.height * plane.width + at].clamp(0.0, 1.0) * 255.0).round() as u8
            };
            [0, 1, 2].map(channel)
        })
    };
    let parts = inside(&specimen.heat);
    let sum = |at: usize| {
        (0..plane.channels).map(|c| parts[c * plane.height * plane.width + at]).sum::<f32>()
    };
    let loudest = (0..plane.height * plane.width).map(sum).fold(f32::MIN_POSITIVE, f32::max);
    // The square root lets the quiet parts be seen beside the loudest.
    let why = png(plane.width, plane.height, |at| heat((sum(at) / loudest).sqrt()));
    html.push_str(r#"<div class="pictures">"#);
    let window = specimen.reasons.window().map(|window| outline(plane, window)).unwrap_or_default();
    for (picture, caption) in [
        (colour(&specimen.x), "as it came".to_owned()),
        (colour(&specimen.corrected), CORRECTED.to_owned()),
        (why, Text(leading).to_string()),
    ] {
        let window = if caption == CORRECTED { "" } else { &window };
        let _ = write!(
            html,
            r#"<figure><span class="frame"><img alt="" src="data:image/png;base64,{picture}">{window}</span><figcaption>{caption}</figcaption></figure>"#
        );
    }
    html.push_str("</div>");
    if let Some(window) = specimen.reasons.window() {
        let percent = 100.0 * window.share;
        let _ = write!(html, r#"<p class="names">{percent:.0}% of that lies in the window</p>"#);
    }
}

/// A window's outline over its picture.
fn outline(plane: &Plane, window: Rectangle) -> String {
    let at = (window.corner.0 as usize).saturating_sub(plane.columns.start);
    let at = at % (plane.height * plane.width);
    let share = |n: usize, of: usize| 100.0 * n as f64 / of as f64;
    format!(
        r#"<span class="window" style="left:{:.2}%;top:{:.2}%;width:{:.2}%;height:{:.2}%"></span>"#,
        share(at % plane.width, plane.width),
        share(at / plane.width, plane.height),
        share(window.width.into(), plane.width),
        share(window.height.into(), plane.height),
    )
}

/// A picture in base64; `colour` says what is at a place, row by row.
pub(in crate::fit) fn png(
    width: usize,
    height: usize,
    colour: impl Fn(usize) -> [u8; 3],
) -> String {
    let image = RgbImage::from_fn(width as u32, height as u32, |x, y| {
        Rgb(colour(y as usize * width + x as usize))
    });
    let mut bytes = Cursor::new(vec![]);
    image.write_to(&mut bytes, ImageFormat::Png).expect("a vector takes every byte");
    STANDARD.encode(bytes.into_inner())
}

/// The top features, typical against seen.
fn table(html: &mut String, specimen: &Specimen, schema: &Schema) {
    html.push_str(
        r#"<table class="reasons"><tr><th>feature</th><th>seen</th><th>typical</th><th>share</th></tr>"#,
    );
    // A share that rounds to nothing says nothing.
    for reason in specimen.reasons.iter().filter(|reason| reason.share >= 0.005) {
        let (name, seen, typical) = compared(&reason, specimen, schema);
        let percent = 100.0 * reason.share;
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{percent:.0}%</td></tr>",
            Text(name),
            Text(seen),
            Text(typical)
        );
    }
    html.push_str("</table>");
}

/// A reason's feature, and its value in the row and in what is typical: of a category the words.
fn compared(reason: &Reason, specimen: &Specimen, schema: &Schema) -> (String, String, String) {
    let at = reason.feature.0 as usize;
    let own = schema.columns().find(|(_, columns)| columns.contains(&at));
    if let Some((Feature::Category { name, values, .. }, columns)) = own {
        let word = |row: &[f32]| {
            let own = &row[columns.clone()];
            // A typical row may be a mean, of several values.
            let most = (0..own.len()).rev().max_by(|&a, &b| own[a].total_cmp(&own[b]));
            most.filter(|&i| own[i] > 0.0).map_or("(never seen)".into(), |i| values[i].clone())
        };
        return (name.clone(), word(&specimen.x), word(&specimen.typical));
    }
    let name = schema.name_of(FeatureId(reason.feature.0));
    (name, number(reason.seen), number(reason.typical))
}
