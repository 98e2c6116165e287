// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file of symbols without code, for a debugger: what the running guest says
//! of its kernel's functions and data, modules included (`/proc/kallsyms`), as
//! an ELF executable.
//!
//! Debian's own debug information of a kernel is gigabytes; names and addresses
//! are enough to break on a function and to read a backtrace. Types and lines of
//! the kernel itself are not in it.

/// A function or a piece of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Its address in the running kernel.
    pub address: u64,
    /// Whether it is code.
    pub code: bool,
    /// Its name.
    pub name: String,
}

/// How kallsyms marks what is the driver's: for that there is better.
const DRIVER: &str = "[augur]";

/// The symbols of a text in the format of `/proc/kallsyms`, those of the driver
/// left out. Lines that are none are passed over.
pub fn parse(kallsyms: &str) -> Vec<Symbol> {
    kallsyms
        .lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            let kind = words.next()?;
            let name = words.next()?;
            let module = words.next();
            // Absolute symbols and those of one processor are no places.
            let place = module != Some(DRIVER) && !matches!(kind, "A" | "a") && address != 0;
            place.then(|| Symbol {
                address,
                code: matches!(kind, "T" | "t" | "W" | "w"),
                name: name.to_owned(),
            })
        })
        .collect()
}

/// Bytes of the ELF structures, by the System V ABI.
const HEADER: u64 = 64;
const SECTION_HEADER: u64 = 64;
const SYMBOL: u64 = 24;
/// The names of the sections, and where each begins.
const SECTION_NAMES: &[u8] = b"\0.text\0.data\0.symtab\0.strtab\0.shstrtab\0";
const TEXT_NAME: u32 = 1;
const DATA_NAME: u32 = 7;
const SYMTAB_NAME: u32 = 13;
const STRTAB_NAME: u32 = 21;
const SHSTRTAB_NAME: u32 = 29;

/// An ELF64 executable for x86-64 with these symbols in sections that take no
/// space in the file: `.text` holds the code, `.data` the rest.
pub fn elf(symbols: &[Symbol]) -> Vec<u8> {
    let mut names = vec![0];
    let mut table = vec![0; SYMBOL as usize];
    for symbol in symbols {
        let kind: u8 = if symbol.code { 2 } else { 1 };
        let section: u16 = if symbol.code { 1 } else { 2 };
        table.extend((names.len() as u32).to_le_bytes());
        // Global, so that a debugger prefers none to another.
        table.extend([1 << 4 | kind, 0]);
        table.extend(section.to_le_bytes());
        table.extend(symbol.address.to_le_bytes());
        table.extend(0_u64.to_le_bytes());
        names.extend(symbol.name.bytes());
        names.push(0);
    }
    let table_at = HEADER;
    let names_at = table_at + table.len() as u64;
    let section_names_at = names_at + names.len() as u64;
    let sections_at = (section_names_at + SECTION_NAMES.len() as u64).next_multiple_of(8);

    let mut file = header(sections_at);
    file.extend(&table);
    file.extend(&names);
    file.extend(SECTION_NAMES);
    file.resize(sections_at as usize, 0);
    let (code, data) = (span(symbols, true), span(symbols, false));
    file.extend([0; SECTION_HEADER as usize]);
    for section in [
        // No bits in the file: type 8. Allocated and executable, or writable.
        Section::new(TEXT_NAME, 8, code).flags(2 | 4),
        Section::new(DATA_NAME, 8, data).flags(2 | 1),
        Section::new(SYMTAB_NAME, 2, (0, table.len() as u64))
            .at(table_at)
            .table(4, 1, SYMBOL),
        Section::new(STRTAB_NAME, 3, (0, names.len() as u64)).at(names_at),
        Section::new(SHSTRTAB_NAME, 3, (0, SECTION_NAMES.len() as u64)).at(section_names_at),
    ] {
        section.write(&mut file);
    }
    file
}

/// First address and bytes of the symbols of one kind.
fn span(symbols: &[Symbol], code: bool) -> (u64, u64) {
    let addresses = symbols
        .iter()
        .filter(|symbol| symbol.code == code)
        .map(|symbol| symbol.address);
    match (addresses.clone().min(), addresses.max()) {
        (Some(first), Some(last)) => (first, last - first + 1),
        _ => (0, 0),
    }
}

fn header(sections_at: u64) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // An executable for x86-64.
    for half in [2_u16, 62] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes());
    // No entry, no segments.
    for word in [0_u64, 0, sections_at] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [HEADER as u16, 0, 0, SECTION_HEADER as u16, 6, 5] {
        file.extend(half.to_le_bytes());
    }
    file
}

/// A section header.
#[derive(Debug, Default)]
struct Section {
    name: u32,
    kind: u32,
    flags: u64,
    address: u64,
    offset: u64,
    bytes: u64,
    link: u32,
    info: u32,
    entry_bytes: u64,
}

impl Section {
    fn new(name: u32, kind: u32, (address, bytes): (u64, u64)) -> Self {
        Self {
            name,
            kind,
            address,
            bytes,
            ..Self::default()
        }
    }

    fn flags(self, flags: u64) -> Self {
        Self { flags, ..self }
    }

    fn at(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    fn table(self, link: u32, info: u32, entry_bytes: u64) -> Self {
        Self {
            link,
            info,
            entry_bytes,
            ..self
        }
    }

    fn write(&self, file: &mut Vec<u8>) {
        file.extend(self.name.to_le_bytes());
        file.extend(self.kind.to_le_bytes());
        for word in [self.flags, self.address, self.offset, self.bytes] {
            file.extend(word.to_le_bytes());
        }
        file.extend(self.link.to_le_bytes());
        file.extend(self.info.to_le_bytes());
        // Aligned to a byte.
        file.extend(1_u64.to_le_bytes());
        file.extend(self.entry_bytes.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_the_kernel_and_its_modules_are_taken() {
        let text = "0000000000000000 A fixed_percpu_data\n\
                    ffffffff81000000 T _text\n\
                    ffffffff82000010 d jiffies_lock\n\
                    ffffffffc0401000 t augur_probe\t[augur]\n\
                    ffffffffc0223000 T drm_ioctl\t[drm]\n\
                    nonsense\n";
        let symbols = parse(text);
        let names: Vec<_> = symbols
            .iter()
            .map(|symbol| (symbol.name.as_str(), symbol.code))
            .collect();
        assert_eq!(
            names,
            [
                ("_text", true),
                ("jiffies_lock", false),
                ("drm_ioctl", true)
            ]
        );
        assert_eq!(symbols[0].address, 0xffff_ffff_8100_0000);
    }

    #[test]
    fn binutils_read_the_symbols_back() {
        let symbols = parse(
            "ffffffff81000000 T _text\nffffffff81000040 t start\nffffffff82000010 B jiffies\n",
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kernel.symbols");
        std::fs::write(&file, elf(&symbols)).unwrap();
        let output = std::process::Command::new("nm")
            .arg("-n")
            .arg(&file)
            .output()
            .expect("binutils are installed, as the linker needs them");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            said,
            "ffffffff81000000 T _text\nffffffff81000040 T start\nffffffff82000010 B jiffies\n",
            "{complaints}"
        );
    }
}
