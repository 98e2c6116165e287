// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page around the timeline: pictures, steps, counters.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::RunFacts;
use super::job::{Image, Job};
use super::{mapping, schedule, timeline};
use crate::plot::style;

const STYLE: &str = "\
.passed{color:var(--good)}.failed{color:var(--bad)}\
.pictures figure{display:inline-block;margin:0 1em 1em 0;max-width:48%}img{max-width:100%}\
svg .even{fill:var(--back)}svg .odd{fill:var(--grid)}\
svg .curve{fill:none;stroke:var(--s0);stroke-width:1.5}svg .fault{stroke:var(--bad)}\
.columns{display:flex;gap:3em;flex-wrap:wrap}";

/// The whole page; pictures are read from the folder `results`.
///
/// # Errors
/// When a picture that the job names cannot be read.
pub fn render(job: &Job, facts: &RunFacts, results: &Path) -> anyhow::Result<String> {
    let (class, verdict) = if job.passed {
        ("passed", "every check passed")
    } else {
        ("failed", "a check failed")
    };
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Augur: {verdict}</title>\
         <style>{plots}{STYLE}</style><h1>Augur run {name}: <span class=\"{class}\">{verdict}</span></h1>\
         <p>Card: {memory} MiB of memory, {aperture} MiB of aperture, {engines} compute engines. \
         Guest: {acceleration}; {qemu}; ready after {boot:.1} s.</p>",
        plots = style(),
        name = escape(&facts.name),
        memory = job.card.memory_bytes >> 20,
        aperture = job.card.aperture_bytes >> 20,
        engines = job.card.compute_engines,
        acceleration = escape(&facts.acceleration),
        qemu = escape(&facts.qemu),
        boot = facts.boot_seconds,
    );
    if !job.failures.is_empty() {
        page += "<ul class=\"failed\">";
        for failure in &job.failures {
            page += &format!("<li>{}</li>", escape(failure));
        }
        page += "</ul>";
    }
    if let Some(image) = &job.image {
        page += &pictures(image, results)?;
    }
    if let Some(product) = &job.matmul {
        let _ = write!(
            page,
            "<h2>Matrix product</h2><p>{size} × {size}, f32: {time}, largest error {error:.2e} of (|A||B|), \
             allowed {limit:.0e}.</p>",
            size = product.size,
            time = milliseconds(product.nanos),
            error = product.max_relative_error,
            limit = product.limit,
        );
    }
    page += "<h2>Timeline of windows</h2>";
    page += &timeline::draw(job);
    page += &mapping::compared(&facts.mapping);
    page += &schedule::of_job(&facts.schedule);
    page += &schedule::compared(&facts.tracking);
    page += &steps(job);
    page += "<div class=\"columns\">";
    page += &counters("Card counters (this job)", &job.counters);
    page += &counters("Driver counters", &job.driver);
    page += "</div></html>\n";
    Ok(page)
}

fn pictures(image: &Image, results: &Path) -> anyhow::Result<String> {
    let mut html = String::from("<h2>Image</h2><div class=\"pictures\">");
    let before = ("before", image.before.as_str(), image.width, image.height);
    let after = image.outputs.iter().map(|output| {
        (
            output.name.as_str(),
            output.file.as_str(),
            output.width,
            output.height,
        )
    });
    for (name, file, width, height) in std::iter::once(before).chain(after) {
        // The guest names the file; only one directly in the results counts.
        let Some(file) = Path::new(file).file_name() else {
            continue;
        };
        let path = results.join(file);
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let name = escape(name);
        let _ = write!(
            html,
            "<figure><img alt=\"{name}\" src=\"data:image/png;base64,{}\">\
             <figcaption>{name}, {width} × {height}</figcaption></figure>",
            STANDARD.encode(bytes)
        );
    }
    html += "</div>";
    Ok(html)
}

fn steps(job: &Job) -> String {
    let mut html = String::from(
        "<h2>Steps</h2><table><tr><th>step<th>bytes<th>guest wall time<th>card's own time<th>check</tr>",
    );
    for step in &job.steps {
        let card = step.card_nanos.map_or_else(|| "-".into(), milliseconds);
        let _ = write!(
            html,
            "<tr><td>{}<td>{}<td>{}<td>{card}<td>{}</tr>",
            escape(&step.name),
            grouped(step.bytes),
            milliseconds(step.nanos),
            escape(&step.check)
        );
    }
    html + "</table>"
}

fn counters(title: &str, counters: &std::collections::BTreeMap<String, u64>) -> String {
    let mut html = format!("<div><h2>{title}</h2><table>");
    for (name, value) in counters {
        let _ = write!(html, "<tr><td>{}<td>{}</tr>", escape(name), grouped(*value));
    }
    html + "</table></div>"
}

/// Text as HTML; the guest wrote some of it.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A time in milliseconds, as precise as it is worth.
pub fn milliseconds(nanos: u64) -> String {
    let value = nanos as f64 / 1e6;
    if value < 10.0 {
        format!("{value:.2} ms")
    } else {
        format!("{value:.0} ms")
    }
}

/// An integer with its thousands apart.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Schedule;
    use super::*;

    const REPORT: &str = r#"{"passed": false, "failures": ["<blur> differs"],
        "card": {"memory_bytes": 4294967296, "aperture_bytes": 268435456, "compute_engines": 2, "more": 1},
        "image": {"before": "before.png", "width": 4, "height": 2,
                  "outputs": [{"name": "blur", "file": "../blur.png", "width": 4, "height": 2}]},
        "matmul": {"size": 8, "nanos": 1500000, "max_relative_error": 1e-7, "limit": 1e-4},
        "steps": [{"name": "upload", "bytes": 1234567, "start_nanos": 0, "nanos": 40, "card_nanos": null, "check": "exact"},
                  {"name": "blur", "bytes": 0, "start_nanos": 40, "nanos": 60, "card_nanos": 50, "check": "differs"}],
        "counters": {"faults": 3}, "driver": {},
        "timeline": [{"nanos": 0, "windows": 0, "window_bytes": 0, "faults": 0},
                     {"nanos": 50, "windows": 1, "window_bytes": 65536, "faults": 1}]}"#;

    fn page() -> String {
        let results = tempfile::tempdir().unwrap();
        for picture in ["before.png", "blur.png"] {
            fs::write(results.path().join(picture), picture).unwrap();
        }
        let facts = RunFacts {
            name: "n".into(),
            acceleration: "TCG".into(),
            qemu: "q".into(),
            boot_seconds: 3.0,
            schedule: Schedule::default(),
            tracking: Vec::new(),
            mapping: Vec::new(),
        };
        render(
            &serde_json::from_str(REPORT).unwrap(),
            &facts,
            results.path(),
        )
        .unwrap()
    }

    #[test]
    fn the_page_needs_nothing_but_itself() {
        let page = page();
        assert!(!page.contains("http") && !page.contains("src=\"/") && !page.contains("<script"));
        assert_eq!(page.matches("data:image/png;base64,").count(), 2);
    }

    #[test]
    fn what_the_guest_wrote_is_text_and_its_file_names_stay_in_the_results() {
        let page = page();
        assert!(page.contains("&lt;blur&gt; differs") && !page.contains("<blur>"));
        assert!(page.contains(&STANDARD.encode("blur.png")));
    }

    #[test]
    fn a_failed_check_is_the_first_thing_said() {
        assert!(page().contains("<h1>Augur run n: <span class=\"failed\">a check failed"));
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(grouped(999), "999");
        assert_eq!(milliseconds(1_500_000), "1.50 ms");
        assert_eq!(milliseconds(1_500_000_000), "1500 ms");
    }
}
