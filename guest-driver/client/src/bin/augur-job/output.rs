// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that appear whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Writes a file under another name and gives it its own when it is complete.
///
/// # Errors
/// It cannot be written; the partial file is gone.
pub fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), Failure> {
    let partial = partial_name(path);
    let written = File::create(&partial).and_then(|file| {
        let mut file = BufWriter::new(file);
        write(&mut file)?;
        file.flush()?;
        std::fs::rename(&partial, path)
    });
    written.map_err(|error| {
        // It may not exist; the error that counts is the first.
        let _ = std::fs::remove_file(&partial);
        Failure::output(path, &error)
    })
}

/// A PNG of 8-bit RGB that is written row by row and appears when it is whole.
pub struct RgbPng {
    path: PathBuf,
    partial: PathBuf,
    stream: Option<png::StreamWriter<'static, BufWriter<File>>>,
}

impl RgbPng {
    /// Begins an image of `width` by `height` pixels.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn begin(path: &Path, width: u32, height: u32) -> Result<Self, Failure> {
        let partial = partial_name(path);
        let stream = File::create(&partial)
            .map_err(png::EncodingError::from)
            .and_then(|file| {
                let mut encoder = png::Encoder::new(BufWriter::new(file), width, height);
                encoder.set_color(png::ColorType::Rgb);
                encoder.set_depth(png::BitDepth::Eight);
                encoder.set_compression(png::Compression::Fast);
                encoder.write_header()?.into_stream_writer()
            })
            .map_err(|error| Failure::output(path, &error.into()))?;
        Ok(Self {
            path: path.into(),
            partial,
            stream: Some(stream),
        })
    }

    /// Appends whole rows.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn rows(&mut self, rows: &[u8]) -> Result<(), Failure> {
        match &mut self.stream {
            Some(stream) => stream
                .write_all(rows)
                .map_err(|error| Failure::output(&self.path, &error)),
            None => Ok(()),
        }
    }

    /// Ends the image and gives the file its name.
    ///
    /// # Errors
    /// It cannot be written, or rows are missing.
    pub fn finish(mut self) -> Result<(), Failure> {
        let finished = match self.stream.take() {
            Some(stream) => stream.finish().map_err(io::Error::from),
            None => Ok(()),
        };
        finished
            .and_then(|()| std::fs::rename(&self.partial, &self.path))
            .map_err(|error| Failure::output(&self.path, &error))
    }
}

impl Drop for RgbPng {
    fn drop(&mut self) {
        // Unfinished, or already renamed and then not there.
        let _ = std::fs::remove_file(&self.partial);
    }
}

fn partial_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_appears_whole_with_its_pixels() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("image.png");
        let mut image = RgbPng::begin(&path, 2, 2).expect("writable");
        image.rows(&[1, 2, 3, 4, 5, 6]).expect("a row");
        assert!(!path.exists());
        image.rows(&[7, 8, 9, 10, 11, 12]).expect("a row");
        image.finish().expect("whole");
        let read = image::open(&path).expect("a PNG").into_rgb8();
        assert_eq!(read.into_raw(), (1..=12).collect::<Vec<u8>>());
    }

    #[test]
    fn what_is_not_finished_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("image.png");
        let mut image = RgbPng::begin(&path, 2, 2).expect("writable");
        image.rows(&[1, 2, 3, 4, 5, 6]).expect("a row");
        drop(image);
        let failed = write_whole(&directory.path().join("report"), |_| {
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failed.is_err());
        let left = std::fs::read_dir(directory.path()).expect("a directory");
        assert_eq!(left.count(), 0);
    }
}
