// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptions of the wire format as data, and the C header and datasheet
//! tables that are written from them.

use core::fmt::{self, Write};

/// A wire structure: its C name, size and fields.
#[derive(Clone, Copy, Debug)]
pub struct Structure {
    /// Name of the C structure.
    pub c_name: &'static str,
    /// Documentation, a line each.
    pub documentation: &'static [&'static str],
    /// Size in bytes.
    pub bytes: usize,
    /// Fields in order.
    pub fields: &'static [Field],
}

/// A field of a [`Structure`].
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name, the same in Rust and C.
    pub name: &'static str,
    /// Type on the wire.
    pub wire_type: TypeDescription,
    /// Byte offset in the structure.
    pub offset: usize,
    /// Documentation, a line each.
    pub documentation: &'static [&'static str],
}

/// How a field's type is spelled in C.
#[derive(Clone, Copy, Debug)]
pub struct TypeDescription {
    /// C type of one element.
    pub c_type: &'static str,
    /// Number of elements, 0 for a scalar.
    pub elements: usize,
}

/// An enumeration of codes.
#[derive(Clone, Copy, Debug)]
pub struct Enumeration {
    /// Prefix common to the C constants.
    pub c_prefix: &'static str,
    /// Documentation, a line each.
    pub documentation: &'static [&'static str],
    /// Codes in order.
    pub values: &'static [Value],
}

/// A code of an [`Enumeration`].
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// Name of the C constant.
    pub c_name: &'static str,
    /// Code on the wire.
    pub value: u64,
    /// Documentation, a line each.
    pub documentation: &'static [&'static str],
}

/// Types that may stand in a wire structure.
pub trait WireType {
    /// The type's spelling in C.
    const DESCRIPTION: TypeDescription;
}

macro_rules! scalar_wire_types {
    ($($ty:ty => $c_type:literal),*) => {$(
        impl WireType for $ty {
            const DESCRIPTION: TypeDescription = TypeDescription { c_type: $c_type, elements: 0 };
        }
        impl<const N: usize> WireType for [$ty; N] {
            const DESCRIPTION: TypeDescription = TypeDescription { c_type: $c_type, elements: N };
        }
    )*};
}
scalar_wire_types!(u8 => "__u8", u16 => "__le16", u32 => "__le32", u64 => "__le64");

/// Numbers that are neither structures nor enumerations.
const CONSTANTS: &[(&str, u64, &str)] = &[
    (
        "AUGUR_ABI_MAJOR",
        crate::ABI_MAJOR as u64,
        "Changes when an existing field changes meaning.",
    ),
    (
        "AUGUR_ABI_MINOR",
        crate::ABI_MINOR as u64,
        "Changes when something is added.",
    ),
    (
        "AUGUR_PAGE_BYTES",
        crate::PAGE_BYTES,
        "Bytes of a frame and of a guest page.",
    ),
    (
        "AUGUR_VIRTIO_ID",
        crate::config::VIRTIO_ID as u64,
        "Virtio device id of the card.",
    ),
    (
        "AUGUR_CONFIG_MAGIC",
        crate::config::CONFIG_MAGIC,
        "First field of the config space: \"AUGURACC\".",
    ),
    (
        "AUGUR_MAP_HEADER_MAGIC",
        crate::header::MAP_HEADER_MAGIC,
        "First field of the map header: \"AUGURMAP\".",
    ),
    (
        "AUGUR_QUEUE_CONTROL",
        crate::config::QUEUE_CONTROL as u64,
        "Virtqueue of requests to the card.",
    ),
    (
        "AUGUR_QUEUE_EVENTS",
        crate::config::QUEUE_EVENTS as u64,
        "Virtqueue of events from the card.",
    ),
    (
        "AUGUR_QUEUE_SUBMIT",
        crate::config::QUEUE_SUBMIT as u64,
        "First of the submit virtqueues.",
    ),
    (
        "AUGUR_MAX_ACKS",
        crate::control::MAX_ACKS as u64,
        "Entries of one revoke acknowledgement.",
    ),
    (
        "AUGUR_MAX_LISTED_WINDOWS",
        crate::control::MAX_LISTED_WINDOWS as u64,
        "Entries of one LIST_WINDOWS answer.",
    ),
    (
        "AUGUR_ACK_DIRTY",
        crate::control::ACK_DIRTY as u64,
        "The guest wrote the window.",
    ),
    (
        "AUGUR_ACK_USED",
        crate::control::ACK_USED as u64,
        "A page of the window was entered into a page table.",
    ),
    (
        "AUGUR_MAX_TOUCHES",
        crate::touch::MAX_TOUCHES as u64,
        "Entries of a touch ring.",
    ),
    (
        "AUGUR_MODEL_CHUNK",
        crate::predict::MODEL_CHUNK as u64,
        "Bytes of a model in one request or answer.",
    ),
    (
        "AUGUR_MAX_MODEL_BYTES",
        crate::predict::MAX_MODEL_BYTES as u64,
        "Bytes of a model's file, at most.",
    ),
    (
        "AUGUR_MAX_PROFILE_RECORDS",
        crate::predict::MAX_PROFILE_RECORDS as u64,
        "Entries of one PROFILE_READ answer.",
    ),
    (
        "AUGUR_PROFILE_WRITE",
        crate::predict::PROFILE_WRITE as u64,
        "The recorded access was a write.",
    ),
    (
        "AUGUR_TOUCH_RING_ZAPS",
        crate::touch::TOUCH_RING_ZAPS as u64,
        "Flag of AUGUR_REQUEST_TOUCH_RING: the driver obeys ZAP events.",
    ),
    (
        "AUGUR_TOUCH_WRITE",
        crate::touch::TOUCH_WRITE as u64,
        "The touch was a write.",
    ),
    (
        "AUGUR_ACCESS_WRITE",
        crate::control::ACCESS_WRITE as u64,
        "The access that faulted was a write.",
    ),
    (
        "AUGUR_EVENT_DEMAND",
        crate::event::EVENT_DEMAND as u64,
        "The window answers a demand fault.",
    ),
    (
        "AUGUR_MAX_RANK",
        crate::command::MAX_RANK as u64,
        "Dimensions of an operand.",
    ),
    (
        "AUGUR_MAX_OPERANDS",
        crate::command::MAX_OPERANDS as u64,
        "Operands of a command.",
    ),
    (
        "AUGUR_CONV_ABSOLUTE",
        crate::command::CONV_ABSOLUTE as u64,
        "conv2d: take the magnitude before rounding.",
    ),
    (
        "AUGUR_CONV_EDGE",
        crate::command::CONV_EDGE as u64,
        "conv2d: pad by repeating the edge, not with zeros.",
    ),
    (
        "AUGUR_MATMUL_ACCUMULATE",
        crate::command::MATMUL_ACCUMULATE as u64,
        "matmul: add to what the destination holds.",
    ),
    (
        "AUGUR_MATMUL_SUBTRACT",
        crate::command::MATMUL_SUBTRACT as u64,
        "matmul: subtract from what the destination holds; not together with AUGUR_MATMUL_ACCUMULATE.",
    ),
    (
        "AUGUR_MAX_SUBMIT_BYTES",
        crate::submit::MAX_SUBMIT_BYTES as u64,
        "Readable bytes of one submission.",
    ),
    (
        "AUGUR_MAX_TRANSFER_BYTES",
        crate::submit::MAX_TRANSFER_BYTES,
        "Bytes of one transfer.",
    ),
    (
        "AUGUR_SEGMENTS_PER_TABLE_PAGE",
        crate::submit::SEGMENTS_PER_TABLE_PAGE as u64,
        "Segments in one page of a segment table.",
    ),
];

/// Every enumeration of the wire format, in the order of the header.
pub const ENUMERATIONS: &[Enumeration] = &[
    crate::Status::DESCRIPTION,
    crate::CardState::DESCRIPTION,
    crate::control::Request::DESCRIPTION,
    crate::control::Priority::DESCRIPTION,
    crate::control::Advice::DESCRIPTION,
    crate::predict::PredictorMode::DESCRIPTION,
    crate::predict::ModelScope::DESCRIPTION,
    crate::predict::ModelPushed::DESCRIPTION,
    crate::predict::AccessSource::DESCRIPTION,
    crate::EventKind::DESCRIPTION,
    crate::DataType::DESCRIPTION,
    crate::Opcode::DESCRIPTION,
    crate::command::ReduceKind::DESCRIPTION,
];

/// Every structure of the wire format, in the order of the header.
pub const STRUCTURES: &[Structure] = &[
    crate::Config::DESCRIPTION,
    crate::MapHeader::DESCRIPTION,
    crate::control::RequestHeader::DESCRIPTION,
    crate::control::ResponseHeader::DESCRIPTION,
    crate::control::HelloRequest::DESCRIPTION,
    crate::control::HelloResponse::DESCRIPTION,
    crate::control::ContextCreateRequest::DESCRIPTION,
    crate::control::ContextCreateResponse::DESCRIPTION,
    crate::control::ObjectCreateRequest::DESCRIPTION,
    crate::control::ObjectCreateResponse::DESCRIPTION,
    crate::control::ObjectDestroyRequest::DESCRIPTION,
    crate::control::FaultRequest::DESCRIPTION,
    crate::control::FaultResponse::DESCRIPTION,
    crate::control::RevokeAck::DESCRIPTION,
    crate::control::RevokeAckRequest::DESCRIPTION,
    crate::control::ListWindowsRequest::DESCRIPTION,
    crate::control::ListedWindow::DESCRIPTION,
    crate::control::ListWindowsResponse::DESCRIPTION,
    crate::control::ListContextsRequest::DESCRIPTION,
    crate::control::ContextInfoResponse::DESCRIPTION,
    crate::control::CountersResponse::DESCRIPTION,
    crate::control::SensorsResponse::DESCRIPTION,
    crate::control::ListCancelRequest::DESCRIPTION,
    crate::control::ResumeRequest::DESCRIPTION,
    crate::control::ContextPriorityRequest::DESCRIPTION,
    crate::control::AdviseRequest::DESCRIPTION,
    crate::predict::PredictorSetRequest::DESCRIPTION,
    crate::predict::ModelPullRequest::DESCRIPTION,
    crate::predict::ModelPullResponse::DESCRIPTION,
    crate::predict::ModelPushRequest::DESCRIPTION,
    crate::predict::ModelPushResponse::DESCRIPTION,
    crate::predict::ProfileRecord::DESCRIPTION,
    crate::predict::ProfileReadResponse::DESCRIPTION,
    crate::touch::TouchRingRequest::DESCRIPTION,
    crate::touch::TouchRing::DESCRIPTION,
    crate::touch::Touch::DESCRIPTION,
    crate::Event::DESCRIPTION,
    crate::submit::SubmitHeader::DESCRIPTION,
    crate::submit::Transfer::DESCRIPTION,
    crate::submit::Segment::DESCRIPTION,
    crate::submit::SegmentTablePage::DESCRIPTION,
    crate::submit::SubmitStatus::DESCRIPTION,
    crate::CommandHeader::DESCRIPTION,
    crate::Operand::DESCRIPTION,
    crate::FillParams::DESCRIPTION,
    crate::ElementwiseParams::DESCRIPTION,
    crate::Conv2dParams::DESCRIPTION,
    crate::ResampleParams::DESCRIPTION,
    crate::MatmulParams::DESCRIPTION,
    crate::command::ReduceParams::DESCRIPTION,
    crate::command::SoftmaxParams::DESCRIPTION,
    crate::command::LayerNormParams::DESCRIPTION,
    crate::TransferParams::DESCRIPTION,
];

/// Writes the C header.
///
/// # Errors
/// Whatever `out` answers.
pub fn write_c_header(out: &mut impl Write) -> fmt::Result {
    writeln!(
        out,
        "/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */"
    )?;
    writeln!(
        out,
        "/*\n * Wire format of the Augur card. Generated from backend/abi by 'make abi':\n * do not edit. docs/datasheet.md says how the structures are used.\n */"
    )?;
    writeln!(out, "#ifndef AUGUR_CARD_ABI_H\n#define AUGUR_CARD_ABI_H\n")?;
    writeln!(out, "#include <linux/types.h>\n")?;
    for (name, value, documentation) in CONSTANTS {
        writeln!(out, "/* {documentation} */")?;
        if *value > u32::MAX as u64 {
            writeln!(out, "#define {name}\t{value:#018x}ULL")?;
        } else {
            writeln!(out, "#define {name}\t{value}")?;
        }
    }
    for enumeration in ENUMERATIONS {
        writeln!(out)?;
        write_c_comment(out, enumeration.documentation, "")?;
        for value in enumeration.values {
            write_c_comment(out, value.documentation, "")?;
            writeln!(
                out,
                "#define {}{}\t{}",
                enumeration.c_prefix, value.c_name, value.value
            )?;
        }
    }
    for structure in STRUCTURES {
        writeln!(out)?;
        write_c_comment(out, structure.documentation, "")?;
        writeln!(out, "struct {} {{", structure.c_name)?;
        for field in structure.fields {
            write_c_comment(out, field.documentation, "\t")?;
            write!(out, "\t{} {}", field.wire_type.c_type, field.name)?;
            if field.wire_type.elements > 0 {
                write!(out, "[{}]", field.wire_type.elements)?;
            }
            writeln!(out, ";")?;
        }
        writeln!(out, "}};")?;
    }
    writeln!(out, "\n#endif /* AUGUR_CARD_ABI_H */")
}

fn write_c_comment(out: &mut impl Write, lines: &[&str], indent: &str) -> fmt::Result {
    match lines {
        [] => Ok(()),
        [line] => writeln!(out, "{indent}/* {} */", line.trim()),
        lines => {
            writeln!(out, "{indent}/*")?;
            for line in lines {
                writeln!(
                    out,
                    "{indent} *{}{}",
                    if line.is_empty() { "" } else { " " },
                    line.trim()
                )?;
            }
            writeln!(out, "{indent} */")
        }
    }
}

/// Writes the datasheet's reference tables as Markdown.
///
/// # Errors
/// Whatever `out` answers.
pub fn write_datasheet_tables(out: &mut impl Write) -> fmt::Result {
    writeln!(
        out,
        "### Constants\n\n| name | value | meaning |\n|---|---|---|"
    )?;
    for (name, value, documentation) in CONSTANTS {
        if *value > u32::MAX as u64 {
            writeln!(out, "| `{name}` | {value:#018x} | {documentation} |")?;
        } else {
            writeln!(out, "| `{name}` | {value} | {documentation} |")?;
        }
    }
    for enumeration in ENUMERATIONS {
        writeln!(out, "\n### `{}*`\n", enumeration.c_prefix)?;
        write_paragraph(out, enumeration.documentation)?;
        writeln!(out, "\n\n| code | name | meaning |\n|---|---|---|")?;
        for value in enumeration.values {
            write!(
                out,
                "| {} | `{}{}` | ",
                value.value, enumeration.c_prefix, value.c_name
            )?;
            write_paragraph(out, value.documentation)?;
            writeln!(out, " |")?;
        }
    }
    for structure in STRUCTURES {
        writeln!(
            out,
            "\n### `struct {}` ({} bytes)\n",
            structure.c_name, structure.bytes
        )?;
        write_paragraph(out, structure.documentation)?;
        writeln!(
            out,
            "\n\n| offset | type | field | meaning |\n|---|---|---|---|"
        )?;
        for field in structure.fields {
            write!(out, "| {} | `{}", field.offset, field.wire_type.c_type)?;
            if field.wire_type.elements > 0 {
                write!(out, "[{}]", field.wire_type.elements)?;
            }
            write!(out, "` | `{}` | ", field.name)?;
            write_paragraph(out, field.documentation)?;
            writeln!(out, " |")?;
        }
    }
    Ok(())
}

fn write_paragraph(out: &mut impl Write, lines: &[&str]) -> fmt::Result {
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            write!(out, " ")?;
        }
        write!(out, "{}", line.trim())?;
    }
    Ok(())
}
