// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints what each kernel achieves on this machine with one thread: best of
//! some runs, in GB/s of the bytes named and in GFLOP/s.
//!
//!     cargo run --release -p augur-kernels --example throughput

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use augur_kernels::conv2d::{self, FinishF32, FinishU8, Geometry};
use augur_kernels::{
    Bf16, Element, KernelError, Layout, View, copy, elementwise, fill, matmul, normalize, reduce,
    resample,
};

static GO_ON: AtomicBool = AtomicBool::new(false);

type Failure = Box<dyn std::error::Error>;

/// A dense view of memory that is kept for the life of the program.
fn tensor<T: Element>(shape: &[u32]) -> Result<View<T>, Failure> {
    view(Layout::dense(shape)?)
}

/// A square matrix that lies column by column.
fn transposed(side: u32) -> Result<View<f32>, Failure> {
    view(Layout::new(&[side, side], &[4, u64::from(side) * 4])?)
}

fn view<T: Element>(layout: Layout<T>) -> Result<View<T>, Failure> {
    let memory = vec![0x3f80_3f80_3f80_3f80u64; layout.span_bytes().div_ceil(8) as usize];
    // SAFETY: the memory holds the span, is aligned to eight bytes and is
    // never freed.
    Ok(unsafe { View::new(memory.leak().as_mut_ptr().cast(), layout) })
}

fn best(mut kernel: impl FnMut() -> Result<(), KernelError>) -> Result<Duration, KernelError> {
    let mut best = Duration::MAX;
    for _ in 0..7 {
        let start = Instant::now();
        kernel()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

fn report(
    name: &str,
    amount: f64,
    unit: &str,
    kernel: impl FnMut() -> Result<(), KernelError>,
) -> Result<(), KernelError> {
    let time = best(kernel)?;
    let rate = amount / 1e9 / time.as_secs_f64();
    println!("{name:<44} {rate:>8.2} {unit:<24} {time:>10.2?}");
    Ok(())
}

fn main() -> Result<(), Failure> {
    images()?;
    vectors()?;
    matrices()?;
    Ok(())
}

const PLAIN: Geometry = Geometry {
    stride_y: 1,
    stride_x: 1,
    pad_top: 0,
    pad_bottom: 0,
    pad_left: 0,
    pad_right: 0,
    groups: 1,
    repeat_edge: true,
};

fn padded(kernel: u32, groups: u32) -> Geometry {
    let pad = (kernel / 2) as u16;
    Geometry {
        pad_top: pad,
        pad_bottom: pad,
        pad_left: pad,
        pad_right: pad,
        groups: groups as u16,
        ..PLAIN
    }
}

fn images() -> Result<(), Failure> {
    let shape = [1, 2048, 2048, 3];
    let (source, destination) = (tensor::<u8>(&shape)?, tensor::<u8>(&shape)?);
    let bytes = 2048.0 * 2048.0 * 3.0;
    let finish = FinishU8 {
        absolute: false,
        bias: 0,
        shift: 8,
    };
    for kernel in [3, 5] {
        let weights = tensor::<i16>(&[kernel, kernel, 1, 3])?;
        let name = format!("conv2d u8 depthwise {kernel}x{kernel}, 2048x2048 RGB");
        report(&name, bytes, "GB/s of output", || {
            let geometry = padded(kernel, 3);
            conv2d::run_u8(destination, source, weights, &geometry, &finish, &GO_ON)
        })?;
    }
    let weights = tensor::<i16>(&[3, 3, 3, 3])?;
    report(
        "conv2d u8 3x3, 3 to 3 channels, 2048x2048",
        bytes,
        "GB/s of output",
        || conv2d::run_u8(destination, source, weights, &padded(3, 1), &finish, &GO_ON),
    )?;
    let half = tensor::<u8>(&[1, 1024, 1024, 3])?;
    report(
        "resample u8 by 2, 2048x2048 RGB",
        bytes,
        "GB/s of input",
        || resample::run_u8(half, source, 2, &GO_ON),
    )?;

    let (source, destination) = (
        tensor::<f32>(&[1, 512, 512, 3])?,
        tensor::<f32>(&[1, 512, 512, 3])?,
    );
    let weights = tensor::<f32>(&[5, 5, 1, 3])?;
    let finish = FinishF32 {
        absolute: false,
        bias: 0.0,
    };
    let bytes = 512.0 * 512.0 * 12.0;
    report(
        "conv2d f32 depthwise 5x5, 512x512 RGB",
        bytes,
        "GB/s of output",
        || conv2d::run_f32(destination, source, weights, &padded(5, 3), &finish, &GO_ON),
    )?;
    for (kernel, channels) in [(3, 64), (1, 256)] {
        let shape = [1, 56, 56, channels];
        let (source, destination) = (tensor::<f32>(&shape)?, tensor::<f32>(&shape)?);
        let weights = tensor::<f32>(&[kernel, kernel, channels, channels])?;
        let flops = 2.0 * 56.0 * 56.0 * f64::from(kernel * kernel * channels * channels);
        let name = format!("conv2d f32 {kernel}x{kernel}, {channels} channels, 56x56");
        report(&name, flops, "GFLOP/s", || {
            conv2d::run_f32(
                destination,
                source,
                weights,
                &padded(kernel, 1),
                &finish,
                &GO_ON,
            )
        })?;
    }
    Ok(())
}

fn vectors() -> Result<(), Failure> {
    for (name, count) in [("16 MiB", 1u32 << 22), ("128 KiB", 1 << 15)] {
        let [a, b, c] = [
            tensor::<f32>(&[count])?,
            tensor(&[count])?,
            tensor(&[count])?,
        ];
        let bytes = f64::from(count) * 4.0;
        report(
            &format!("fill f32, {name}"),
            bytes,
            "GB/s of output",
            || fill::run(a, 1.0, &GO_ON),
        )?;
        report(
            &format!("copy f32, {name}"),
            bytes,
            "GB/s of output",
            || copy::run(a, b, &GO_ON),
        )?;
        report(
            &format!("add f32, {name}"),
            bytes * 3.0,
            "GB/s in and out",
            || elementwise::add_f32(a, b, c, &GO_ON),
        )?;
        report(
            &format!("relu f32, {name}"),
            bytes * 2.0,
            "GB/s in and out",
            || elementwise::relu_f32(a, b, &GO_ON),
        )?;
        let [a, b, c] = [
            tensor::<u8>(&[count * 4])?,
            tensor(&[count * 4])?,
            tensor(&[count * 4])?,
        ];
        report(
            &format!("add u8, {name}"),
            bytes * 3.0,
            "GB/s in and out",
            || elementwise::add_u8(a, b, c, &GO_ON),
        )?;
    }
    Ok(())
}

fn matrices() -> Result<(), Failure> {
    for side in [64, 256, 1024] {
        let [a, b, c] = [
            tensor::<f32>(&[side, side])?,
            tensor(&[side, side])?,
            tensor(&[side, side])?,
        ];
        let flops = 2.0 * f64::from(side).powi(3);
        report(
            &format!("matmul f32 {side}x{side}x{side}"),
            flops,
            "GFLOP/s",
            || matmul::run_f32(a, b, c, matmul::Update::Replace, &GO_ON),
        )?;
    }
    let side = 1024;
    let flops = 2.0 * f64::from(side).powi(3);
    let [a, b] = [tensor::<i8>(&[side, side])?, tensor(&[side, side])?];
    let sums = tensor::<i32>(&[side, side])?;
    report("matmul i8 1024x1024x1024", flops, "Gop/s", || {
        matmul::run_i8(sums, a, b, matmul::Update::Replace, &GO_ON)
    })?;
    let sums = tensor::<f32>(&[side, side])?;
    let [a, b] = [tensor::<Bf16>(&[side, side])?, tensor(&[side, side])?];
    report("matmul bf16 1024x1024x1024", flops, "GFLOP/s", || {
        matmul::run_bf16(sums, a, b, matmul::Update::Replace, &GO_ON)
    })?;
    lines()
}

fn lines() -> Result<(), Failure> {
    let side = 2048;
    let (destination, source) = (tensor::<f32>(&[side, side])?, transposed(side)?);
    report(
        "copy f32 transposed, 2048x2048",
        f64::from(side).powi(2) * 4.0,
        "GB/s of output",
        || copy::run(destination, source, &GO_ON),
    )?;
    let [source, destination] = [tensor::<f32>(&[side, side])?, tensor(&[side, side])?];
    let bytes = f64::from(side).powi(2) * 4.0;
    for axis in 0..2 {
        let mut shape = [side, side];
        shape[axis] = 1;
        let sums = tensor::<f32>(&shape)?;
        let name = format!("sum f32 2048x2048 over dimension {axis}");
        report(&name, bytes, "GB/s of input", || {
            reduce::sum_f32(sums, source, axis, &GO_ON)
        })?;
    }
    report("softmax f32 2048x2048", bytes, "GB/s of output", || {
        normalize::softmax_f32(destination, source, 1, &GO_ON)
    })?;
    let [scale, bias] = [tensor::<f32>(&[side])?, tensor(&[side])?];
    report(
        "layer normalisation f32 2048x2048",
        bytes,
        "GB/s of output",
        || normalize::layer_norm_f32(destination, source, scale, bias, 1e-5, 1, &GO_ON),
    )?;
    Ok(())
}
