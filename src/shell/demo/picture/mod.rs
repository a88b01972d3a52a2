//! What was caught, for people: each image, what a correction makes of it, and where the reasons are.

mod canvas;
mod terminal;

use std::path::Path;

use image::ImageError;

use super::exhibit::Exhibit;
use super::image::SIDE;
use super::plan::Truth;
use canvas::{Canvas, Colour, text_width};
pub use terminal::{Depth, half_blocks};

/// Side of an image pixel.
const SCALE: u32 = 5;
const TILE: u32 = SIDE as u32 * SCALE;
const GAP: u32 = 10;
const MARGIN: u32 = 24;
/// Between the two panels.
const AISLE: u32 = 36;
const PANEL: u32 = 3 * TILE + 2 * GAP;
/// Above the first row of images: title, panels' names, names of the columns.
const HEAD: u32 = 116;
/// A tile and its two lines of text.
const ROW: u32 = TILE + 60;

const PAPER: Colour = [18, 20, 26];
const INK: Colour = [236, 238, 242];
const FAINT: Colour = [150, 156, 168];
const ALERT: Colour = [96, 214, 255];

/// Writes the picture of `exhibits` to `file`: triggers on the left, PGD on the right.
///
/// # Errors
/// If the file cannot be written.
pub fn save(exhibits: &[Exhibit], file: &Path) -> Result<(), ImageError> {
    draw(exhibits).image.save(file)
}

fn draw(exhibits: &[Exhibit]) -> Canvas {
    let panels = [(Truth::Trigger, "Backdoor trigger"), (Truth::Pgd, "PGD")];
    let of = |truth| exhibits.iter().filter(move |exhibit| exhibit.truth == truth);
    let rows = panels.map(|(truth, _)| of(truth).count()).into_iter().max().unwrap_or(0) as u32;
    let width = 2 * MARGIN + 2 * PANEL + AISLE;
    let mut canvas = Canvas::new(width, HEAD + rows * ROW + MARGIN / 2, PAPER);
    canvas.text((MARGIN, 18), 3, INK, "Held back by Tripline");
    let legend = "p: share of clean images at least as strange";
    canvas.text((width - MARGIN - 2 * text_width(legend), 25), 2, FAINT, legend);
    for (panel, (truth, name)) in panels.into_iter().enumerate() {
        let x = MARGIN + panel as u32 * (PANEL + AISLE);
        canvas.text((x, 62), 2, INK, name);
        for (column, caption) in ["input", "corrected", "why"].iter().enumerate() {
            canvas.text((x + column as u32 * (TILE + GAP), HEAD - 26), 2, FAINT, caption);
        }
        for (row, exhibit) in of(truth).enumerate() {
            show(&mut canvas, (x, HEAD + row as u32 * ROW), exhibit);
        }
    }
    canvas
}

/// One row of a panel, its upper left corner at (x, y).
fn show(canvas: &mut Canvas, (x, y): (u32, u32), exhibit: &Exhibit) {
    let columns: [Vec<Colour>; 3] = colours(exhibit);
    for (column, pixels) in columns.into_iter().enumerate() {
        let x = x + column as u32 * (TILE + GAP);
        canvas.tile((x, y), SCALE, pixels.into_iter());
        if let Some(area) = exhibit.area.filter(|_| column != 1) {
            canvas.outline((x, y), SCALE, area, ALERT);
        }
    }
    let y = y + TILE + 9;
    canvas.text((x, y), 2, INK, &exhibit.story());
    let p = exhibit.p_text();
    canvas.text((x + PANEL - 2 * text_width(&p), y), 2, ALERT, &p);
    canvas.text((x, y + 22), 2, FAINT, &exhibit.leading_text());
}

/// Pixels of the three columns: input, correction, heat of what speaks against it.
fn colours(exhibit: &Exhibit) -> [Vec<Colour>; 3] {
    let grey = |values: &[f32]| {
        let byte = |v: &f32| (v.clamp(0.0, 1.0) * 255.0).round() as u8;
        values.iter().map(|v| [byte(v); 3]).collect()
    };
    let why = exhibit.heat.iter().map(|&part| heat(part)).collect();
    [grey(&exhibit.x), grey(&exhibit.corrected), why]
}

/// Black, violet, red, orange, yellow, white for 0 to 1.
pub fn heat(t: f32) -> Colour {
    const STOPS: [[f32; 3]; 6] = [
        [0.0, 0.0, 0.0],
        [70.0, 12.0, 100.0],
        [190.0, 40.0, 70.0],
        [248.0, 125.0, 20.0],
        [250.0, 220.0, 80.0],
        [255.0, 255.0, 240.0],
    ];
    let at = t.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let low = (at as usize).min(STOPS.len() - 2);
    let part = at - low as f32;
    std::array::from_fn(|c| {
        (STOPS[low][c] + (STOPS[low + 1][c] - STOPS[low][c]) * part).round() as u8
    })
}
