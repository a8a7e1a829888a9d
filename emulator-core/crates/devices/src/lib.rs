//! The chips of the `pc` board, one file per part number, as pure state machines.
//!
//! Invariant: a chip never names a processor, a port or IRQ number, a thread or a clock. The board decodes
//! addresses into register offsets, hands in guest time as `now`, and *polls*: after every access and every
//! `advance` it reads the pins (`irq_asserted`, `out`, ...), collects what happened once (`take_...`) and asks
//! for `next_deadline`, the guest time at which the chip's outputs will change by themselves.
//!
//! Shape shared by all chips (a chip without a clock takes no `now`, one without timers has no deadline):
//! `new(config)`, `reset()`, `read(register, now)`, `write(register, value, now)`, `advance(now)`,
//! `next_deadline()`, `save()`, `restore(section)`. Any register, size and value is safe to access; what a data
//! sheet does not decode reads as all ones and ignores writes. After a failed `restore` a chip is unchanged.

pub mod debug_port;
pub mod frequency;
pub mod hpet;
pub mod i440fx;
pub mod i8042;
pub mod i8237;
pub mod i8254;
pub mod i8259;
pub mod interrupt_message;
pub mod ioapic;
pub mod isa_debug_exit;
pub mod lapic;
pub mod ls612;
pub mod mc146818;
pub mod pci;
pub mod piix3;
pub mod piix4_pm;
pub mod port61;
pub mod port92;
pub mod reset_control;
pub mod uart16550;
