// SPDX-License-Identifier: MIT OR Apache-2.0
//! A model: what the scorer has learned, as a safetensors file.
//!
//! It holds the network and the mixer's weights. A file that is cut short,
//! has other tensors or shapes, or holds weights that are not the result of
//! training is refused with a reason before anything of it is used.

use std::collections::HashMap;
use std::sync::Arc;

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};
use thiserror::Error;

use crate::evidence::CLASSES;
use crate::mixer::{INPUTS, Mixer};
use crate::network::{LARGEST_WEIGHT, Network, SHAPES};

/// The tensor of the mixer's weights, after those of the network.
const MIXER: (&str, usize, usize) = ("mixer.weight", CLASSES, INPUTS);
/// The key of the generation in the file's metadata.
const GENERATION: &str = "generation";
/// Larger files are refused unread.
const LARGEST_FILE: usize = 1 << 20;

/// Why a model is refused; the running one stays.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The file is too large.
    #[error("the model has {0} bytes, more than the {LARGEST_FILE} allowed")]
    TooLarge(usize),
    /// Not a safetensors file, or cut short.
    #[error("not a complete safetensors file: {0}")]
    Format(#[from] SafeTensorError),
    /// A tensor is missing.
    #[error("the model lacks the tensor `{0}`")]
    Missing(&'static str),
    /// Tensors that this predictor has no place for.
    #[error("the model has {0} tensors, expected {expected}", expected = SHAPES.len() + 1)]
    TensorCount(usize),
    /// A tensor of another shape or type.
    #[error("`{name}` is {found}, expected F32 [{rows}, {columns}]")]
    Shape {
        /// The tensor.
        name: &'static str,
        /// What it is.
        found: String,
        /// Rows expected.
        rows: usize,
        /// Columns expected.
        columns: usize,
    },
    /// A weight is not finite, or absurd.
    #[error("`{0}` holds a weight that is not finite or above {LARGEST_WEIGHT}")]
    Value(&'static str),
}

/// What is shown of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Steps of training behind it.
    pub generation: u64,
    /// FNV-1a over the bytes of all weights.
    pub checksum: u64,
    /// Weights and biases.
    pub parameters: u32,
    /// Their bytes.
    pub bytes: u32,
}

/// A scorer's weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub(crate) network: Arc<Network>,
    pub(crate) mixer: Mixer,
    pub(crate) generation: u64,
}

impl Model {
    /// A model that has learned nothing.
    pub fn untrained(seed: u64) -> Self {
        Self {
            network: Arc::new(Network::untrained(seed)),
            mixer: Mixer::new(),
            generation: 0,
        }
    }

    /// Its network.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Generation, checksum and size.
    pub fn info(&self) -> ModelInfo {
        let parameters = self.network.parameters() + CLASSES * INPUTS;
        let bytes = self
            .tensors()
            .flat_map(|(_, values)| values.iter().flat_map(|weight| weight.to_le_bytes()));
        ModelInfo {
            generation: self.generation,
            checksum: bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            }),
            parameters: parameters as u32,
            bytes: (4 * parameters) as u32,
        }
    }

    /// The tensors with their names and shapes.
    fn tensors(&self) -> impl Iterator<Item = ((&'static str, usize, usize), &[f32])> {
        let network = SHAPES
            .into_iter()
            .zip(self.network.tensors().iter().map(Vec::as_slice));
        network.chain([(MIXER, self.mixer.weights().as_flattened())])
    }

    /// Reads a safetensors file.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with it.
    pub fn from_bytes(file: &[u8]) -> Result<Self, ModelError> {
        if file.len() > LARGEST_FILE {
            return Err(ModelError::TooLarge(file.len()));
        }
        let found = SafeTensors::deserialize(file)?;
        if found.len() != SHAPES.len() + 1 {
            return Err(ModelError::TensorCount(found.len()));
        }
        let mut tensors: [Vec<f32>; SHAPES.len()] = Default::default();
        for (kept, shape) in tensors.iter_mut().zip(SHAPES) {
            *kept = weights(&found, shape)?;
        }
        let mixer = weights(&found, MIXER)?;
        let mixer = mixer.as_chunks::<INPUTS>().0.to_vec();
        let (_, metadata) = SafeTensors::read_metadata(file)?;
        let generation = metadata
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(GENERATION))
            .and_then(|generation| generation.parse().ok());
        Ok(Self {
            network: Arc::new(
                Network::from_tensors(tensors).ok_or(ModelError::Missing(SHAPES[0].0))?,
            ),
            mixer: Mixer::from_weights(mixer),
            generation: generation.unwrap_or(0),
        })
    }

    /// Writes a safetensors file.
    ///
    /// # Errors
    /// [`ModelError::Format`] when it cannot be put together.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        let bytes: Vec<_> = self
            .tensors()
            .map(|(shape, values)| {
                let bytes: Vec<u8> = values.iter().flat_map(|w| w.to_le_bytes()).collect();
                (shape, bytes)
            })
            .collect();
        let views = bytes
            .iter()
            .map(|((name, rows, columns), bytes)| {
                TensorView::new(Dtype::F32, vec![*rows, *columns], bytes).map(|view| (*name, view))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let metadata = HashMap::from([(GENERATION.to_owned(), self.generation.to_string())]);
        Ok(safetensors::serialize(views, Some(metadata))?)
    }
}

/// The weights of one tensor of a file, checked.
fn weights(
    file: &SafeTensors<'_>,
    (name, rows, columns): (&'static str, usize, usize),
) -> Result<Vec<f32>, ModelError> {
    let tensor = file.tensor(name).map_err(|_| ModelError::Missing(name))?;
    if tensor.dtype() != Dtype::F32 || tensor.shape() != [rows, columns] {
        return Err(ModelError::Shape {
            name,
            found: format!("{:?} {:?}", tensor.dtype(), tensor.shape()),
            rows,
            columns,
        });
    }
    let weights: Vec<f32> = tensor
        .data()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect();
    // Comparisons with NaN are false.
    if !weights.iter().all(|weight| weight.abs() <= LARGEST_WEIGHT) {
        return Err(ModelError::Value(name));
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(tensors: &[(&str, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
            (*name, view)
        });
        safetensors::serialize(views, None).unwrap()
    }

    /// The tensors of an untrained model, to be spoilt.
    fn tensors() -> Vec<(&'static str, Vec<usize>, Vec<u8>)> {
        Model::untrained(5)
            .tensors()
            .map(|((name, rows, columns), values)| {
                let bytes = values.iter().flat_map(|w| w.to_le_bytes()).collect();
                (name, vec![rows, columns], bytes)
            })
            .collect()
    }

    #[test]
    fn a_model_survives_writing_and_reading() {
        let model = Model {
            generation: 77,
            ..Model::untrained(5)
        };
        let read = Model::from_bytes(&model.to_bytes().unwrap()).unwrap();
        assert_eq!(read, model);
        assert_eq!(read.info(), model.info());
        assert_ne!(read.info().checksum, Model::untrained(6).info().checksum);
        let parameters = read.info().parameters;
        assert!((5_000..=30_000).contains(&parameters), "{parameters}");
    }

    #[test]
    fn a_file_cut_short_anywhere_is_refused() {
        let file = Model::untrained(5).to_bytes().unwrap();
        for length in (0..file.len()).step_by(97).chain([file.len() - 1]) {
            let refused = Model::from_bytes(&file[..length]);
            assert!(
                matches!(refused, Err(ModelError::Format(_))),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn weights_that_are_not_finite_or_absurd_are_refused() {
        for poison in [f32::NAN, f32::INFINITY, -1e6] {
            for index in 0..tensors().len() {
                let mut tensors = tensors();
                let bytes = &mut tensors[index].2;
                let last = bytes.len() - 4;
                bytes[last..].copy_from_slice(&poison.to_le_bytes());
                let name = tensors[index].0;
                assert!(matches!(
                    Model::from_bytes(&file_of(&tensors)),
                    Err(ModelError::Value(found)) if found == name
                ));
            }
        }
    }

    #[test]
    fn other_shapes_are_refused_with_what_was_expected() {
        let mut spoilt = tensors();
        spoilt[2].1.reverse();
        let error = Model::from_bytes(&file_of(&spoilt))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "`layer1.weight` is F32 [64, 48], expected F32 [48, 64]"
        );
        let mut renamed = tensors();
        renamed[1].0 = "layer9.bias";
        assert!(matches!(
            Model::from_bytes(&file_of(&renamed)),
            Err(ModelError::Missing("layer0.bias"))
        ));
        assert!(matches!(
            Model::from_bytes(&file_of(&tensors()[1..])),
            Err(ModelError::TensorCount(6))
        ));
        assert!(matches!(
            Model::from_bytes(&vec![0; LARGEST_FILE + 1]),
            Err(ModelError::TooLarge(_))
        ));
    }
}
