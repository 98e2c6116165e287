// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur.h` is C and C++ without warnings, lays its structures out as the card
//! does, and declares exactly the functions that the library has; the example
//! compiles against it.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use augur_abi::{DataType, Operand};
use augur_client::{Advice, Priority, ReduceKind};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn compile(language: &str, source: &str) {
    let mut compiler = Command::new("cc")
        .args([
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pedantic",
            "-fsyntax-only",
            "-x",
            language,
        ])
        .arg("-I")
        .arg(folder().join("include"))
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = compiler.stdin.take().unwrap();
    input.write_all(source.as_bytes()).unwrap();
    drop(input);
    assert!(compiler.wait().unwrap().success(), "{source}");
}

#[test]
fn tensors_are_operands_and_numbers_are_the_cards() {
    let mut source = String::from("#include <assert.h>\n#include \"augur.h\"\n");
    let mut holds = |what: String| source += &format!("static_assert({what}, \"{what}\");\n");
    holds(format!("sizeof(struct augur_tensor) == {}", Operand::BYTES));
    for field in Operand::DESCRIPTION.fields {
        let name = if field.name == "data_type" {
            "type"
        } else {
            field.name
        };
        let offset = field.offset;
        holds(format!("offsetof(struct augur_tensor, {name}) == {offset}"));
    }
    for (name, code) in [
        ("U8", DataType::U8),
        ("I8", DataType::I8),
        ("I16", DataType::I16),
        ("I32", DataType::I32),
        ("BF16", DataType::Bf16),
        ("F32", DataType::F32),
    ] {
        holds(format!("AUGUR_{name} == {}", code.code()));
    }
    for (name, kind) in [
        ("SUM", ReduceKind::Sum),
        ("MEAN", ReduceKind::Mean),
        ("MAXIMUM", ReduceKind::Maximum),
    ] {
        holds(format!("AUGUR_{name} == {}", kind.code()));
    }
    for (name, priority) in [
        ("LOW", Priority::Low),
        ("NORMAL", Priority::Normal),
        ("HIGH", Priority::High),
    ] {
        holds(format!("AUGUR_{name} == {}", priority.code()));
    }
    for (name, advice) in [
        ("NO_ADVICE", Advice::Normal),
        ("WILL_NEED", Advice::WillNeed),
        ("SEQUENTIAL", Advice::Sequential),
        ("RANDOM", Advice::Random),
        ("PIN", Advice::Pin),
        ("UNPIN", Advice::Unpin),
    ] {
        holds(format!("AUGUR_{name} == {}", advice.code()));
    }
    holds("sizeof(struct augur_information) == 40".into());
    holds("sizeof(struct augur_convolution) == 24".into());
    holds("sizeof(struct augur_completion) == 16".into());
    holds("sizeof(struct augur_point) == 16".into());
    compile("c", &source);
}

#[test]
fn the_header_is_c_plus_plus_too() {
    compile("c++", "#include \"augur.h\"\n");
}

#[test]
fn the_examples_compile_without_warnings() {
    for example in std::fs::read_dir(folder().join("examples")).unwrap() {
        let source = std::fs::read_to_string(example.unwrap().path()).unwrap();
        compile("c", &format!("#define _POSIX_C_SOURCE 200809L\n{source}"));
    }
}

/// Words of a text that are names of functions of the library, followed by `(`.
fn functions(text: &str) -> BTreeSet<String> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.match_indices('(')
        .filter_map(|(at, _)| {
            let before = &text[..at];
            let start = before.rfind(|letter| !is_word(letter))? + 1;
            let word = &before[start..];
            word.starts_with("augur_").then(|| word.to_owned())
        })
        .collect()
}

#[test]
fn every_function_of_the_library_is_declared_and_the_other_way_round() {
    let header = std::fs::read_to_string(folder().join("include/augur.h")).unwrap();
    let code: String = header
        .split("*/")
        .filter_map(|part| part.split("/*").next())
        .collect();
    let mut defined = BTreeSet::new();
    for file in std::fs::read_dir(folder().join("src")).unwrap() {
        let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for part in source.split("extern \"C\" fn ").skip(1) {
            let end = part.find('(').unwrap();
            // Not what a macro writes it with.
            if part.starts_with("augur_") {
                defined.insert(part[..end].to_owned());
            }
        }
    }
    assert_eq!(functions(&code), defined);
    assert!(defined.len() > 25, "{defined:?}");
}
