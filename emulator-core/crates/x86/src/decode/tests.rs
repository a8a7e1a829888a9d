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

#[test]
fn illegal_encodings_are_refused() {
    assert_eq!(text(&[0xf0, 0x01, 0xd8], Width::W32), "Invalid", "LOCK with a register destination");
    assert_eq!(text(&[0xf0, 0x8b, 0x00], Width::W32), "Invalid", "LOCK MOV");
    assert_eq!(text(&[0x82, 0xc0, 1], Width::W64), "Invalid", "82 in 64-bit mode");
    assert_eq!(text(&[0x66; 16], Width::W64), "TooLong");
    assert_eq!(text(&[0x05, 1, 2], Width::W32), "Truncated");
}
