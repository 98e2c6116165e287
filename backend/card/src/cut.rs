// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the large commands of a list are cut: by the regions that are in use of
//! their operands, as the list's own commands and the scheduler's units of tracking
//! have them. A list that comes again is cut anew when other regions have come into
//! use since, a few times.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError};

use augur_memory::ContextId;
use augur_scheduler::clock::Nanos as Cost;
use augur_scheduler::division::{Bound, Cuts, Division};

use crate::command::Command;
use crate::divide::{self, Sliced};
use crate::program::{Divided, Program};
use crate::shared::{Shared, Totals};
use crate::submit;

/// Times that a list is cut anew, so that it does not go on for ever.
const MOST_MADE: u32 = 4;
/// Commands of a list whose operands are compared with those of a large one, and
/// large ones for which that is done.
const MOST_COMMANDS: usize = 1024;
const MOST_LARGE: usize = 16;

/// The program with large commands divided, where engines would be idle otherwise;
/// and whether it has any.
pub(crate) fn divide(
    shared: &Shared,
    context: ContextId,
    program: Arc<Program>,
) -> (Arc<Program>, bool) {
    let offer = program.offer;
    let config = &shared.config;
    if !config.divides_commands || config.compute_engines < 2 || !offer.is_worth_it() {
        return (program, false);
    }
    let core = shared.core();
    let usage = core.contexts.get(&context).map(|info| info.usage.clone());
    drop(core);
    let Some(usage) = usage else {
        return (program, true);
    };
    let queued = shared.dispatch.queued(context);
    let mut division = usage.division();
    let division =
        division.get_or_insert_with(|| Division::new(shared.config.compute_engines.into()));
    if !division.divides(offer, queued) {
        return (program, true);
    }
    let mut divided = program
        .divided
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    divided.comings += 1;
    let due = divided.comings <= 4 || divided.comings.is_power_of_two();
    if due && divided.made < MOST_MADE {
        let cuts = cuts(shared, context, &program, &divided, division);
        let rows = |(at, cuts): &(usize, Cuts)| (*at, cuts.rows.clone());
        if divided.made == 0 || !cuts.iter().map(rows).eq(divided.cuts.iter().map(rows)) {
            divided.made += 1;
            divided.program = cut(shared, context, &program, &cuts);
            trace(shared, context, &program, &cuts);
            divided.cuts = cuts;
        }
    }
    let Some(parts) = divided.program.clone() else {
        drop(divided);
        return (program, true);
    };
    let more = parts.commands.len() - program.commands.len();
    Totals::add(&shared.totals.divided, more as u64);
    (parts, true)
}

/// Where each command that can be divided is cut. `before` says where it is now: units
/// of tracking that come of that are no reason, but what was a reason stays one.
fn cuts(
    shared: &Shared,
    context: ContextId,
    program: &Program,
    before: &Divided,
    division: &Division,
) -> Vec<(usize, Cuts)> {
    let parts = before.program.iter().flat_map(|it| &it.commands);
    let mut own: HashSet<(u64, u64)> = parts.flat_map(ranges).collect();
    let mut all = Vec::new();
    for (index, command) in program.commands.iter().enumerate() {
        let Some(sliced) = divide::sliced(command) else {
            continue;
        };
        let even = division.cuts(sliced.rows, Cost(command.nanos), &[]);
        // Most are too small.
        if even.rows.is_empty() {
            continue;
        }
        // It may have come as part of another list, or before it was known.
        let parts = divide::divide(command, &even.rows);
        own.extend(parts.iter().flatten().flat_map(ranges));
        let known = before.cuts.iter().find(|(at, _)| *at == index);
        let mut bounds = known.map_or(Vec::new(), |(_, cuts)| cuts.bounds.clone());
        if all.len() < MOST_LARGE {
            bounds.extend(in_use(shared, context, program, index, &sliced, &own));
        }
        all.push((
            index,
            division.cuts(sliced.rows, Cost(command.nanos), &bounds),
        ));
    }
    all
}

/// The addresses that a command's operands span.
fn ranges(command: &Command) -> impl Iterator<Item = (u64, u64)> + '_ {
    let regions = command.operands.iter().map(|it| &it.region);
    regions.map(|it| (it.start(), it.end()))
}

/// The rows at which regions in use begin or end.
fn in_use(
    shared: &Shared,
    context: ContextId,
    program: &Program,
    index: usize,
    sliced: &Sliced<'_>,
    own: &HashSet<(u64, u64)>,
) -> Vec<Bound> {
    let mut regions: BTreeMap<u32, u32> = BTreeMap::new();
    let mut count = |start, end| {
        sliced.bounds(start, end, |row| *regions.entry(row).or_default() += 1);
    };
    let others = program.commands.iter().enumerate().take(MOST_COMMANDS);
    for (_, other) in others.filter(|(at, _)| *at != index) {
        for operand in &other.operands {
            count(operand.address.0, operand.address.0 + operand.span);
        }
    }
    for range in sliced.ranges() {
        shared
            .dispatch
            .regions_beside(context, range, |start, end| {
                if !own.contains(&(start, end)) {
                    count(start, end);
                }
            });
    }
    let bound = |(row, regions)| Bound { row, regions };
    regions.into_iter().map(bound).collect()
}

fn cut(
    shared: &Shared,
    context: ContextId,
    program: &Program,
    cuts: &[(usize, Cuts)],
) -> Option<Arc<Program>> {
    let (mut commands, mut origins) = (Vec::new(), Vec::new());
    let mut cuts = cuts.iter().peekable();
    for (origin, command) in program.commands.iter().enumerate() {
        let own = cuts.next_if(|(index, _)| *index == origin);
        let parts: Option<Vec<Command>> =
            own.and_then(|(_, cuts)| divide::divide(command, &cuts.rows));
        let parts = parts.unwrap_or_else(|| vec![command.clone()]);
        origins.extend(std::iter::repeat_n(origin as u32, parts.len()));
        commands.extend(parts);
    }
    let mut divided = submit::prepare(shared, context, commands).ok()?;
    divided.origins = origins;
    Some(Arc::new(divided))
}

/// Says where commands are cut, and why.
fn trace(shared: &Shared, context: ContextId, program: &Program, cuts: &[(usize, Cuts)]) {
    let now = shared.now();
    for (index, cuts) in cuts.iter().take(MOST_LARGE) {
        let name = program.commands.get(*index);
        let name = name.map_or("", |command| command.operation.name());
        let text = format!("cut {name} into {cuts}");
        shared.schedule.decided(context, now, text);
    }
}
