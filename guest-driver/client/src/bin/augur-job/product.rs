// SPDX-License-Identifier: MIT OR Apache-2.0
//! The matrix product: one factor uploaded by DMA, the other written through
//! the aperture, the result downloaded both ways and checked.

use augur_client::reference::product::{Product, TOLERANCE, Wrong};
use augur_client::{CommandList, DataType, Device, Error, Object, Tensor};
use zerocopy::IntoBytes;

use crate::failure::{During, Failure};
use crate::report::{Check, Kind, ProductReport};
use crate::session::Session;

/// Random vectors of Freivalds' check.
const VECTORS: u32 = 8;
/// Rows that are computed in full.
const ROWS: u32 = 32;

/// A square f32 matrix in device memory.
pub struct Matrix {
    /// The memory.
    pub object: Object,
    /// All of it as a tensor.
    pub tensor: Tensor,
    /// Bytes of the entries.
    pub bytes: u64,
}

impl Matrix {
    /// Allocates a matrix of `size` by `size`.
    ///
    /// # Errors
    /// The card's memory does not suffice.
    pub fn create(device: &Device, size: u32) -> Result<Self, Error> {
        let bytes = u64::from(size) * u64::from(size) * DataType::F32.bytes();
        let object = device.create_object(bytes)?;
        let tensor = object.tensor(DataType::F32, 0, &[size, size])?;
        Ok(Self {
            object,
            tensor,
            bytes,
        })
    }

    fn whole(&self) -> Result<Tensor, Error> {
        self.object.byte_range(0, self.bytes)
    }
}

/// Multiplies two random matrices of `size` by `size` on the card and checks
/// the result.
///
/// # Errors
/// The card refused or failed. A wrong result is no error: it is noted in the
/// session.
pub fn run(session: &mut Session, size: u32, seed: u64) -> Result<ProductReport, Failure> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut making = session.start("make random matrices", Kind::Guest, 0);
    let (a, b) = making.work(|| (matrix(&mut random, size), matrix(&mut random, size)));
    session.end(making);

    let create = || Matrix::create(session.device(), size).during("allocating the matrices");
    let (on_card_a, on_card_b, on_card_c) = (create()?, create()?, create()?);
    let bytes = on_card_a.bytes;
    session.card_step("upload A by DMA", Kind::Dma, bytes, |device| {
        let mut list = CommandList::new();
        list.upload(&on_card_a.whole()?, a.as_bytes())?;
        device.run(&list)
    })?;
    write_through_aperture(session, &on_card_b, b.as_bytes())?;

    let name = format!("product {size}x{size}");
    let mut multiplying = session.start(&name, Kind::Card, bytes);
    let completion = multiplying.work(|| {
        let mut list = CommandList::new();
        let (a, b) = (&on_card_a.tensor, &on_card_b.tensor);
        list.matmul(&on_card_c.tensor, a, b, false)?;
        session.device().run(&list)
    });
    multiplying.add_card_time(completion.during(&name)?);
    let (nanos, card_nanos) = (multiplying.nanos(), multiplying.card_nanos());
    session.end(multiplying);

    let c = download(session, &on_card_c, &a)?;
    let checked = check(session, &a, &b, &c, size, &mut random);
    if let Err(wrong) = &checked {
        session.fail(format!("product: {wrong}"));
    }
    Ok(ProductReport {
        size,
        nanos,
        card_nanos,
        max_relative_error: *checked.as_ref().unwrap_or(&f64::MAX),
        limit: TOLERANCE,
        vectors: VECTORS,
        rows: ROWS.min(size),
        passed: checked.is_ok(),
    })
}

/// Entries from -1 to 1.
fn matrix(random: &mut fastrand::Rng, size: u32) -> Vec<f32> {
    let entries = u64::from(size) * u64::from(size);
    (0..entries).map(|_| random.f32() * 2.0 - 1.0).collect()
}

fn write_through_aperture(
    session: &mut Session,
    matrix: &Matrix,
    bytes: &[u8],
) -> Result<(), Failure> {
    let name = "write B through the aperture";
    let mut writing = session.start(name, Kind::Aperture, matrix.bytes);
    let written = writing.work(|| matrix.object.map()?.write(0, bytes));
    written.during(name)?;
    session.end(writing);
    Ok(())
}

/// Fetches the product by DMA and through the aperture and notes when the two
/// differ. `like` has as many entries.
fn download(session: &mut Session, matrix: &Matrix, like: &[f32]) -> Result<Vec<f32>, Failure> {
    let mut downloaded = vec![0.0_f32; like.len()];
    session.card_step("download C", Kind::Dma, matrix.bytes, |device| {
        let mut list = CommandList::new();
        list.download(downloaded.as_mut_bytes(), &matrix.whole()?)?;
        device.run(&list)
    })?;
    let name = "read through the aperture: C";
    let mut reading = session.start(name, Kind::Aperture, matrix.bytes);
    let mut read = vec![0.0_f32; like.len()];
    let copied = reading.work(|| matrix.object.map()?.read(0, read.as_mut_bytes()));
    copied.during(name)?;
    let same = read.as_bytes() == downloaded.as_bytes();
    reading.set_check(if same { Check::Exact } else { Check::Differs });
    session.end(reading);
    if !same {
        session.fail("product: the aperture and the download by DMA differ".into());
    }
    Ok(downloaded)
}

/// The largest relative error found.
fn check(
    session: &mut Session,
    a: &[f32],
    b: &[f32],
    c: &[f32],
    size: u32,
    random: &mut fastrand::Rng,
) -> Result<f64, Wrong> {
    let mut checking = session.start("check the product", Kind::Check, 0);
    checking.add_bytes(c.as_bytes().len() as u64);
    let checked = checking.work(|| {
        let Some(product) = Product::new(a, b, c, size as usize) else {
            return Ok(0.0);
        };
        for _ in 0..VECTORS {
            product.check_random_signs(random)?;
        }
        let rows = random.choose_multiple(0..size as usize, ROWS as usize);
        rows.into_iter().try_fold(0.0, |largest: f64, row| {
            Ok(largest.max(product.check_row(row)?))
        })
    });
    checking.set_check(match checked {
        Ok(_) => Check::Within,
        Err(_) => Check::Differs,
    });
    session.end(checking);
    checked
}
