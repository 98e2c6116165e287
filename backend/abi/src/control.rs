// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests on the control queue and their answers.
//!
//! A request is one descriptor chain: a readable part (a [`RequestHeader`]
//! and the request's body, nothing behind it) and a writable part that takes a
//! [`ResponseHeader`] and the answer's body. Requests are answered in the
//! order in which they were made available, each without waiting for the guest.

/// Entries of one revoke acknowledgement.
pub const MAX_ACKS: usize = 32;
/// Entries of one LIST_WINDOWS answer.
pub const MAX_LISTED_WINDOWS: usize = 64;
/// Flag of [`RevokeAck`]: the guest wrote the window.
pub const ACK_DIRTY: u32 = 1;
/// Flag of [`RevokeAck`]: a page of the window was entered into a page table.
pub const ACK_USED: u32 = 2;
/// Flag of [`FaultRequest`]: the access that faulted was a write.
pub const ACCESS_WRITE: u32 = 1;

wire_enumerations! {
    /// Requests on the control queue.
    pub enum Request("AUGUR_REQUEST_"): u16 {
        /// Begin a driver life: ends every older context, maps the aperture, starts events at sequence 1.
        Hello = 1 => "HELLO",
        /// Open a context.
        ContextCreate = 2 => "CONTEXT_CREATE",
        /// Close a context: cancels its lists, frees its objects. Windows of the context are gone when this is answered.
        ContextDestroy = 3 => "CONTEXT_DESTROY",
        /// Allocate an object in a context. Its memory reads as zero.
        ObjectCreate = 4 => "OBJECT_CREATE",
        /// Free an object. The driver has unmapped it before; its windows are gone when this is answered and need no acknowledgement.
        ObjectDestroy = 5 => "OBJECT_DESTROY",
        /// A program touched a page without a window: asks for one.
        Fault = 6 => "FAULT",
        /// Acknowledge revoked windows.
        RevokeAck = 7 => "REVOKE_ACK",
        /// List windows, a page at a time.
        ListWindows = 8 => "LIST_WINDOWS",
        /// List contexts, one at a time.
        ListContexts = 9 => "LIST_CONTEXTS",
        /// Read the card's counters.
        Counters = 10 => "COUNTERS",
        /// Read the card's sensors, as its profile models them.
        Sensors = 0x60 => "SENSORS",
        /// Give up one list of a context: what of it has not begun never runs, and what runs ends soon. The list ends with CANCELLED unless it was complete. NO_OBJECT when there is no such list (any more).
        ListCancel = 0x61 => "LIST_CANCEL",
        /// Change the priority of a context: of its lists that wait, and of those to come.
        ContextPriority = 0x62 => "CONTEXT_PRIORITY",
        /// Say how a range of an object will be used. NO_OBJECT for a range that is not in one; NO_MEMORY when more of the aperture would be pinned than may be, or too many ranges have advice.
        Advise = 0x63 => "ADVISE",
        /// Go on with a life whose rings were reset: maps the aperture again. Contexts, objects and windows are as they were; lists that were in flight have ended. NO_HELLO when the card does not know the life any more.
        Resume = 0x64 => "RESUME",
        /// Tell the card where the driver reports first touches; a ring of zero entries ends it.
        TouchRing = 64 => "TOUCH_RING",
        /// Choose whether and how the card maps ahead for a context.
        PredictorSet = 65 => "PREDICTOR_SET",
        /// Ask for the model that predicts for a context, or for the card: a part of its safetensors file. BUSY: ask again soon.
        ModelPull = 66 => "MODEL_PULL",
        /// Give a part of a safetensors file; the last part installs the model, for a context or for the card.
        ModelPush = 67 => "MODEL_PUSH",
        /// Begin to record the accesses of a context that the card knows of, or with context 0 those of all contexts; what was recorded before is dropped.
        ProfileStart = 68 => "PROFILE_START",
        /// Stop to record a context, or with context 0 all of them.
        ProfileStop = 69 => "PROFILE_STOP",
        /// Take the oldest accesses recorded of a context, or with context 0 of all.
        ProfileRead = 70 => "PROFILE_READ",
    }
}

wire_enumerations! {
    /// Priority of a context. Where several want engines, one of a higher priority gets three times the time.
    pub enum Priority("AUGUR_PRIORITY_"): u32 {
        /// For what nobody waits for.
        Low = 0 => "LOW",
        /// The usual one.
        Normal = 1 => "NORMAL",
        /// The driver decides who may have it.
        High = 2 => "HIGH",
    }

    /// What a program says of a range of its memory. It never changes what an access finds.
    pub enum Advice("AUGUR_ADVICE_"): u32 {
        /// Forgets SEQUENTIAL and RANDOM.
        Normal = 0 => "NORMAL",
        /// It will be used soon: the card maps it ahead, as far as there is room.
        WillNeed = 1 => "WILL_NEED",
        /// It is used in ascending order: a fault maps more behind itself.
        Sequential = 2 => "SEQUENTIAL",
        /// It is used in no order: a fault maps one page, and nothing is mapped ahead.
        Random = 3 => "RANDOM",
        /// Windows that lie in the range, rounded outwards to demand windows, are not revoked. Pins keep at most a quarter of the aperture, those of a context an eighth.
        Pin = 4 => "PIN",
        /// They may be revoked again.
        Unpin = 5 => "UNPIN",
    }
}

wire_structures! {
    /// Start of every request.
    pub struct RequestHeader("augur_request_header") {
        /// AUGUR_REQUEST_*.
        pub opcode: u16,
        /// Zero.
        pub flags: u16,
        /// Context the request is for; zero where there is none.
        pub context: u32,
    }

    /// Start of every answer. With a status other than OK no body follows.
    pub struct ResponseHeader("augur_response_header") {
        /// AUGUR_STATUS_*.
        pub status: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Body of HELLO.
    pub struct HelloRequest("augur_hello_request") {
        /// Chosen by the driver, not zero; stands in the map header afterwards.
        pub nonce: u64,
        /// AUGUR_ABI_MAJOR of the driver.
        pub abi_major: u16,
        /// AUGUR_ABI_MINOR of the driver.
        pub abi_minor: u16,
        /// Zero.
        pub reserved: u32,
    }

    /// Answer to HELLO. The aperture is mapped and readable when it arrives.
    pub struct HelloResponse("augur_hello_response") {
        /// The nonce.
        pub nonce: u64,
        /// Bytes of the aperture that are mapped.
        pub aperture_bytes: u64,
    }

    /// Body of CONTEXT_CREATE.
    pub struct ContextCreateRequest("augur_context_create_request") {
        /// Process id, shown by tools.
        pub process: u32,
        /// AUGUR_PRIORITY_*.
        pub priority: u32,
        /// Name of the program, shown by tools; ends at the first zero byte.
        pub name: [u8; 16],
    }

    /// Answer to CONTEXT_CREATE.
    pub struct ContextCreateResponse("augur_context_create_response") {
        /// Context id, not used again in this life.
        pub context: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Body of OBJECT_CREATE.
    pub struct ObjectCreateRequest("augur_object_create_request") {
        /// Bytes wanted, not zero; rounded up to whole pages.
        pub bytes: u64,
        /// Zero.
        pub flags: u64,
    }

    /// Answer to OBJECT_CREATE.
    pub struct ObjectCreateResponse("augur_object_create_response") {
        /// Object id, not used again in this life.
        pub object: u64,
        /// Where the object starts in the context's device addresses; a multiple of AUGUR_PAGE_BYTES.
        pub device_address: u64,
        /// Bytes of the object, a multiple of AUGUR_PAGE_BYTES.
        pub bytes: u64,
    }

    /// Body of OBJECT_DESTROY.
    pub struct ObjectDestroyRequest("augur_object_destroy_request") {
        /// Object id.
        pub object: u64,
    }

    /// Body of FAULT.
    pub struct FaultRequest("augur_fault_request") {
        /// Device address of the access.
        pub device_address: u64,
        /// AUGUR_ACCESS_WRITE, or zero.
        pub access: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Answer to FAULT: it says only for which event to wait.
    pub struct FaultResponse("augur_fault_response") {
        /// The window was published with this event: once it is handled, look
        /// again. 0: the MAP or FAULT_FAILED event that names the address has
        /// no number yet.
        pub event_sequence: u64,
    }

    /// One acknowledged window.
    pub struct RevokeAck("augur_revoke_ack") {
        /// Window slot.
        pub slot: u32,
        /// Generation that was revoked. An acknowledgement of another is ignored.
        pub generation: u32,
        /// AUGUR_ACK_DIRTY, AUGUR_ACK_USED.
        pub flags: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Body of REVOKE_ACK; `count` entries of struct augur_revoke_ack follow.
    pub struct RevokeAckRequest("augur_revoke_ack_request") {
        /// Entries, 1 to AUGUR_MAX_ACKS.
        pub count: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Body of LIST_WINDOWS.
    pub struct ListWindowsRequest("augur_list_windows_request") {
        /// First slot to list; 0, then next_slot of the last answer.
        pub first_slot: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// A window in a LIST_WINDOWS answer.
    pub struct ListedWindow("augur_listed_window") {
        /// Context id.
        pub context: u32,
        /// Window slot.
        pub slot: u32,
        /// Generation of the slot.
        pub generation: u32,
        /// Bytes of the window.
        pub bytes: u32,
        /// First device address of the window.
        pub device_address: u64,
        /// Where the window starts in the aperture.
        pub aperture_offset: u64,
        /// 1: revoked, an acknowledgement is awaited; 0: live.
        pub revoked: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Answer to LIST_WINDOWS; `count` entries of struct augur_listed_window follow.
    pub struct ListWindowsResponse("augur_list_windows_response") {
        /// Entries, at most AUGUR_MAX_LISTED_WINDOWS.
        pub count: u32,
        /// first_slot of the next request, 0 when the list is complete.
        pub next_slot: u32,
    }

    /// Body of LIST_CONTEXTS.
    pub struct ListContextsRequest("augur_list_contexts_request") {
        /// The first context with an id of at least this is described.
        pub first_context: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Answer to LIST_CONTEXTS; NO_CONTEXT when there is none left.
    pub struct ContextInfoResponse("augur_context_info_response") {
        /// Context id.
        pub context: u32,
        /// Process id given at creation.
        pub process: u32,
        /// Name given at creation.
        pub name: [u8; 16],
        /// Priority given at creation.
        pub priority: u32,
        /// Non-zero: the context has failed, AUGUR_STATUS_* says why.
        pub failed: u32,
        /// Objects.
        pub objects: u64,
        /// Device memory of the objects in bytes.
        pub object_bytes: u64,
        /// Windows in the aperture.
        pub windows: u64,
        /// Bytes of the windows.
        pub window_bytes: u64,
        /// Demand faults so far.
        pub faults: u64,
        /// Command lists completed so far.
        pub lists: u64,
        /// Nanoseconds of compute engines so far.
        pub compute_ns: u64,
        /// Bytes transferred by DMA so far.
        pub transferred_bytes: u64,
        /// Nanoseconds of DMA channels so far.
        pub dma_ns: u64,
        /// Commands executed so far.
        pub commands: u64,
    }

    /// Answer to SENSORS. Power and temperature are a model's.
    pub struct SensorsResponse("augur_sensors_response") {
        /// Card clock in nanoseconds.
        pub time_ns: u64,
        /// Nanoseconds in which a compute engine was busy, summed over engines.
        pub compute_ns: u64,
        /// Nanoseconds in which a DMA channel was busy, summed over channels.
        pub dma_ns: u64,
        /// Energy since the card's process began, in microjoules.
        pub energy_uj: u64,
        /// Power in the last heartbeat's interval, in microwatts.
        pub power_uw: u64,
        /// Temperature in millidegrees Celsius.
        pub temperature_mc: u32,
        /// Clock of the engines in MHz, 0 while all are idle.
        pub engine_mhz: u32,
        /// Clock of a working engine in MHz.
        pub engine_max_mhz: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Body of RESUME; the answer is HELLO's.
    pub struct ResumeRequest("augur_resume_request") {
        /// The nonce of the life's HELLO.
        pub nonce: u64,
    }

    /// Body of CONTEXT_PRIORITY.
    pub struct ContextPriorityRequest("augur_context_priority_request") {
        /// AUGUR_PRIORITY_*.
        pub priority: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Body of ADVISE.
    pub struct AdviseRequest("augur_advise_request") {
        /// First device address of the range.
        pub device_address: u64,
        /// Bytes of the range, which lies in one object.
        pub bytes: u64,
        /// AUGUR_ADVICE_*.
        pub advice: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Body of LIST_CANCEL.
    pub struct ListCancelRequest("augur_list_cancel_request") {
        /// The number that the list's submission gave.
        pub number: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// Answer to COUNTERS: totals since the card's process started, unless said otherwise.
    pub struct CountersResponse("augur_counters_response") {
        /// Card clock in nanoseconds.
        pub time_ns: u64,
        /// Driver lives begun.
        pub lives: u64,
        /// Contexts now.
        pub contexts: u64,
        /// Objects now.
        pub objects: u64,
        /// Device memory of the objects now, in bytes.
        pub object_bytes: u64,
        /// Windows now.
        pub windows: u64,
        /// Bytes of visible frames in windows now.
        pub window_bytes: u64,
        /// Bytes of visible frames that are free now.
        pub free_visible_bytes: u64,
        /// Bytes of visible frames in quarantine now.
        pub quarantined_bytes: u64,
        /// Demand faults.
        pub faults: u64,
        /// Nanoseconds from demand faults to the publication of their windows.
        pub fault_ns: u64,
        /// Windows mapped.
        pub maps: u64,
        /// Windows revoked.
        pub revokes: u64,
        /// Revoked windows that were clean and dropped without a copy.
        pub clean_drops: u64,
        /// Bytes filled from home frames.
        pub filled_bytes: u64,
        /// Bytes zeroed in windows of new data.
        pub zeroed_bytes: u64,
        /// Bytes written home.
        pub written_home_bytes: u64,
        /// Stale acknowledgements that were ignored.
        pub stale_acks: u64,
        /// Times that events were dropped.
        pub resyncs: u64,
        /// Command lists completed.
        pub lists: u64,
        /// Command lists that failed.
        pub failed_lists: u64,
        /// Commands executed.
        pub commands: u64,
        /// Nanoseconds of compute engines.
        pub compute_ns: u64,
        /// Nanoseconds of DMA channels.
        pub dma_ns: u64,
        /// Bytes transferred from guest memory to the card.
        pub dma_in_bytes: u64,
        /// Bytes transferred from the card to guest memory.
        pub dma_out_bytes: u64,
        /// Requests that were refused.
        pub refused_requests: u64,
        /// Windows mapped ahead of use.
        pub maps_ahead: u64,
        /// Windows mapped ahead that were used.
        pub ahead_used: u64,
        /// Windows mapped ahead that left the aperture without use.
        pub ahead_unused: u64,
        /// Demand faults on windows that were being filled ahead of use.
        pub late_faults: u64,
        /// Bytes of windows mapped ahead and not used yet, now.
        pub speculative_bytes: u64,
        /// Entries of the touch ring that were taken.
        pub touches: u64,
        /// Entries of the touch ring that were overwritten before the card read them.
        pub touches_lost: u64,
        /// Entries of the touch ring that named no window of the card.
        pub touches_refused: u64,
        /// Accesses that the learning thread was not told of because it was behind.
        pub accesses_dropped: u64,
        /// Nanoseconds that the learning thread worked.
        pub learning_ns: u64,
        /// Windows taken out of page tables to see whether they are used again.
        pub zaps: u64,
        /// Those that were.
        pub zaps_refaulted: u64,
        /// Units of device memory that dependences are tracked by, now.
        pub tracked_regions: u64,
        /// Orderings between commands.
        pub edges: u64,
        /// Times that the unit of tracking of an object was split into its regions.
        pub splits: u64,
        /// Times that it was merged again.
        pub merges: u64,
        /// Commands whose analysis was known from an equal list.
        pub replayed_commands: u64,
        /// Commands that the engine took which has their data.
        pub near_commands: u64,
        /// Commands that an engine took from the share of another.
        pub stolen_commands: u64,
        /// Nanoseconds that the analysis unit worked, by its model.
        pub analysis_ns: u64,
        /// Ranges of objects that engines took hold of.
        pub held_ranges: u64,
        /// Runs of device memory in which those lay.
        pub held_runs: u64,
        /// Parts of objects that were moved to another place in device memory.
        pub relocations: u64,
        /// Their bytes.
        pub relocated_bytes: u64,
        /// Parts that stayed where they were, because something used them meanwhile.
        pub relocations_spoiled: u64,
        /// The most device memory that objects took at one time, in bytes.
        pub peak_object_bytes: u64,
        /// Device memory behind the aperture up to the end of what is in use, in bytes.
        pub home_end_bytes: u64,
        /// Times that predictions hurt and nothing was mapped ahead for a while.
        pub fallbacks_to_nothing: u64,
        /// Times that they hurt and only next units were mapped ahead for a while.
        pub fallbacks_to_next: u64,
        /// What is mapped ahead now: 0 what is predicted, 1 nothing, otherwise so many next
        /// units after the one touched.
        pub fallback: u64,
    }
}
