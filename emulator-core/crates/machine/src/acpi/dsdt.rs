//! The differentiated system description table: the devices ISA and PCI cannot tell about themselves, in AML.

use acpi_tables::aml::{
    AddressSpace, AddressSpaceCacheable, Device, EISAName, IO, Memory32Fixed, Name, ONE, Package, PackageBuilder, Path,
    ResourceTemplate, Scope, ZERO,
};
use acpi_tables::{Aml, AmlSink};

use super::{encode, header};
use crate::layout;

/// Interrupt in the short descriptor all ISA-era guests read (ACPI 6.4.2.1): edge-triggered, active high, exclusive.
struct IsaInterrupt(u8);

impl Aml for IsaInterrupt {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        const IRQ_NO_FLAGS: u8 = 0x22;
        sink.byte(IRQ_NO_FLAGS);
        sink.word(1 << self.0);
    }
}

pub(super) fn dsdt() -> Vec<u8> {
    let mut dsdt = header(*b"DSDT", 2);
    dsdt.append_slice(&encode(&soft_off()));
    dsdt.append_slice(&encode(&Scope::new("\\_SB_".into(), vec![&PciRoot])));
    dsdt.append_slice(&encode(&Scope::new("\\_SB_".into(), vec![&EventTimer])));
    encode(&dsdt)
}

/// \_S5: the sleep type that the PIIX4 takes for soft off, 0 (82371AB, PMCNTRL).
fn soft_off() -> impl Aml {
    let mut package = PackageBuilder::new();
    for sleep_type in [&ZERO as &dyn Aml, &ZERO, &ZERO, &ZERO] {
        package.add_element(sleep_type);
    }
    Name::new("\\_S5_".into(), &package)
}

fn name(path: &str, value: &dyn Aml) -> Name {
    Name::new(Path::new(path), value)
}

fn hardware_id(id: &str) -> Name {
    name("_HID", &EISAName::new(id))
}

fn ports(range: &core::ops::Range<u16>) -> IO {
    IO::new(range.start, range.start, 1, (range.end - range.start) as u8)
}

/// The host bridge with the windows it passes on, its interrupt wiring and the ISA bridge behind it.
struct PciRoot;

impl Aml for PciRoot {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        let no_translation = None;
        let windows = name(
            "_CRS",
            &ResourceTemplate::new(vec![
                &AddressSpace::<u16>::new_bus_number(0, 0),
                &IO::new(layout::PCI_ADDRESS, layout::PCI_ADDRESS, 1, 8),
                &AddressSpace::<u16>::new_io(0, layout::PCI_ADDRESS - 1, no_translation),
                &AddressSpace::<u16>::new_io(layout::PCI_DATA.end, 0xffff, no_translation),
                &AddressSpace::<u32>::new_memory(
                    AddressSpaceCacheable::Cacheable,
                    true,
                    layout::VGA_HOLE.start as u32,
                    layout::VGA_HOLE.end as u32 - 1,
                    None,
                ),
                &AddressSpace::<u32>::new_memory(
                    AddressSpaceCacheable::NotCacheable,
                    true,
                    layout::PCI_WINDOW.start as u32,
                    layout::PCI_WINDOW.end as u32 - 1,
                    None,
                ),
            ]),
        );
        Device::new(
            "PCI0".into(),
            vec![
                &hardware_id("PNP0A03"),
                &name("_UID", &ZERO),
                &name("_BBN", &ZERO),
                &windows,
                &name("_PRT", &interrupt_routing()),
                &IsaBridge,
            ],
        )
        .to_aml_bytes(sink);
    }
}

/// Which I/O APIC input each interrupt pin of each slot arrives at: swizzled, so that slots share evenly.
fn interrupt_routing() -> PackageBuilder {
    const SLOTS: u32 = 32;
    const PINS: u32 = 4;
    /// Any function of the slot (ACPI 6.2.13).
    const ANY_FUNCTION: u32 = 0xffff;
    let mut routing = PackageBuilder::new();
    for slot in 1..SLOTS {
        for pin in 0..PINS {
            let gsi = layout::GSI_PCI[((slot + pin) % PINS) as usize];
            routing.add_element(&Package::new(vec![&(slot << 16 | ANY_FUNCTION), &pin, &ZERO, &gsi]));
        }
    }
    routing
}

/// The PIIX3 in slot 1 and the chips on its ISA bus.
struct IsaBridge;

impl Aml for IsaBridge {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        const SLOT_1_FUNCTION_0: u32 = 1 << 16;
        Device::new(
            "ISA_".into(),
            vec![
                &name("_ADR", &SLOT_1_FUNCTION_0),
                &device("PIC_", "PNP0000", &[&ports(&layout::PIC_MASTER), &ports(&layout::PIC_SLAVE)]),
                &device("TIMR", "PNP0100", &[&ports(&layout::PIT), &IsaInterrupt(layout::IRQ_TIMER)]),
                &device("RTC_", "PNP0B00", &[&ports(&layout::RTC), &IsaInterrupt(layout::IRQ_RTC)]),
                &keyboard(),
                &device("MOU_", "PNP0F13", &[&IsaInterrupt(layout::IRQ_MOUSE)]),
                &serial(0),
                &serial(1),
                &board_ports(),
            ],
        )
        .to_aml_bytes(sink);
    }
}

/// A device encoded ahead, since the library's own borrows its children.
struct Encoded(Vec<u8>);

impl Aml for Encoded {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(&self.0);
    }
}

fn device(path: &str, id: &str, resources: &[&dyn Aml]) -> Encoded {
    let resources = name("_CRS", &ResourceTemplate::new(resources.to_vec()));
    Encoded(encode(&Device::new(Path::new(path), vec![&hardware_id(id), &resources])))
}

fn keyboard() -> Encoded {
    let port = |address: u16| IO::new(address, address, 1, 1);
    let irq = IsaInterrupt(layout::IRQ_KEYBOARD);
    device("KBD_", "PNP0303", &[&port(layout::I8042_DATA), &port(layout::I8042_COMMAND), &irq])
}

fn serial(index: usize) -> Encoded {
    const PRESENT_AND_WORKING: u8 = 0x0f;
    let (registers, irq) = (ports(&layout::SERIAL[index]), IsaInterrupt(layout::IRQ_SERIAL[index]));
    let resources = ResourceTemplate::new(vec![&registers, &irq]);
    let unit = index as u8 + 1;
    Encoded(encode(&Device::new(
        Path::new(["COM1", "COM2"][index]),
        vec![
            &hardware_id("PNP0501"),
            &name("_UID", if index == 0 { &ONE } else { &unit }),
            &name("_STA", &PRESENT_AND_WORKING),
            &name("_CRS", &resources),
        ],
    )))
}

/// Ports and memory that belong to the board itself, so that a guest gives them to nobody else.
fn board_ports() -> Encoded {
    let range = |range: core::ops::Range<u16>| IO::new(range.start, range.start, 1, (range.end - range.start) as u8);
    let io_apic = Memory32Fixed::new(true, layout::IOAPIC.start as u32, 0x1000);
    let configuration =
        Memory32Fixed::new(true, layout::ECAM.start as u32, (layout::ECAM.end - layout::ECAM.start) as u32);
    let local_apic = Memory32Fixed::new(true, layout::LAPIC as u32, 0x1000);
    device(
        "SYSR",
        "PNP0C02",
        &[
            &range(layout::PORT_B..layout::PORT_B + 1),
            &range(layout::POST_CODE..layout::POST_CODE + 1),
            &range(layout::PORT_92..layout::PORT_92 + 1),
            &range(layout::ELCR),
            &range(layout::PM_BLOCK..layout::PM_BLOCK + devices::piix4_pm::PM_BYTES),
            &configuration,
            &io_apic,
            &local_apic,
        ],
    )
}

struct EventTimer;

impl Aml for EventTimer {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        let resources = Memory32Fixed::new(true, layout::HPET.start as u32, 0x400);
        device("HPET", "PNP0103", &[&resources]).to_aml_bytes(sink);
    }
}
