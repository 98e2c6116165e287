// SPDX-License-Identifier: MIT OR Apache-2.0
//! Recording what the card knows of accesses: for a context that asks for its own
//! profile, and for the host, which writes all of them to a trace file.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use augur_abi::predict::{AccessSource, MAX_PROFILE_RECORDS, PROFILE_WRITE, ProfileRecord};
use augur_memory::{ContextId, DeviceAddress, Nanos};

/// Stands for all contexts: no context has this number.
pub(crate) const OF_CARD: ContextId = ContextId(0);
/// Accesses kept of a context until it reads them.
const KEPT: usize = 1 << 14;
/// The same for all contexts together.
const KEPT_OF_CARD: usize = 1 << 16;
/// Contexts that record at one time.
const RECORDING: usize = 64;
/// Accesses kept until the host's writer takes them.
const KEPT_FOR_HOST: usize = 1 << 18;

/// An access that the card knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub context: ContextId,
    /// First address of the object: accesses to different objects are different
    /// streams.
    pub object: DeviceAddress,
    pub address: DeviceAddress,
    pub bytes: u64,
    pub write: bool,
    pub source: AccessSource,
    pub time: Nanos,
}

#[derive(Default)]
struct Recording {
    records: VecDeque<Noted>,
    on: bool,
    lost: u64,
}

impl Recording {
    fn note(&mut self, noted: Noted, kept: usize) {
        if !self.on {
            return;
        }
        self.records.push_back(noted);
        if self.records.len() > kept {
            self.records.pop_front();
            self.lost += 1;
        }
    }
}

#[derive(Default)]
struct State {
    /// Those of contexts, and of [`OF_CARD`].
    contexts: BTreeMap<ContextId, Recording>,
    host: Option<VecDeque<Noted>>,
    host_lost: u64,
}

/// Recordings in progress.
#[derive(Default)]
pub(crate) struct Recorder {
    on: AtomicBool,
    state: Mutex<State>,
}

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody records.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    fn update(&self, state: &State) {
        let on = state.host.is_some() || state.contexts.values().any(|recording| recording.on);
        self.on.store(on, Ordering::Relaxed);
    }

    /// Notes an access; the oldest makes way when nobody reads.
    pub fn note(&self, noted: Noted) {
        let mut state = self.lock();
        if let Some(recording) = state.contexts.get_mut(&noted.context) {
            recording.note(noted, KEPT);
        }
        if let Some(recording) = state.contexts.get_mut(&OF_CARD) {
            recording.note(noted, KEPT_OF_CARD);
        }
        if let Some(host) = &mut state.host {
            host.push_back(noted);
            if host.len() > KEPT_FOR_HOST {
                host.pop_front();
                state.host_lost += 1;
            }
        }
    }

    /// Begins to record a context, or [`OF_CARD`]; answers false when too many do.
    pub fn start(&self, context: ContextId) -> bool {
        let mut state = self.lock();
        if state.contexts.len() >= RECORDING && !state.contexts.contains_key(&context) {
            return false;
        }
        let recording = Recording {
            on: true,
            ..Recording::default()
        };
        state.contexts.insert(context, recording);
        self.update(&state);
        true
    }

    /// Stops; what was recorded can still be read.
    pub fn stop(&self, context: ContextId) {
        let mut state = self.lock();
        if let Some(recording) = state.contexts.get_mut(&context) {
            recording.on = false;
        }
        self.update(&state);
    }

    /// A context is gone.
    pub fn forget(&self, context: ContextId) {
        let mut state = self.lock();
        if state.contexts.remove(&context).is_some() {
            self.update(&state);
        }
    }

    /// Takes the oldest records of a context: whether it records, how many were
    /// lost, and as many as an answer holds.
    pub fn read(&self, context: ContextId) -> (bool, u64, Vec<ProfileRecord>) {
        let mut state = self.lock();
        let Some(recording) = state.contexts.get_mut(&context) else {
            return (false, 0, Vec::new());
        };
        let count = recording.records.len().min(MAX_PROFILE_RECORDS);
        let records = recording.records.drain(..count).map(|noted| ProfileRecord {
            time_ns: noted.time.0,
            device_address: noted.address.0,
            bytes: noted.bytes,
            source: noted.source.code(),
            flags: if noted.write { PROFILE_WRITE } else { 0 },
            context: noted.context.0,
        });
        let records = records.collect();
        (recording.on, recording.lost, records)
    }

    /// Begins to keep accesses for the host; answers false when that is done
    /// already.
    pub fn start_for_host(&self) -> bool {
        let mut state = self.lock();
        let begun = state.host.is_none();
        state.host.get_or_insert_default();
        self.update(&state);
        begun
    }

    /// Ends what [`Self::start_for_host`] began.
    pub fn stop_for_host(&self) {
        let mut state = self.lock();
        state.host = None;
        self.update(&state);
    }

    /// Takes what was kept for the host, and how many were lost so far.
    pub fn take_for_host(&self) -> (Vec<Noted>, u64) {
        let mut state = self.lock();
        let lost = state.host_lost;
        let taken = state.host.as_mut().map(std::mem::take).unwrap_or_default();
        (taken.into(), lost)
    }
}

/// Writes a trace: `time_ns,stream,op,offset,bytes`. Streams are numbered as they
/// appear, one for each object of each context; offsets are device addresses, those
/// of the second context and of later ones 2^40 apart.
pub(crate) struct TraceWriter<W> {
    sink: W,
    streams: BTreeMap<(ContextId, DeviceAddress), u32>,
    contexts: BTreeMap<ContextId, u64>,
    last: u64,
}

/// log2 of the distance between the addresses of two contexts in a trace.
const CONTEXT_SHIFT: u32 = 40;
/// Contexts that offsets of 48 bits tell apart; later ones share the last place.
const CONTEXTS: u64 = 1 << (48 - CONTEXT_SHIFT);

impl<W: Write> TraceWriter<W> {
    /// Begins the trace.
    pub fn new(mut sink: W) -> io::Result<Self> {
        writeln!(sink, "time_ns,stream,op,offset,bytes")?;
        Ok(TraceWriter {
            sink,
            streams: BTreeMap::new(),
            contexts: BTreeMap::new(),
            last: 0,
        })
    }

    /// Appends accesses. Threads note them a little out of order: time stands
    /// still then.
    pub fn write(&mut self, accesses: &[Noted]) -> io::Result<()> {
        for noted in accesses {
            self.last = self.last.max(noted.time.0);
            let next = self.streams.len() as u32;
            let stream = *self
                .streams
                .entry((noted.context, noted.object))
                .or_insert(next);
            let next = (self.contexts.len() as u64).min(CONTEXTS - 1);
            let place = *self.contexts.entry(noted.context).or_insert(next);
            let within = noted.address.0 & ((1 << CONTEXT_SHIFT) - 1);
            let offset = place << CONTEXT_SHIFT | within;
            let operation = if noted.write { 'w' } else { 'r' };
            writeln!(
                self.sink,
                "{},{stream},{operation},{offset},{}",
                self.last, noted.bytes
            )?;
        }
        self.sink.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(context: u32, time: u64) -> Noted {
        Noted {
            context: ContextId(context),
            object: DeviceAddress(0x20_0000),
            address: DeviceAddress(0x20_1000),
            bytes: 4096,
            write: context == 1,
            source: AccessSource::Fault,
            time: Nanos(time),
        }
    }

    #[test]
    fn a_context_reads_its_own_accesses_only_and_the_oldest_make_way() {
        let recorder = Recorder::default();
        assert!(!recorder.is_on());
        assert!(recorder.start(ContextId(1)));
        for time in 0..KEPT as u64 + 5 {
            recorder.note(noted(1, time));
            recorder.note(noted(2, time));
        }
        let (on, lost, records) = recorder.read(ContextId(1));
        assert_eq!((on, lost, records.len()), (true, 5, MAX_PROFILE_RECORDS));
        assert_eq!((records[0].time_ns, records[0].flags), (5, PROFILE_WRITE));
        assert!(recorder.read(ContextId(2)).2.is_empty());
        recorder.stop(ContextId(1));
        assert!(!recorder.is_on());
        assert_eq!(recorder.read(ContextId(1)).2.len(), MAX_PROFILE_RECORDS);
        recorder.forget(ContextId(1));
        assert!(recorder.read(ContextId(1)).2.is_empty());
    }

    #[test]
    fn the_cards_recording_has_all_contexts_and_outlives_them() {
        let recorder = Recorder::default();
        assert!(recorder.start(OF_CARD));
        recorder.note(noted(1, 7));
        recorder.note(noted(2, 8));
        recorder.forget(ContextId(1));
        recorder.stop(OF_CARD);
        recorder.note(noted(2, 9));
        let (on, lost, records) = recorder.read(OF_CARD);
        let contexts: Vec<u32> = records.iter().map(|record| record.context).collect();
        assert_eq!((on, lost, contexts), (false, 0, vec![1, 2]));
    }

    #[test]
    fn one_at_a_time_records_for_the_host() {
        let recorder = Recorder::default();
        assert!(recorder.start_for_host());
        assert!(!recorder.start_for_host());
        recorder.note(noted(1, 7));
        assert_eq!(recorder.take_for_host().0, [noted(1, 7)]);
        recorder.stop_for_host();
        assert!(!recorder.is_on());
        assert!(recorder.start_for_host());
    }

    #[test]
    fn a_trace_numbers_streams_and_its_time_never_goes_back() {
        let mut text = Vec::new();
        let mut writer = TraceWriter::new(&mut text).unwrap();
        writer
            .write(&[noted(1, 7), noted(2, 5), noted(1, 9)])
            .unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "time_ns,stream,op,offset,bytes\n\
             7,0,w,2101248,4096\n7,1,r,1099513729024,4096\n9,0,w,2101248,4096\n"
        );
    }
}
