//! Interrupts and exceptions: what is delivered, and what happens when delivery itself faults (Intel SDM vol. 3, chapter 6).

mod breakpoints;
mod gates;
mod iret;
mod long;
mod real;
mod stack;

use x86::{Exception, Op};

use crate::exec::Exec;
use crate::state::eflags;

pub(crate) use breakpoints::{DR6_STEP, DR6_TASK, io_access};
pub(crate) use stack::Stack;

/// Where an event comes from: decides about the DPL check and the EXT bit of error codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// An interrupt line or NMI, an exception, or `INT1`: EXT is set.
    External,
    /// `INT n`, `INT3`, `INTO`: the gate's DPL is checked.
    Software,
}

/// Something to be delivered through the interrupt-descriptor table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) vector: u8,
    pub(crate) source: Source,
    pub(crate) error: Option<u16>,
    /// Offset in CS the handler returns to.
    pub(crate) return_rip: u64,
    /// The saved EFLAGS have RF set: a fault, whose instruction will run again.
    pub(crate) resume: bool,
}

impl Event {
    /// The EXT bit of error codes that delivery produces.
    fn external(&self) -> u16 {
        u16::from(self.source == Source::External)
    }

    /// Error code that names the event's own entry in the IDT.
    fn idt_error(&self) -> u16 {
        u16::from(self.vector) << 3 | 2 | self.external()
    }
}

/// Intel SDM vol. 3, table 6-4.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Benign,
    Contributory,
    PageFault,
    DoubleFault,
}

fn class(exception: Exception) -> Class {
    match exception {
        Exception::DivideError
        | Exception::InvalidTss(_)
        | Exception::SegmentNotPresent(_)
        | Exception::StackFault(_)
        | Exception::GeneralProtection(_) => Class::Contributory,
        Exception::PageFault(_) => Class::PageFault,
        Exception::DoubleFault => Class::DoubleFault,
        _ => Class::Benign,
    }
}

/// What a fault during the delivery of an event of class `first` becomes (table 6-5); `None` is shutdown.
fn escalate(first: Class, second: Exception) -> Option<Exception> {
    match (first, class(second)) {
        (Class::DoubleFault, Class::Contributory | Class::PageFault) => None,
        (Class::Contributory, Class::Contributory) => Some(Exception::DoubleFault),
        (Class::PageFault, Class::Contributory | Class::PageFault) => Some(Exception::DoubleFault),
        _ => Some(second),
    }
}

/// Faults save RF set, except a debug fault; traps and aborts do not (Intel SDM vol. 3, 17.3.1.1).
fn sets_resume(exception: Exception) -> bool {
    !matches!(exception, Exception::Debug | Exception::Breakpoint | Exception::Overflow | Exception::DoubleFault)
}

impl Exec<'_> {
    /// Delivers an exception raised at `state.rip`. Sets `shut_down` where even a double fault cannot be delivered.
    pub(crate) fn deliver_exception(&mut self, exception: Exception) {
        let mut current = exception;
        self.report_address(current);
        loop {
            self.trace_delivery(format_args!("{current:x?}"));
            let event = Event {
                vector: current.vector(),
                source: Source::External,
                error: current.error_code(),
                return_rip: self.cpu.state.rip,
                resume: sets_resume(current),
            };
            let Err(second) = self.enter_handler(event) else { break };
            self.report_address(second);
            let Some(next) = escalate(class(current), second) else {
                self.cpu.shut_down = true;
                break;
            };
            current = next;
        }
        if current == Exception::Debug {
            // The handler may use the debug registers (Intel SDM vol. 3, 17.2.4).
            self.cpu.state.dr[7] &= !breakpoints::DR7_GENERAL_DETECT;
        }
    }

    /// CR2 tells of every page fault, delivered or turned into a double fault (Intel SDM vol. 3, 6.15, interrupt 14).
    fn report_address(&mut self, exception: Exception) {
        if let Exception::PageFault(_) = exception {
            self.cpu.state.cr2 = self.cpu.fault_address;
        }
    }

    /// Delivers a maskable hardware interrupt.
    pub(crate) fn deliver_interrupt(&mut self, vector: u8) {
        self.trace_delivery(format_args!("interrupt {vector:#04x}"));
        self.deliver_external(vector);
    }

    /// Delivers a non-maskable interrupt; further ones wait for `IRET`.
    pub(crate) fn deliver_nmi(&mut self) {
        const NMI: u8 = 2;
        self.trace_delivery(format_args!("NMI"));
        self.cpu.state.nmi_blocked = true;
        self.deliver_external(NMI);
    }

    fn deliver_external(&mut self, vector: u8) {
        let return_rip = self.cpu.state.rip;
        let event = Event { vector, source: Source::External, error: None, return_rip, resume: false };
        if let Err(exception) = self.enter_handler(event) {
            self.cpu.faults += 1;
            self.deliver_exception(exception);
        }
    }

    fn trace_delivery(&mut self, what: core::fmt::Arguments<'_>) {
        if self.cpu.trace.is_some() {
            let (cs, rip) = (self.cpu.state.segs[1].selector, self.cpu.state.rip);
            self.trace_event(format_args!("int {what} at {cs:04x}:{rip:x}"));
        }
    }

    /// With EAX, which says what a BIOS or a 32-bit system is asked for.
    pub(crate) fn trace_software_interrupt(&mut self, op: &Op, vector: u8) {
        if self.cpu.trace.is_some() {
            let (cs, rip, eax) =
                (self.cpu.state.segs[1].selector, self.address_of(op), self.cpu.state.regs.get(0) as u32);
            self.trace_event(format_args!("int software interrupt {vector:#04x} at {cs:04x}:{rip:x}, eax={eax:x}"));
        }
    }

    /// Enters the handler of `event`.
    ///
    /// # Errors
    /// Delivery faults; but for a task switch under way, nothing has changed.
    pub(crate) fn enter_handler(&mut self, event: Event) -> Result<(), Exception> {
        self.undivided(|exec| {
            let state = &exec.cpu.state;
            if state.cr0 & crate::state::control::CR0_PE == 0 {
                exec.enter_real(event)
            } else if state.long_mode() {
                exec.enter_long(event)
            } else {
                exec.enter_protected(event)
            }
        })
    }

    /// EFLAGS as the handler's frame saves them.
    fn saved_flags(&self, event: &Event) -> u64 {
        let flags = self.cpu.state.rflags();
        if event.resume { flags | eflags::RF } else { flags }
    }
}

#[cfg(test)]
mod tests;
