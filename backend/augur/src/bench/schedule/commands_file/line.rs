// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a line of a program may say, and why one is refused.

use augur_scheduler::list::ListError;
use augur_scheduler::region::{MAX_RANK, RegionError};
use augur_scheduler::workload::ProgramError;
use serde::Deserialize;
use thiserror::Error;

/// Bytes of one line.
pub const MAX_LINE: u64 = 1 << 20;
/// Instructions of one file.
pub const MAX_INSTRUCTIONS: usize = 1 << 23;
/// Tensors and views of one file.
pub const MAX_TENSORS: usize = 1 << 20;

/// Why a line is refused.
#[derive(Debug, Error)]
pub enum LineError {
    #[error("not a tensor, a view or an instruction: {reason} (column {column})")]
    Json { reason: String, column: usize },
    #[error("longer than {MAX_LINE} bytes")]
    LineTooLong,
    #[error("more than {MAX_INSTRUCTIONS} instructions")]
    TooManyInstructions,
    #[error("more than {MAX_TENSORS} tensors")]
    TooManyTensors,
    #[error("tensor '{0}' is defined twice")]
    DefinedTwice(String),
    #[error("no tensor '{0}' is defined above")]
    NoTensor(String),
    #[error("unknown dtype '{0}': use u8, i8, u16, i16, bf16, f16, u32, i32, f32, u64, i64 or f64")]
    DataType(String),
    #[error("the shape has {0} dimensions; at most {MAX_RANK} are possible")]
    Rank(usize),
    #[error("the tensor is larger than the address space")]
    TooLarge,
    #[error("the view reaches outside '{0}'")]
    ViewOutside(String),
    #[error("'{tensor}' has {rank} dimensions, but '{field}' gives {given}")]
    OperandRank {
        tensor: String,
        rank: usize,
        field: &'static str,
        given: usize,
    },
    #[error("dimension {dimension} of '{tensor}' has {size} elements; the operand reaches {last}")]
    OperandOutside {
        tensor: String,
        dimension: usize,
        size: u64,
        last: u128,
    },
    #[error("a step must be at least 1")]
    Step,
    #[error("{0}")]
    Region(#[from] RegionError),
    #[error("{0}")]
    Program(#[from] ProgramError),
}

impl From<serde_json::Error> for LineError {
    /// Each line is a text of its own there: its number would be one.
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default();
        Self::Json {
            reason: reason.to_owned(),
            column: error.column(),
        }
    }
}

impl From<ListError> for LineError {
    fn from(error: ListError) -> Self {
        Self::Program(error.into())
    }
}

pub enum Line {
    View(ViewLine),
    Tensor(TensorLine),
    Instruction(InstructionLine),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorLine {
    pub tensor: String,
    pub dtype: String,
    pub shape: Vec<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewLine {
    pub tensor: String,
    pub view_of: String,
    #[serde(default)]
    pub offset: u64,
    pub dtype: Option<String>,
    pub shape: Vec<u64>,
    pub strides: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstructionLine {
    pub op: String,
    #[serde(default)]
    pub reads: Vec<OperandLine>,
    #[serde(default)]
    pub writes: Vec<OperandLine>,
    pub ns: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperandLine {
    pub t: String,
    pub at: Vec<u64>,
    pub size: Vec<u64>,
    pub step: Option<Vec<u64>>,
}

/// Which kind of line it is, by the fields that tell them apart, so that the
/// error is about the kind it means to be.
pub fn parse(text: &[u8]) -> Result<Line, serde_json::Error> {
    #[derive(Deserialize)]
    struct Kind {
        tensor: Option<serde::de::IgnoredAny>,
        view_of: Option<serde::de::IgnoredAny>,
    }
    let kind: Kind = serde_json::from_slice(text)?;
    Ok(match (kind.view_of, kind.tensor) {
        (Some(_), _) => Line::View(serde_json::from_slice(text)?),
        (None, Some(_)) => Line::Tensor(serde_json::from_slice(text)?),
        (None, None) => Line::Instruction(serde_json::from_slice(text)?),
    })
}

pub fn element_bytes(name: &str) -> Result<u64, LineError> {
    match name {
        "u8" | "i8" => Ok(1),
        "u16" | "i16" | "bf16" | "f16" => Ok(2),
        "u32" | "i32" | "f32" => Ok(4),
        "u64" | "i64" | "f64" => Ok(8),
        _ => Err(LineError::DataType(name.to_owned())),
    }
}
