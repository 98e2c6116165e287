// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests about prediction: modes, models, and what is recorded of accesses.

/// Bytes of a model in one request or answer.
pub const MODEL_CHUNK: usize = 3072;
/// Bytes of a model's file, at most.
pub const MAX_MODEL_BYTES: u32 = 1 << 20;
/// Entries of one PROFILE_READ answer.
pub const MAX_PROFILE_RECORDS: usize = 96;
/// Bytes of the reason why a model was refused.
pub const REASON_BYTES: usize = 120;
/// Flag of [`ProfileRecord`]: the access was a write.
pub const PROFILE_WRITE: u16 = 1;

wire_enumerations! {
    /// Whether and how windows are mapped ahead of use.
    pub enum PredictorMode("AUGUR_PREDICTOR_"): u32 {
        /// As the card is configured.
        Default = 0 => "DEFAULT",
        /// Windows are mapped on demand only.
        Off = 1 => "OFF",
        /// By the experts' own records.
        Classic = 2 => "CLASSIC",
        /// By the learned scorer over the experts.
        Full = 3 => "FULL",
    }

    /// Whose model it is.
    pub enum ModelScope("AUGUR_MODEL_OF_"): u32 {
        /// The one for contexts that have none of their own.
        Card = 0 => "CARD",
        /// The context's own.
        Context = 1 => "CONTEXT",
    }

    /// What became of a MODEL_PUSH.
    pub enum ModelPushed("AUGUR_MODEL_"): u32 {
        /// More parts are expected.
        Incomplete = 0 => "INCOMPLETE",
        /// The model predicts from now on.
        Installed = 1 => "INSTALLED",
        /// The model cannot be used, the reason says why; the one before stays.
        Refused = 2 => "REFUSED",
    }

    /// How the card came to know of an access.
    pub enum AccessSource("AUGUR_SOURCE_"): u16 {
        /// A demand fault.
        Fault = 1 => "FAULT",
        /// An entry of the touch ring.
        Touch = 2 => "TOUCH",
        /// A transfer of a command list.
        Transfer = 3 => "TRANSFER",
        /// An operand of another command.
        Command = 4 => "COMMAND",
    }
}

wire_structures! {
    /// Body of PREDICTOR_SET.
    pub struct PredictorSetRequest("augur_predictor_set_request") {
        /// AUGUR_PREDICTOR_*.
        pub mode: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Body of MODEL_PULL.
    pub struct ModelPullRequest("augur_model_pull_request") {
        /// AUGUR_MODEL_OF_*.
        pub scope: u32,
        /// First byte wanted; 0 takes a new copy of the model, others continue it.
        pub offset: u32,
    }

    /// Answer to MODEL_PULL; `bytes` bytes of the file follow, padded to AUGUR_MODEL_CHUNK with zeros.
    pub struct ModelPullResponse("augur_model_pull_response") {
        /// Steps of training behind the model.
        pub generation: u64,
        /// FNV-1a over the bytes of all weights.
        pub checksum: u64,
        /// Bytes of the file.
        pub total: u32,
        /// Bytes that follow.
        pub bytes: u32,
        /// Weights and biases.
        pub parameters: u32,
        /// AUGUR_PREDICTOR_* of the context, never DEFAULT.
        pub mode: u32,
    }

    /// Body of MODEL_PUSH; `bytes` bytes of the file follow, padded to AUGUR_MODEL_CHUNK with zeros.
    pub struct ModelPushRequest("augur_model_push_request") {
        /// AUGUR_MODEL_OF_*.
        pub scope: u32,
        /// Bytes of the file, at most AUGUR_MAX_MODEL_BYTES.
        pub total: u32,
        /// First byte of this part: 0, then where the last part ended.
        pub offset: u32,
        /// Bytes of this part, 1 to AUGUR_MODEL_CHUNK.
        pub bytes: u32,
    }

    /// Answer to MODEL_PUSH.
    pub struct ModelPushResponse("augur_model_push_response") {
        /// AUGUR_MODEL_INCOMPLETE, INSTALLED or REFUSED.
        pub outcome: u32,
        /// Zero.
        pub reserved: u32,
        /// Why it was refused, as text that ends at the first zero byte.
        pub reason: [u8; 120],
    }

    /// An access that was recorded.
    pub struct ProfileRecord("augur_profile_record") {
        /// Card clock in nanoseconds.
        pub time_ns: u64,
        /// First byte.
        pub device_address: u64,
        /// Bytes.
        pub bytes: u64,
        /// AUGUR_SOURCE_*.
        pub source: u16,
        /// AUGUR_PROFILE_WRITE, or zero.
        pub flags: u16,
        /// Context id.
        pub context: u32,
    }

    /// Answer to PROFILE_READ; room for AUGUR_MAX_PROFILE_RECORDS entries of struct augur_profile_record follows.
    pub struct ProfileReadResponse("augur_profile_read_response") {
        /// Entries that are filled; 0 when nothing was recorded since the last.
        pub count: u32,
        /// 1 while the card records.
        pub recording: u32,
        /// Accesses that were dropped because nobody read them in time.
        pub lost: u64,
    }
}
