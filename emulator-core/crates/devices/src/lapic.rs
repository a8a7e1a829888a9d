//! The local APIC in xAPIC and x2APIC mode (Intel SDM vol. 3, chapter 11, "Advanced Programmable Interrupt
//! Controller"), as in processors since Nehalem: version 0x14, six local vector table entries, TSC deadline.
//!
//! Deliberately missing: suppression of EOI broadcasts, the CMCI entry, interrupts from thermal and performance
//! sensors (their entries are registers only), arbitration priority.

mod local;
mod message;
mod msr;
mod registers;
mod timer;
mod vectors;

use crate::interrupt_message::{DeliveryMode, InterruptMessage};
use platform::{AccessSize, Nanos, PhysAddr, RestoreError, Section};
use registers::{VERSION_VALUE, base, entry, esr, lvt, register, svr};
use serde::{Deserialize, Serialize};
use timer::Timer;
use vectors::Vectors;

/// Vectors below this belong to exceptions.
const FIRST_VECTOR: u8 = 16;

const SECTION: &str = "lapic";
const VERSION: u16 = 1;

/// What the board solders in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LapicConfig {
    /// Initial APIC id.
    pub id: u32,
    /// This processor is the bootstrap processor (bit 8 of IA32_APIC_BASE).
    pub bootstrap: bool,
    /// Bus clock that the timer divides, in Hertz.
    pub bus_hz: u64,
    /// Time-stamp counter frequency, in Hertz.
    pub tsc_hz: u64,
}

/// What the board must carry on after an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LapicEvent {
    /// End of a level-triggered interrupt: tell every I/O APIC.
    EndOfInterrupt {
        /// The vector that ended.
        vector: u8,
    },
    /// An interrupt command for *other* processors: the sender has already taken its own copy.
    Send(InterruptMessage),
}

/// The answer to an interrupt-acknowledge cycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acknowledge {
    /// Deliver this vector.
    Vector(u8),
    /// Ask the external 8259 for the vector.
    External,
    /// The request went away.
    Nothing,
}

/// The local APIC of one processor.
#[derive(Clone, Debug)]
pub struct Lapic {
    config: LapicConfig,
    state: State,
    event: Option<LapicEvent>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    base: u64,
    task_priority: u8,
    logical_destination: u32,
    destination_format: u32,
    spurious: u32,
    in_service: Vectors,
    level_triggered: Vectors,
    requests: Vectors,
    /// Errors as last latched by a write to the register, and those since.
    errors: u32,
    new_errors: u32,
    command: u64,
    lvt: [u32; entry::COUNT],
    timer: Timer,
    lint: [bool; 2],
    external_pending: bool,
    nmi_pending: bool,
    init_pending: bool,
    startup_pending: Option<u8>,
}

impl State {
    fn power_on(config: LapicConfig) -> State {
        let bootstrap = if config.bootstrap { base::BOOTSTRAP } else { 0 };
        State {
            base: base::POWER_ON | base::ENABLED | bootstrap,
            task_priority: 0,
            logical_destination: 0,
            destination_format: u32::MAX,
            spurious: 0xff,
            in_service: Vectors::default(),
            level_triggered: Vectors::default(),
            requests: Vectors::default(),
            errors: 0,
            new_errors: 0,
            command: 0,
            lvt: [lvt::MASKED; entry::COUNT],
            timer: Timer::default(),
            lint: [false; 2],
            external_pending: false,
            nmi_pending: false,
            init_pending: false,
            startup_pending: None,
        }
    }
}

impl Lapic {
    /// Software-disabled, timer stopped, in xAPIC mode at its usual base.
    #[must_use]
    pub fn new(config: LapicConfig) -> Lapic {
        Lapic { config, state: State::power_on(config), event: None }
    }

    /// Power-on reset; the levels of the LINT pins stay.
    pub fn reset(&mut self) {
        let lint = self.state.lint;
        *self = Lapic::new(self.config);
        self.state.lint = lint;
    }

    /// INIT reset (SDM vol. 3, 11.4.7.3): like power-on, but IA32_APIC_BASE stays.
    pub fn init(&mut self) {
        let base = self.state.base;
        self.reset();
        self.state.base = base;
        self.update_x2apic_ldr();
    }

    /// The state firmware leaves behind on a PC: enabled, LINT0 passes the 8259's interrupts through, LINT1 is NMI
    /// (MultiProcessor Specification 1.4, 3.6.2.2 "Virtual Wire Mode"). For boards that start a kernel directly.
    pub fn enter_virtual_wire_mode(&mut self) {
        self.state.spurious = svr::ENABLED | 0xff;
        self.state.lvt[entry::LINT0] = (DeliveryMode::ExtInt as u32) << 8;
        self.state.lvt[entry::LINT1] = (DeliveryMode::Nmi as u32) << 8;
    }

    /// Base of the 4 KiB register page while memory-mapped (xAPIC mode), else `None`.
    #[must_use]
    pub fn mmio_base(&self) -> Option<PhysAddr> {
        (self.is_enabled() && !self.is_x2apic()).then_some(PhysAddr(self.state.base & base::ADDRESS))
    }

    /// Reads the register page. Registers are 32 bits wide at multiples of 16; the space between reads as zero.
    pub fn read(&mut self, offset: u64, size: AccessSize, now: Nanos) -> u64 {
        let (number, byte) = ((offset >> 4) as u8, offset & 15);
        if offset >= 0x400 || byte >= 4 {
            return 0;
        }
        let value = self.read_register(number, now).unwrap_or_else(|| {
            self.report_error(esr::ILLEGAL_REGISTER);
            0
        });
        u64::from(value) >> (8 * byte) & size.ones()
    }

    /// Writes the register page; then ask [`Lapic::take_event`]. Only aligned accesses of a dword or more are
    /// defined (SDM vol. 3, 11.4.1); others are dropped.
    pub fn write(&mut self, offset: u64, size: AccessSize, value: u64, now: Nanos) {
        if offset >= 0x400 || offset & 15 != 0 || size.bytes() < 4 {
            return;
        }
        self.advance(now);
        let (number, value) = ((offset >> 4) as u8, value as u32);
        match number {
            register::LDR => self.state.logical_destination = value & 0xff00_0000,
            register::DFR => self.state.destination_format = value | 0x0fff_ffff,
            register::ICR_HIGH => {
                self.state.command = u64::from(value & 0xff00_0000) << 32 | self.state.command & 0xffff_ffff;
            }
            register::ICR_LOW => {
                let command = self.state.command & !0xffff_ffff | u64::from(value);
                self.send_command(command);
            }
            _ => {
                if !self.write_register(number, value, now) {
                    self.report_error(esr::ILLEGAL_REGISTER);
                }
            }
        }
    }

    /// What the last access asks of the board, once.
    pub fn take_event(&mut self) -> Option<LapicEvent> {
        self.event.take()
    }

    /// CR8.
    #[must_use]
    pub fn task_priority(&self) -> u8 {
        self.state.task_priority >> 4
    }

    /// Writes CR8; only the low four bits are used.
    pub fn set_task_priority(&mut self, cr8: u8) {
        self.state.task_priority = cr8 << 4;
    }

    /// Level of LINT0, on a PC the 8259's INT.
    pub fn set_lint0(&mut self, level: bool) {
        self.set_lint(0, level);
    }

    /// Level of LINT1, on a PC the board's NMI.
    pub fn set_lint1(&mut self, level: bool) {
        self.set_lint(1, level);
    }

    /// Whether a maskable interrupt waits for the processor.
    #[must_use]
    pub fn interrupt_asserted(&self) -> bool {
        self.external_asserted() || self.deliverable().is_some()
    }

    /// Interrupt-acknowledge cycle. External interrupts go first: they know no priority.
    pub fn acknowledge(&mut self) -> Acknowledge {
        if self.external_asserted() {
            self.state.external_pending = false;
            return Acknowledge::External;
        }
        let Some(vector) = self.deliverable() else { return Acknowledge::Nothing };
        self.state.requests.remove(vector);
        self.state.in_service.insert(vector);
        Acknowledge::Vector(vector)
    }

    /// True once after an NMI.
    pub fn take_nmi(&mut self) -> bool {
        std::mem::take(&mut self.state.nmi_pending)
    }

    /// True once after INIT: reset the processor and call [`Lapic::init`].
    pub fn take_init(&mut self) -> bool {
        std::mem::take(&mut self.state.init_pending)
    }

    /// The page number of a start-up message, once.
    pub fn take_startup(&mut self) -> Option<u8> {
        self.state.startup_pending.take()
    }

    /// When the timer interrupts next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Nanos> {
        let masked = self.state.lvt[entry::TIMER] & lvt::MASKED != 0;
        if masked { None } else { self.state.timer.deadline(&self.config) }
    }

    /// Lets the timer expire up to `now`.
    pub fn advance(&mut self, now: Nanos) {
        if self.state.timer.advance(self.state.lvt[entry::TIMER], &self.config, now) {
            self.trigger_entry(entry::TIMER);
        }
    }

    fn is_enabled(&self) -> bool {
        self.state.base & base::ENABLED != 0
    }

    fn is_x2apic(&self) -> bool {
        self.state.base & base::X2APIC != 0
    }

    fn is_software_enabled(&self) -> bool {
        self.is_enabled() && self.state.spurious & svr::ENABLED != 0
    }

    /// The id register's number, without its xAPIC position.
    fn id(&self) -> u32 {
        if self.is_x2apic() { self.config.id } else { self.config.id & 0xff }
    }

    /// Processor priority (SDM vol. 3, 11.8.3.1).
    fn processor_priority(&self) -> u8 {
        let serving = self.state.in_service.highest().unwrap_or(0) & 0xf0;
        if self.state.task_priority & 0xf0 >= serving { self.state.task_priority } else { serving }
    }

    fn deliverable(&self) -> Option<u8> {
        let vector = self.state.requests.highest()?;
        (self.is_enabled() && vector & 0xf0 > self.processor_priority() & 0xf0).then_some(vector)
    }

    /// An interrupt of the external controller waits: LINT0 passes it on, or is plain INTR while the APIC is off
    /// (SDM vol. 3, 11.4.3).
    fn external_asserted(&self) -> bool {
        let entry = self.state.lvt[entry::LINT0];
        let passes = entry & lvt::MASKED == 0 && entry >> 8 & 7 == DeliveryMode::ExtInt as u32;
        self.state.lint[0] && (passes || !self.is_enabled()) || self.state.external_pending
    }

    /// Registers that xAPIC and x2APIC share; `None` where there is none.
    fn read_register(&mut self, number: u8, now: Nanos) -> Option<u32> {
        let state = &self.state;
        Some(match number {
            register::ID if self.is_x2apic() => self.id(),
            register::ID => self.id() << 24,
            register::VERSION => VERSION_VALUE,
            register::TPR => u32::from(state.task_priority),
            register::APR => 0,
            register::PPR => u32::from(self.processor_priority()),
            register::EOI => 0,
            register::LDR => state.logical_destination,
            register::DFR => state.destination_format,
            register::SVR => state.spurious,
            register::ISR..register::TMR => state.in_service.word(number - register::ISR),
            register::TMR..register::IRR => state.level_triggered.word(number - register::TMR),
            register::IRR..=register::IRR_LAST => state.requests.word(number - register::IRR),
            register::ESR => state.errors,
            register::ICR_LOW => state.command as u32,
            register::ICR_HIGH => (state.command >> 32) as u32,
            register::LVT_TIMER..=register::LVT_ERROR => state.lvt[usize::from(number - register::LVT_TIMER)],
            register::INITIAL_COUNT => state.timer.initial_count(),
            register::CURRENT_COUNT => {
                self.advance(now);
                self.state.timer.current_count(&self.config, now)
            }
            register::DIVIDE => state.timer.divide_configuration(),
            _ => return None,
        })
    }

    /// Answers whether the register exists and can be written.
    fn write_register(&mut self, number: u8, value: u32, now: Nanos) -> bool {
        match number {
            // The id is soldered in; writing it is ignored as on processors with x2APIC.
            register::ID => {}
            register::TPR => self.state.task_priority = value as u8,
            register::EOI => self.end_of_interrupt(),
            register::SVR => self.write_spurious(value),
            register::ESR => self.state.errors = std::mem::take(&mut self.state.new_errors),
            register::LVT_TIMER..=register::LVT_ERROR => {
                self.write_entry(usize::from(number - register::LVT_TIMER), value);
            }
            register::INITIAL_COUNT => {
                self.state.timer.start(value, self.state.lvt[entry::TIMER], &self.config, now);
            }
            register::DIVIDE => self.state.timer.set_divide_configuration(value, &self.config, now),
            _ => return false,
        }
        true
    }

    fn write_spurious(&mut self, value: u32) {
        self.state.spurious = value & svr::WRITABLE;
        if value & svr::ENABLED == 0 {
            self.state.lvt.iter_mut().for_each(|entry| *entry |= lvt::MASKED);
        }
    }

    fn end_of_interrupt(&mut self) {
        let Some(vector) = self.state.in_service.highest() else { return };
        self.state.in_service.remove(vector);
        if self.state.level_triggered.contains(vector) {
            self.event = Some(LapicEvent::EndOfInterrupt { vector });
            for index in [entry::LINT0, entry::LINT1] {
                if self.state.lvt[index] as u8 == vector {
                    self.state.lvt[index] &= !lvt::REMOTE_IRR;
                    self.resample_level(index);
                }
            }
        }
    }

    /// Takes a fixed interrupt into the request register.
    fn request(&mut self, vector: u8, level: bool) {
        if vector < FIRST_VECTOR {
            self.report_error(esr::RECEIVE_ILLEGAL_VECTOR);
        } else {
            self.state.requests.insert(vector);
            self.state.level_triggered.set(vector, level);
        }
    }

    fn report_error(&mut self, error: u32) {
        self.state.new_errors |= error;
        let entry = self.state.lvt[entry::ERROR];
        // An illegal vector in the error entry itself would report an error about itself.
        if entry & lvt::MASKED == 0 && entry as u8 >= FIRST_VECTOR {
            self.request(entry as u8, false);
        }
    }

    /// Writes the state.
    #[must_use]
    pub fn save(&self) -> Section {
        Section::encode(SECTION, VERSION, &self.state)
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The section is of another version or malformed.
    pub fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
        let state: State = section.decode(VERSION)?;
        let mode = state.base & (base::ENABLED | base::X2APIC);
        let entries_fit =
            state.lvt.iter().zip(entry::WRITABLE).all(|(&entry, writable)| entry & !(writable | lvt::REMOTE_IRR) == 0);
        if mode == base::X2APIC || !entries_fit || !state.timer.is_valid() {
            return Err(section.damaged());
        }
        *self = Lapic { config: self.config, state, event: None };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
