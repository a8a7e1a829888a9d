//! Every address, port and interrupt number of the board, each with its reason.
//!
//! The board is an IBM PC/AT successor around Intel's 440FX (82441FX PMC) and PIIX3/PIIX4 south bridge.

use core::ops::Range;

// --- Memory map ---------------------------------------------------------------------------------------------------

/// RAM ends below this: 3 GiB, where the hole for PCI and chips starts (82441FX leaves the choice to firmware).
pub const RAM_LIMIT: u64 = 0xc000_0000;
/// The smallest machine that makes sense: conventional memory, the holes under 1 MiB and 1 MiB above.
pub const RAM_MINIMUM: u64 = 2 << 20;
/// End of conventional memory; from here to 640 KiB lies the extended BIOS data area.
pub const EBDA: u64 = 0x9_fc00;
/// The VGA aperture: never RAM as the processor sees it.
pub const VGA_HOLE: Range<u64> = 0xa_0000..0xc_0000;
/// Option and system ROM area, each 16 KiB piece RAM or ROM as the PAM registers say (82441FX 3.2.17).
pub const ROM_AREA: Range<u64> = 0xc_0000..0x10_0000;
/// The system BIOS segment, F000:0000.
pub const BIOS_SEGMENT: u64 = 0xf_0000;
/// The first byte above the area only real mode can see.
pub const ONE_MIB: u64 = 0x10_0000;
/// Address line 20, which the gate in the keyboard controller masks.
pub const A20: u64 = 1 << 20;
/// The 32-bit window PCI devices may be given: from the end of RAM's range to the first chip.
pub const PCI_WINDOW: Range<u64> = RAM_LIMIT..ECAM.start;
/// Memory-mapped configuration space of PCI bus 0, 4 KiB a function (PCI Firmware Specification 3.0, 4.1). The 82441FX
/// had none; but a kernel that finds an ACPI host bridge without it warns that something is missing.
pub const ECAM: Range<u64> = 0xfeb0_0000..0xfec0_0000;
/// 82093AA I/O APIC at its reset address.
pub const IOAPIC: Range<u64> = 0xfec0_0000..0xfec0_1000;
/// Event timers where every PC chipset puts them (ICH datasheets).
pub const HPET: Range<u64> = 0xfed0_0000..0xfed0_0400;
/// Local APIC at its reset address (Intel SDM vol. 3, 11.4.1).
pub const LAPIC: u64 = 0xfee0_0000;
/// Firmware ends at 4 GiB, so that the reset vector 0xfffffff0 is its last paragraph.
pub const FOUR_GIB: u64 = 0x1_0000_0000;
/// Largest firmware image.
pub const FIRMWARE_MAXIMUM: u64 = 16 << 20;
/// Smallest firmware image: the F segment, which real-mode firmware jumps into.
pub const FIRMWARE_MINIMUM: u64 = 64 << 10;
/// How much of a firmware image is also seen below 1 MiB (82371SB decodes 0xe0000..=0xfffff as BIOS).
pub const FIRMWARE_LOW: u64 = 128 << 10;

// --- What boot protocols put where (all in conventional memory, above the BIOS data area) --------------------------

/// Global descriptor table for the 32- and 64-bit entry points.
pub const BOOT_GDT: u64 = 0x600;
/// PVH start info with its module list and memory map.
pub const PVH_INFO: u64 = 0x6000;
/// Linux zero page (`struct boot_params`).
pub const ZERO_PAGE: u64 = 0x7000;
/// Multiboot information with its memory map and module list.
pub const MULTIBOOT_INFO: u64 = 0x8000;
/// Identity-mapping page tables of the 64-bit entry: one PML4, one PDPT, four page directories.
pub const BOOT_PAGE_TABLES: u64 = 0x9000;
/// A stack for entry points that promise none: it grows down from here.
pub const BOOT_STACK: u64 = PVH_INFO;
/// Linux real-mode setup code: the lowest address modern loaders use, so that its heap and stack have room.
pub const SETUP_CODE: u64 = 0x1_0000;
/// Real-mode heap and stack end here, counted from [`SETUP_CODE`] (boot.rst, "sample boot configuration").
pub const SETUP_HEAP_END: u64 = 0xe000;
/// Command line, behind the setup code's segment.
pub const COMMAND_LINE: u64 = 0x2_0000;
/// Room for the command line and the strings of modules.
pub const COMMAND_LINE_ROOM: u64 = 0x1_0000;
/// ACPI and SMBIOS tables: shadow RAM that firmware leaves writable. RSDP and SMBIOS entry point are searched for on
/// 16-byte boundaries from 0xe0000 and 0xf0000 on (ACPI 5.2.5.1, SMBIOS 5.2.1).
pub const TABLES: Range<u64> = 0xe_0000..0xf_0000;
/// Traditional load address of a protected-mode kernel.
pub const KERNEL: u64 = ONE_MIB;

// --- Ports --------------------------------------------------------------------------------------------------------

/// Master i8259.
pub const PIC_MASTER: Range<u16> = 0x20..0x22;
/// Slave i8259.
pub const PIC_SLAVE: Range<u16> = 0xa0..0xa2;
/// i8254 timer.
pub const PIT: Range<u16> = 0x40..0x44;
/// i8042 data port.
pub const I8042_DATA: u16 = 0x60;
/// System control port B: timer 2 gate and speaker.
pub const PORT_B: u16 = 0x61;
/// i8042 command and status port.
pub const I8042_COMMAND: u16 = 0x64;
/// mc146818 index and data; bit 7 of the index masks NMI.
pub const RTC: Range<u16> = 0x70..0x72;
/// Power-on self-test codes; also Linux's delay port.
pub const POST_CODE: u16 = 0x80;
/// DMA controllers: 8-bit channels, and 16-bit channels with registers two ports apart.
pub const DMA: [Range<u16>; 2] = [0x00..0x10, 0xc0..0xe0];
/// DMA page registers; the first shares its port with [`POST_CODE`].
pub const DMA_PAGES: Range<u16> = 0x80..0x90;
/// Advanced power management control and status (82371AB 4.2.3): a write asks firmware's SMI handler for a service.
pub const APM: Range<u16> = 0xb2..0xb4;
/// System control port A: fast A20 gate and reset (PS/2).
pub const PORT_92: u16 = 0x92;
/// Edge/level control of the two i8259 (82371SB 2.5.4).
pub const ELCR: Range<u16> = 0x4d0..0x4d2;
/// Coprocessor error register: a write acknowledges interrupt 13.
pub const COPROCESSOR_ERROR: u16 = 0xf0;
/// Debug console that Bochs and QEMU made customary: writes are text, reads answer the port's own number.
pub const DEBUG_CONSOLE: u16 = 0xe9;
/// isa-debug-exit where QEMU's own documentation and test kernels put it.
pub const DEBUG_EXIT: [u16; 2] = [0xf4, 0x501];
/// PCI configuration address (82441FX 3.1.1), a dword register.
pub const PCI_ADDRESS: u16 = 0xcf8;
/// Reset control register: a byte inside the dword above (82371SB 2.5.6).
pub const RESET_CONTROL: u16 = 0xcf9;
/// PCI configuration data.
pub const PCI_DATA: Range<u16> = 0xcfc..0xd00;
/// PIIX4 power management block, where QEMU's and therefore many guests' firmware puts it.
pub const PM_BLOCK: u16 = 0x600;
/// Serial ports COM1 and COM2.
pub const SERIAL: [Range<u16>; 2] = [0x3f8..0x400, 0x2f8..0x300];

// --- Interrupts ---------------------------------------------------------------------------------------------------

/// Interrupts of the ISA bus; I/O APIC inputs from here on belong to PCI.
pub const ISA_IRQS: u8 = 16;
/// ISA interrupt of timer channel 0.
pub const IRQ_TIMER: u8 = 0;
/// Keyboard.
pub const IRQ_KEYBOARD: u8 = 1;
/// The line the slave i8259 hangs on.
pub const IRQ_CASCADE: u8 = 2;
/// COM1 and COM2.
pub const IRQ_SERIAL: [u8; 2] = [4, 3];
/// Real-time clock.
pub const IRQ_RTC: u8 = 8;
/// ACPI system control interrupt, level-triggered.
pub const IRQ_SCI: u8 = 9;
/// PS/2 mouse.
pub const IRQ_MOUSE: u8 = 12;
/// x87 errors, where the processor leaves them to the board.
pub const IRQ_COPROCESSOR: u8 = 13;
/// I/O APIC input of the timer: with the 8259s in PC mode, their output takes input 0 (ACPI MADT override).
pub const GSI_TIMER: u32 = 2;
/// PCI interrupt pins A to D arrive at these I/O APIC inputs; PIIX3 routes the same pins to ISA interrupts.
pub const GSI_PCI: [u32; 4] = [16, 17, 18, 19];
/// Inputs of the I/O APIC.
pub const IOAPIC_INPUTS: u32 = 24;
/// I/O APIC identity, different from any processor's.
pub const IOAPIC_ID: u8 = 1;
