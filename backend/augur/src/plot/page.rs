// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page around the plots: style, headings, legends, tables.

use std::fmt::Write as _;

use crate::plot::SERIES;
pub use crate::report::escape;

const STYLE: &str = "\
:root{color-scheme:light dark;--back:#fff;--ink:#1a1d21;--quiet:#5a626b;--grid:#e1e5ea;--bad:#b3261e;--good:#166b2c;\
--s0:#1565c0;--s1:#d9730d;--s2:#2e7d4f;--s3:#b3261e;--s4:#7b4fb5;--s5:#00838f;--s6:#8d6e00;--s7:#c2417c}\
@media(prefers-color-scheme:dark){:root{--back:#14171b;--ink:#e4e7eb;--quiet:#9aa3ad;--grid:#2b3138;--bad:#ff8a80;--good:#7fd494;\
--s0:#6ab0ff;--s1:#ffb061;--s2:#77d19b;--s3:#ff7f75;--s4:#c4a1ff;--s5:#5fd3de;--s6:#dcc15a;--s7:#ff91bf}}\
body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2em auto;padding:0 1em;color:var(--ink);background:var(--back)}\
h1{font-size:1.5em}h2{font-size:1.15em;margin:2em 0 .3em}p{margin:.4em 0}.quiet,figcaption{color:var(--quiet)}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.15em .7em;border-bottom:1px solid var(--grid);text-align:right}\
td:first-child,th:first-child{text-align:left}.bad{color:var(--bad)}.good{color:var(--good)}\
.wide{overflow-x:auto}figure{margin:.5em 0}.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(320px,1fr));gap:.5em 1.5em}\
svg{width:100%;display:block;font-size:11px}svg text{fill:var(--quiet)}svg .grid-line{stroke:var(--grid);stroke-width:1}\
svg .label{fill:var(--ink)}svg .line{fill:none;stroke-width:1.8}svg .thin{stroke:var(--quiet);stroke-width:1.2}\
svg .reference{stroke-dasharray:5 4}.legend{display:flex;flex-wrap:wrap;gap:.2em 1.2em;margin:.4em 0}\
.legend i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em;background:currentColor}\
.legend b{font-weight:normal;color:var(--ink)}details summary{cursor:pointer}";

/// The style sheet of pages with plots.
pub fn style() -> String {
    let mut style = STYLE.to_owned();
    for series in SERIES {
        let _ = write!(
            style,
            "svg .{series}{{stroke:var(--{series})}}svg .fill.{series}{{fill:var(--{series});stroke:none}}\
             .legend .{series}{{color:var(--{series})}}"
        );
    }
    style
}

/// A page under way.
pub struct Page {
    html: String,
}

impl Page {
    /// A page called `title`.
    pub fn new(title: &str) -> Self {
        let title = escape(title);
        let html = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
             <style>{}</style><h1>{title}</h1>",
            style()
        );
        Self { html }
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        let _ = write!(self.html, "<h2>{}</h2>", escape(text));
    }

    /// A paragraph.
    pub fn text(&mut self, text: &str) {
        let _ = write!(self.html, "<p class=\"quiet\">{}</p>", escape(text));
    }

    /// What colours mean: classes of series, and names.
    pub fn legend<'a>(&mut self, entries: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.html += "<div class=\"legend\">";
        for (class, name) in entries {
            let name = escape(name);
            let _ = write!(
                self.html,
                "<span class=\"{class}\"><i></i><b>{name}</b></span>"
            );
        }
        self.html += "</div>";
    }

    /// A drawing over the whole width.
    pub fn figure(&mut self, svg: &str, caption: &str) {
        let _ = write!(self.html, "<figure>{svg}");
        if !caption.is_empty() {
            let _ = write!(self.html, "<figcaption>{}</figcaption>", escape(caption));
        }
        self.html += "</figure>";
    }

    /// Small drawings beside each other.
    pub fn figures(&mut self, figures: &[(String, String)]) {
        self.html += "<div class=\"grid\">";
        for (svg, caption) in figures {
            self.figure(svg, caption);
        }
        self.html += "</div>";
    }

    /// A table; folded away under `summary`, if there is one.
    pub fn table(&mut self, table: &Table, summary: Option<&str>) {
        if let Some(summary) = summary {
            let _ = write!(self.html, "<details><summary>{}</summary>", escape(summary));
        }
        let _ = write!(
            self.html,
            "<div class=\"wide\"><table>{}</table></div>",
            table.html
        );
        if summary.is_some() {
            self.html += "</details>";
        }
    }

    /// The whole page.
    pub fn finish(mut self) -> String {
        self.html += "</html>\n";
        self.html
    }
}

/// A table under way.
pub struct Table {
    html: String,
}

impl Table {
    /// A table with these columns.
    pub fn new(columns: &[&str]) -> Self {
        let mut html = String::from("<tr>");
        for column in columns {
            let _ = write!(html, "<th>{}", escape(column));
        }
        Self {
            html: html + "</tr>",
        }
    }

    /// A row of texts, each with a class (`bad`, `good` or none).
    pub fn row<'a>(&mut self, fields: impl IntoIterator<Item = (String, &'a str)>) {
        self.html += "<tr>";
        for (text, class) in fields {
            let _ = write!(self.html, "<td class=\"{class}\">{}", escape(&text));
        }
        self.html += "</tr>";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_needs_nothing_but_itself_and_escapes_what_it_is_given() {
        let mut page = Page::new("<b>");
        page.heading("a & b");
        let mut table = Table::new(&["<i>"]);
        table.row([("<script>".to_owned(), "bad")]);
        page.table(&table, Some("<all>"));
        page.legend([("s0", "<x>")]);
        let html = page.finish();
        assert!(!html.contains("http") && !html.contains("<script") && !html.contains("<b>\u{3c}"));
        for text in [
            "&lt;b&gt;",
            "a &amp; b",
            "&lt;i&gt;",
            "&lt;script&gt;",
            "&lt;all&gt;",
            "&lt;x&gt;",
        ] {
            assert!(html.contains(text), "{text}");
        }
        assert!(html.contains("prefers-color-scheme:dark"));
    }
}
