//! The picture in a terminal: two pixels per character, as upper half blocks.

use std::fmt::Write;

use super::canvas::Colour;
use crate::shell::demo::exhibit::Exhibit;
use crate::shell::demo::image::SIDE;

/// How many colours a terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// 24 bit.
    True,
    /// The palette of 256.
    Palette,
}

/// One exhibit in 14 lines of 88 characters: input, correction, heat.
pub fn half_blocks(exhibit: &Exhibit, depth: Depth) -> String {
    let columns = super::colours(exhibit);
    let mut text = String::new();
    for row in (0..SIDE).step_by(2) {
        for (i, pixels) in columns.iter().enumerate() {
            text.push_str(if i == 0 { "" } else { "  " });
            for column in 0..SIDE {
                let upper = pixels[row * SIDE + column];
                let lower = pixels[(row + 1) * SIDE + column];
                let _ = match depth {
                    Depth::True => {
                        let ([r, g, b], [s, h, c]) = (upper, lower);
                        write!(text, "\x1b[38;2;{r};{g};{b};48;2;{s};{h};{c}m▀")
                    }
                    Depth::Palette => {
                        write!(text, "\x1b[38;5;{};48;5;{}m▀", nearest(upper), nearest(lower))
                    }
                };
            }
            text.push_str("\x1b[0m");
        }
        text.push('\n');
    }
    text
}

/// Index of the palette's colour nearest to `colour`: a step of its 24 greys, or a corner of its
/// 6 × 6 × 6 cube.
fn nearest(colour: Colour) -> u8 {
    let [r, g, b] = colour;
    if r == g && g == b {
        return match r {
            0..4 => 16,
            247.. => 231,
            _ => 232 + (u16::from(r - 3) * 24 / 245).min(23) as u8,
        };
    }
    let step = |v: u8| match v {
        0..48 => 0,
        48..115 => 1,
        _ => (v - 35) / 40,
    };
    16 + 36 * step(r) + 6 * step(g) + step(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn palette_colours_are_the_ones_terminals_know() {
        let known = [
            ([0; 3], 16),
            ([255; 3], 231),
            ([255, 0, 0], 196),
            ([8; 3], 232),
            ([95, 135, 175], 67),
        ];
        for (colour, index) in known {
            assert_eq!(nearest(colour), index, "{colour:?}");
        }
    }
}
