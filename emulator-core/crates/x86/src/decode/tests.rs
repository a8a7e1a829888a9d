use super::*;
use crate::Disassembly;

fn text(bytes: &[u8], code: Width) -> String {
    match decode(bytes, code) {
        Ok(inst) => Disassembly { inst: &inst, rip: 0x1000 }.to_string(),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn every_row_parses_and_every_opcode_table_builds() {
    let _ = table();
    assert!(instructions::rows().len() > 100);
}

/// Encodings worked out by hand from the manual's tables.
#[test]
fn addressing_forms_of_all_three_code_widths_decode() {
    let cases: [(&[u8], Width, &str); 14] = [
        (&[0x01, 0xd8], Width::W32, "add eax, ebx"),
        (&[0x48, 0x01, 0xd8], Width::W64, "add rax, rbx"),
        (&[0x66, 0x05, 0x34, 0x12], Width::W32, "add ax, 0x1234"),
        (&[0x8b, 0x44, 0x8b, 0xfc], Width::W64, "mov eax, dword ds:[rbx+rcx*4-0x4]"),
        (&[0x8b, 0x05, 0x10, 0, 0, 0], Width::W64, "mov eax, dword ds:[0x1016]"),
        (&[0x8b, 0x05, 0x10, 0, 0, 0], Width::W32, "mov eax, dword ds:[0x10]"),
        (&[0x8b, 0x42, 0x08], Width::W16, "mov ax, word ss:[bp+si*1+0x8]"),
        (&[0x88, 0xe0], Width::W64, "mov al, ah"),
        (&[0x40, 0x88, 0xe0], Width::W64, "mov al, spl"),
        (&[0x49, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8], Width::W64, "mov r8, 0x807060504030201"),
        (&[0x83, 0xc0, 0xff], Width::W32, "add eax, 0xffffffff"),
        (&[0x74, 0xfe], Width::W64, "je 0x1000"),
        (&[0x41, 0x90], Width::W64, "xchg r8d, eax"),
        (&[0x90], Width::W64, "nop"),
    ];
    for (bytes, code, expected) in cases {
        assert_eq!(text(bytes, code), expected, "{bytes:02x?}");
    }
}

/// Intel SDM vol. 2, CBW, CWD, IRET, Jcc, MOVD, PUSHF, REP.
#[test]
fn mnemonics_are_the_manuals() {
    let cases: [(&[u8], Width, &str); 12] = [
        (&[0xf3, 0xa6], Width::W64, "repe cmpsb byte ds:[rsi], byte es:[rdi]"),
        (&[0xf3, 0xaa], Width::W64, "rep stosb byte es:[rdi], al"),
        (&[0x66, 0x0f, 0x6e, 0xc0], Width::W64, "movd xmm0, eax"),
        (&[0x66, 0x48, 0x0f, 0x6e, 0xc0], Width::W64, "movq xmm0, rax"),
        (&[0x66, 0x98], Width::W64, "cbw"),
        (&[0x98], Width::W64, "cwde"),
        (&[0x48, 0x99], Width::W64, "cqo"),
        (&[0x9c], Width::W64, "pushfq"),
        (&[0x9c], Width::W16, "pushf"),
        (&[0x48, 0xcf], Width::W64, "iretq"),
        (&[0x61], Width::W32, "popad"),
        (&[0x67, 0xe3, 0xfd], Width::W64, "jecxz 0x1000"),
    ];
    for (bytes, code, expected) in cases {
        assert_eq!(text(bytes, code), expected, "{bytes:02x?}");
    }
}

#[test]
fn illegal_encodings_are_refused() {
    assert_eq!(text(&[0xf0, 0x01, 0xd8], Width::W32), "Invalid", "LOCK with a register destination");
    assert_eq!(text(&[0xf0, 0x8b, 0x00], Width::W32), "Invalid", "LOCK MOV");
    assert_eq!(text(&[0x82, 0xc0, 1], Width::W64), "Invalid", "82 in 64-bit mode");
    assert_eq!(text(&[0x66; 16], Width::W64), "TooLong");
    assert_eq!(text(&[0x05, 1, 2], Width::W32), "Truncated");
}

/// Intel SDM vol. 2, 2.3.5 and figure 2-9: the short and the long form, and the register each field names.
#[test]
fn vex_prefixes_name_registers_and_lengths() {
    let cases: [(&[u8], Width, &str); 8] = [
        (&[0xc5, 0xf1, 0xfe, 0xc2], Width::W64, "vpaddd xmm0, xmm1, xmm2"),
        (&[0xc4, 0xe1, 0x71, 0xfe, 0xc2], Width::W64, "vpaddd xmm0, xmm1, xmm2"),
        (&[0xc4, 0x41, 0x35, 0xfe, 0xc2], Width::W64, "vpaddd ymm8, ymm9, ymm10"),
        (&[0xc5, 0xf5, 0xfe, 0x00], Width::W64, "vpaddd ymm0, ymm1, yword ds:[rax]"),
        (&[0xc4, 0xe2, 0xf8, 0xf2, 0xc1], Width::W64, "andn rax, rax, rcx"),
        (&[0xc4, 0xe2, 0xf8, 0xf2, 0xc1], Width::W32, "andn eax, eax, ecx"),
        (&[0xc4, 0xe2, 0x6d, 0x92, 0x04, 0x48], Width::W64, "vgatherdps ymm0, ds:[rax+ymm1*2], ymm2"),
        (&[0xc5, 0x01], Width::W32, "lds eax, ds:[ecx]"),
    ];
    for (bytes, code, expected) in cases {
        assert_eq!(text(bytes, code), expected, "{bytes:02x?}");
    }
}

/// Intel SDM vol. 2, 2.3.2 to 2.3.6 and 2.4: what makes a VEX encoding #UD.
#[test]
fn illegal_vex_encodings_are_refused() {
    let refused: [(&[u8], &str); 10] = [
        (&[0x66, 0xc5, 0xf1, 0xfe, 0xc2], "66 before VEX"),
        (&[0xf2, 0xc5, 0xf1, 0xfe, 0xc2], "F2 before VEX"),
        (&[0xf0, 0xc5, 0xf1, 0xfe, 0x00], "LOCK before VEX"),
        (&[0x48, 0xc5, 0xf1, 0xfe, 0xc2], "REX before VEX"),
        (&[0xc4, 0xe4, 0x71, 0xfe, 0xc2], "opcode map 4"),
        (&[0xc5, 0xf1, 0x6f, 0xc2], "VEX.vvvv of VMOVDQA"),
        (&[0xc4, 0xe2, 0x7c, 0xf2, 0xc1], "VEX.L of ANDN"),
        (&[0xc4, 0xe2, 0xf5, 0x36, 0xc2], "VEX.W of VPERMD"),
        (&[0xc4, 0xe2, 0x6d, 0x92, 0x00], "a gather without SIB byte"),
        (&[0xc4, 0xe2, 0x75, 0x92, 0x04, 0x48], "a gather whose mask is its index"),
    ];
    for (bytes, what) in refused {
        assert_eq!(text(bytes, Width::W64), "Invalid", "{what}");
    }
    assert_eq!(
        text(&[0x67, 0xc4, 0xe2, 0x6d, 0x92, 0x04, 0x48], Width::W32),
        "Invalid",
        "a gather with 16-bit addresses"
    );
}
