//! Assembly and bytes against an independent decoder, iced-x86.

use filetest::{Instruction, family};
use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter, MemorySizeOptions};
use x86::instructions::families;

/// What the other says in our dialect's terms.
fn theirs(instruction: &Instruction) -> String {
    let mut decoder =
        Decoder::with_ip(instruction.mode.bits(), &instruction.code, filetest::ENTRY, DecoderOptions::NONE);
    let decoded = decoder.decode();
    if decoded.is_invalid() || decoded.len() != instruction.code.len() {
        return "(bad)".into();
    }
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_space_after_operand_separator(true);
    options.set_always_show_scale(true);
    options.set_always_show_segment_register(true);
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_small_hex_numbers_in_decimal(false);
    options.set_branch_leading_zeros(false);
    options.set_memory_size_options(MemorySizeOptions::Always);
    options.set_show_branch_size(false);
    options.set_use_pseudo_ops(false);
    options.set_prefer_st0(true);
    let mut text = String::new();
    formatter.format(&decoded, &mut text);
    let prefixes = [("addr32 ", ""), ("data16 ", "")];
    let sizes = [(" ptr", ""), ("xmmword", "oword"), ("ymmword", "yword"), ("mmword", "qword")];
    // 16-bit addresses have no scale.
    let indices = [("bx+si", "bx+si*1"), ("bx+di", "bx+di*1"), ("bp+si", "bp+si*1"), ("bp+di", "bp+di*1")];
    let all = prefixes.into_iter().chain(sizes).chain(indices);
    all.fold(text, |text, (theirs, ours)| text.replace(theirs, ours))
}

/// Whether both say the same, where the manual leaves open how much of it is written.
fn same(ours: &str, theirs: &str) -> bool {
    for prefix in ["rep ", "repe ", "repne "] {
        if let (Some(ours), Some(theirs)) = (ours.strip_prefix(prefix), theirs.strip_prefix(prefix)) {
            return same(ours, theirs);
        }
    }
    let (mnemonic, operands) = ours.split_once(' ').unwrap_or((ours, ""));
    let without = |part: &str| theirs.replacen(part, "", 1) == ours;
    let with = |part: &str| format!("{theirs}{part}") == ours;
    // Operands that are always the same.
    let implied = match mnemonic {
        "blendvps" | "blendvpd" | "pblendvb" | "sha256rnds2" => with(", xmm0"),
        "maskmovdqu" | "maskmovq" | "vmaskmovdqu" => theirs == ours.replace("ds:[rdi], ", ""),
        _ if mnemonic.starts_with('f') => without("st(0), ") || without(", st(0)"),
        _ => false,
    };
    // The size of memory that the instruction knows.
    let sized = match mnemonic {
        "les" | "lds" | "lss" | "lfs" | "lgs" | "sgdt" | "sidt" | "lgdt" | "lidt" | "jmp" | "call" => {
            without("fword ") || without("tbyte ") || without("dword ")
        }
        "bound" => without("qword ") || without("dword "),
        _ if mnemonic.contains("gather") => without("dword ") || without("qword "),
        _ => false,
    };
    // String instructions, whose operands tell the size; of theirs the mnemonic does, and the accumulator is left out.
    let (their_mnemonic, their_operands) = theirs.split_once(' ').unwrap_or((theirs, ""));
    let name = mnemonic.trim_end_matches('b');
    let string = ["movs", "cmps", "stos", "lods", "scas", "ins", "outs"].contains(&name)
        && their_mnemonic.strip_prefix(name).is_some_and(|size| ["b", "w", "d", "q"].contains(&size));
    let accumulator = ["al", "ax", "eax", "rax"].into_iter().any(|register| {
        let (first, last) = (format!("{register}, "), format!(", {register}"));
        operands.strip_prefix(&first).or(operands.strip_suffix(&last)) == Some(their_operands)
    });
    let special = match mnemonic {
        // Hints: what they hint at, and a register the manual does not mention.
        "nop" => their_mnemonic == "nop" && theirs.starts_with(ours) || their_mnemonic.starts_with("prefetch"),
        // They look at 16 bits of the register.
        "lar" | "lsl" => theirs.split_once(", ").map(|parts| parts.0) == ours.split_once(", ").map(|parts| parts.0),
        "retf" => theirs == ours.replace("retf", "ret far"),
        _ => false,
    };
    ours == theirs
        || implied
        || sized
        || string && (operands == their_operands || accumulator)
        || special
        || far(ours, theirs)
}

/// `SELECTOR:OFFSET` is `OFFSET, SELECTOR` for them.
fn far(ours: &str, theirs: &str) -> bool {
    let (head, pointer) = ours.rsplit_once(' ').unwrap_or_default();
    let Some((selector, offset)) = pointer.split_once(':') else { return false };
    theirs == format!("{head} {offset}, {selector}")
}

#[test]
fn another_decoder_reads_the_same_from_the_bytes() {
    let mut different = Vec::new();
    for family in families() {
        for instruction in family::read(family).instructions() {
            let theirs = theirs(instruction);
            if !same(&instruction.text, &theirs) {
                different.push(format!(
                    "{}.filetest:{}: \"{}\" is \"{theirs}\"",
                    family.name, instruction.line, instruction.text
                ));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
