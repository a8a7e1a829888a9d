//! `--trace exec,int`: one line an instruction, one line an event, into a bounded buffer.

use core::fmt::Write;

use x86::decode::decode_on;
use x86::{Disassembly, Width, register_name};

use crate::exec::Exec;
use crate::{Cpu, State};

/// Trace text kept until it is taken; past this, lines are counted and dropped.
const CAPACITY: usize = 16 << 20;

/// What is traced, and what was.
#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) exec: bool,
    pub(crate) int: bool,
    text: String,
    dropped: u64,
}

impl Trace {
    pub(crate) fn line(&mut self, line: core::fmt::Arguments<'_>) {
        if self.text.len() > CAPACITY {
            self.dropped += 1;
            return;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

impl Cpu {
    /// Traces instructions (`exec`), and interrupts and exceptions (`int`); with neither, tracing costs nothing.
    pub fn set_trace(&mut self, exec: bool, int: bool) {
        self.trace = (exec || int).then(|| Box::new(Trace { exec, int, ..Trace::default() }));
        self.state_changed();
    }

    /// The trace since it was last taken.
    pub fn take_trace(&mut self) -> String {
        let Some(trace) = &mut self.trace else { return String::new() };
        let mut text = core::mem::take(&mut trace.text);
        if trace.dropped > 0 {
            let _ = writeln!(text, "({} lines dropped)", core::mem::take(&mut trace.dropped));
        }
        text
    }
}

impl Exec<'_> {
    /// The line of the instruction at `rip`, before it runs.
    pub(crate) fn trace_instruction(&mut self, rip: u64) {
        if !self.cpu.trace.as_ref().is_some_and(|t| t.exec) {
            return;
        }
        let mut bytes = [0u8; 15];
        let linear = self.code_linear(rip);
        let readable = (0x1000 - (linear & 0xfff)).min(15) as usize;
        if self.fetch_bytes(linear, &mut bytes[..readable]).is_err() {
            return;
        }
        if readable < 15 {
            // The rest may be on a page that is not there; the instruction itself then faults by its own.
            let _ = self.fetch_bytes(linear.wrapping_add(readable as u64), &mut bytes[readable..]);
        }
        let decoded = decode_on(self.cpu.features, &bytes, self.cpu.mode.code);
        let Cpu { trace: Some(trace), state, .. } = &mut *self.cpu else { return };
        let cs = state.segs[1].selector;
        match decoded {
            Ok(inst) => {
                let shown = Disassembly { inst: &inst, rip };
                trace.line(format_args!("exec {cs:04x}:{rip:x} {shown}"));
            }
            Err(error) => trace.line(format_args!("exec {cs:04x}:{rip:x} {bytes:02x?} {error:?}")),
        }
    }

    /// A line of category `int`.
    #[cold]
    pub(crate) fn trace_event(&mut self, line: core::fmt::Arguments<'_>) {
        if let Some(trace) = &mut self.cpu.trace
            && trace.int
        {
            trace.line(line);
        }
    }
}

/// A readable dump of the architectural state, several lines.
#[must_use]
pub fn dump(state: &State) -> String {
    let mut text = String::new();
    for number in 0..16u8 {
        let separator = if number % 4 == 3 { '\n' } else { ' ' };
        let name = register_name(Width::W64, number);
        let _ = write!(text, "{name:>3}={:016x}{separator}", state.regs.get(usize::from(number)));
    }
    let _ = writeln!(text, "rip={:016x} rflags={:08x} cpl={}", state.rip, state.rflags(), state.cpl);
    for (name, segment) in ["es", "cs", "ss", "ds", "fs", "gs"].iter().zip(&state.segs) {
        let (base, limit, access) = (segment.base, segment.limit, segment.access.0);
        let _ =
            writeln!(text, "{name}={:04x} base={base:016x} limit={limit:08x} access={access:05x}", segment.selector);
    }
    let _ = writeln!(text, "tr={:04x} base={:x} ldt={:04x}", state.tr.selector, state.tr.base, state.ldtr.selector);
    let _ = writeln!(
        text,
        "gdt={:x}+{:x} idt={:x}+{:x}",
        state.gdtr.base, state.gdtr.limit, state.idtr.base, state.idtr.limit
    );
    let (cr0, cr2, cr3, cr4) = (state.cr0, state.cr2, state.cr3, state.cr4);
    let _ = writeln!(text, "cr0={cr0:x} cr2={cr2:x} cr3={cr3:x} cr4={cr4:x} efer={:x}", state.msrs.efer);
    text
}
