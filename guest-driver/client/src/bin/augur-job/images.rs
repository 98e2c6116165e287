// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pipeline's images on the card, and the commands between them.

use augur_client::reference::image::Filter;
use augur_client::{CommandList, Completion, Convolution, DataType, Device, Error, Object, Tensor};
use image::RgbImage;
use zerocopy::IntoBytes;

use crate::filters::{BLUR, Effect, SHARPEN, SOBEL_X, SOBEL_Y};

/// Bytes of a pixel: interleaved RGB.
pub const CHANNELS: u32 = 3;

/// An image in device memory: one batch, rows, columns, channels of u8.
pub struct Surface {
    /// The memory.
    pub object: Object,
    /// All of it as a tensor.
    tensor: Tensor,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Surface {
    fn create(device: &Device, width: u32, height: u32) -> Result<Self, Error> {
        let bytes = u64::from(width) * u64::from(height) * u64::from(CHANNELS);
        let object = device.create_object(bytes)?;
        let tensor = object.tensor(DataType::U8, 0, &[1, height, width, CHANNELS])?;
        Ok(Self {
            object,
            tensor,
            width,
            height,
        })
    }

    /// Bytes of the image.
    pub fn bytes(&self) -> u64 {
        self.tensor.elements()
    }
}

/// Input and results of the pipeline on the card.
pub struct Images {
    source: Surface,
    blur: Surface,
    sharpen: Surface,
    sobel: Surface,
    gradient: Surface,
    half: Surface,
    weights: Object,
}

impl Images {
    /// Allocates all of it for an input.
    ///
    /// # Errors
    /// The card's memory does not suffice.
    pub fn create(device: &Device, image: &RgbImage) -> Result<Self, Error> {
        let (width, height) = (image.width(), image.height());
        let surface = || Surface::create(device, width, height);
        Ok(Self {
            source: surface()?,
            blur: surface()?,
            sharpen: surface()?,
            sobel: surface()?,
            gradient: surface()?,
            half: Surface::create(device, width / 2, height / 2)?,
            weights: device.create_object(augur_abi::PAGE_BYTES)?,
        })
    }

    /// The memory of the input.
    pub fn source(&self) -> &Object {
        &self.source.object
    }

    /// The result of an effect.
    pub fn result(&self, effect: Effect) -> &Surface {
        match effect {
            Effect::Blur => &self.blur,
            Effect::Sharpen => &self.sharpen,
            Effect::Sobel => &self.sobel,
            Effect::HalfSize => &self.half,
        }
    }

    /// Uploads the input's pixels in one transfer.
    ///
    /// # Errors
    /// The card refused or failed.
    pub fn upload(&self, device: &Device, pixels: &[u8]) -> Result<Completion, Error> {
        let mut list = CommandList::new();
        let bytes = pixels.len() as u64;
        list.upload(&self.source.object.byte_range(0, bytes)?, pixels)?;
        device.run(&list)
    }

    /// Makes the result of an effect.
    ///
    /// # Errors
    /// The card refused or failed.
    pub fn apply(&self, device: &Device, effect: Effect) -> Result<Completion, Error> {
        match effect {
            Effect::Blur => self.convolve(device, &[(BLUR, &self.blur)]),
            Effect::Sharpen => self.convolve(device, &[(SHARPEN, &self.sharpen)]),
            Effect::Sobel => {
                let both = [(SOBEL_X, &self.sobel), (SOBEL_Y, &self.gradient)];
                let gradients = self.convolve(device, &both)?;
                let mut list = CommandList::new();
                let (sobel, gradient) = (&self.sobel.tensor, &self.gradient.tensor);
                list.add(sobel, sobel, gradient)?;
                let sum = device.run(&list)?;
                Ok(Completion {
                    started_ns: gradients.started_ns,
                    finished_ns: sum.finished_ns,
                })
            }
            Effect::HalfSize => {
                let mut list = CommandList::new();
                list.resample(&self.half.tensor, &self.source.tensor, 2)?;
                device.run(&list)
            }
        }
    }

    /// Filters the input, each channel by itself, in one list.
    fn convolve<const SIZE: usize>(
        &self,
        device: &Device,
        filters: &[(Filter<SIZE>, &Surface)],
    ) -> Result<Completion, Error> {
        let weights: Vec<Vec<i16>> = filters
            .iter()
            .map(|(filter, _)| depthwise_weights(filter))
            .collect();
        let mut list = CommandList::new();
        let mut offset = 0;
        for (weights, (filter, surface)) in weights.iter().zip(filters) {
            let bytes = weights.as_bytes();
            list.upload(&self.weights.byte_range(offset, bytes.len() as u64)?, bytes)?;
            let size = u16::try_from(SIZE).unwrap_or(u16::MAX);
            let shape = [size.into(), size.into(), 1, CHANNELS];
            let tensor = self.weights.tensor(DataType::I16, offset, &shape)?;
            let convolution = Convolution {
                groups: CHANNELS as u16,
                shift: filter.shift,
                absolute: filter.absolute,
                ..Convolution::same_size(size, size)
            };
            list.conv2d(&surface.tensor, &self.source.tensor, &tensor, &convolution)?;
            offset += bytes.len() as u64;
        }
        device.run(&list)
    }
}

/// Weights (ky, kx, 1, channel), the same for every channel.
fn depthwise_weights<const SIZE: usize>(filter: &Filter<SIZE>) -> Vec<i16> {
    let flat = filter.weights.as_flattened().iter();
    flat.flat_map(|&weight| [weight; CHANNELS as usize])
        .collect()
}
