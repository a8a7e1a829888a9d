//! Tests of the local APIC against the Intel SDM, vol. 3, chapter 11.

use super::*;
use crate::interrupt_message::Destination;
use AccessSize::Dword;
use platform::MsrAnswer;

const TSC_HZ: u64 = 2_500_000_000;
const MASKED: u64 = 1 << 16;
const APIC_BASE: u32 = 0x1b;
const TSC_DEADLINE: u32 = 0x6e0;

fn lapic() -> Lapic {
    Lapic::new(LapicConfig { id: 0, bootstrap: true, bus_hz: 1_000_000_000, tsc_hz: TSC_HZ })
}

fn enabled() -> Lapic {
    let mut apic = lapic();
    apic.write(0xf0, Dword, 0x1ff, 0);
    apic
}

fn x2apic() -> Lapic {
    let mut apic = enabled();
    assert_eq!(apic.msr_write(APIC_BASE, 0xfee0_0d00, 0, 0), MsrAnswer::Value(0));
    apic
}

fn fixed(vector: u8, level: bool) -> InterruptMessage {
    InterruptMessage { destination: Destination::Physical(0), mode: DeliveryMode::Fixed, vector, level }
}

#[test]
fn registers_have_their_power_on_values() {
    // SDM vol. 3, 11.4.7.1.
    let mut apic = lapic();
    assert_eq!(apic.read(0x30, Dword, 0), 0x0005_0014);
    assert_eq!(apic.read(0xe0, Dword, 0), 0xffff_ffff);
    assert_eq!(apic.read(0xf0, Dword, 0), 0xff);
    for offset in [0x320, 0x330, 0x340, 0x350, 0x360, 0x370] {
        assert_eq!(apic.read(offset, Dword, 0), MASKED, "{offset:#x}");
    }
    assert_eq!(apic.msr_read(APIC_BASE, 0, 0), MsrAnswer::Value(0xfee0_0900));
    assert_eq!(apic.mmio_base(), Some(PhysAddr(0xfee0_0000)));
}

#[test]
fn a_fixed_interrupt_goes_through_request_service_and_end() {
    let mut apic = enabled();
    apic.deliver(&fixed(0x31, false));
    assert_eq!(apic.read(0x210, Dword, 0), 1 << 0x11);
    assert!(apic.interrupt_asserted());
    assert_eq!(apic.acknowledge(), Acknowledge::Vector(0x31));
    assert_eq!((apic.read(0x210, Dword, 0), apic.read(0x110, Dword, 0)), (0, 1 << 0x11));
    assert_eq!(apic.read(0xa0, Dword, 0), 0x30);
    assert_eq!(apic.acknowledge(), Acknowledge::Nothing);
    apic.write(0xb0, Dword, 0, 0);
    assert_eq!(apic.read(0x110, Dword, 0), 0);
    assert_eq!(apic.take_event(), None, "edge-triggered interrupts are not broadcast");
}

#[test]
fn the_end_of_a_level_triggered_interrupt_is_broadcast() {
    let mut apic = enabled();
    apic.deliver(&fixed(0x45, true));
    assert_eq!(apic.read(0x1a0, Dword, 0), 1 << 5);
    apic.acknowledge();
    apic.write(0xb0, Dword, 0, 0);
    assert_eq!(apic.take_event(), Some(LapicEvent::EndOfInterrupt { vector: 0x45 }));
    assert_eq!(apic.take_event(), None);
}

#[test]
fn priority_is_the_higher_of_task_and_service() {
    let mut apic = enabled();
    apic.set_task_priority(4);
    assert_eq!(apic.read(0x80, Dword, 0), 0x40);
    apic.deliver(&fixed(0x4f, false));
    assert!(!apic.interrupt_asserted(), "the same class waits");
    apic.deliver(&fixed(0x50, false));
    assert_eq!(apic.acknowledge(), Acknowledge::Vector(0x50));
    apic.set_task_priority(0);
    assert!(!apic.interrupt_asserted());
    apic.deliver(&fixed(0x61, false));
    assert_eq!(apic.acknowledge(), Acknowledge::Vector(0x61));
    apic.write(0xb0, Dword, 0, 0);
    apic.write(0xb0, Dword, 0, 0);
    assert_eq!(apic.acknowledge(), Acknowledge::Vector(0x4f));
}

#[test]
fn disabling_by_software_masks_the_table_and_drops_fixed_interrupts() {
    let mut apic = enabled();
    apic.write(0x350, Dword, 0x700, 0);
    apic.write(0xf0, Dword, 0xff, 0);
    assert_eq!(apic.read(0x350, Dword, 0), 0x700 | MASKED);
    apic.write(0x350, Dword, 0x700, 0);
    assert_eq!(apic.read(0x350, Dword, 0), 0x700 | MASKED, "cannot be unmasked while disabled");
    apic.deliver(&fixed(0x50, false));
    assert!(!apic.interrupt_asserted());
    apic.deliver(&InterruptMessage { mode: DeliveryMode::Nmi, ..fixed(0, false) });
    assert!(apic.take_nmi());
    assert!(!apic.take_nmi());
}

#[test]
fn the_external_controller_comes_through_lint0() {
    let mut apic = enabled();
    apic.set_lint0(true);
    assert!(!apic.interrupt_asserted(), "masked after power-on");
    apic.enter_virtual_wire_mode();
    assert!(apic.interrupt_asserted());
    assert_eq!(apic.acknowledge(), Acknowledge::External);
    apic.set_lint0(false);
    assert!(!apic.interrupt_asserted());
    apic.msr_write(APIC_BASE, 0xfee0_0000, 0, 0);
    assert_eq!(apic.mmio_base(), None);
    apic.set_lint0(true);
    assert_eq!(apic.acknowledge(), Acknowledge::External, "an APIC that is off lets INTR through");
}

#[test]
fn lint1_delivers_nmi_on_a_rising_edge() {
    let mut apic = enabled();
    apic.enter_virtual_wire_mode();
    apic.set_lint1(true);
    assert!(apic.take_nmi());
    apic.set_lint1(true);
    assert!(!apic.take_nmi());
}

#[test]
fn a_level_triggered_lint0_interrupts_again_after_its_end() {
    let mut apic = enabled();
    apic.write(0x350, Dword, 0x8000 | 0x55, 0);
    apic.set_lint0(true);
    assert_eq!(apic.acknowledge(), Acknowledge::Vector(0x55));
    assert_eq!(apic.read(0x350, Dword, 0), 0xc055);
    apic.write(0xb0, Dword, 0, 0);
    assert_eq!(apic.acknowledge(), Acknowledge::Vector(0x55));
    apic.set_lint0(false);
    apic.write(0xb0, Dword, 0, 0);
    assert_eq!(apic.acknowledge(), Acknowledge::Nothing);
}

#[test]
fn the_one_shot_timer_counts_divided_bus_ticks() {
    let mut apic = enabled();
    apic.write(0x320, Dword, 0x40, 0);
    apic.write(0x3e0, Dword, 0b0011, 0);
    apic.write(0x380, Dword, 1000, 5000);
    assert_eq!(apic.read(0x390, Dword, 5000), 1000);
    assert_eq!(apic.read(0x390, Dword, 5000 + 16 * 10), 990);
    assert_eq!(apic.next_deadline(), Some(5000 + 16_000));
    apic.advance(5000 + 15_999);
    assert!(!apic.interrupt_asserted());
    apic.advance(5000 + 16_000);
    assert_eq!(apic.acknowledge(), Acknowledge::Vector(0x40));
    assert_eq!(apic.next_deadline(), None);
    assert_eq!((apic.read(0x390, Dword, 50_000), apic.read(0x380, Dword, 50_000)), (0, 1000));
}

#[test]
fn every_divide_configuration_divides_as_the_manual_says() {
    let divisors =
        [(0b0000, 2), (0b0001, 4), (0b0010, 8), (0b0011, 16), (0b1000, 32), (0b1001, 64), (0b1010, 128), (0b1011, 1)];
    for (configuration, divisor) in divisors {
        let mut apic = enabled();
        apic.write(0x320, Dword, 0x40, 0);
        apic.write(0x3e0, Dword, configuration, 0);
        apic.write(0x380, Dword, 100_000, 0);
        assert_eq!(apic.next_deadline(), Some(100_000 * divisor));
    }
}

#[test]
fn the_periodic_timer_keeps_its_grid() {
    let mut apic = enabled();
    apic.write(0x320, Dword, 1 << 17 | 0x40, 0);
    apic.write(0x3e0, Dword, 0b1011, 0);
    apic.write(0x380, Dword, 1_000_000, 0);
    apic.advance(3_500_000);
    assert_eq!(apic.acknowledge(), Acknowledge::Vector(0x40));
    assert_eq!(apic.acknowledge(), Acknowledge::Nothing, "missed periods count once");
    assert_eq!(apic.next_deadline(), Some(4_000_000));
    assert_eq!(apic.read(0x390, Dword, 3_600_000), 400_000);
    apic.write(0x380, Dword, 0, 3_700_000);
    assert_eq!(apic.next_deadline(), None);
}

#[test]
fn a_masked_timer_interrupts_nobody_and_wakes_nobody() {
    let mut apic = enabled();
    apic.write(0x320, Dword, MASKED | 0x40, 0);
    apic.write(0x380, Dword, 1000, 0);
    assert_eq!(apic.next_deadline(), None);
    apic.advance(1_000_000);
    apic.write(0x320, Dword, 0x40, 1_000_000);
    assert!(!apic.interrupt_asserted());
}

#[test]
fn the_tsc_deadline_fires_when_the_counter_gets_there() {
    let mut apic = enabled();
    assert_eq!(apic.msr_write(TSC_DEADLINE, 5000, 0, 0), MsrAnswer::Value(0));
    assert_eq!(apic.next_deadline(), None, "ignored outside TSC-deadline mode");
    apic.write(0x320, Dword, 2 << 17 | 0x40, 0);
    apic.msr_write(TSC_DEADLINE, 1_000_000 + 2500, 1_000_000, 400);
    assert_eq!(apic.next_deadline(), Some(400 + 1000));
    assert_eq!(apic.msr_read(TSC_DEADLINE, 1_000_001, 401), MsrAnswer::Value(1_002_500));
    apic.advance(1400);
    assert_eq!(apic.acknowledge(), Acknowledge::Vector(0x40));
    assert_eq!(apic.msr_read(TSC_DEADLINE, 1_002_500, 1400), MsrAnswer::Value(0));
    apic.write(0xb0, Dword, 0, 1400);
    apic.msr_write(TSC_DEADLINE, 7, 1_002_501, 1401);
    assert!(apic.interrupt_asserted(), "a deadline in the past fires at once");
}

#[test]
fn a_moved_time_stamp_counter_moves_the_deadline() {
    let mut apic = enabled();
    apic.write(0x320, Dword, 2 << 17 | 0x40, 0);
    apic.msr_write(TSC_DEADLINE, 250_000, 0, 0);
    assert_eq!(apic.next_deadline(), Some(100_000));
    apic.tsc_changed(125_000, 10);
    assert_eq!(apic.next_deadline(), Some(50_010));
}

#[test]
fn commands_to_self_and_others_go_where_they_should() {
    let mut apic = enabled();
    apic.write(0x300, Dword, 1 << 18 | 0x41, 0);
    assert_eq!(apic.take_event(), None);
    assert_eq!(apic.acknowledge(), Acknowledge::Vector(0x41));
    apic.write(0x310, Dword, 3 << 24, 0);
    apic.write(0x300, Dword, 0x4500, 0);
    let init =
        InterruptMessage { destination: Destination::Physical(3), mode: DeliveryMode::Init, vector: 0, level: false };
    assert_eq!(apic.take_event(), Some(LapicEvent::Send(init)));
    apic.write(0x300, Dword, 0x8500, 0);
    assert_eq!(apic.take_event(), None, "INIT level de-assert does nothing");
    apic.write(0x300, Dword, 0x4699, 0);
    let startup = InterruptMessage { mode: DeliveryMode::StartUp, vector: 0x99, ..init };
    assert_eq!(apic.take_event(), Some(LapicEvent::Send(startup)));
    assert!(!apic.take_init() && apic.take_startup().is_none());
    assert_eq!(apic.read(0x300, Dword, 0) & 1 << 12, 0, "delivery is never pending");
}

#[test]
fn init_and_start_up_are_reported_once() {
    let mut apic = enabled();
    apic.deliver(&InterruptMessage { mode: DeliveryMode::Init, ..fixed(0, false) });
    apic.deliver(&InterruptMessage { mode: DeliveryMode::StartUp, ..fixed(0x8f, false) });
    assert!(apic.take_init());
    assert_eq!(apic.take_startup(), Some(0x8f));
    assert!(!apic.take_init() && apic.take_startup().is_none());
}

#[test]
fn logical_destinations_match_flat_and_cluster_addresses() {
    let mut apic = enabled();
    let logical = |address| InterruptMessage { destination: Destination::Logical(address), ..fixed(0x40, false) };
    apic.write(0xd0, Dword, 0x0400_0000, 0);
    assert!(apic.accepts(&logical(0x06)) && !apic.accepts(&logical(0x03)) && apic.accepts(&logical(0xff)));
    apic.write(0xe0, Dword, 0x0fff_ffff, 0);
    apic.write(0xd0, Dword, 0x2100_0000, 0);
    assert!(apic.accepts(&logical(0x21)) && apic.accepts(&logical(0x23)));
    assert!(!apic.accepts(&logical(0x22)) && !apic.accepts(&logical(0x11)));
    assert!(apic.accepts(&InterruptMessage { destination: Destination::Physical(0xff), ..fixed(0x40, false) }));
    assert!(!apic.accepts(&InterruptMessage { destination: Destination::Physical(1), ..fixed(0x40, false) }));
}

#[test]
fn errors_show_after_the_register_is_written() {
    let mut apic = enabled();
    apic.write(0x370, Dword, 0xfe, 0);
    apic.deliver(&fixed(0x0f, false));
    assert_eq!(apic.read(0x280, Dword, 0), 0);
    apic.write(0x280, Dword, 0, 0);
    assert_eq!(apic.read(0x280, Dword, 0), 0x40);
    assert_eq!(apic.acknowledge(), Acknowledge::Vector(0xfe));
    apic.write(0x300, Dword, 1 << 18 | 0x05, 0);
    apic.read(0x0c0, Dword, 0);
    apic.write(0x280, Dword, 0, 0);
    assert_eq!(apic.read(0x280, Dword, 0), 0xa0);
}

#[test]
fn x2apic_mode_moves_the_registers_to_msrs() {
    let mut apic = x2apic();
    assert_eq!(apic.mmio_base(), None);
    assert_eq!(apic.msr_read(0x803, 0, 0), MsrAnswer::Value(0x0005_0014));
    assert_eq!(apic.msr_read(0x80d, 0, 0), MsrAnswer::Value(1));
    apic.msr_write(0x83f, 0x77, 0, 0);
    assert_eq!(apic.acknowledge(), Acknowledge::Vector(0x77));
    assert_eq!(apic.msr_write(0x80b, 0, 0, 0), MsrAnswer::Value(0));
    assert_eq!(apic.msr_read(0x813, 0, 0), MsrAnswer::Value(0));
    apic.msr_write(0x830, 7 << 32 | 0x4630, 0, 0);
    let message = InterruptMessage {
        destination: Destination::Physical(7),
        mode: DeliveryMode::StartUp,
        vector: 0x30,
        level: false,
    };
    assert_eq!(apic.take_event(), Some(LapicEvent::Send(message)));
    assert_eq!(apic.msr_read(0x830, 0, 0), MsrAnswer::Value(7 << 32 | 0x4630));
}

#[test]
fn x2apic_faults_where_the_manual_says() {
    let mut apic = x2apic();
    for msr in [0x80e, 0x831, 0x80b, 0x83f, 0x8ff, 0x800] {
        assert_eq!(apic.msr_read(msr, 0, 0), MsrAnswer::Fault, "{msr:#x}");
    }
    for (msr, value) in
        [(0x80b, 1), (0x802, 0), (0x80d, 0), (0x808, 0x100), (0x828, 1), (0x838, 1 << 32), (0x80f, 1 << 12)]
    {
        assert_eq!(apic.msr_write(msr, value, 0, 0), MsrAnswer::Fault, "{msr:#x}");
    }
    assert_eq!(enabled().msr_read(0x802, 0, 0), MsrAnswer::Fault, "not in xAPIC mode");
}

#[test]
fn only_the_drawn_mode_changes_are_allowed() {
    let mut apic = enabled();
    assert_eq!(apic.msr_write(APIC_BASE, 0xfee0_0500, 0, 0), MsrAnswer::Fault);
    assert_eq!(apic.msr_write(APIC_BASE, 0xfee0_0900 | 1, 0, 0), MsrAnswer::Fault);
    let mut apic = x2apic();
    assert_eq!(apic.msr_write(APIC_BASE, 0xfee0_0900, 0, 0), MsrAnswer::Fault);
    assert_eq!(apic.msr_write(APIC_BASE, 0xfee0_0100, 0, 0), MsrAnswer::Value(0));
    assert_eq!(apic.msr_write(APIC_BASE, 0xfee0_0d00, 0, 0), MsrAnswer::Fault);
    assert_eq!(apic.msr_write(APIC_BASE, 0xfee0_0900, 0, 0), MsrAnswer::Value(0));
    assert_eq!(apic.read(0xf0, Dword, 0), 0xff, "switching it off lost its state");
}

#[test]
fn noise_of_any_size_does_not_panic_and_a_snapshot_is_exact() {
    let mut apic = enabled();
    let sizes = [AccessSize::Byte, AccessSize::Word, Dword, AccessSize::Qword];
    let mut now = 0;
    for step in 0..300_000u64 {
        let noise = step.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        now += noise >> 52;
        let size = sizes[(noise & 3) as usize];
        apic.write(noise >> 8 & 0xff0, size, noise, now);
        apic.read(noise >> 20 & 0xfff, size, now);
        apic.msr_write(0x800 + (noise >> 33 & 0xff) as u32, noise >> 40, noise, now);
        apic.deliver(&fixed(noise as u8, noise & 256 == 0));
        apic.set_lint0(noise & 512 == 0);
        apic.acknowledge();
        apic.take_event();
        if step % 50_000 == 0 {
            apic.msr_write(APIC_BASE, 0xfee0_0d00, 0, now);
        }
    }
    let mut twin = lapic();
    twin.restore(&apic.save()).unwrap();
    assert_eq!(twin.save(), apic.save());
    assert_eq!(twin.next_deadline(), apic.next_deadline());
}
