//! The fixed tables: power management registers (FADT, FACS), interrupt controllers (MADT), event timer (HPET).

use acpi_tables::fadt::{FADTBuilder, Flags, PmProfile};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::mcfg::MCFG;

use super::{OEM_ID, OEM_REVISION, OEM_TABLE_ID, encode, header};
use crate::layout;

/// Offsets of the PIIX4's registers in its block (82371AB data sheet, 7.2), which happen to be ACPI's own.
const PM1_EVENT: u16 = 0x00;
const PM1_CONTROL: u16 = 0x04;
const PM_TIMER: u16 = 0x08;
const GPE0: u16 = 0x0c;

/// Flags of the IA-PC boot architecture word (ACPI 5.2.9.3): ISA devices, an 8042, no VGA to probe for.
const BOOT_ARCH: u16 = 1 << 0 | 1 << 1 | 1 << 2;
/// What 82371SB's reset control takes for a full reset.
const FULL_RESET: u8 = 0x06;
/// Index of the century byte in the clock's RAM.
const RTC_CENTURY: u8 = 0x32;

/// Fixed ACPI description table. ACPI mode is on from the start and there is no SMI command port, so that a guest
/// need not ask firmware for it (ACPI 4.8.2.5).
pub(super) fn fadt(facs: u32, dsdt: u32) -> Vec<u8> {
    let port = |offset: u16| u32::from(layout::PM_BLOCK + offset);
    let mut fadt = FADTBuilder::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION)
        .preferred_pm_profile(PmProfile::Unspecified)
        .flag(Flags::Wbinvd)
        .flag(Flags::ProcC1)
        .flag(Flags::SlpButton)
        .flag(Flags::FixRtc)
        .flag(Flags::ResetRegSup);
    // Timer of 24 bits: the TMR_VAL_EXT flag stays off. Power button is a fixed one: its flag stays off too.
    fadt.firmware_ctrl = facs.into();
    fadt.dsdt = dsdt.into();
    fadt.x_dsdt = u64::from(dsdt).into();
    fadt.sci_int = u16::from(layout::IRQ_SCI).into();
    fadt.pm1a_evt_blk = port(PM1_EVENT).into();
    fadt.pm1_evt_len = 4;
    fadt.pm1a_cnt_blk = port(PM1_CONTROL).into();
    fadt.pm1_cnt_len = 2;
    fadt.pm_tmr_blk = port(PM_TIMER).into();
    fadt.pm_tmr_len = 4;
    fadt.gpe0_blk = port(GPE0).into();
    fadt.gpe0_blk_len = 4;
    // Latencies that say C2 and C3 do not exist (ACPI 5.2.9).
    fadt.p_lvl2_lat = 0xffff.into();
    fadt.p_lvl3_lat = 0xffff.into();
    fadt.century = RTC_CENTURY;
    fadt.iapc_boot_arch = BOOT_ARCH.into();
    fadt.reset_reg = GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, layout::RESET_CONTROL.into());
    fadt.reset_value = FULL_RESET;
    encode(&fadt.finalize())
}

/// Firmware ACPI control structure (ACPI 5.2.10): nothing but its signature, length and version.
pub(super) fn facs() -> [u8; 64] {
    let mut facs = [0u8; 64];
    facs[..4].copy_from_slice(b"FACS");
    facs[4..8].copy_from_slice(&64u32.to_le_bytes());
    facs[32] = 2;
    facs
}

/// Multiple APIC description table (ACPI 5.2.12), by hand where the library knows only other architectures' rows.
pub(super) fn madt() -> Vec<u8> {
    const PCAT_COMPATIBLE: u32 = 1;
    const LOCAL_APIC: u8 = 0;
    const IO_APIC: u8 = 1;
    const SOURCE_OVERRIDE: u8 = 2;
    const LOCAL_NMI: u8 = 4;
    const ENABLED: u32 = 1;
    /// MPS INTI flags (ACPI table 5.26): level-triggered, active high.
    const LEVEL_HIGH: u16 = 0b1101;
    const BUS_DEFAULT: u16 = 0;

    let mut madt = header(*b"APIC", 5);
    madt.append_slice(&(layout::LAPIC as u32).to_le_bytes());
    madt.append_slice(&PCAT_COMPATIBLE.to_le_bytes());
    let (processor_uid, apic_id) = (0, 0);
    madt.append_slice(&[LOCAL_APIC, 8, processor_uid, apic_id]);
    madt.append_slice(&ENABLED.to_le_bytes());
    madt.append_slice(&[IO_APIC, 12, layout::IOAPIC_ID, 0]);
    madt.append_slice(&(layout::IOAPIC.start as u32).to_le_bytes());
    madt.append_slice(&0u32.to_le_bytes());
    let mut source_override = |irq: u8, gsi: u32, flags: u16| {
        let isa_bus = 0;
        madt.append_slice(&[SOURCE_OVERRIDE, 10, isa_bus, irq]);
        madt.append_slice(&gsi.to_le_bytes());
        madt.append_slice(&flags.to_le_bytes());
    };
    source_override(layout::IRQ_TIMER, layout::GSI_TIMER, BUS_DEFAULT);
    source_override(layout::IRQ_SCI, layout::IRQ_SCI.into(), LEVEL_HIGH);
    let (all_processors, lint1) = (0xff, 1);
    madt.append_slice(&[LOCAL_NMI, 6, all_processors, 0, 0, lint1]);
    encode(&madt)
}

/// Event timer table (IA-PC HPET specification 1.0a, 3.2.4).
pub(super) fn hpet() -> Vec<u8> {
    /// Vendor 8086, legacy replacement, 64-bit counter, three comparators, revision 1: the low half of the
    /// capability register.
    const BLOCK_ID: u32 = 0x8086_a201;
    /// Shortest period the main counter can serve in periodic mode without losing interrupts, in its ticks.
    const MINIMUM_TICK: u16 = 0x80;
    let mut hpet = header(*b"HPET", 1);
    hpet.append_slice(&BLOCK_ID.to_le_bytes());
    let (memory_space, width, offset, reserved) = (0, 64, 0, 0);
    hpet.append_slice(&[memory_space, width, offset, reserved]);
    hpet.append_slice(&layout::HPET.start.to_le_bytes());
    let (number, protection) = (0, 0);
    hpet.append_slice(&[number]);
    hpet.append_slice(&MINIMUM_TICK.to_le_bytes());
    hpet.append_slice(&[protection]);
    encode(&hpet)
}

/// Where PCI's configuration space is mapped (PCI Firmware Specification 3.0, 4.1.2).
pub(super) fn mcfg() -> Vec<u8> {
    let mut mcfg = MCFG::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    let (segment, first_bus, last_bus) = (0, 0, 0);
    mcfg.add_ecam(layout::ECAM.start, segment, first_bus, last_bus);
    encode(&mcfg)
}
