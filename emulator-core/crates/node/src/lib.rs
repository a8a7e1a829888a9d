//! The addon: what TypeScript needs of Linux and neither Node nor WebAssembly has. Every function is a system call or
//! two and decides nothing. Descriptors are numbers here, as in `node:fs`, and whoever gets one closes it; all are closed by
//! execve(2). `packages/core/src/native.ts` loads it.

pub mod descriptors;
mod error;
pub mod process;
pub mod terminal;
