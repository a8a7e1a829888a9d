//! Model-specific registers of the local APIC: IA32_APIC_BASE, IA32_TSC_DEADLINE and, in x2APIC mode, the registers
//! themselves (SDM vol. 3, 11.4.4, 11.5.4.1 and 11.12).

use super::Lapic;
use super::registers::{base, entry, register};
use platform::{MsrAnswer, Nanos};

const IA32_APIC_BASE: u32 = 0x1b;
const IA32_TSC_DEADLINE: u32 = 0x6e0;
const X2APIC_FIRST: u32 = 0x800;
const X2APIC_LAST: u32 = 0x8ff;

const DONE: MsrAnswer = MsrAnswer::Value(0);

impl Lapic {
    /// Reads IA32_APIC_BASE, IA32_TSC_DEADLINE or an x2APIC register. `tsc` is the time-stamp counter at `now`.
    pub fn msr_read(&mut self, msr: u32, tsc: u64, now: Nanos) -> MsrAnswer {
        self.advance(now);
        match msr {
            IA32_APIC_BASE => MsrAnswer::Value(self.state.base),
            IA32_TSC_DEADLINE => {
                // Software may have moved the counter past the deadline; then it has fired and reads zero.
                let deadline = self.state.timer.tsc_deadline();
                MsrAnswer::Value(if deadline <= tsc { 0 } else { deadline })
            }
            X2APIC_FIRST..=X2APIC_LAST if self.is_x2apic() => self.x2apic_read((msr - X2APIC_FIRST) as u8, now),
            _ => MsrAnswer::Fault,
        }
    }

    /// Writes one of those; then ask [`Lapic::take_event`] and [`Lapic::mmio_base`].
    pub fn msr_write(&mut self, msr: u32, value: u64, tsc: u64, now: Nanos) -> MsrAnswer {
        self.advance(now);
        match msr {
            IA32_APIC_BASE => self.write_base(value),
            IA32_TSC_DEADLINE => {
                let timer_entry = self.state.lvt[entry::TIMER];
                self.state.timer.set_tsc_deadline(value, timer_entry, tsc, &self.config, now);
                self.advance(now);
                DONE
            }
            X2APIC_FIRST..=X2APIC_LAST if self.is_x2apic() => self.x2apic_write((msr - X2APIC_FIRST) as u8, value, now),
            _ => MsrAnswer::Fault,
        }
    }

    /// Software moved the time-stamp counter: it is `tsc` at `now`. A waiting TSC deadline is timed anew.
    pub fn tsc_changed(&mut self, tsc: u64, now: Nanos) {
        self.state.timer.tsc_changed(tsc, &self.config, now);
    }

    /// Mode changes that figure 11-29 does not draw fault.
    fn write_base(&mut self, value: u64) -> MsrAnswer {
        let defined = base::BOOTSTRAP | base::X2APIC | base::ENABLED | base::ADDRESS;
        let mode = |base: u64| (base & base::ENABLED != 0, base & base::X2APIC != 0);
        let illegal = matches!(
            (mode(self.state.base), mode(value)),
            (_, (false, true)) | ((true, true), (true, false)) | ((false, _), (true, true))
        );
        if illegal || value & !defined != 0 {
            return MsrAnswer::Fault;
        }
        let was_enabled = self.is_enabled();
        let bootstrap = self.state.base & base::BOOTSTRAP;
        if was_enabled && value & base::ENABLED == 0 {
            // Switching it off loses all state (SDM vol. 3, 11.4.3).
            self.reset();
        }
        self.state.base = value & !base::BOOTSTRAP | bootstrap;
        self.update_x2apic_ldr();
        DONE
    }

    fn x2apic_read(&mut self, number: u8, now: Nanos) -> MsrAnswer {
        match number {
            register::ICR_LOW => MsrAnswer::Value(self.state.command),
            // These do not exist in x2APIC mode or are write-only (SDM vol. 3, table 11-6).
            register::APR | register::EOI | register::DFR | register::ICR_HIGH | register::SELF_IPI => MsrAnswer::Fault,
            _ => self.read_register(number, now).map_or(MsrAnswer::Fault, |value| MsrAnswer::Value(value.into())),
        }
    }

    fn x2apic_write(&mut self, number: u8, value: u64, now: Nanos) -> MsrAnswer {
        let Some(reserved) = x2apic_reserved_bits(number) else { return MsrAnswer::Fault };
        if value & reserved != 0 {
            return MsrAnswer::Fault;
        }
        match number {
            register::ICR_LOW => self.send_command(value),
            // A self IPI is a fixed, edge-triggered command with the "self" shorthand.
            register::SELF_IPI => {
                let command = self.state.command;
                self.send_command(1 << 18 | value);
                self.state.command = command;
            }
            _ => {
                self.write_register(number, value as u32, now);
            }
        }
        DONE
    }
}

/// Bits that fault when set, or `None` for a register that cannot be written.
fn x2apic_reserved_bits(number: u8) -> Option<u64> {
    Some(match number {
        register::TPR | register::SELF_IPI => !0xff,
        register::EOI | register::ESR => !0,
        register::SVR => !0x3ff,
        register::ICR_LOW => 0xfff3_2000,
        register::LVT_TIMER..=register::LVT_ERROR => {
            // Delivery status and remote IRR are read-only, not reserved.
            let writable = entry::WRITABLE[usize::from(number - register::LVT_TIMER)];
            !u64::from(writable | 1 << 12 | 1 << 14)
        }
        register::INITIAL_COUNT => !0xffff_ffff,
        register::DIVIDE => !0b1011,
        _ => return None,
    })
}
