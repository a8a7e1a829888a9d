//! A snapshot is input from outside: whatever its bytes, a chip refuses it and stays as it was, or takes it and then
//! survives everything a guest can do.

use devices::debug_port::DebugPort;
use devices::hpet::Hpet;
use devices::i440fx::I440fx;
use devices::i8042::{I8042, MouseEvent};
use devices::i8237::I8237;
use devices::i8254::I8254;
use devices::i8259::{Chip, I8259Pair};
use devices::interrupt_message::{DeliveryMode, Destination, InterruptMessage};
use devices::ioapic::IoApic;
use devices::lapic::{Lapic, LapicConfig};
use devices::mc146818::{Mc146818, RtcConfig};
use devices::pci::PciFunction;
use devices::piix3::Piix3;
use devices::piix4_pm::Piix4Pm;
use devices::uart16550::Uart16550;
use platform::{AccessSize, Nanos, RestoreError, Section};

const SECOND: Nanos = 1_000_000_000;
const SIZES: [AccessSize; 4] = [AccessSize::Byte, AccessSize::Word, AccessSize::Dword, AccessSize::Qword];

/// A chip, and what a guest and a host may do to it.
trait Subject {
    fn save(&self) -> Section;
    fn restore(&mut self, section: &Section) -> Result<(), RestoreError>;
    /// One arbitrary access chosen by `noise`.
    fn poke(&mut self, noise: u64, now: Nanos);
}

/// Implements [`Subject`] from a closure for the accesses.
macro_rules! subject {
    ($chip:ty, |$this:ident, $noise:ident, $now:ident| $poke:block) => {
        impl Subject for $chip {
            fn save(&self) -> Section {
                <$chip>::save(self)
            }

            fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
                <$chip>::restore(self, section)
            }

            #[allow(unused_variables)]
            fn poke(&mut self, $noise: u64, $now: Nanos) {
                let $this = self;
                $poke
            }
        }
    };
}

fn size(noise: u64) -> AccessSize {
    SIZES[(noise >> 60 & 3) as usize]
}

subject!(I8259Pair, |chip, noise, now| {
    let which = if noise & 1 == 0 { Chip::Master } else { Chip::Slave };
    chip.write(which, (noise >> 1 & 1) as u8, (noise >> 8) as u8);
    chip.read(which, (noise >> 2 & 1) as u8);
    chip.set_line((noise >> 16 & 15) as u8, noise >> 20 & 1 == 0);
    chip.acknowledge();
});

subject!(I8254, |chip, noise, now| {
    chip.write((noise & 3) as u8, (noise >> 8) as u8, now);
    chip.read((noise >> 2 & 3) as u8, now);
    chip.set_gate((noise >> 4 & 3) as usize, noise >> 6 & 1 == 0, now);
    chip.advance(now);
    let _ = (chip.out(2, now), chip.next_deadline());
});

subject!(Mc146818, |chip, noise, now| {
    chip.write(0, (noise & 0x3f) as u8, now);
    chip.read(1, now);
    chip.write(1, (noise >> 8) as u8, now);
    let _ = chip.next_deadline();
});

subject!(Uart16550, |chip, noise, now| {
    chip.write((noise & 7) as u8, (noise >> 8) as u8);
    chip.read((noise >> 3 & 7) as u8);
    chip.push_input(&noise.to_le_bytes());
    chip.take_output();
});

subject!(I8042, |chip, noise, now| {
    chip.write_command((noise >> 8) as u8, now);
    chip.write_data((noise >> 16) as u8, now);
    chip.read_data(now);
    chip.push_key_bytes(&noise.to_le_bytes(), now);
    chip.push_mouse(MouseEvent { dx: noise as i32, dy: (noise >> 32) as i32, dz: 9, buttons: 0xff }, now);
    let _ = chip.next_deadline();
});

subject!(Lapic, |chip, noise, now| {
    chip.write(noise & 0xff0, size(noise), noise >> 12, now);
    chip.read(noise >> 20 & 0xfff, size(noise), now);
    chip.msr_write(0x800 + (noise >> 32 & 0xff) as u32, noise >> 40, noise, now);
    let destination = Destination::Logical(noise as u32);
    chip.deliver(&InterruptMessage {
        destination,
        mode: DeliveryMode::Fixed,
        vector: noise as u8,
        level: noise & 1 == 0,
    });
    chip.acknowledge();
    chip.tsc_changed(noise, now);
    chip.advance(now);
    let _ = chip.next_deadline();
});

subject!(IoApic, |chip, noise, now| {
    chip.write(0, AccessSize::Dword, noise & 0x3f);
    chip.write(0x10, AccessSize::Dword, noise >> 8);
    chip.read(0x10, size(noise));
    chip.set_line((noise >> 50 & 31) as usize, noise >> 59 & 1 == 0);
    assert!(std::iter::from_fn(|| chip.take_message()).count() <= 24);
});

subject!(Hpet, |chip, noise, now| {
    chip.write(noise & 0x1ff, size(noise), noise >> 10, now);
    chip.read(noise >> 9 & 0x1ff, size(noise), now);
    chip.advance(now);
    let _ = (chip.next_deadline(), chip.route(0), chip.take_edge(1));
});

subject!(Piix4Pm, |chip, noise, now| {
    chip.config_write((noise & 0xfc) as u8, AccessSize::Dword, (noise >> 8) as u32);
    chip.write((noise >> 16 & 0x3f) as u16, size(noise), (noise >> 20) as u32, now);
    chip.read((noise >> 22 & 0x3f) as u16, size(noise), now);
    let _ = (chip.next_deadline(), chip.io_base());
});

subject!(I440fx, |chip, noise, now| {
    chip.config_write((noise & 0xfc) as u8, AccessSize::Dword, (noise >> 8) as u32);
    let _ = (chip.attributes(platform::PhysAddr(noise & 0xf_ffff)), chip.smram_visible(true));
});

subject!(Piix3, |chip, noise, now| {
    chip.config_write((noise & 0xfc) as u8, AccessSize::Dword, (noise >> 8) as u32);
    let _ = chip.pirq_route((noise & 7) as usize);
});

subject!(I8237, |chip, noise, now| {
    chip.write((noise & 15) as u8, (noise >> 8) as u8);
    chip.read((noise >> 4 & 15) as u8);
});

subject!(DebugPort, |chip, noise, now| {
    chip.write_post(noise as u8);
    chip.write_text(noise as u8);
});

fn subjects() -> Vec<Box<dyn Subject>> {
    vec![
        Box::new(I8259Pair::new()),
        Box::new(I8254::new()),
        Box::new(Mc146818::new(RtcConfig { unix_seconds: 1_700_000_000 })),
        Box::new(Uart16550::new("uart16550.0")),
        Box::new(I8042::new(true)),
        Box::new(Lapic::new(LapicConfig { id: 0, bootstrap: true, bus_hz: SECOND, tsc_hz: SECOND })),
        Box::new(IoApic::new(1)),
        Box::new(Hpet::new()),
        Box::new(Piix4Pm::new(0x600, true)),
        Box::new(I440fx::new()),
        Box::new(Piix3::new()),
        Box::new(I8237::new("i8237.0")),
        Box::new(DebugPort::new()),
    ]
}

/// A well-mixed number for each step: multiplication by the golden ratio, so that failures repeat.
fn noise(step: u64) -> u64 {
    step.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xd1b5_4a32_d192_ed03)
}

/// Changes up to four bytes of a section's encoding; `None` when the result is no section any more.
fn damaged(section: &Section, step: u64) -> Option<Section> {
    let mut bytes = postcard::to_allocvec(section).unwrap();
    for change in 0..=step % 4 {
        let noise = noise(step * 4 + change);
        let place = (noise >> 8) as usize % bytes.len();
        // Mostly the ends of the range, where lengths and times overflow.
        bytes[place] = [0x00, 0xff, 0x7f, noise as u8][(noise >> 40 & 3) as usize];
    }
    postcard::from_bytes(&bytes).ok()
}

#[test]
fn a_damaged_section_is_refused_or_harmless() {
    for mut subject in subjects() {
        let mut now = SECOND;
        let (mut taken, mut refused) = (0, 0);
        for step in 0..3000 {
            subject.poke(noise(step), now);
            now += noise(step) >> 40;
            let before = subject.save();
            let Some(section) = damaged(&before, step) else { continue };
            if subject.restore(&section).is_err() {
                refused += 1;
                assert_eq!(subject.save(), before, "a refused section changes nothing");
                continue;
            }
            taken += 1;
            (0..8).for_each(|access| subject.poke(noise(step * 8 + access), now));
            subject.poke(noise(step), u64::MAX);
            subject.restore(&before).unwrap();
        }
        assert!(taken > 0 && refused > 0, "{}: {taken} taken, {refused} refused", subject.save().name());
    }
}

#[test]
fn a_chip_goes_on_from_its_own_section_exactly() {
    for (mut original, mut twin) in subjects().into_iter().zip(subjects()) {
        (0..500).for_each(|step| original.poke(noise(step), step * 10_000));
        twin.restore(&original.save()).unwrap();
        for step in 500..1000 {
            original.poke(noise(step), step * 10_000);
            twin.poke(noise(step), step * 10_000);
        }
        assert_eq!(original.save(), twin.save());
    }
}
