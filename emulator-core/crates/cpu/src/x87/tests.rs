//! x87 instructions as bytes, run on a bare processor.
