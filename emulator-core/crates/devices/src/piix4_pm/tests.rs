//! Tests of power management against the 82371AB data sheet and the ACPI specification.

use super::*;
use AccessSize::Word;

const SECOND: Nanos = 1_000_000_000;

fn pm() -> Piix4Pm {
    Piix4Pm::new(0x600, true)
}

#[test]
fn it_says_it_is_piix4_power_management_and_decodes_where_software_puts_it() {
    let mut pm = Piix4Pm::new(0, false);
    assert_eq!(pm.config_read(0, Dword), 0x7113_8086);
    assert_eq!(pm.config_read(8, Dword), 0x0680_0003);
    assert_eq!(pm.io_base(), None);
    pm.config_write(0x40, Dword, 0xffff_ffff);
    assert_eq!(pm.config_read(0x40, Dword), 0x0000_ffc1, "64 ports of I/O space");
    pm.config_write(0x40, Dword, 0xb001);
    assert_eq!(pm.io_base(), None);
    pm.config_write(0x80, Byte, 1);
    assert_eq!(pm.io_base(), Some(0xb000));
    assert_eq!(super::Piix4Pm::new(0x600, true).io_base(), Some(0x600));
}

#[test]
fn the_timer_runs_at_3579545_hertz_in_24_bits() {
    let mut pm = pm();
    assert_eq!(pm.read(8, Dword, SECOND), 3_579_545);
    assert_eq!(pm.read(8, Dword, 10 * SECOND), 35_795_450 % (1 << 24));
    assert_eq!(pm.read(9, Byte, SECOND), 3_579_545 >> 8 & 0xff);
}

#[test]
fn the_timer_overflow_interrupts_each_time_the_top_bit_changes() {
    let mut pm = pm();
    pm.write(2, Word, 1, 0);
    let first = pm.next_deadline().unwrap();
    assert_eq!(first, (1u64 << 23) * SECOND / 3_579_545 + 1);
    pm.advance(first - 1);
    assert!(!pm.sci_asserted());
    pm.advance(first);
    assert!(pm.sci_asserted());
    assert_eq!(pm.next_deadline(), None);
    pm.write(0, Word, 1, first);
    assert!(!pm.sci_asserted());
    assert_eq!(pm.next_deadline(), Some((2u64 << 23) * SECOND / 3_579_545 + 1));
}

#[test]
fn soft_off_is_suspend_type_0_with_suspend_enable() {
    let mut pm = pm();
    pm.write(4, Word, 0x0401 | 1 << 13, 0);
    assert!(!pm.take_power_off(), "another sleep type");
    pm.write(4, Word, 0x0001, 0);
    assert!(!pm.take_power_off());
    pm.write(4, Word, 0x2001, 0);
    assert!(pm.take_power_off());
    assert!(!pm.take_power_off());
    assert_eq!(pm.read(4, Word, 0), 0x0001, "suspend enable is write-only");
}

#[test]
fn the_power_button_interrupts_only_in_acpi_mode() {
    let mut pm = Piix4Pm::new(0x600, false);
    pm.write(2, Word, 0x0100, 0);
    pm.press_power_button(5);
    assert!(!pm.sci_asserted());
    pm.write_apm(0, ACPI_ENABLE);
    assert!(pm.sci_asserted());
    assert_eq!(pm.read(4, Word, 6), 1);
    assert_eq!(pm.read(0, Word, 6), 0x0100);
    pm.write(0, Word, 0x0100, 6);
    assert!(!pm.sci_asserted());
    pm.write_apm(0, ACPI_DISABLE);
    assert_eq!((pm.read(4, Word, 6), pm.read_apm(0), pm.read_apm(7)), (0, ACPI_DISABLE, 0xff));
}

#[test]
fn general_purpose_enables_are_readable_as_bytes() {
    let mut pm = pm();
    pm.write(0x0e, Byte, 0xff, 0);
    pm.write(0x0f, Byte, 0x12, 0);
    assert_eq!(pm.read(0x0c, Dword, 0), 0x12ff_0000);
}

#[test]
fn any_offset_and_width_is_safe_and_a_snapshot_is_exact() {
    let mut pm = pm();
    for offset in [0, 1, 3, 5, 0x0b, 0x3f, 0xfffd, 0xffff] {
        for size in [Byte, Word, Dword, AccessSize::Qword] {
            pm.write(offset, size, 0xdfff_dfff, u64::MAX);
            pm.read(offset, size, u64::MAX);
        }
    }
    let mut twin = Piix4Pm::new(0, false);
    twin.restore(&pm.save()).unwrap();
    assert_eq!(twin.save(), pm.save());
    assert_eq!(twin.io_base(), Some(0x600));
}
