//! Double-width compare and exchange, and the checksum instruction of SSE4.2.

use crate::instructions::system::Sys;
use crate::{Feature, Row, Sem::Sys as Run, row};

pub const ROWS: &[Row] = &[
    row("CMPXCHG8B", "W0 0F C7 /1", "Mq+", Run(Sys::Cmpxchg8b)).flags("Z").notes("lock").on(Feature::Cx8),
    row("CMPXCHG16B", "W1 0F C7 /1", "Mdq+", Run(Sys::Cmpxchg16b)).flags("Z").notes("lock").on(Feature::Cx16),
    row("CRC32", "F2 0F 38 F0 /r", "Gy+ Eb", Run(Sys::Crc32Byte)).on(Feature::Sse42),
    row("CRC32", "F2 0F 38 F1 /r", "Gy+ Ev", Run(Sys::Crc32)).on(Feature::Sse42),
];
