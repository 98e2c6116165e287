// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading the photograph into memory, when it fits.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use augur_client::units::Bytes;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

use crate::failure::Failure;

/// Smallest width and height: half of it is a pixel.
const SMALLEST: u32 = 2;
/// Largest width and height.
const LARGEST: u32 = 8192;
/// Guest memory left for everything but the image itself.
const RESERVE: u64 = 64 << 20;
/// Widest copy of the input that is written beside the results.
const PREVIEW_WIDTH: u32 = 2048;

/// Decodes a PNG or JPEG to 8-bit RGB.
///
/// # Errors
/// It is missing, of another kind, damaged, too large, or does not fit into
/// the guest's memory; the message says which.
pub fn decode(path: &Path) -> Result<RgbImage, Failure> {
    let unusable = |why: String| Failure::Input(format!("{}: {why}", path.display()));
    let unreadable = |error| unusable(format!("cannot be read: {error}"));
    let file = File::open(path).map_err(unreadable)?;
    let file_bytes = file.metadata().map_err(unreadable)?.len();
    // By content: a name can say anything.
    let reader = ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(unreadable)?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        return Err(unusable("is neither a PNG nor a JPEG image".into()));
    }
    let damaged = |error: image::ImageError| unusable(format!("cannot be decoded: {error}"));
    let decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let usable = SMALLEST..=LARGEST;
    if !usable.contains(&width) || !usable.contains(&height) {
        return Err(unusable(format!(
            "is {width}x{height} pixels; {SMALLEST}x{SMALLEST} to {LARGEST}x{LARGEST} can be used"
        )));
    }
    let needed = memory_needed(&decoder, file_bytes);
    if let Some(available) = available_memory()
        && needed > available
    {
        return Err(unusable(format!(
            "{width}x{height} pixels need {} of guest memory, {} are free: give the guest more",
            Bytes(needed),
            Bytes(available)
        )));
    }
    let image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    Ok(image.into_rgb8())
}

/// Bytes for decoding: the file, the pixels as the file has them, the same in
/// RGB if that is another format, and a reserve.
fn memory_needed(decoder: &impl ImageDecoder, file_bytes: u64) -> u64 {
    let (width, height) = decoder.dimensions();
    let converted = match decoder.color_type() {
        ColorType::Rgb8 => 0,
        _ => 3 * u64::from(width) * u64::from(height),
    };
    file_bytes + decoder.total_bytes() + converted + RESERVE
}

/// Memory that can be had without swapping, if the kernel says.
fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The image itself, or a smaller copy when it is wide; and whether it is one.
pub fn preview(image: &RgbImage) -> (RgbImage, bool) {
    if image.width() <= PREVIEW_WIDTH {
        return (image.clone(), false);
    }
    let scaled = |at: u32, to: u32, from: u32| {
        let at = u64::from(at) * u64::from(from) / u64::from(to);
        u32::try_from(at).unwrap_or(u32::MAX)
    };
    let height = scaled(image.height(), image.width(), PREVIEW_WIDTH).max(1);
    // One pixel of each block: a mean would take an emulated guest ten seconds.
    let preview = RgbImage::from_fn(PREVIEW_WIDTH, height, |x, y| {
        let x = scaled(x, PREVIEW_WIDTH, image.width());
        let y = scaled(y, height, image.height());
        *image.get_pixel(x, y)
    });
    (preview, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, content: &[u8]) -> String {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(name);
        fs::write(&path, content).expect("writable");
        decode(&path).expect_err("cannot be used").to_string()
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]));
        image
            .write_to(&mut std::io::Cursor::new(&mut bytes), ImageFormat::Png)
            .expect("writing to memory");
        bytes
    }

    #[test]
    fn pixels_come_as_interleaved_rgb_whatever_the_file_is_called() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("image");
        fs::write(&path, png(3, 2)).expect("writable");
        let image = decode(&path).expect("a PNG");
        assert_eq!((image.width(), image.height()), (3, 2));
        assert_eq!(image.as_raw()[..9], [0, 0, 7, 1, 0, 7, 2, 0, 7]);
    }

    #[test]
    fn files_that_cannot_be_used_are_refused_with_a_reason() {
        let missing = decode(Path::new("/nonexistent/photo.png")).expect_err("missing");
        assert!(missing.to_string().contains("cannot be read"));
        assert!(refused("text.png", b"hello").contains("neither a PNG nor a JPEG"));
        assert!(refused("gif", b"GIF89a\x01\x00\x01\x00").contains("neither"));
        let whole = png(64, 64);
        assert!(refused("short.png", &whole[..whole.len() / 2]).contains("cannot be decoded"));
        assert!(refused("wide.png", &png(8193, 2)).contains("8193x2"));
        assert!(refused("flat.png", &png(9, 1)).contains("9x1"));
    }

    #[test]
    fn previews_are_narrow_and_never_empty() {
        let (same, smaller) = preview(&RgbImage::new(2048, 10));
        assert_eq!((same.width(), smaller), (2048, false));
        let (small, smaller) = preview(&RgbImage::new(8192, 1));
        assert_eq!((small.width(), small.height(), smaller), (2048, 1, true));
    }
}
