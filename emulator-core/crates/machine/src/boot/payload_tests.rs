use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

/// Something that packs well but not trivially.
fn kernel() -> Vec<u8> {
    (0..300_000u32).flat_map(|number| (number / 7).wrapping_mul(number).to_le_bytes()).collect()
}

/// Packs with a tool the way the kernel's own build does (scripts/Makefile.lib), or `None` where it is missing.
fn pack(command: &[&str], bytes: &[u8]) -> Option<Vec<u8>> {
    let mut command_line = Command::new(command[0]);
    let child = command_line.args(&command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        crate::skipped(&format!("no {} on this machine", command[0]));
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Some(output.stdout)
}

fn decompress(payload: &[u8]) -> Result<Vec<u8>, MachineError> {
    let mut unpacked = vec![0; unpacked_bytes(payload)? as usize];
    unpack(payload, &mut unpacked)?;
    Ok(unpacked)
}

fn with_length(mut packed: Vec<u8>, length: usize) -> Vec<u8> {
    packed.extend((length as u32).to_le_bytes());
    packed
}

#[test]
fn what_the_kernels_own_build_packs_is_unpacked() {
    let kernel = kernel();
    let tools: [&[&str]; 5] = [
        &["xz", "--check=crc32", "--x86", "--lzma2=,dict=32MiB"],
        &["lzma", "-9"],
        &["bzip2", "-9"],
        &["zstd", "-22", "--ultra"],
        &["lz4", "-l", "-9", "-c"],
    ];
    for tool in tools {
        if let Some(packed) = pack(tool, &kernel) {
            assert!(decompress(&with_length(packed, kernel.len())).unwrap() == kernel, "{}", tool[0]);
        }
    }
    // gzip ends in the length by itself.
    if let Some(packed) = pack(&["gzip", "-n", "-9"], &kernel) {
        assert!(decompress(&packed).unwrap() == kernel, "gzip");
    }
}

#[test]
fn an_lz4_payload_is_unpacked_block_by_block() {
    let blocks = [&b"vmlinux, "[..], b"in two blocks"].map(lz4_flex::block::compress);
    let mut payload = LZ4_LEGACY.to_vec();
    for block in blocks {
        payload.extend((block.len() as u32).to_le_bytes());
        payload.extend(block);
    }
    assert_eq!(decompress(&with_length(payload, 22)).unwrap(), b"vmlinux, in two blocks");
}

#[test]
fn damaged_payloads_are_refused_whatever_they_are_packed_with() {
    let magics: [&[u8]; 6] =
        [&[0x1f, 0x8b, 8, 0], b"\xfd7zXZ\0", &[0x5d, 0, 0, 0x80], b"BZh9", &[0x28, 0xb5, 0x2f, 0xfd], &LZ4_LEGACY];
    for magic in magics {
        for tail in [vec![], vec![0; 40], vec![0xff; 40], (0..200).collect::<Vec<u8>>()] {
            let error = decompress(&with_length([magic, &tail].concat(), 1000)).unwrap_err();
            assert_eq!(error.code(), "KERNEL_DAMAGED", "{magic:x?}");
        }
    }
    assert_eq!(decompress(b"no").unwrap_err().code(), "KERNEL_DAMAGED");
    assert_eq!(decompress(b"unknown packing").unwrap_err().code(), "KERNEL_DAMAGED");
    assert_eq!(decompress(&with_length(b"\x89LZO".to_vec(), 9)).unwrap_err().code(), "KERNEL_UNSUPPORTED");
}
