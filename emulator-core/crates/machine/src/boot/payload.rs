//! Unpacks the compressed kernel inside a bzImage, which the protocol's `payload_offset` points at.
//!
//! Deliberately missing: LZO, which no distribution's kernel uses any more; the guest's own code unpacks it.

use std::io::Read;

use crate::MachineError;

/// Largest kernel unpacked; ten times what distributions ship.
const LIMIT: u64 = 512 << 20;
/// The kernel's build appends the unpacked length, as gzip does by itself.
const LENGTH_BYTES: usize = 4;
/// The lz4 tool's "legacy" format: blocks of up to 8 MiB, each behind its length.
const LZ4_LEGACY: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
const LZ4_BLOCK_BYTES: usize = 8 << 20;

/// The unpacked payload, an ELF image.
pub(super) fn decompress(payload: &[u8]) -> Result<Vec<u8>, MachineError> {
    let damaged = |reason: &str| MachineError::KernelDamaged { reason: format!("its payload {reason}") };
    let (packed, length) = payload.split_last_chunk::<LENGTH_BYTES>().ok_or_else(|| damaged("is empty"))?;
    let length = u64::from(u32::from_le_bytes(*length));
    if length > LIMIT {
        return Err(damaged("claims an absurd unpacked size"));
    }
    let mut unpacked = Vec::with_capacity(length as usize);
    let result = match packed {
        // gzip's own trailer is the appended length: it needs the whole payload.
        [0x1f, 0x8b, ..] => gunzip(payload, length as usize).map(|bytes| unpacked = bytes),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => read(lzma_rust2::XzReader::new(packed, false), &mut unpacked),
        [0x5d, 0, 0, ..] => lzma_rust2::LzmaReader::new_mem_limit(packed, (LIMIT >> 10) as u32, None)
            .map_err(|_| ())
            .and_then(|reader| read(reader, &mut unpacked)),
        [b'B', b'Z', b'h', ..] => read(bzip2::read::BzDecoder::new(packed), &mut unpacked),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ruzstd::decoding::StreamingDecoder::new(packed)
            .map_err(|_| ())
            .and_then(|reader| read(reader, &mut unpacked)),
        _ if packed.starts_with(&LZ4_LEGACY) => unpack_lz4(&packed[LZ4_LEGACY.len()..], length, &mut unpacked),
        _ => {
            let reason = "its payload is packed in a way only the kernel itself can unpack: \
                          boot it without decompression on the host"
                .to_owned();
            return Err(MachineError::KernelUnsupported { reason });
        }
    };
    result.map_err(|()| damaged("does not unpack"))?;
    if unpacked.len() as u64 != length {
        return Err(damaged("unpacks to another length than it says"));
    }
    Ok(unpacked)
}

fn read(reader: impl Read, unpacked: &mut Vec<u8>) -> Result<(), ()> {
    reader.take(LIMIT + 1).read_to_end(unpacked).map(|_| ()).map_err(|_| ())
}

/// RFC 1952: a ten-byte header (kernels are packed with `gzip -n`, so without optional fields), deflate, trailer.
fn gunzip(packed: &[u8], length: usize) -> Result<Vec<u8>, ()> {
    const PLAIN_HEADER: usize = 10;
    let (header, deflated) = packed.split_at_checked(PLAIN_HEADER).ok_or(())?;
    if header[2] != 8 || header[3] != 0 {
        return Err(());
    }
    miniz_oxide::inflate::decompress_to_vec_with_limit(deflated, length).map_err(|_| ())
}

fn unpack_lz4(mut blocks: &[u8], length: u64, unpacked: &mut Vec<u8>) -> Result<(), ()> {
    let mut block_bytes = vec![0; LZ4_BLOCK_BYTES];
    while let Some((size, rest)) = blocks.split_first_chunk::<4>() {
        let (block, rest) = rest.split_at_checked(u32::from_le_bytes(*size) as usize).ok_or(())?;
        let written = lz4_flex::block::decompress_into(block, &mut block_bytes).map_err(|_| ())?;
        if (unpacked.len() + written) as u64 > length {
            return Err(());
        }
        unpacked.extend_from_slice(&block_bytes[..written]);
        blocks = rest;
    }
    Ok(())
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
