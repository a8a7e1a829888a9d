//! Local interrupt sources: the local vector table and the LINT pins (Intel SDM vol. 3, 11.5.1).

use super::Lapic;
use super::registers::{entry, lvt};
use crate::interrupt_message::DeliveryMode;

impl Lapic {
    /// Writes the table entry `index`.
    pub(super) fn write_entry(&mut self, index: usize, value: u32) {
        let before = self.state.lvt[index];
        // Entries cannot be unmasked while the APIC is software-disabled (SDM vol. 3, 11.4.7.2).
        let forced = if self.is_software_enabled() { 0 } else { lvt::MASKED };
        let after = value & entry::WRITABLE[index] | before & lvt::REMOTE_IRR | forced;
        self.state.lvt[index] = after;
        match index {
            entry::TIMER => self.state.timer.mode_changed(before, after),
            entry::LINT0 | entry::LINT1 => self.resample_level(index),
            _ => {}
        }
    }

    /// Level of LINT `pin`, 0 or 1.
    pub(super) fn set_lint(&mut self, pin: usize, level: bool) {
        let rising = level && !self.state.lint[pin];
        self.state.lint[pin] = level;
        let index = entry::LINT0 + pin;
        if rising && !self.is_enabled() {
            // With the APIC off LINT1 is the processor's NMI pin; LINT0 is INTR, see `external_asserted`.
            self.state.nmi_pending |= pin == 1;
        } else if self.is_level_entry(index) {
            self.resample_level(index);
        } else if rising {
            self.trigger_entry(index);
        }
    }

    /// Only fixed delivery can be level-triggered (SDM vol. 3, 11.5.1 "Trigger Mode").
    fn is_level_entry(&self, index: usize) -> bool {
        let entry = self.state.lvt[index];
        entry & lvt::LEVEL != 0 && DeliveryMode::from_bits(entry >> 8) == Some(DeliveryMode::Fixed)
    }

    pub(super) fn resample_level(&mut self, index: usize) {
        let blocked = lvt::REMOTE_IRR | lvt::MASKED;
        let high = self.state.lint[index - entry::LINT0];
        if high && self.is_level_entry(index) && self.state.lvt[index] & blocked == 0 {
            self.state.lvt[index] |= lvt::REMOTE_IRR;
            self.request(self.state.lvt[index] as u8, true);
        }
    }

    /// A local source fired.
    pub(super) fn trigger_entry(&mut self, index: usize) {
        let entry = self.state.lvt[index];
        if entry & lvt::MASKED != 0 {
            return;
        }
        // Timer and error entries have no delivery mode field: it reads 0, fixed.
        match DeliveryMode::from_bits(entry >> 8) {
            Some(DeliveryMode::Fixed) => self.request(entry as u8, false),
            Some(DeliveryMode::Nmi) => self.state.nmi_pending = true,
            Some(DeliveryMode::Init) => self.state.init_pending = true,
            // ExtINT follows the pin's level; see `external_asserted`.
            _ => {}
        }
    }
}
