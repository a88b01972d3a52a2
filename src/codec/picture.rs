//! An image as clients send it in text: a PNG or JPEG file in base64, in place of its pixels.
//!
//! Its size and its channels must be the schema's: a server that scales or greys it sees another image than
//! we would score. JPEG decoders differ by a shade in a pixel; nobody's answer should hang on that. What is
//! corrected is written as PNG, which keeps every pixel.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use image::{DynamicImage, ExtendedColorType, ImageEncoder as _, ImageFormat, ImageReader};

use crate::record::Fault;

/// Takes base64 with its padding or without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The file in `text`, if it is a PNG or JPEG file in base64, also behind `data:image/…;base64,`.
fn file(text: &str) -> Option<(ImageFormat, Vec<u8>)> {
    let text = match text.strip_prefix("data:image/") {
        Some(rest) => rest.split_once(";base64,")?.1,
        None => text,
    };
    // PNG begins with iVBORw0KGgo, JPEG with /9j/, in the URL's alphabet _9j_: other words are not decoded.
    let format = match text.trim_ascii_start().as_bytes() {
        [b'i', b'V', b'B', b'O', b'R', ..] => ImageFormat::Png,
        [b'/' | b'_', b'9', b'j', b'/' | b'_', ..] => ImageFormat::Jpeg,
        _ => return None,
    };
    // MIME breaks it into lines.
    let standard = |byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        _ => byte,
    };
    let letters = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(standard);
    Some((format, LENIENT.decode(letters.collect::<Vec<u8>>()).ok()?))
}

/// The pixels of the image in `text`, `[channels, height, width]`, if it is one in base64.
///
/// # Errors
/// If it has another size or other channels, or is damaged.
pub fn decode(text: &str, [c, h, w]: [usize; 3]) -> Option<Result<Vec<u8>, Fault>> {
    let (format, file) = file(text)?;
    Some(pixels(format, &file, [c, h, w]))
}

fn pixels(format: ImageFormat, file: &[u8], [c, h, w]: [usize; 3]) -> Result<Vec<u8>, Fault> {
    let damaged = |_| Fault::Unreadable { at: 0 };
    let reader = || ImageReader::with_format(Cursor::new(file), format);
    // Before anything is unpacked.
    let (width, height) = reader().into_dimensions().map_err(damaged)?;
    let expected = c * h * w;
    let other = |channels: usize| {
        let got = channels.saturating_mul(width as usize).saturating_mul(height as usize);
        Fault::WrongArity { got, expected }
    };
    if (width as usize, height as usize) != (w, h) {
        return Err(other(c));
    }
    let (channels, interleaved) = match reader().decode().map_err(damaged)? {
        DynamicImage::ImageLuma8(image) => (1, image.into_raw()),
        DynamicImage::ImageRgb8(image) => (3, image.into_raw()),
        // Deeper, or with an alpha channel: what is behind it, the file does not say.
        image => return Err(other(usize::from(image.color().channel_count()) + 1)),
    };
    if channels != c {
        return Err(other(channels));
    }
    let plane = |channel| interleaved.iter().skip(channel).step_by(channels).copied();
    Ok((0..channels).flat_map(plane).collect())
}

/// The image as a PNG file in base64; `pixels` are `[channels, height, width]`.
pub fn encode(pixels: &[u8], [c, h, w]: [usize; 3]) -> Option<String> {
    let color = match c {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => return None,
    };
    let interleaved: Vec<u8> =
        (0..h * w).flat_map(|at| (0..c).map(move |channel| pixels[channel * h * w + at])).collect();
    let mut file = vec![];
    let encoder = image::codecs::png::PngEncoder::new(&mut file);
    encoder.write_image(&interleaved, w as u32, h as u32, color).ok()?;
    Some(STANDARD.encode(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_survive_and_stand_in_planes() {
        for shape @ [c, h, w] in [[1, 2, 3], [3, 2, 2]] {
            let pixels: Vec<u8> = (0..c * h * w).map(|i| (i * 11) as u8).collect();
            let text = encode(&pixels, shape).unwrap();
            assert_eq!(decode(&text, shape), Some(Ok(pixels.clone())));
            assert_eq!(decode(text.trim_end_matches('='), shape), Some(Ok(pixels.clone())));
            let lines: Vec<&str> =
                text.as_bytes().chunks(19).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let url = text.replace('+', "-").replace('/', "_");
            for other in [
                format!("data:image/png;base64,{text}"),
                format!("data:image/png;charset=utf-8;base64,{text}"),
                lines.join("\r\n"),
                format!("{}\n", lines.join("\n")),
                url.trim_end_matches('=').to_owned(),
                url,
            ] {
                assert_eq!(decode(&other, shape), Some(Ok(pixels.clone())), "{other}");
            }
        }
    }

    #[test]
    fn a_jpeg_is_read_to_a_shade() {
        let gray: Vec<u8> = vec![120; 64];
        let mut file = vec![];
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 95);
        encoder.write_image(&gray, 8, 8, ExtendedColorType::L8).unwrap();
        let pixels = decode(&STANDARD.encode(file), [1, 8, 8]).unwrap().unwrap();
        assert!(pixels.iter().all(|&pixel| pixel.abs_diff(120) <= 2), "{pixels:?}");
    }

    #[test]
    fn another_size_other_channels_and_damage_are_faults_and_words_are_none() {
        let text = encode(&[7; 6], [1, 2, 3]).unwrap();
        let fault = |text: &str, shape| decode(text, shape).unwrap().unwrap_err();
        assert_eq!(fault(&text, [1, 3, 2]), Fault::WrongArity { got: 6, expected: 6 });
        assert_eq!(fault(&text, [3, 2, 3]), Fault::WrongArity { got: 6, expected: 18 });
        assert_eq!(fault(&text[..40], [1, 2, 3]), Fault::Unreadable { at: 0 });
        assert_eq!(decode("0.5", [1, 2, 3]), None);
        assert_eq!(decode("", [1, 2, 3]), None);
    }
}
