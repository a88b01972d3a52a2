//! The two charts of a suspect, as SVG.
//!
//! By hand: two charts of lines, bars and ticks take less than a chart crate's set-up, colours come
//! from the page's style sheet so that they follow light and dark, and a curve of a million corners
//! is thinned to what a screen can show.

use std::fmt::Write;

use super::text::Text;
use crate::math::{Corner, roc};

/// Size of a chart, and of the plot in it.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 14.0;
const PLOT_WIDTH: f64 = WIDTH - LEFT - 14.0;
const PLOT_HEIGHT: f64 = HEIGHT - TOP - 44.0;

/// Bars of a histogram.
const BINS: usize = 64;

/// One curve: its name, its place in the palette (`None` is the merged score), and its scores.
pub struct Curve<'a> {
    pub name: &'a str,
    pub colour: Option<usize>,
    pub clean: &'a [f32],
    pub suspects: &'a [f32],
}

/// ROC curves over a logarithmic share of clean rows flagged; `budget` and `at` are the share that
/// may be flagged, and the point where the guard stands.
pub fn roc_chart(curves: &[Curve<'_>], budget: f64, at: Corner) -> String {
    let rows = curves.first().map_or(1, |curve| curve.clean.len());
    // The axis begins at the decade of one clean row; what flags none is drawn there.
    let decades = (rows.max(10) as f64).log10().ceil().min(6.0);
    let x = |fpr: f64| {
        let position = 1.0 + fpr.max(1e-9).log10() / decades;
        LEFT + PLOT_WIDTH * position.clamp(0.0, 1.0)
    };
    let y = |tpr: f64| TOP + PLOT_HEIGHT * (1.0 - tpr);
    let mut svg = open("ROC curves, false positive rate on a logarithmic axis");
    for decade in 0..=decades as i32 {
        let fpr = 10_f64.powi(-decade);
        vertical(&mut svg, x(fpr), "grid");
        tick_below(&mut svg, x(fpr), &percent(fpr));
        for minor in 2..10 {
            let fpr = fpr * f64::from(minor) / 10.0;
            if decade < decades as i32 {
                vertical(&mut svg, x(fpr), "minor");
            }
        }
    }
    shares_beside(&mut svg, y, 1.0);
    vertical(&mut svg, x(budget), "budget");
    for curve in curves.iter().rev() {
        let class = curve.colour.map_or("merged".to_owned(), |colour| format!("c{}", colour % 8));
        let path = path(&roc(curve.clean, curve.suspects), x, y);
        let name = Text(curve.name);
        let _ =
            write!(svg, r#"<path class="line {class}" d="{path}"><title>{name}</title></path>"#);
    }
    let (cx, cy) = (x(at.fpr), y(at.tpr));
    let _ = write!(
        svg,
        r#"<circle class="point" cx="{cx:.1}" cy="{cy:.1}" r="5"><title>{:.2}% of the clean rows and {:.1}% of the suspects are flagged at the budget</title></circle>"#,
        100.0 * at.fpr,
        100.0 * at.tpr,
    );
    close(svg, "clean rows flagged", "suspects flagged")
}

/// Merged scores of both kinds, as shares of each, over ln(1 + score); what is at `threshold` or
/// beyond is flagged. Refused rows have no score and are left out.
pub fn histogram(clean: &[f32], suspects: &[f32], threshold: f32) -> String {
    let finite = |scores: &[f32]| -> Vec<f64> {
        let scores = scores.iter().filter(|score| score.is_finite());
        scores.map(|&score| f64::from(score.max(0.0)).ln_1p()).collect()
    };
    let (clean, suspects) = (finite(clean), finite(suspects));
    let threshold = f64::from(threshold.max(0.0)).ln_1p();
    let highest = clean.iter().chain(&suspects).copied().fold(threshold, f64::max).max(1e-3);
    let end = highest * 1.04;
    let x = |value: f64| LEFT + PLOT_WIDTH * (value / end).clamp(0.0, 1.0);
    let bins = [&clean, &suspects].map(|values| {
        let mut bins = [0.0_f64; BINS];
        for value in values {
            let at = ((value / end * BINS as f64) as usize).min(BINS - 1);
            bins[at] += 1.0 / values.len() as f64;
        }
        bins
    });
    let most = bins.iter().flatten().copied().fold(0.01, f64::max);
    let y = |share: f64| TOP + PLOT_HEIGHT * (1.0 - share / most);
    let mut svg = open("histogram of merged scores");
    shares_beside(&mut svg, y, most);
    let ticks = [0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 1e4, 1e5, 1e6];
    let mut last = f64::NEG_INFINITY;
    for tick in ticks.into_iter().filter(|tick: &f64| tick.ln_1p() <= end) {
        let at = x(tick.ln_1p());
        vertical(&mut svg, at, "grid");
        if at - last > 28.0 {
            tick_below(&mut svg, at, &tick.to_string());
            last = at;
        }
    }
    for (bins, class) in bins.iter().zip(["clean", "suspect"]) {
        let bars: String = (0..BINS).filter(|&i| bins[i] > 0.0).fold(String::new(), |mut d, i| {
            let (left, top) = (x(end * i as f64 / BINS as f64), y(bins[i]));
            let (right, bottom) = (x(end * (i + 1) as f64 / BINS as f64) - 0.6, y(0.0));
            // A bar that would be thinner than a pixel is still a row that is there.
            let top = top.min(bottom - 1.0);
            let _ = write!(d, "M{left:.1} {bottom:.1}V{top:.1}H{right:.1}V{bottom:.1}Z");
            d
        });
        let _ = write!(svg, r#"<path class="bars {class}" d="{bars}"/>"#);
    }
    vertical(&mut svg, x(threshold), "budget");
    close(svg, "merged score", "share of rows")
}

fn open(label: &str) -> String {
    format!(
        r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}"><rect class="plot" x="{LEFT}" y="{TOP}" width="{PLOT_WIDTH}" height="{PLOT_HEIGHT}"/>"#
    )
}

fn close(mut svg: String, below: &str, beside: &str) -> String {
    let (middle, foot) = (LEFT + PLOT_WIDTH / 2.0, HEIGHT - 6.0);
    let _ = write!(
        svg,
        r#"<text class="axis" x="{middle}" y="{foot}" text-anchor="middle">{below}</text>"#
    );
    let (x, y) = (13.0, TOP + PLOT_HEIGHT / 2.0);
    let _ = write!(
        svg,
        r#"<text class="axis" transform="translate({x} {y}) rotate(-90)" text-anchor="middle">{beside}</text></svg>"#
    );
    svg
}

/// Lines and labels for shares from 0 to `most`.
fn shares_beside(svg: &mut String, y: impl Fn(f64) -> f64, most: f64) {
    let step = [0.01, 0.02, 0.05, 0.1, 0.2].into_iter().find(|step| most / step <= 5.5);
    let step = step.unwrap_or(0.25);
    for i in 0..=(most / step + 1e-9) as usize {
        let (share, right) = (step * i as f64, LEFT + PLOT_WIDTH);
        let at = y(share);
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{LEFT}" x2="{right}" y1="{at:.1}" y2="{at:.1}"/>"#
        );
        let (x, y) = (LEFT - 6.0, at + 4.0);
        let share = percent(share);
        let _ = write!(svg, r#"<text x="{x}" y="{y:.1}" text-anchor="end">{share}</text>"#);
    }
}

fn vertical(svg: &mut String, x: f64, class: &str) {
    let bottom = TOP + PLOT_HEIGHT;
    let _ =
        write!(svg, r#"<line class="{class}" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{bottom}"/>"#);
}

fn tick_below(svg: &mut String, x: f64, text: &str) {
    let y = TOP + PLOT_HEIGHT + 16.0;
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y}" text-anchor="middle">{text}</text>"#);
}

/// The curve as steps, where scores are equal the lower way around, without corners that a screen would put on the same spot.
fn path(corners: &[Corner], x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let (mut d, mut last) = (String::new(), None);
    for corner in corners {
        let at = [x(corner.fpr), y(corner.tpr)].map(|v| (v * 2.0).round() / 2.0);
        if last == Some(at) {
            continue;
        }
        let [x, y] = at;
        let _ = match last {
            None => write!(d, "M{x} {y}"),
            Some([before, _]) if before == x => write!(d, "V{y}"),
            Some([_, before]) if before == y => write!(d, "H{x}"),
            Some(_) => write!(d, "H{x}V{y}"),
        };
        last = Some(at);
    }
    d
}

fn percent(share: f64) -> String {
    let digits = (-(100.0 * share).log10().floor()).clamp(0.0, 4.0);
    let digits = if share <= 0.0 { 0 } else { digits as usize };
    let text = format!("{:.digits$}", 100.0 * share);
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_of_many_rows_is_as_short_as_a_screen_is_wide() {
        let clean: Vec<f32> = (0..100_000).map(|i| i as f32).collect();
        let suspects: Vec<f32> = (0..100_000).map(|i| i as f32 + 3.5e4).collect();
        let curve = Curve { name: "x<y", colour: Some(9), clean: &clean, suspects: &suspects };
        let svg = roc_chart(&[curve], 0.01, Corner { fpr: 0.01, tpr: 0.36 });
        assert!(svg.len() < 30_000, "{}", svg.len());
        assert!(svg.contains("<title>x&lt;y</title>") && svg.contains("class=\"line c1\""));
    }

    #[test]
    fn shares_are_written_with_the_digits_they_need() {
        let shares = [1.0, 0.5, 0.1, 0.01, 0.001, 0.000_1, 0.0, 0.0124];
        let expected = ["100%", "50%", "10%", "1%", "0.1%", "0.01%", "0%", "1%"];
        assert_eq!(shares.map(percent), expected);
    }

    #[test]
    fn scores_that_are_equal_or_infinite_make_a_histogram_too() {
        let svg = histogram(&[0.0, 0.0], &[f32::INFINITY], 0.0);
        assert!(
            svg.contains("bars clean") && !svg.contains("NaN") && !svg.contains("inf"),
            "{svg}"
        );
    }
}
