// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads a program from JSON lines.
//!
//! The file is somebody else's: every line is checked where it is read, and an
//! error names the line.  Tensors come before what uses them.

mod line;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context as _;
use augur_scheduler::clock::Nanos;
use augur_scheduler::list::{Access, Object, Operand};
use augur_scheduler::region::{MAX_RANK, Region, RegionError};
use augur_scheduler::workload::Program;

use self::line::{
    InstructionLine, Line, LineError, MAX_INSTRUCTIONS, MAX_LINE, MAX_TENSORS, OperandLine,
    TensorLine, ViewLine, element_bytes, parse,
};
use crate::exit::Failure;

/// Some editors write it in front of the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A tensor or a view.
struct Tensor {
    object: Object,
    base: u64,
    element: u64,
    shape: Vec<u64>,
    strides: Vec<i64>,
}

/// Reads the program in `path`.
///
/// # Errors
/// The file cannot be read, or one of its lines is wrong: the message names
/// the line.
pub fn read(path: &Path) -> anyhow::Result<Program> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut lines = BufReader::new(file);
    let mut reader = Reader::default();
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let length = lines
            .by_ref()
            .take(MAX_LINE + 1)
            .read_until(b'\n', &mut text)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if length == 0 {
            break;
        }
        let line = match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(line) if number == 1 => line,
            _ => &text,
        };
        reader.line(line).map_err(|error| {
            Failure::input(format!("{}: line {number}: {error}", path.display()))
        })?;
    }
    Ok(reader.program)
}

struct Reader {
    program: Program,
    tensors: HashMap<String, Tensor>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            program: Program::new(),
            tensors: HashMap::new(),
        }
    }
}

impl Reader {
    fn line(&mut self, text: &[u8]) -> Result<(), LineError> {
        if text.len() as u64 > MAX_LINE {
            return Err(LineError::LineTooLong);
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        match parse(text)? {
            Line::Tensor(line) => self.tensor(line),
            Line::View(line) => self.view(line),
            Line::Instruction(line) => self.instruction(&line),
        }
    }

    fn tensor(&mut self, line: TensorLine) -> Result<(), LineError> {
        self.check_name(&line.tensor)?;
        let element = element_bytes(&line.dtype)?;
        if line.shape.len() > MAX_RANK {
            return Err(LineError::Rank(line.shape.len()));
        }
        let mut strides = vec![0; line.shape.len()];
        let mut bytes = element;
        for (stride, &size) in strides.iter_mut().zip(&line.shape).rev() {
            *stride = i64::try_from(bytes).map_err(|_| LineError::TooLarge)?;
            bytes = bytes.checked_mul(size).ok_or(LineError::TooLarge)?;
        }
        let object = self.program.object(&line.tensor, bytes)?;
        self.tensors.insert(
            line.tensor,
            Tensor {
                object,
                base: object.start(),
                element,
                shape: line.shape,
                strides,
            },
        );
        Ok(())
    }

    fn view(&mut self, line: ViewLine) -> Result<(), LineError> {
        self.check_name(&line.tensor)?;
        let parent = self
            .tensors
            .get(&line.view_of)
            .ok_or_else(|| LineError::NoTensor(line.view_of.clone()))?;
        let element = match &line.dtype {
            Some(name) => element_bytes(name)?,
            None => parent.element,
        };
        let base = parent
            .base
            .checked_add(line.offset)
            .ok_or(RegionError::OutOfRange)?;
        let object = parent.object;
        let all = Region::read(base, element, &line.shape, &line.strides)?;
        if all.start() < object.start() || all.end() > object.start() + object.bytes() {
            return Err(LineError::ViewOutside(line.view_of));
        }
        self.tensors.insert(
            line.tensor,
            Tensor {
                object,
                base,
                element,
                shape: line.shape,
                strides: line.strides,
            },
        );
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), LineError> {
        if self.tensors.contains_key(name) {
            return Err(LineError::DefinedTwice(name.to_owned()));
        }
        if self.tensors.len() >= MAX_TENSORS {
            return Err(LineError::TooManyTensors);
        }
        Ok(())
    }

    fn instruction(&mut self, line: &InstructionLine) -> Result<(), LineError> {
        if self.program.list.len() >= MAX_INSTRUCTIONS {
            return Err(LineError::TooManyInstructions);
        }
        let mut operands = Vec::with_capacity(line.reads.len() + line.writes.len());
        for operand in &line.reads {
            operands.push(self.operand(operand, Access::Read)?);
        }
        for operand in &line.writes {
            operands.push(self.operand(operand, Access::Write)?);
        }
        Ok(self.program.push(&line.op, &operands, Nanos(line.ns))?)
    }

    fn operand(&self, line: &OperandLine, access: Access) -> Result<Operand, LineError> {
        let tensor = self
            .tensors
            .get(&line.t)
            .ok_or_else(|| LineError::NoTensor(line.t.clone()))?;
        let rank = tensor.shape.len();
        let steps = line.step.clone().unwrap_or_else(|| vec![1; rank]);
        for (field, given) in [
            ("at", line.at.len()),
            ("size", line.size.len()),
            ("step", steps.len()),
        ] {
            if given != rank {
                return Err(LineError::OperandRank {
                    tensor: line.t.clone(),
                    rank,
                    field,
                    given,
                });
            }
        }
        let mut base = i128::from(tensor.base);
        let mut strides = Vec::with_capacity(rank);
        let dimensions = tensor.shape.iter().zip(&tensor.strides);
        let ranges = line.at.iter().zip(&line.size).zip(&steps);
        for (dimension, ((&extent, &stride), ((&at, &size), &step))) in
            dimensions.zip(ranges).enumerate()
        {
            if step == 0 {
                return Err(LineError::Step);
            }
            if size == 0 {
                return Err(RegionError::Empty.into());
            }
            let last = u128::from(at) + u128::from(size - 1) * u128::from(step);
            if last >= u128::from(extent) {
                return Err(LineError::OperandOutside {
                    tensor: line.t.clone(),
                    dimension,
                    size: extent,
                    last,
                });
            }
            base += i128::from(at) * i128::from(stride);
            // With one element the distance to the next does not matter.
            let apart = if size == 1 { 1 } else { i128::from(step) };
            let stride = i64::try_from(apart * i128::from(stride));
            strides.push(stride.map_err(|_| RegionError::OutOfRange)?);
        }
        let base = u64::try_from(base).map_err(|_| RegionError::OutOfRange)?;
        let region = if access.writes() {
            Region::written(base, tensor.element, &line.size, &strides)?
        } else {
            Region::read(base, tensor.element, &line.size, &strides)?
        };
        Ok(Operand {
            region,
            object: tensor.object,
            access,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(lines: &[&str]) -> Result<Program, String> {
        let mut reader = Reader::default();
        for (number, line) in lines.iter().enumerate() {
            reader
                .line(line.as_bytes())
                .map_err(|error| format!("{}: {error}", number + 1))?;
        }
        Ok(reader.program)
    }

    const A: &str = r#"{"tensor":"A","dtype":"f32","shape":[8,8]}"#;

    #[test]
    fn operands_become_the_bytes_they_name() {
        let view = r#"{"tensor":"V","view_of":"A","offset":4,"shape":[4,7],"strides":[64,4]}"#;
        let op = r#"{"op":"x","reads":[{"t":"V","at":[1,0],"size":[2,3],"step":[2,2]}],"writes":[{"t":"A","at":[0,0],"size":[8,8]}],"ns":7}"#;
        let program = program(&[A, view, "", op]).unwrap();
        let (instruction, operands) = program.list.get(0).unwrap();
        assert_eq!(instruction.cost, Nanos(7));
        let mut runs = Vec::new();
        operands[0]
            .region
            .for_each_run(|start, length| runs.push((start, length)));
        assert_eq!(
            runs,
            [(68, 4), (76, 4), (84, 4), (196, 4), (204, 4), (212, 4)]
        );
        assert!(operands[1].region.is_contiguous());
        assert_eq!(operands[1].region.bytes(), 256);
    }

    #[test]
    fn wrong_lines_are_refused_with_their_reason() {
        let op = |reads: &str, writes: &str| {
            format!(r#"{{"op":"x","reads":[{reads}],"writes":[{writes}],"ns":1}}"#)
        };
        let at = |at: &str, size: &str| format!(r#"{{"t":"A","at":{at},"size":{size}}}"#);
        let cases = [
            ("{".to_owned(), "not a tensor"),
            ("{}".to_owned(), "missing field `op`"),
            (A.to_owned(), "defined twice"),
            (
                r#"{"tensor":"B","dtype":"f31","shape":[8]}"#.to_owned(),
                "unknown dtype",
            ),
            (
                r#"{"tensor":"B","dtype":"u8","shape":[0]}"#.to_owned(),
                "empty",
            ),
            (
                r#"{"tensor":"B","dtype":"u8","shape":[4294967296,4294967296]}"#.to_owned(),
                "larger than the address space",
            ),
            (
                r#"{"tensor":"B","dtype":"u8","shape":[1,1,1,1,1,1,1]}"#.to_owned(),
                "7 dimensions",
            ),
            (
                r#"{"tensor":"B","view_of":"C","shape":[1],"strides":[1]}"#.to_owned(),
                "no tensor 'C'",
            ),
            (
                r#"{"tensor":"B","view_of":"A","offset":200,"shape":[15],"strides":[4]}"#
                    .to_owned(),
                "outside 'A'",
            ),
            (op("", &at("[0]", "[1,1]")), "'at' gives 1"),
            (op("", &at("[0,0]", "[0,1]")), "no bytes"),
            (op("", &at("[0,7]", "[1,2]")), "dimension 1 of 'A'"),
            (op(&at("[0,-1]", "[1,2]"), ""), "invalid value"),
            (
                op(
                    "",
                    &format!("{},{}", at("[0,0]", "[2,2]"), at("[1,1]", "[2,2]")),
                ),
                "write the same byte",
            ),
            (
                op(r#"{"t":"A","at":[0,0],"size":[2,2],"step":[0,1]}"#, ""),
                "at least 1",
            ),
        ];
        for (line, reason) in cases {
            let error = program(&[A, &line]).unwrap_err();
            assert!(
                error.starts_with("2: ") && error.contains(reason),
                "{line}: {error}"
            );
        }
    }

    #[test]
    fn an_error_names_the_line_of_the_file_and_the_column() {
        let error = program(&[A, "", r#"{"op":"x","ns":-1}"#]).unwrap_err();
        assert!(error.starts_with("3: "), "{error}");
        assert!(error.contains("(column 17)"), "{error}");
        assert!(!error.contains("line 1"), "{error}");
        let name = "a".repeat(MAX_LINE as usize);
        let long = format!(r#"{{"tensor":"{name}","dtype":"u8","shape":[1]}}"#);
        let error = program(&[&long]).unwrap_err();
        assert!(error.contains("longer than"), "{error}");
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().contains("line 1: longer than"), "{error}");
    }

    #[test]
    fn files_of_other_systems_are_read() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let text = format!("\u{feff}{A}\r\n\r\n{{\"op\":\"x\",\"ns\":1}}\r\n\u{feff}");
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        let error = read(file.path()).unwrap_err().to_string();
        assert!(error.contains("line 4: "), "{error}");
    }

    #[test]
    fn a_written_view_whose_elements_share_bytes_is_refused() {
        let view = r#"{"tensor":"V","view_of":"A","shape":[4,4],"strides":[4,4]}"#;
        let write = r#"{"op":"x","writes":[{"t":"V","at":[0,0],"size":[4,4]}],"ns":1}"#;
        let read = r#"{"op":"x","reads":[{"t":"V","at":[0,0],"size":[4,4]}],"ns":1}"#;
        assert!(
            program(&[A, view, write])
                .unwrap_err()
                .contains("share a byte")
        );
        assert!(program(&[A, view, read]).is_ok());
    }
}
