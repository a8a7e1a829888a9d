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
    let rules = [operand_is_implied, size_is_known, string, far, special];
    ours == theirs || rules.iter().any(|rule| rule(ours, theirs))
}

/// Mnemonic and operands.
fn parts(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

/// An operand that is always the same, which only one of us writes.
fn operand_is_implied(ours: &str, theirs: &str) -> bool {
    match parts(ours).0 {
        "blendvps" | "blendvpd" | "pblendvb" | "sha256rnds2" => format!("{theirs}, xmm0") == ours,
        "maskmovdqu" | "maskmovq" | "vmaskmovdqu" => theirs == ours.replace("ds:[rdi], ", ""),
        name if name.starts_with('f') => ["st(0), ", ", st(0)"].iter().any(|top| theirs.replacen(top, "", 1) == ours),
        _ => false,
    }
}

/// The size of memory that the instruction knows.
fn size_is_known(ours: &str, theirs: &str) -> bool {
    let sizes: &[&str] = match parts(ours).0 {
        "les" | "lds" | "lss" | "lfs" | "lgs" | "sgdt" | "sidt" | "lgdt" | "lidt" | "jmp" | "call" => {
            &["fword ", "tbyte ", "dword "]
        }
        "bound" => &["qword ", "dword "],
        name if name.contains("gather") => &["dword ", "qword "],
        _ => &[],
    };
    sizes.iter().any(|size| theirs.replacen(size, "", 1) == ours)
}

/// String instructions, whose operands tell the size; of theirs the mnemonic does, and the accumulator is left out.
fn string(ours: &str, theirs: &str) -> bool {
    let ((name, operands), (their_name, their_operands)) = (parts(ours), parts(theirs));
    let name = name.trim_end_matches('b');
    let same_name = ["movs", "cmps", "stos", "lods", "scas", "ins", "outs"].contains(&name)
        && their_name.strip_prefix(name).is_some_and(|size| ["b", "w", "d", "q"].contains(&size));
    let accumulator = ["al", "ax", "eax", "rax"].into_iter().any(|register| {
        let (first, last) = (format!("{register}, "), format!(", {register}"));
        operands.strip_prefix(&first).or(operands.strip_suffix(&last)) == Some(their_operands)
    });
    same_name && (operands == their_operands || accumulator)
}

fn special(ours: &str, theirs: &str) -> bool {
    let first_operand = |text: &str| text.split_once(", ").map(|(head, _)| head.to_owned());
    match parts(ours).0 {
        // Hints: what they hint at, and a register the manual does not mention.
        "nop" => parts(theirs).0 == "nop" && theirs.starts_with(ours) || theirs.starts_with("prefetch"),
        // They look at 16 bits of the register.
        "lar" | "lsl" => first_operand(theirs) == first_operand(ours),
        "retf" => theirs == ours.replace("retf", "ret far"),
        _ => false,
    }
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
