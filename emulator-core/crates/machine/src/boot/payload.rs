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

/// How long the unpacked payload will be, in bytes.
pub(super) fn unpacked_bytes(payload: &[u8]) -> Result<u64, MachineError> {
    let length = payload.last_chunk::<LENGTH_BYTES>().ok_or_else(|| damaged("is empty"))?;
    let length = u64::from(u32::from_le_bytes(*length));
    if length > LIMIT { Err(damaged("claims an absurd unpacked size")) } else { Ok(length) }
}

/// Unpacks the payload into `into`, which is [`unpacked_bytes`] long.
pub(super) fn unpack(payload: &[u8], into: &mut [u8]) -> Result<(), MachineError> {
    let (packed, _) = payload.split_last_chunk::<LENGTH_BYTES>().ok_or_else(|| damaged("is empty"))?;
    let result = match packed {
        // gzip's own trailer is the appended length: it needs the whole payload.
        [0x1f, 0x8b, ..] => gunzip(payload, into),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => read(lzma_rust2::XzReader::new(packed, false), into),
        [0x5d, 0, 0, ..] => lzma_rust2::LzmaReader::new_mem_limit(packed, (LIMIT >> 10) as u32, None)
            .map_err(|_| ())
            .and_then(|reader| read(reader, into)),
        [b'B', b'Z', b'h', ..] => read(bzip2::read::BzDecoder::new(packed), into),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            ruzstd::decoding::StreamingDecoder::new(packed).map_err(|_| ()).and_then(|reader| read(reader, into))
        }
        _ if packed.starts_with(&LZ4_LEGACY) => unpack_lz4(&packed[LZ4_LEGACY.len()..], into),
        _ => {
            let reason = "its payload is packed in a way only the kernel itself can unpack: \
                          boot it without decompression on the host"
                .to_owned();
            return Err(MachineError::KernelUnsupported { reason });
        }
    };
    result.map_err(|()| damaged("does not unpack to the length it says"))
}

fn damaged(reason: &str) -> MachineError {
    MachineError::KernelDamaged { reason: format!("its payload {reason}") }
}

/// Everything `reader` has, which must fill `into` to the last byte.
fn read(mut reader: impl Read, into: &mut [u8]) -> Result<(), ()> {
    reader.read_exact(into).map_err(|_| ())?;
    if matches!(reader.read(&mut [0]), Ok(0)) { Ok(()) } else { Err(()) }
}

/// RFC 1952: a ten-byte header (kernels are packed with `gzip -n`, so without optional fields), deflate, trailer.
fn gunzip(packed: &[u8], into: &mut [u8]) -> Result<(), ()> {
    const PLAIN_HEADER: usize = 10;
    let (header, deflated) = packed.split_at_checked(PLAIN_HEADER).ok_or(())?;
    if header[2] != 8 || header[3] != 0 {
        return Err(());
    }
    let (zlib_header, ignore_adler) = (false, true);
    let pieces = core::iter::once(deflated);
    let written = miniz_oxide::inflate::decompress_slice_iter_to_slice(into, pieces, zlib_header, ignore_adler);
    if written == Ok(into.len()) { Ok(()) } else { Err(()) }
}

fn unpack_lz4(mut blocks: &[u8], mut into: &mut [u8]) -> Result<(), ()> {
    while let Some((size, rest)) = blocks.split_first_chunk::<4>() {
        let (block, rest) = rest.split_at_checked(u32::from_le_bytes(*size) as usize).ok_or(())?;
        let room = into.len().min(LZ4_BLOCK_BYTES);
        let written = lz4_flex::block::decompress_into(block, &mut into[..room]).map_err(|_| ())?;
        into = &mut into[written..];
        blocks = rest;
    }
    if into.is_empty() { Ok(()) } else { Err(()) }
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
