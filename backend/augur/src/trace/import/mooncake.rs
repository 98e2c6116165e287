// SPDX-License-Identifier: MIT OR Apache-2.0
//! The request traces of Mooncake (Qin et al., FAST '25): JSON lines with the
//! arrival of a request in milliseconds and the hash ids of the blocks of its
//! prompt's KV cache.
//!
//! A block that appears for the first time is computed and written, a known one
//! is read. Blocks get their places as a paged allocator with a fragmented free
//! list would give them: a run of places is shuffled and handed out in turn.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::io::BufRead;

use fastrand::Rng;
use serde::Deserialize;

use super::{Lines, ReadError, Record, Settings, Source, check_extent};

/// A prompt of 10⁶ tokens has 2,000 blocks of about ten characters.
const LONGEST_LINE: u64 = 1 << 20;
/// Places that are shuffled together.
const RUN: u64 = 4096;
/// Distinct blocks, at most; each is remembered.
const MAX_BLOCKS: usize = 1 << 24;

#[derive(Deserialize)]
struct Request {
    timestamp: u64,
    hash_ids: Vec<u64>,
}

pub(super) struct Mooncake {
    lines: Lines<Box<dyn BufRead>>,
    interval_ns: u64,
    block_bytes: u64,
    time_ns: u64,
    places: HashMap<u64, u64>,
    free: Vec<u64>,
    runs: u64,
    random: Rng,
    waiting: VecDeque<Record>,
}

impl Mooncake {
    pub fn new(text: Box<dyn BufRead>, settings: &Settings) -> Self {
        Self {
            lines: Lines::new(text, LONGEST_LINE),
            interval_ns: settings.interval_ns,
            block_bytes: settings.block_bytes,
            time_ns: 0,
            places: HashMap::new(),
            free: Vec::new(),
            runs: 0,
            random: Rng::with_seed(settings.seed),
            waiting: VecDeque::new(),
        }
    }

    /// The block's place, and whether it is new.
    fn place(&mut self, id: u64) -> Result<(u64, bool), String> {
        if let Some(&place) = self.places.get(&id) {
            return Ok((place, false));
        }
        if self.places.len() >= MAX_BLOCKS {
            return Err(format!("more than {MAX_BLOCKS} different blocks"));
        }
        if self.free.is_empty() {
            self.free = (self.runs * RUN..(self.runs + 1) * RUN).collect();
            self.random.shuffle(&mut self.free);
            self.runs += 1;
        }
        let place = self.free.pop().unwrap_or_default();
        self.places.insert(id, place);
        Ok((place, true))
    }

    fn request(&mut self, request: &Request) -> Result<(), String> {
        let arrival = request
            .timestamp
            .checked_mul(1_000_000)
            .ok_or_else(|| format!("timestamp {} ms does not fit", request.timestamp))?;
        // Requests overlap in time; their accesses queue behind each other.
        self.time_ns = self.time_ns.max(arrival);
        for &id in &request.hash_ids {
            let (place, write) = self.place(id)?;
            let offset = place * self.block_bytes;
            check_extent(offset, self.block_bytes)?;
            self.waiting.push_back(Record {
                time_ns: self.time_ns,
                stream: 0,
                write,
                offset,
                bytes: self.block_bytes,
            });
            self.time_ns += self.interval_ns;
        }
        Ok(())
    }
}

/// What is wrong with a line of JSON: the parser counts lines too, but sees only one.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(reason) => format!("column {}: {reason}", error.column()),
        None => text,
    }
}

impl Source for Mooncake {
    fn next_record(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            if let Some(record) = self.waiting.pop_front() {
                return Ok(Some(record));
            }
            let Some(line) = self.lines.next_line()? else {
                return Ok(None);
            };
            if line.trim().is_empty() {
                continue;
            }
            serde_json::from_str::<Request>(line)
                .map_err(|error| reason(&error))
                .and_then(|request| self.request(&request))
                .map_err(|reason| self.lines.wrong(reason))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{read_all, reason, settings};

    #[test]
    fn a_new_block_is_written_and_a_known_one_read_at_its_place() {
        let text = "{\"timestamp\":0,\"input_length\":900,\"output_length\":5,\"hash_ids\":[5,6]}\n\
                    {\"timestamp\":1,\"hash_ids\":[5,7]}\n";
        let records = read_all(text, Format::Mooncake, &settings()).unwrap();
        let writes: Vec<bool> = records.iter().map(|record| record.write).collect();
        assert_eq!(writes, [true, true, false, true]);
        assert_eq!(records[0].offset, records[2].offset);
        let times: Vec<u64> = records.iter().map(|record| record.time_ns).collect();
        assert_eq!(times, [0, 10, 1_000_000, 1_000_010]);
        assert!(records.iter().all(|record| record.bytes == 65536));
    }

    #[test]
    fn no_two_blocks_share_a_place() {
        let ids: Vec<String> = (0..9000).map(|id| id.to_string()).collect();
        let text = format!("{{\"timestamp\":0,\"hash_ids\":[{}]}}\n", ids.join(","));
        let records = read_all(&text, Format::Mooncake, &settings()).unwrap();
        let mut places: Vec<u64> = records.iter().map(|record| record.offset).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 9000);
    }

    #[test]
    fn every_refusal_names_its_line_and_reason() {
        let why = |text| reason(text, Format::Mooncake);
        assert!(why("{\"timestamp\":0,\"hash_ids\":[]}\n{\n").starts_with("line 2: column 1: EOF"));
        assert!(why("{\"timestamp\":0}\n").contains("missing field `hash_ids`"));
        assert!(
            why("{\"timestamp\":-1,\"hash_ids\":[]}\n")
                .contains("line 1: column 15: invalid value")
        );
        assert!(why("{\"timestamp\":18446744073709551615,\"hash_ids\":[]}\n").contains("fit"));
    }
}
