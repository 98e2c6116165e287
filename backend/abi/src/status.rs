// SPDX-License-Identifier: MIT OR Apache-2.0
//! Status codes: how a request or a command list ended.

wire_enumerations! {
    /// How a request or a command list ended. Nothing but OK has changed
    /// anything, unless the code's meaning says otherwise.
    pub enum Status("AUGUR_STATUS_"): u32 {
        /// Done.
        Ok = 0 => "OK",
        /// The request is malformed: wrong size, unknown opcode, a field out of its range, padding that is not zero.
        Invalid = 1 => "INVALID",
        /// No HELLO was accepted in this driver life.
        NoHello = 2 => "NO_HELLO",
        /// The context does not exist, or belongs to an earlier life.
        NoContext = 3 => "NO_CONTEXT",
        /// The object or device address does not exist in this context.
        NoObject = 4 => "NO_OBJECT",
        /// Device memory, contexts or table entries are exhausted.
        NoMemory = 5 => "NO_MEMORY",
        /// A guest address is not in guest memory.
        BadAddress = 6 => "BAD_ADDRESS",
        /// An operand reaches outside its object, or shapes do not fit together.
        BadOperand = 7 => "BAD_OPERAND",
        /// The context has failed; destroy it.
        ContextFailed = 8 => "CONTEXT_FAILED",
        /// Cancelled: the context was destroyed or the driver's life ended.
        Cancelled = 9 => "CANCELLED",
        /// The card could not do it although the request was right (its log says why).
        DeviceError = 10 => "DEVICE_ERROR",
        /// Too much is in flight; try again when something has completed.
        Busy = 11 => "BUSY",
        /// The driver speaks another ABI major version.
        Version = 12 => "VERSION",
        /// A command of another list failed that this one depends on.
        DependencyFailed = 13 => "DEPENDENCY_FAILED",
    }
}
