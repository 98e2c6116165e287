// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the figures are shown: a table, or one JSON object.

use std::io::{self, Write as _};

use serde::Serialize;

use super::figures::{Figure, Figures, Spread};

/// What the figures were measured on.
#[derive(Clone, Debug, Serialize)]
pub struct Circumstances {
    /// What executed the guest's instructions, and why.
    pub acceleration: String,
    /// The QEMU.
    pub qemu: String,
    /// Processors of the host.
    pub processors: usize,
    /// Processes that wanted a processor over the minute before, on average.
    pub load_before: f64,
    /// Repeats in the guest.
    pub repeats: u32,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    figure: &'a Figure,
    #[serde(flatten)]
    spread: Spread,
    met: Option<bool>,
}

#[derive(Serialize)]
struct Document<'a> {
    circumstances: &'a Circumstances,
    figures: Vec<Shown<'a>>,
}

/// Prints JSON.
///
/// # Errors
/// When stdout cannot be written.
pub fn json(circumstances: &Circumstances, figures: &Figures) -> anyhow::Result<()> {
    let document = Document {
        circumstances,
        figures: shown(figures).collect(),
    };
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &document)?;
    writeln!(out)?;
    Ok(())
}

/// Prints the table.
///
/// # Errors
/// When stdout cannot be written.
pub fn table(circumstances: &Circumstances, figures: &Figures) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let Circumstances {
        acceleration,
        qemu,
        processors,
        load_before,
        repeats,
    } = circumstances;
    writeln!(out, "{acceleration}; {qemu}")?;
    writeln!(
        out,
        "{processors} processors, load {load_before:.1} before; {repeats} repeats; \
         all times are wall times, nothing is modelled"
    )?;
    let mut group = "";
    for row in shown(figures) {
        let figure = row.figure;
        if figure.group != group {
            group = figure.group;
            writeln!(
                out,
                "\n{group:<56} {:>10} {:>10} {:>10}      {:>8}",
                "min", "median", "max", "aim"
            )?;
        }
        let Spread { min, median, max } = row.spread;
        let aim = figure.aim.map(|aim| aim.to_string()).unwrap_or_default();
        let met = match row.met {
            Some(true) => "ok",
            Some(false) => "missed",
            None => "",
        };
        let line = format!(
            "  {:<54} {min:>10.2} {median:>10.2} {max:>10.2} {:<4} {aim:>8} {met}",
            figure.name, figure.unit
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn shown(figures: &Figures) -> impl Iterator<Item = Shown<'_>> {
    figures.rows().iter().filter_map(|figure| {
        let spread = Spread::of(&figure.samples)?;
        let met = figure.aim.map(|aim| aim.is_met(spread.median));
        Some(Shown {
            figure,
            spread,
            met,
        })
    })
}
