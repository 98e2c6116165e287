// SPDX-License-Identifier: MIT OR Apache-2.0
//! Building command lists: commands over tensors, in the card's wire format.
//!
//! Types and shapes are checked here, so that a mistake is a message in the
//! program and not a status from the card; addresses and overlaps are the
//! card's to check. Commands of a list take effect one after another.
//!
//! Each group of commands is a file: [`Convolution`] and resampling, elements,
//! products, normalisation, rows of tables.

mod check;
mod convolution;
mod elements;
mod normalization;
mod product;
mod rows;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use augur_abi::submit::MAX_TRANSFER_BYTES;
use augur_abi::{CommandHeader, DataType, Opcode, Operand, TransferParams};
use zerocopy::{Immutable, IntoBytes};

use crate::error::Error;
use crate::sharing::SharedBuffer;
use crate::tensor::Tensor;
use crate::uapi;
use check::{same_bytes, want};

pub use convolution::Convolution;

/// Memory of the program that transfers of one list may read.
#[derive(Clone, Copy, Debug)]
pub struct Lent(u32);

/// Memory of the program that transfers of one list may write.
#[derive(Clone, Copy, Debug)]
pub struct LentMut(u32);

/// A list of commands with the program memory that its transfers use, which
/// stays borrowed for `'memory`.
#[derive(Clone, Debug, Default)]
pub struct CommandList<'memory> {
    commands: Vec<u8>,
    count: u32,
    transfers: Vec<uapi::Transfer>,
    memory: PhantomData<&'memory mut [u8]>,
}

impl<'memory> CommandList<'memory> {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lends memory that transfers of this list read.
    ///
    /// # Errors
    /// It is empty or larger than one transfer may be.
    pub fn lend(&mut self, memory: &'memory [u8]) -> Result<Lent, Error> {
        let address = memory.as_ptr().expose_provenance();
        self.add_transfer(address as u64, memory.len() as u64, 0, 0)
            .map(Lent)
    }

    /// Lends memory that transfers of this list write.
    ///
    /// # Errors
    /// It is empty or larger than one transfer may be.
    pub fn lend_mut(&mut self, memory: &'memory mut [u8]) -> Result<LentMut, Error> {
        let address = memory.as_mut_ptr().expose_provenance();
        let flags = uapi::TRANSFER_WRITES_MEMORY;
        self.add_transfer(address as u64, memory.len() as u64, flags, 0)
            .map(LentMut)
    }

    /// Lends part of a buffer of guest memory that transfers of this list read.
    ///
    /// # Errors
    /// It is empty or larger than one transfer may be.
    pub fn lend_buffer(
        &mut self,
        buffer: &'memory SharedBuffer,
        offset: u64,
        bytes: u64,
    ) -> Result<Lent, Error> {
        let flags = uapi::TRANSFER_BUFFER;
        self.add_transfer(offset, bytes, flags, buffer.handle())
            .map(Lent)
    }

    /// Lends part of a buffer of guest memory that transfers of this list write.
    ///
    /// # Errors
    /// It is empty or larger than one transfer may be.
    pub fn lend_buffer_mut(
        &mut self,
        buffer: &'memory SharedBuffer,
        offset: u64,
        bytes: u64,
    ) -> Result<LentMut, Error> {
        let flags = uapi::TRANSFER_BUFFER | uapi::TRANSFER_WRITES_MEMORY;
        self.add_transfer(offset, bytes, flags, buffer.handle())
            .map(LentMut)
    }

    fn add_transfer(
        &mut self,
        address: u64,
        size: u64,
        flags: u32,
        handle: u32,
    ) -> Result<u32, Error> {
        if size == 0 || size > MAX_TRANSFER_BYTES {
            return Err(Error::Shape(format!(
                "a transfer moves 1 to {MAX_TRANSFER_BYTES} bytes, not {size}"
            )));
        }
        let index = u32::try_from(self.transfers.len()).unwrap_or(u32::MAX);
        self.transfers.push(uapi::Transfer {
            address,
            size,
            flags,
            handle,
        });
        Ok(index)
    }
    /// `destination` = as many bytes of lent memory, from `offset` on.
    ///
    /// # Errors
    /// `destination` is not a dense u8 tensor of one dimension.
    pub fn transfer_in(
        &mut self,
        destination: &Tensor,
        source: Lent,
        offset: u64,
    ) -> Result<(), Error> {
        self.transfer(Opcode::TransferIn, source.0, offset, destination)
    }

    /// As many bytes of lent memory, from `offset` on, = `source`.
    ///
    /// # Errors
    /// `source` is not a dense u8 tensor of one dimension.
    pub fn transfer_out(
        &mut self,
        destination: LentMut,
        offset: u64,
        source: &Tensor,
    ) -> Result<(), Error> {
        self.transfer(Opcode::TransferOut, destination.0, offset, source)
    }

    fn transfer(
        &mut self,
        opcode: Opcode,
        transfer: u32,
        offset: u64,
        tensor: &Tensor,
    ) -> Result<(), Error> {
        want(
            tensor.data_type() == DataType::U8 && tensor.shape().len() == 1 && tensor.is_dense(),
            || "a transfer takes a dense u8 tensor of one dimension".into(),
        )?;
        let parameters = TransferParams {
            transfer,
            offset,
            ..Default::default()
        };
        self.push(opcode, &parameters, &[tensor]);
        Ok(())
    }

    /// `destination` = all of `source`.
    ///
    /// # Errors
    /// `destination` is not a dense u8 tensor with as many elements.
    pub fn upload(&mut self, destination: &Tensor, source: &'memory [u8]) -> Result<(), Error> {
        same_bytes(destination, source.len())?;
        let lent = self.lend(source)?;
        self.transfer_in(destination, lent, 0)
    }

    /// All of `destination` = `source`.
    ///
    /// # Errors
    /// `source` is not a dense u8 tensor with as many elements.
    pub fn download(
        &mut self,
        destination: &'memory mut [u8],
        source: &Tensor,
    ) -> Result<(), Error> {
        same_bytes(source, destination.len())?;
        let lent = self.lend_mut(destination)?;
        self.transfer_out(lent, 0, source)
    }

    fn push(
        &mut self,
        opcode: Opcode,
        parameters: &(impl IntoBytes + Immutable + ?Sized),
        operands: &[&Tensor],
    ) {
        let parameters = parameters.as_bytes();
        let bytes = CommandHeader::BYTES + parameters.len() + operands.len() * Operand::BYTES;
        let header = CommandHeader {
            opcode: opcode.code(),
            operand_count: u16::try_from(operands.len()).unwrap_or(u16::MAX),
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        };
        self.commands.extend_from_slice(header.as_bytes());
        self.commands.extend_from_slice(parameters);
        for tensor in operands {
            self.commands.extend_from_slice(tensor.operand().as_bytes());
        }
        self.count += 1;
    }

    /// The commands in the card's wire format.
    pub fn commands(&self) -> &[u8] {
        &self.commands
    }

    /// Commands in the list.
    pub fn command_count(&self) -> u32 {
        self.count
    }

    /// The lent memory as the driver takes it.
    pub(crate) fn transfers(&self) -> &[uapi::Transfer] {
        &self.transfers
    }
}
