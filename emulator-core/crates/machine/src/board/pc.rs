//! The schematic's parts list: which chips there are, and what state they start in.

use devices::debug_port::DebugPort;
use devices::hpet::Hpet;
use devices::i440fx::I440fx;
use devices::i8042::I8042;
use devices::i8237::I8237;
use devices::i8254::I8254;
use devices::i8259::I8259Pair;
use devices::ioapic::IoApic;
use devices::isa_debug_exit::IsaDebugExit;
use devices::lapic::{Lapic, LapicConfig};
use devices::ls612::Ls612;
use devices::mc146818::{Mc146818, RtcConfig};
use devices::pci::ConfigMechanism;
use devices::piix3::Piix3;
use devices::piix4_pm::Piix4Pm;
use devices::port61::Port61;
use devices::port92::Port92;
use devices::reset_control::ResetControl;
use devices::uart16550::Uart16550;
use platform::{GuestMemory, Nanos, PhysAddr};

use crate::stats::BusCounters;
use crate::trace::Trace;
use crate::{MachineError, layout};

/// The gate of address line 20 is open after power-on, as on every board since firmware stopped depending on it.
const A20_OPEN: bool = true;
/// Bus clock of the local APIC's timer: 1 GHz, so that a tick is the nanosecond the board counts in.
const LAPIC_BUS_HZ: u64 = 1_000_000_000;

/// What the board is built from.
pub(crate) struct BoardConfig {
    /// Bytes of RAM, whole pages.
    pub ram_bytes: u64,
    /// Bytes of firmware ROM, whole pages.
    pub rom_bytes: u64,
    /// Wall-clock time at power-on, in seconds since 1970.
    pub unix_seconds: u64,
    /// Frequency of the processor's time-stamp counter, in Hertz.
    pub tsc_hz: u64,
    /// No firmware will run: the chips start as it would leave them.
    pub firmware_done: bool,
}

/// Something that ends or restarts what the processor does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BoardEvent {
    /// Soft off.
    PowerOff,
    /// The guest reported a verdict.
    DebugExit(u32),
    /// Everything is reset.
    Reset,
    /// Only the processor is.
    ProcessorReset,
}

/// The board with its chips.
pub(crate) struct Pc {
    pub(super) config: BoardConfig,
    pub(super) memory: GuestMemory,

    // Front side bus.
    pub(super) lapic: Lapic,
    pub(super) ioapic: IoApic,
    pub(super) host_bridge: I440fx,

    // PCI bus.
    pub(super) pci: ConfigMechanism,
    pub(super) isa_bridge: Piix3,
    pub(super) pm: Piix4Pm,

    // ISA bus.
    pub(super) pic: I8259Pair,
    pub(super) pit: I8254,
    pub(super) rtc: Mc146818,
    pub(super) hpet: Hpet,
    pub(super) keyboard: I8042,
    pub(super) uarts: [Uart16550; 2],
    pub(super) dma: [I8237; 2],
    pub(super) dma_pages: Ls612,
    pub(super) port61: Port61,
    pub(super) port92: Port92,
    pub(super) reset_control: ResetControl,
    pub(super) debug: DebugPort,
    pub(super) debug_exit: IsaDebugExit,

    // Derived from the chips after every change, see `settle`.
    pub(super) map_changed: bool,
    pub(super) a20_open: bool,
    pub(super) interrupt_asserted: bool,
    pub(super) nmi: bool,
    pub(super) deadline: Option<Nanos>,
    pub(super) event: Option<BoardEvent>,

    pub(super) counters: BusCounters,
    pub(super) trace: Trace,
}

impl Pc {
    /// A board as after power-on, with memory that is all zero.
    pub fn new(config: BoardConfig) -> Result<Pc, MachineError> {
        let memory = GuestMemory::new(config.ram_bytes + config.rom_bytes)?;
        let pm = power_management(&config);
        let rtc = Mc146818::new(RtcConfig { unix_seconds: config.unix_seconds });
        let lapic = Lapic::new(LapicConfig { id: 0, bootstrap: true, bus_hz: LAPIC_BUS_HZ, tsc_hz: config.tsc_hz });
        let mut board = Pc {
            config,
            memory,
            lapic,
            ioapic: IoApic::new(layout::IOAPIC_ID),
            host_bridge: I440fx::new(),
            pci: ConfigMechanism::new(),
            isa_bridge: Piix3::new(),
            pm,
            pic: I8259Pair::new(),
            pit: I8254::new(),
            rtc,
            hpet: Hpet::new(),
            keyboard: I8042::new(A20_OPEN),
            uarts: [Uart16550::new("uart16550.0"), Uart16550::new("uart16550.1")],
            dma: [I8237::new("i8237.0"), I8237::new("i8237.1")],
            dma_pages: Ls612::new(),
            port61: Port61::new(),
            port92: Port92::new(A20_OPEN),
            reset_control: ResetControl::new(),
            debug: DebugPort::new(),
            debug_exit: IsaDebugExit::new(),
            map_changed: true,
            a20_open: A20_OPEN,
            interrupt_asserted: false,
            nmi: false,
            deadline: None,
            event: None,
            counters: BusCounters::default(),
            trace: Trace::new(),
        };
        board.set_up_as_firmware(0);
        board.settle();
        Ok(board)
    }

    /// RESET#: every chip but the battery-backed clock starts anew; memory keeps its contents.
    pub fn reset(&mut self, now: Nanos) {
        self.lapic.reset();
        self.ioapic.reset();
        self.host_bridge.reset();
        self.pci.reset();
        self.isa_bridge.reset();
        self.pm.reset();
        self.pic.reset();
        self.pit.reset(now);
        self.rtc.reset();
        self.hpet.reset();
        self.keyboard.reset(A20_OPEN);
        self.uarts.iter_mut().for_each(Uart16550::reset);
        self.dma.iter_mut().for_each(I8237::reset);
        self.dma_pages.reset();
        self.port61.reset();
        self.port92.reset(A20_OPEN);
        self.reset_control.reset();
        self.debug.reset();
        self.map_changed = true;
        self.nmi = false;
        self.event = None;
        self.set_up_as_firmware(now);
        self.settle();
    }

    /// What the power-on self-test leaves behind: memory sizes in the clock's RAM (which a battery keeps, so even
    /// foreign firmware finds them), 8259 interrupts routed through LINT0, and the table segment as shadow RAM.
    fn set_up_as_firmware(&mut self, now: Nanos) {
        const BASE_KIB: u16 = 640;
        let extended_kib = (self.config.ram_bytes - layout::ONE_MIB) >> 10;
        let above_16_mib = (self.config.ram_bytes.saturating_sub(16 << 20) >> 16) as u16;
        let extended = extended_kib.min(0xffff) as u16;
        for (index, value) in [(0x15, BASE_KIB), (0x17, extended), (0x30, extended), (0x34, above_16_mib)] {
            let [low, high] = value.to_le_bytes();
            self.rtc.set_nvram(index, low);
            self.rtc.set_nvram(index + 1, high);
        }
        self.virtual_wire(now);
        if self.config.firmware_done {
            self.shadow_table_segment();
        }
    }

    /// Virtual wire mode (MultiProcessor Specification 3.6.2.2): local APIC on, LINT0 takes the 8259's vector, LINT1
    /// is the NMI. Interrupts reach firmware that has never heard of a local APIC, too.
    fn virtual_wire(&mut self, now: Nanos) {
        const SPURIOUS: u64 = 0xf0;
        const LVT_LINT0: u64 = 0x350;
        const LVT_LINT1: u64 = 0x360;
        const ENABLED_VECTOR_255: u64 = 0x1ff;
        const EXTINT: u64 = 0x700;
        const NMI: u64 = 0x400;
        for (register, value) in [(SPURIOUS, ENABLED_VECTOR_255), (LVT_LINT0, EXTINT), (LVT_LINT1, NMI)] {
            self.lapic.write(register, platform::AccessSize::Dword, value, now);
        }
    }

    /// Reads and writes of 0xe0000..0xf0000 go to RAM: both halves of PAM registers 5 and 6 (82441FX, 3.2.17).
    fn shadow_table_segment(&mut self) {
        use devices::pci::PciFunction;
        const PAM5: u8 = 0x5e;
        const READ_WRITE_BOTH: u32 = 0x33;
        for register in [PAM5, PAM5 + 1] {
            self.host_bridge.config_write(register, platform::AccessSize::Byte, READ_WRITE_BOTH);
        }
    }

    /// Guest time at which a chip acts by itself.
    pub fn deadline(&self) -> Option<Nanos> {
        self.deadline
    }

    /// Brings every chip with a timer up to `now`.
    pub fn advance(&mut self, now: Nanos) {
        self.pit.advance(now);
        self.rtc.advance(now);
        self.hpet.advance(now);
        self.lapic.advance(now);
        self.pm.advance(now);
        self.keyboard.advance(now);
        self.settle();
    }

    /// What happened to the machine as a whole, once.
    pub fn take_event(&mut self) -> Option<BoardEvent> {
        self.event.take()
    }

    /// INIT: the local APIC forgets its interrupts; every other chip goes on.
    pub fn reset_processor(&mut self) {
        self.lapic.init();
        self.settle();
    }

    /// Sends bytes to a serial port; one that does not exist takes none.
    pub fn serial_input(&mut self, port: usize, bytes: &[u8]) -> usize {
        let accepted = self.uarts.get_mut(port).map_or(0, |uart| uart.push_input(bytes));
        self.settle();
        accepted
    }

    /// What a serial port sent since the last call.
    pub fn serial_output(&mut self, port: usize) -> Vec<u8> {
        self.uarts.get_mut(port).map(Uart16550::take_output).unwrap_or_default()
    }

    /// Bytes from the keyboard.
    pub fn keyboard_input(&mut self, bytes: &[u8], now: Nanos) -> usize {
        let accepted = self.keyboard.push_key_bytes(bytes, now);
        self.settle();
        accepted
    }

    /// The user presses the power button.
    pub fn press_power_button(&mut self, now: Nanos) {
        self.pm.press_power_button(now);
        self.settle();
    }

    /// POST codes, and debug text since the last call.
    pub fn debug_output(&mut self) -> (Vec<u8>, Vec<u8>) {
        (self.debug.post_codes().to_vec(), self.debug.take_text())
    }

    /// What the buses carried.
    pub fn counters(&self) -> &BusCounters {
        &self.counters
    }

    /// The recorder of the buses.
    pub fn trace_mut(&mut self) -> &mut Trace {
        &mut self.trace
    }

    /// RAM, and behind it the firmware ROM.
    pub fn memory(&mut self) -> &mut GuestMemory {
        &mut self.memory
    }

    /// Bytes of RAM.
    pub fn ram_bytes(&self) -> u64 {
        self.config.ram_bytes
    }

    /// Whether firmware of the caller's is mapped instead of our own, and still has everything to do.
    pub fn has_foreign_firmware(&self) -> bool {
        !self.config.firmware_done
    }

    /// Base of the firmware image in guest-physical memory.
    pub(super) fn rom_base(&self) -> PhysAddr {
        PhysAddr(layout::FOUR_GIB - self.config.rom_bytes)
    }
}

fn power_management(config: &BoardConfig) -> Piix4Pm {
    if config.firmware_done { Piix4Pm::new(layout::PM_BLOCK, true) } else { Piix4Pm::new(0, false) }
}
