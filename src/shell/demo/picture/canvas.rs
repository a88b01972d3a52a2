//! Rectangles, images and words on an RGB picture.

use std::sync::LazyLock;

use image::{Rgb, RgbImage};

use crate::shell::demo::area::Area;
use crate::shell::demo::image::SIDE;

/// Colour of one pixel.
pub type Colour = [u8; 3];

/// A picture being drawn. Places are (x, y) in pixels from the upper left.
pub struct Canvas {
    pub image: RgbImage,
}

impl Canvas {
    pub fn new(width: u32, height: u32, colour: Colour) -> Self {
        Self { image: RgbImage::from_pixel(width, height, Rgb(colour)) }
    }

    /// Fills a rectangle; what lies outside is cut off.
    pub fn fill(&mut self, (x, y): (u32, u32), (width, height): (u32, u32), colour: Colour) {
        let (right, bottom) = ((x + width).min(self.image.width()), y + height);
        for y in y..bottom.min(self.image.height()) {
            for x in x..right {
                self.image.put_pixel(x, y, Rgb(colour));
            }
        }
    }

    /// An image of 28 × 28, each of its pixels a square of side `scale`.
    pub fn tile(&mut self, (x, y): (u32, u32), scale: u32, pixels: impl Iterator<Item = Colour>) {
        for (i, colour) in pixels.enumerate() {
            let (row, column) = ((i / SIDE) as u32, (i % SIDE) as u32);
            self.fill((x + column * scale, y + row * scale), (scale, scale), colour);
        }
    }

    /// The outline of `area` on a tile at (x, y), around its pixels.
    pub fn outline(&mut self, (x, y): (u32, u32), scale: u32, area: Area, colour: Colour) {
        const THICK: u32 = 2;
        let (left, top) = (x + area.left as u32 * scale, y + area.top as u32 * scale);
        let right = x + (area.right as u32 + 1) * scale;
        let bottom = y + (area.bottom as u32 + 1) * scale;
        let (wide, high) = (right - left, bottom - top);
        self.fill((left - THICK, top - THICK), (wide + 2 * THICK, THICK), colour);
        self.fill((left - THICK, bottom), (wide + 2 * THICK, THICK), colour);
        self.fill((left - THICK, top), (THICK, high), colour);
        self.fill((right, top), (THICK, high), colour);
    }

    /// One line of text, `scale` pixels per dot; letters are 7 dots high above (x, y + 7 · scale).
    pub fn text(&mut self, (x, y): (u32, u32), scale: u32, colour: Colour, text: &str) {
        let mut x = x;
        for c in text.chars() {
            if let Some(glyph) = glyph(c) {
                for (row, dots) in glyph.rows.iter().enumerate() {
                    for column in (0..5).filter(|column| dots >> column & 1 == 1) {
                        let at = (x + column * scale, y + row as u32 * scale);
                        self.fill(at, (scale, scale), colour);
                    }
                }
            }
            x += advance(c) * scale;
        }
    }
}

/// How wide a line of text is, at one pixel per dot.
pub fn text_width(text: &str) -> u32 {
    text.chars().map(advance).sum()
}

fn advance(c: char) -> u32 {
    glyph(c).map_or(4, |glyph| glyph.width + 1)
}

/// A letter of 5 × 8 dots, the last row for what hangs below the line.
struct Glyph {
    c: char,
    width: u32,
    /// Bit i is the dot in column i.
    rows: [u8; 8],
}

fn glyph(c: char) -> Option<&'static Glyph> {
    static FONT: LazyLock<Vec<Glyph>> = LazyLock::new(|| read_font(include_str!("font.txt")));
    FONT.iter().find(|glyph| glyph.c == c)
}

/// The font is drawn in text: a line of names, then eight lines of dots, again and again.
fn read_font(text: &str) -> Vec<Glyph> {
    const CELL: usize = 6;
    let lines: Vec<&str> = text.lines().collect();
    let mut font = vec![];
    for block in lines.chunks(9) {
        for (at, c) in block[0].char_indices().filter(|(at, _)| at % CELL == 0) {
            let row = |line: &&str| {
                let dots = line.as_bytes()[at..].iter().take(5).enumerate();
                dots.fold(0, |row, (i, &dot)| row | u8::from(dot == b'#') << i)
            };
            let rows: Vec<u8> = block[1..].iter().map(row).collect();
            let rows: [u8; 8] = rows.try_into().expect("eight lines of dots");
            let width = 8 - rows.iter().fold(0, |all, row| all | row).leading_zeros();
            font.push(Glyph { c, width, rows });
        }
    }
    font
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_and_digit_has_ink_and_none_is_there_twice() {
        let font = read_font(include_str!("font.txt"));
        for c in ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(".,:=()-+/%<>".chars()) {
            let found: Vec<_> = font.iter().filter(|glyph| glyph.c == c).collect();
            assert!(matches!(found[..], [glyph] if glyph.width > 0), "{c}");
        }
    }
}
