// SPDX-License-Identifier: MIT OR Apache-2.0
//! The arguments of `augur bench predict` and what it prints.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum as _};

use super::{Kind, Observe, Options, Workload, html, run_all};
use crate::exit::Failure;
use crate::output_file::OutputFile;
use crate::trace;

/// Arguments of `augur bench predict`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Access traces (CSV, plain or .zst).
    #[arg(long, required = true, num_args = 1..)]
    trace: Vec<PathBuf>,
    /// The aperture, as a share of the trace's distinct pages.
    #[arg(long, default_value = "25%")]
    aperture: String,
    /// What the policies see.
    #[arg(long, value_enum, default_value = "first-touch")]
    observe: Observe,
    /// Policies, or `all`: none, next4, readahead, leap, uvm-tree, best-offset, spp, markov, stride,
    /// min, clairvoyant, classic, augur.
    #[arg(long, default_value = "all", value_delimiter = ',', value_name = "P,…")]
    policies: Vec<String>,
    /// Seed of whatever a policy draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// Write a report with plots: one file that needs no network.
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
}

/// The policies that `names` name, each once.
///
/// # Errors
/// A name that no policy has.
pub fn kinds(names: &[String]) -> anyhow::Result<Vec<Kind>> {
    let all = Kind::all();
    let mut chosen = Vec::new();
    for name in names {
        let matching: Vec<Kind> = all
            .iter()
            .copied()
            .filter(|kind| name == "all" || kind.name() == name)
            .collect();
        if matching.is_empty() {
            let mut known: Vec<_> = all.iter().map(|kind| kind.name()).collect();
            known.dedup();
            return Err(Failure::input(format!(
                "there is no policy `{name}`: expected all, {}",
                known.join(", ")
            ))
            .into());
        }
        for kind in matching {
            if !chosen.contains(&kind) {
                chosen.push(kind);
            }
        }
    }
    Ok(chosen)
}

/// A share such as `25%` or `0.25`.
///
/// # Errors
/// What is no share.
pub fn share(text: &str) -> anyhow::Result<f64> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(percent) => (percent, 0.01),
        None => (text, 1.0),
    };
    number
        .parse::<f64>()
        .ok()
        .map(|value| value * scale)
        .filter(|value| *value > 0.0 && *value <= 1.0)
        .ok_or_else(|| {
            Failure::input(format!("aperture `{text}`: expected a share such as 25%")).into()
        })
}

impl Arguments {
    /// Runs the policies on the traces and prints a line for each.
    ///
    /// # Errors
    /// A file or an argument that cannot be used, or a run that failed.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let options = Options {
            aperture: share(&self.aperture)?,
            observe: self.observe,
            seed: self.seed,
        };
        let kinds = kinds(&self.policies)?;
        let report = self.html.as_deref().map(OutputFile::create).transpose()?;
        let mut lines = Vec::new();
        for path in &self.trace {
            let records = trace::read(path)
                .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
            let workload = Workload::new(&records);
            let measured = run_all(path, &workload, &kinds, &options)?;
            for line in &measured {
                if self.json {
                    println!("{}", serde_json::to_string(line)?);
                } else {
                    println!(
                        "{:28} {:12} {:>4} faults {:>8} stall removed {:>7.2} % accuracy {}",
                        line.trace,
                        line.policy,
                        line.degree
                            .map_or_else(String::new, |degree| degree.to_string()),
                        line.faults,
                        line.stall_removed * 100.0,
                        line.accuracy
                            .map_or_else(|| "-".into(), |share| format!("{:.1} %", share * 100.0)),
                    );
                }
            }
            lines.extend(measured);
        }
        if let Some(report) = report {
            let observe = self.observe.to_possible_value();
            let settings = format!(
                "Aperture {} of each trace's pages; --observe {}; seed {}.",
                self.aperture,
                observe.as_ref().map_or("", |value| value.get_name()),
                self.seed
            );
            report.finish_with(html::page(&lines, &settings).finish().as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn policies_are_chosen_once_each_and_a_wrong_name_is_told_the_right_ones() {
        let chosen = |names: &str| kinds(&[names.to_owned(), "none".into(), "none".into()]);
        assert_eq!(chosen("none").unwrap(), [Kind::None]);
        assert_eq!(chosen("all").unwrap(), Kind::all());
        let reason = chosen("next").unwrap_err().to_string();
        let help = Command::command().render_long_help().to_string();
        for kind in Kind::all() {
            assert!(reason.contains(kind.name()), "{reason}");
            assert!(help.contains(kind.name()), "{help}");
        }
    }

    #[test]
    fn a_share_is_more_than_nothing_and_at_most_all() {
        assert_eq!(share("25%").unwrap(), share("0.25").unwrap());
        for wrong in [
            "0", "0%", "101%", "1.01", "25", "-5%", "nan%", "inf", "%", "",
        ] {
            let reason = share(wrong).unwrap_err().to_string();
            assert!(reason.contains("such as 25%"), "{reason}");
        }
    }
}
