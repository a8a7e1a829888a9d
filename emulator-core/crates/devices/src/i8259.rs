//! The pair of cascaded 8259A interrupt controllers of the AT board (Intel 8259A data sheet, order 231468), with the
//! edge/level control register of the 82371SB (PIIX3 data sheet, 2.5.4.6), which replaces the LTIM bit.
//!
//! Deliberately missing: MCS-80/85 mode, the buffered mode's pins.

use platform::{RestoreError, Section};
use serde::{Deserialize, Serialize};

/// Which of the two chips.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chip {
    /// The chip whose INT pin goes to the processor.
    Master,
    /// The chip on the master's line 2.
    Slave,
}

const CASCADE_LINE: u8 = 2;
/// Interrupt-acknowledge with no request answers level 7 (8259A, "Edge and level triggered modes").
const SPURIOUS_LEVEL: u8 = 7;

const ICW1: u8 = 1 << 4;
const ICW1_NEEDS_ICW4: u8 = 1 << 0;
const ICW1_SINGLE: u8 = 1 << 1;
const ICW4_AUTO_EOI: u8 = 1 << 1;
const ICW4_SPECIAL_FULLY_NESTED: u8 = 1 << 4;
const OCW3: u8 = 1 << 3;
const OCW3_READ_ISR: u8 = 1 << 0;
const OCW3_READ_REGISTER: u8 = 1 << 1;
const OCW3_POLL: u8 = 1 << 2;
const OCW3_SPECIAL_MASK: u8 = 1 << 5;
const OCW3_SET_SPECIAL_MASK: u8 = 1 << 6;
const POLL_REQUEST: u8 = 1 << 7;

/// Lines the ELCR may make level-triggered: not the timer, keyboard, cascade, real-time clock and FPU.
const ELCR_MASK: [u8; 2] = [0xf8, 0xde];

/// What the next write to register 1 means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Expect {
    Mask,
    Icw2,
    Icw3,
    Icw4,
}

/// One 8259A.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct I8259 {
    /// Levels of the inputs.
    lines: u8,
    /// Rising edges not yet acknowledged; an edge counts only while its line stays high.
    edges: u8,
    level_triggered: u8,
    mask: u8,
    in_service: u8,
    vector_base: u8,
    icw1: u8,
    expect: Expect,
    auto_eoi: bool,
    rotate_on_auto_eoi: bool,
    special_fully_nested: bool,
    special_mask: bool,
    read_in_service: bool,
    poll: bool,
    /// The level with the lowest priority, 0 to 7; the one after it has the highest.
    lowest: u8,
}

impl I8259 {
    fn new() -> I8259 {
        I8259 {
            lines: 0,
            edges: 0,
            level_triggered: 0,
            mask: 0,
            in_service: 0,
            vector_base: 0,
            icw1: 0,
            expect: Expect::Mask,
            auto_eoi: false,
            rotate_on_auto_eoi: false,
            special_fully_nested: false,
            special_mask: false,
            read_in_service: false,
            poll: false,
            lowest: 7,
        }
    }

    fn set_line(&mut self, line: u8, level: bool) {
        let bit = 1 << (line & 7);
        if level {
            self.edges |= bit & !self.lines;
            self.lines |= bit;
        } else {
            self.edges &= !bit;
            self.lines &= !bit;
        }
    }

    /// The interrupt request register.
    fn requests(&self) -> u8 {
        self.lines & (self.edges | self.level_triggered)
    }

    /// The bit of highest priority in `bits`, as a level.
    fn highest(&self, bits: u8) -> Option<u8> {
        (1..=8).map(|step| (self.lowest + step) & 7).find(|level| bits & 1 << level != 0)
    }

    /// How far a level is from the highest priority, 0 to 7.
    fn rank(&self, level: u8) -> u8 {
        level.wrapping_sub(self.lowest + 1) & 7
    }

    /// The level whose interrupt the chip would deliver now.
    fn pending(&self) -> Option<u8> {
        let request = self.highest(self.requests() & !self.mask)?;
        // In special mask mode a level in service blocks nobody while it is masked.
        let blocking = if self.special_mask { self.in_service & !self.mask } else { self.in_service };
        let Some(serving) = self.highest(blocking) else { return Some(request) };
        let nested_cascade = self.special_fully_nested && request == CASCADE_LINE && serving == request;
        (self.rank(request) < self.rank(serving) || nested_cascade).then_some(request)
    }

    fn acknowledge_level(&mut self, level: u8) {
        let bit = 1 << level;
        self.edges &= !bit;
        if !self.auto_eoi {
            self.in_service |= bit;
        } else if self.rotate_on_auto_eoi {
            self.lowest = level;
        }
    }

    fn acknowledge(&mut self) -> u8 {
        let level = self.pending();
        if let Some(level) = level {
            self.acknowledge_level(level);
        }
        level.unwrap_or(SPURIOUS_LEVEL)
    }

    fn read(&mut self, register: u8) -> u8 {
        if std::mem::take(&mut self.poll) {
            let Some(level) = self.pending() else { return 0 };
            self.acknowledge_level(level);
            return POLL_REQUEST | level;
        }
        match register {
            0 if self.read_in_service => self.in_service,
            0 => self.requests(),
            1 => self.mask,
            _ => 0xff,
        }
    }

    fn write(&mut self, register: u8, value: u8) {
        match register {
            0 if value & ICW1 != 0 => self.initialize(value),
            0 if value & OCW3 != 0 => self.write_ocw3(value),
            0 => self.write_ocw2(value),
            1 => self.write_data(value),
            _ => {}
        }
    }

    /// ICW1 starts the initialization sequence and resets all but the lines and the ELCR.
    fn initialize(&mut self, icw1: u8) {
        let (lines, level_triggered) = (self.lines, self.level_triggered);
        *self = I8259 { lines, level_triggered, icw1, expect: Expect::Icw2, ..I8259::new() };
    }

    fn write_data(&mut self, value: u8) {
        let icw4_follows = self.icw1 & ICW1_NEEDS_ICW4 != 0;
        let after_cascade = if icw4_follows { Expect::Icw4 } else { Expect::Mask };
        match self.expect {
            Expect::Mask => self.mask = value,
            Expect::Icw2 => {
                self.vector_base = value & 0xf8;
                self.expect = if self.icw1 & ICW1_SINGLE != 0 { after_cascade } else { Expect::Icw3 };
            }
            // The cascade is soldered; what ICW3 says about it changes nothing.
            Expect::Icw3 => self.expect = after_cascade,
            Expect::Icw4 => {
                self.auto_eoi = value & ICW4_AUTO_EOI != 0;
                self.special_fully_nested = value & ICW4_SPECIAL_FULLY_NESTED != 0;
                self.expect = Expect::Mask;
            }
        }
    }

    /// End of interrupt and rotation (8259A, figure 8).
    fn write_ocw2(&mut self, value: u8) {
        let level = value & 7;
        match value >> 5 {
            0b000 => self.rotate_on_auto_eoi = false,
            0b100 => self.rotate_on_auto_eoi = true,
            0b001 => {
                self.end_highest();
            }
            0b101 => {
                if let Some(ended) = self.end_highest() {
                    self.lowest = ended;
                }
            }
            0b011 => self.in_service &= !(1 << level),
            0b111 => {
                self.in_service &= !(1 << level);
                self.lowest = level;
            }
            0b110 => self.lowest = level,
            _ => {}
        }
    }

    /// Non-specific end of interrupt; in special mask mode it does not see masked levels.
    fn end_highest(&mut self) -> Option<u8> {
        let candidates = if self.special_mask { self.in_service & !self.mask } else { self.in_service };
        let level = self.highest(candidates)?;
        self.in_service &= !(1 << level);
        Some(level)
    }

    fn write_ocw3(&mut self, value: u8) {
        if value & OCW3_SET_SPECIAL_MASK != 0 {
            self.special_mask = value & OCW3_SPECIAL_MASK != 0;
        }
        if value & OCW3_POLL != 0 {
            self.poll = true;
        } else if value & OCW3_READ_REGISTER != 0 {
            self.read_in_service = value & OCW3_READ_ISR != 0;
        }
    }
}

const SECTION: &str = "i8259";
const VERSION: u16 = 1;

/// Both chips and their cascade.
#[derive(Clone, Debug)]
pub struct I8259Pair {
    /// Master, slave.
    chips: [I8259; 2],
}

impl Default for I8259Pair {
    fn default() -> I8259Pair {
        I8259Pair::new()
    }
}

impl I8259Pair {
    /// Uninitialised: software sends ICW1 to ICW4 first.
    #[must_use]
    pub fn new() -> I8259Pair {
        I8259Pair { chips: [I8259::new(), I8259::new()] }
    }

    /// Power-on state; the levels of the lines stay, they are not the chip's.
    pub fn reset(&mut self) {
        for chip in &mut self.chips {
            *chip = I8259 { lines: chip.lines, ..I8259::new() };
        }
        self.update_cascade();
    }

    /// Reads register 0 or 1 (the A0 pin) of a chip.
    pub fn read(&mut self, chip: Chip, register: u8) -> u8 {
        let value = self.chips[chip as usize].read(register);
        self.update_cascade();
        value
    }

    /// Writes register 0 or 1 (the A0 pin) of a chip.
    pub fn write(&mut self, chip: Chip, register: u8, value: u8) {
        self.chips[chip as usize].write(register, value);
        self.update_cascade();
    }

    /// Reads the edge/level control register.
    #[must_use]
    pub fn read_elcr(&self, chip: Chip) -> u8 {
        self.chips[chip as usize].level_triggered
    }

    /// Writes the edge/level control register.
    pub fn write_elcr(&mut self, chip: Chip, value: u8) {
        self.chips[chip as usize].level_triggered = value & ELCR_MASK[chip as usize];
        self.update_cascade();
    }

    /// Whether the ELCR makes `line` (0 to 15) level-triggered.
    #[must_use]
    pub fn is_level_triggered(&self, line: u8) -> bool {
        self.chips[usize::from(line >> 3 & 1)].level_triggered & 1 << (line & 7) != 0
    }

    /// Level of input `line`, 0 to 15; 2 is the cascade, and it and others are ignored.
    ///
    /// A request goes away when its line falls before it is acknowledged (8259A, "Edge and level triggered
    /// modes"): a board that pulses an edge-triggered line takes it low and then high, and leaves it high.
    pub fn set_line(&mut self, line: u8, level: bool) {
        if line < 16 && line != CASCADE_LINE {
            self.chips[usize::from(line >> 3)].set_line(line, level);
            self.update_cascade();
        }
    }

    /// Level of the master's INT pin.
    #[must_use]
    pub fn irq_asserted(&self) -> bool {
        self.chips[0].pending().is_some()
    }

    /// Interrupt-acknowledge cycle: the vector, or the spurious vector (level 7) when the request went away.
    pub fn acknowledge(&mut self) -> u8 {
        let [master, slave] = &mut self.chips;
        let level = master.acknowledge();
        let is_cascade = level == CASCADE_LINE && master.icw1 & ICW1_SINGLE == 0;
        let vector = if is_cascade {
            // The slave's INT pin falls between two requests.
            master.set_line(CASCADE_LINE, false);
            slave.vector_base | slave.acknowledge()
        } else {
            master.vector_base | level
        };
        self.update_cascade();
        vector
    }

    fn update_cascade(&mut self) {
        let slave_int = self.chips[1].pending().is_some();
        self.chips[0].set_line(CASCADE_LINE, slave_int);
    }

    /// Writes the state.
    #[must_use]
    pub fn save(&self) -> Section {
        Section::encode(SECTION, VERSION, &self.chips)
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The section is of another version or malformed.
    pub fn restore(&mut self, section: &Section) -> Result<(), RestoreError> {
        let chips: [I8259; 2] = section.decode(VERSION)?;
        let elcr_fits = chips.iter().zip(ELCR_MASK).all(|(chip, mask)| chip.level_triggered & !mask == 0);
        if chips.iter().any(|chip| chip.lowest > 7 || chip.vector_base & 7 != 0) || !elcr_fits {
            return Err(section.damaged());
        }
        self.chips = chips;
        self.update_cascade();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
