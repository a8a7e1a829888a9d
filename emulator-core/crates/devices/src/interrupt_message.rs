//! The message an I/O APIC, an MSI or another local APIC sends to local APICs
//! (Intel SDM vol. 3, 11.6.1 and 11.11; 82093AA data sheet, 3.2.4).

use serde::{Deserialize, Serialize};

/// How the receiver treats the message; the three-bit encoding shared by ICR, LVT, redirection table and MSI data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum DeliveryMode {
    /// Deliver `vector` to every receiver.
    Fixed = 0,
    /// Deliver `vector` to the receiver running at the lowest priority.
    LowestPriority = 1,
    /// System-management interrupt; `vector` is ignored.
    Smi = 2,
    /// Non-maskable interrupt; `vector` is ignored.
    Nmi = 4,
    /// INIT: the processor resets and waits for a start-up message.
    Init = 5,
    /// Start-up: run real-mode code at `vector << 12`.
    StartUp = 6,
    /// The vector comes from the external, 8259-compatible controller.
    ExtInt = 7,
}

impl DeliveryMode {
    /// Decodes the low three bits of `bits`; encoding 3 is reserved.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<DeliveryMode> {
        Some(match bits & 7 {
            0 => DeliveryMode::Fixed,
            1 => DeliveryMode::LowestPriority,
            2 => DeliveryMode::Smi,
            4 => DeliveryMode::Nmi,
            5 => DeliveryMode::Init,
            6 => DeliveryMode::StartUp,
            7 => DeliveryMode::ExtInt,
            _ => return None,
        })
    }
}

/// Who is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Destination {
    /// The local APIC with this id; 0xff (xAPIC) and 0xffff_ffff (x2APIC) mean all.
    Physical(u32),
    /// Every local APIC whose logical destination register matches this message destination address.
    Logical(u32),
    /// Every local APIC, the sender included.
    All,
    /// Every local APIC but the sender.
    AllButSender,
}

/// One interrupt on its way to local APICs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InterruptMessage {
    /// Who is meant.
    pub destination: Destination,
    /// How it is treated.
    pub mode: DeliveryMode,
    /// Interrupt vector, or start-up page.
    pub vector: u8,
    /// Level-triggered: the receiver broadcasts its end of interrupt.
    pub level: bool,
}
