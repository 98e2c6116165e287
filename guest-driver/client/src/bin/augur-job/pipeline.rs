// SPDX-License-Identifier: MIT OR Apache-2.0
//! The image pipeline: upload, filter on the card, download twice, compare.
//!
//! Results are fetched, compared and written in strips of rows, so that only
//! the input stands in guest memory as a whole.

use std::path::Path;

use augur_client::CommandList;
use augur_client::reference::image::Pixels;
use image::RgbImage;

use crate::failure::{During, Failure};
use crate::filters::{Effect, Working};
use crate::images::{CHANNELS, Images, Surface};
use crate::output::RgbPng;
use crate::picture;
use crate::report::{Check, ImageReport, Kind, Output};
use crate::session::{Running, Session};

/// Most bytes of a strip.
const STRIP_BYTES: usize = 4 << 20;

/// Runs the pipeline over the image at `input` and writes results to `output`.
///
/// # Errors
/// The image cannot be used, a result cannot be written, or the card failed. A
/// wrong result is no error: it is noted in the session.
pub fn run(session: &mut Session, input: &Path, output: &Path) -> Result<ImageReport, Failure> {
    let mut decoding = session.start("decode", Kind::Guest, 0);
    let image = decoding.work(|| picture::decode(input))?;
    decoding.add_bytes(image.as_raw().len() as u64);
    session.end(decoding);
    let preview = write_input(session, &image, &output.join("before.png"))?;

    let bytes = image.as_raw().len() as u64;
    let card = Images::create(session.device(), &image).during("allocating the images")?;
    session.card_step("upload by DMA", Kind::Dma, bytes, |device| {
        card.upload(device, image.as_raw())
    })?;
    for effect in Effect::ALL {
        let bytes = card.result(effect).bytes();
        session.card_step(effect.title(), Kind::Card, bytes, |device| {
            card.apply(device, effect)
        })?;
    }
    let mut outputs = Vec::new();
    for effect in Effect::ALL {
        let surface = card.result(effect);
        let file = format!("{}.png", effect.name());
        Comparison::of(session, effect).run(session, &image, surface, &output.join(&file))?;
        outputs.push(Output {
            name: effect.name().into(),
            file,
            width: surface.width,
            height: surface.height,
        });
    }
    Ok(ImageReport {
        before: "before.png".into(),
        after: "sobel.png".into(),
        width: image.width(),
        height: image.height(),
        preview,
        outputs,
    })
}

fn write_input(session: &mut Session, image: &RgbImage, path: &Path) -> Result<bool, Failure> {
    let mut writing = session.start("write before.png", Kind::Guest, 0);
    let smaller = writing.work(|| {
        let (preview, smaller) = picture::preview(image);
        let mut png = RgbPng::begin(path, preview.width(), preview.height())?;
        png.rows(preview.as_raw())?;
        png.finish()?;
        Ok(smaller)
    })?;
    session.end(writing);
    Ok(smaller)
}

/// One result on its way to the guest: fetched by DMA and through the
/// aperture, compared with the reference, written as an image.
struct Comparison {
    effect: Effect,
    by_dma: Running,
    by_aperture: Running,
    compare: Running,
    write: Running,
    differences: [Differences; 2],
}

impl Comparison {
    fn of(session: &Session, effect: Effect) -> Self {
        let name = effect.name();
        let start = |step: &str, kind| session.start(&format!("{step} {name}"), kind, 0);
        Self {
            effect,
            by_dma: start("download", Kind::Dma),
            by_aperture: start("read through the aperture:", Kind::Aperture),
            compare: start("compare", Kind::Check),
            write: start("write", Kind::Guest),
            differences: [
                Differences::new("download by DMA"),
                Differences::new("reading the aperture"),
            ],
        }
    }

    fn run(
        mut self,
        session: &mut Session,
        image: &RgbImage,
        surface: &Surface,
        path: &Path,
    ) -> Result<(), Failure> {
        let name = self.effect.name();
        let row_bytes = (surface.width * CHANNELS) as usize;
        let rows_at_once = (STRIP_BYTES / row_bytes).max(1);
        let mapping = surface.object.map().during(name)?;
        let mut png = RgbPng::begin(path, surface.width, surface.height)?;
        let strip = vec![0; row_bytes * rows_at_once.min(surface.height as usize)];
        let (mut downloaded, mut read, mut expected) = (strip.clone(), strip.clone(), strip);

        for first_row in (0..surface.height as usize).step_by(rows_at_once) {
            let rows = rows_at_once.min(surface.height as usize - first_row);
            let (offset, bytes) = (first_row * row_bytes, rows * row_bytes);
            let downloaded = &mut downloaded[..bytes];
            let read = &mut read[..bytes];
            let expected = &mut expected[..bytes];

            let completion = self.by_dma.work(|| {
                let mut list = CommandList::new();
                let strip = surface.object.byte_range(offset as u64, bytes as u64)?;
                list.download(downloaded, &strip)?;
                session.device().run(&list)
            });
            self.by_dma.add_card_time(completion.during(name)?);
            let copied = self.by_aperture.work(|| mapping.read(offset, read));
            copied.during(name)?;
            let (effect, differences) = (self.effect, &mut self.differences);
            self.compare.work(|| {
                reference_rows(effect, image, first_row, expected, row_bytes);
                for (found, differences) in [&*downloaded, &*read].iter().zip(differences) {
                    differences.compare(found, expected, offset);
                }
            });
            self.write.work(|| png.rows(downloaded))?;
            session.progress(name, (offset + bytes) as u64, surface.bytes());
            for step in [&mut self.by_dma, &mut self.by_aperture, &mut self.compare] {
                step.add_bytes(bytes as u64);
            }
        }
        self.write.work(|| png.finish())?;
        self.finish(session, surface);
        Ok(())
    }

    fn finish(mut self, session: &mut Session, surface: &Surface) {
        let mut check = Check::Exact;
        for differences in &self.differences {
            if let Some(failure) = differences.describe(surface) {
                session.fail(format!("{}: {failure}", self.effect.name()));
                check = Check::Differs;
            }
        }
        self.compare.set_check(check);
        for step in [self.by_dma, self.by_aperture, self.compare, self.write] {
            session.end(step);
        }
    }
}

/// The reference's rows from `first_row` on, as many as fit `out`.
fn reference_rows(
    effect: Effect,
    image: &RgbImage,
    first_row: usize,
    out: &mut [u8],
    row_bytes: usize,
) {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut working = Working::default();
    if let Some(pixels) = Pixels::new(image.as_raw(), width, height, CHANNELS as usize) {
        for (row, out) in out.chunks_exact_mut(row_bytes).enumerate() {
            effect.reference_row(pixels, first_row + row, &mut working, out);
        }
    }
}

/// Bytes that differ from the reference.
struct Differences {
    way: &'static str,
    count: u64,
    compared: u64,
    first: Option<(usize, u8, u8)>,
}

impl Differences {
    fn new(way: &'static str) -> Self {
        Self {
            way,
            count: 0,
            compared: 0,
            first: None,
        }
    }

    /// Compares bytes from `offset` of the result on.
    fn compare(&mut self, found: &[u8], expected: &[u8], offset: usize) {
        self.compared += expected.len() as u64;
        if found == expected {
            return;
        }
        for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            if found != expected {
                self.count += 1;
                self.first.get_or_insert((offset + index, found, expected));
            }
        }
    }

    fn describe(&self, surface: &Surface) -> Option<String> {
        let (offset, found, expected) = self.first?;
        let (pixel, channel) = (offset / CHANNELS as usize, offset % CHANNELS as usize);
        let width = surface.width as usize;
        Some(format!(
            "{}: {} of {} bytes differ, first at x={} y={} channel={channel}: card {found}, reference {expected}",
            self.way,
            self.count,
            self.compared,
            pixel % width,
            pixel / width,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_found_and_all_are_counted() {
        let mut differences = Differences::new("test");
        differences.compare(&[1, 2, 3], &[1, 2, 3], 0);
        assert_eq!((differences.count, differences.first), (0, None));
        differences.compare(&[1, 9, 3, 8], &[1, 2, 3, 4], 6);
        differences.compare(&[0], &[1], 10);
        assert_eq!(differences.count, 3);
        assert_eq!(differences.compared, 8);
        assert_eq!(differences.first, Some((7, 9, 2)));
    }

    #[test]
    fn strips_of_the_reference_are_the_rows_of_the_whole() {
        let image = RgbImage::from_fn(7, 6, |x, y| {
            image::Rgb([(x * 37) as u8, (y * 51) as u8, (x * y * 11) as u8])
        });
        for effect in [Effect::Blur, Effect::Sharpen, Effect::Sobel] {
            let mut whole = vec![0; 7 * 6 * 3];
            reference_rows(effect, &image, 0, &mut whole, 21);
            let mut strip = vec![0; 42];
            reference_rows(effect, &image, 3, &mut strip, 21);
            assert_eq!(strip, whole[3 * 21..5 * 21]);
        }
    }
}
