//! Sending and receiving interrupt messages (SDM vol. 3, 11.6 and 11.8).

use super::registers::esr;
use super::{FIRST_VECTOR, Lapic, LapicEvent};
use crate::interrupt_message::{DeliveryMode, Destination, InterruptMessage};

/// Interrupt command register (SDM vol. 3, figure 11-12).
mod icr {
    pub const LOGICAL: u64 = 1 << 11;
    pub const ASSERT: u64 = 1 << 14;
    pub const LEVEL: u64 = 1 << 15;
    pub const SHORTHAND_SHIFT: u32 = 18;
    pub const WRITABLE: u64 = 0xffff_ffff_000c_cfff;
}

impl Lapic {
    /// Whether `message` (from an I/O APIC, an MSI or another processor) is meant for this local APIC.
    #[must_use]
    pub fn accepts(&self, message: &InterruptMessage) -> bool {
        if !self.is_enabled() {
            return false;
        }
        match message.destination {
            Destination::All | Destination::AllButSender => true,
            Destination::Physical(id) => id == self.id() || id == self.broadcast(),
            Destination::Logical(address) => self.matches_logical(address),
        }
    }

    /// Takes in a message that [`Lapic::accepts`].
    pub fn deliver(&mut self, message: &InterruptMessage) {
        match message.mode {
            // A software-disabled APIC takes only INIT, NMI, SMI and start-up (SDM vol. 3, 11.4.7.2).
            DeliveryMode::Fixed | DeliveryMode::LowestPriority if self.is_software_enabled() => {
                self.request(message.vector, message.level);
            }
            DeliveryMode::ExtInt if self.is_software_enabled() => self.state.external_pending = true,
            DeliveryMode::Nmi => self.state.nmi_pending = true,
            DeliveryMode::Init => self.state.init_pending = true,
            DeliveryMode::StartUp => self.state.startup_pending = Some(message.vector),
            // There is no system-management mode on this board.
            _ => {}
        }
    }

    fn broadcast(&self) -> u32 {
        if self.is_x2apic() { u32::MAX } else { 0xff }
    }

    fn matches_logical(&self, address: u32) -> bool {
        let own = self.state.logical_destination;
        if address == self.broadcast() {
            return true;
        }
        if self.is_x2apic() {
            return address >> 16 == own >> 16 && address & own & 0xffff != 0;
        }
        let own = own >> 24;
        let is_flat = self.state.destination_format >> 28 == 0xf;
        let same_cluster = is_flat || address >> 4 == own >> 4;
        let members = if is_flat { 0xff } else { 0x0f };
        same_cluster && address & own & members != 0
    }

    /// The logical id is derived from the id in x2APIC mode (SDM vol. 3, 11.12.10.2).
    pub(super) fn update_x2apic_ldr(&mut self) {
        if self.is_x2apic() {
            let id = self.config.id;
            self.state.logical_destination = id >> 4 << 16 | 1 << (id & 15);
        }
    }

    /// Writes the interrupt command register: a message is sent.
    pub(super) fn send_command(&mut self, command: u64) {
        let command = command & icr::WRITABLE;
        self.state.command = command;
        let Some(mode) = DeliveryMode::from_bits((command >> 8) as u32) else { return };
        let vector = command as u8;
        let has_vector = matches!(mode, DeliveryMode::Fixed | DeliveryMode::LowestPriority);
        if has_vector && vector < FIRST_VECTOR {
            self.report_error(esr::SEND_ILLEGAL_VECTOR);
            return;
        }
        // INIT level de-assert only synchronises arbitration ids, which nobody has any more.
        if mode == DeliveryMode::Init && command & icr::LEVEL != 0 && command & icr::ASSERT == 0 {
            return;
        }
        // Interrupts between processors are edge-triggered whatever the trigger bit says (SDM vol. 3, 11.6.1).
        let destination = self.command_destination(command);
        self.send(InterruptMessage { destination, mode, vector, level: false }, command);
    }

    fn command_destination(&self, command: u64) -> Destination {
        let field = (command >> 32) as u32;
        let address = if self.is_x2apic() { field } else { field >> 24 };
        match command >> icr::SHORTHAND_SHIFT & 3 {
            1 => Destination::Physical(self.id()),
            2 => Destination::All,
            3 => Destination::AllButSender,
            _ if command & icr::LOGICAL != 0 => Destination::Logical(address),
            _ => Destination::Physical(address),
        }
    }

    /// Delivers the sender's own copy and asks the board to carry the message to the others.
    fn send(&mut self, message: InterruptMessage, command: u64) {
        let only_self = command >> icr::SHORTHAND_SHIFT & 3 == 1;
        let to_self = message.destination != Destination::AllButSender && self.accepts(&message);
        if to_self {
            self.deliver(&message);
        }
        let taken = to_self && message.mode == DeliveryMode::LowestPriority;
        if !only_self && !taken {
            self.event = Some(LapicEvent::Send(message));
        }
    }
}
