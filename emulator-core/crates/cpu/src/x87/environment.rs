//! FLDENV, FNSTENV, FNSAVE, FRSTOR (Intel SDM vol. 1, figures 8-9 to 8-12).
//!
//! The environment is seven words or doublewords, as the operand size says. Outside protected mode pointers are stored as
//! linear addresses, split around the opcode.

use softfloat::F80;
use x86::{Exception, Op, Width};

use crate::exec::Exec;
use crate::state::X87;

const REGISTERS_BYTES: usize = 80;
/// Unused upper halves of doublewords are stored as ones.
const UNUSED: u32 = 0xffff_0000;

/// Shape of the stored environment.
#[derive(Clone, Copy)]
struct Shape {
    /// Doublewords as opposed to words.
    wide: bool,
    /// Selectors and offsets as opposed to linear addresses.
    protected: bool,
}

impl Shape {
    fn bytes(self) -> usize {
        if self.wide { 28 } else { 14 }
    }
}

impl Exec<'_> {
    fn shape(&self, op: &Op) -> Shape {
        Shape { wide: op.opsize != Width::W16, protected: self.cpu.state.protected() }
    }

    /// FNSTENV: afterwards all exceptions are masked.
    pub(super) fn store_environment(&mut self, op: &Op) -> Result<(), Exception> {
        let shape = self.shape(op);
        let words = self.cpu.state.x87.environment(shape);
        self.write_block(op, &encode(words, shape)[..shape.bytes()])?;
        let x87 = &mut self.cpu.state.x87;
        x87.set_control(x87.control | 0x3f);
        Ok(())
    }

    /// FLDENV.
    pub(super) fn load_environment(&mut self, op: &Op) -> Result<(), Exception> {
        let shape = self.shape(op);
        let mut bytes = [0; 28];
        self.read_block(op, &mut bytes[..shape.bytes()])?;
        self.cpu.state.x87.set_environment(decode(&bytes, shape), shape);
        Ok(())
    }

    /// FNSAVE: environment and registers; afterwards the unit is as after FNINIT.
    pub(super) fn save_all(&mut self, op: &Op) -> Result<(), Exception> {
        let shape = self.shape(op);
        let x87 = &self.cpu.state.x87;
        let mut area = [0; 28 + REGISTERS_BYTES];
        area[..28].copy_from_slice(&encode(x87.environment(shape), shape));
        for (register, bytes) in area[shape.bytes()..].chunks_exact_mut(10).take(8).enumerate() {
            bytes.copy_from_slice(&x87.st(register as u8).to_le_bytes());
        }
        self.write_block(op, &area[..shape.bytes() + REGISTERS_BYTES])?;
        self.cpu.state.x87.initialise();
        Ok(())
    }

    /// FRSTOR.
    pub(super) fn restore_all(&mut self, op: &Op) -> Result<(), Exception> {
        let shape = self.shape(op);
        let mut area = [0; 28 + REGISTERS_BYTES];
        self.read_block(op, &mut area[..shape.bytes() + REGISTERS_BYTES])?;
        let x87 = &mut self.cpu.state.x87;
        let (environment, registers) = area.split_at(shape.bytes());
        x87.set_environment(decode(environment, shape), shape);
        let tags = x87.tags;
        for (register, bytes) in registers.chunks_exact(10).take(8).enumerate() {
            let bytes = bytes.try_into().unwrap_or([0; 10]);
            x87.set_st(register as u8, F80::from_le_bytes(bytes));
        }
        x87.tags = tags;
        Ok(())
    }
}

/// The seven entries as bytes, little-endian.
fn encode(words: [u32; 7], shape: Shape) -> [u8; 28] {
    let mut bytes = [0; 28];
    for (i, word) in words.iter().enumerate() {
        if shape.wide {
            bytes[4 * i..4 * i + 4].copy_from_slice(&word.to_le_bytes());
        } else {
            bytes[2 * i..2 * i + 2].copy_from_slice(&(*word as u16).to_le_bytes());
        }
    }
    bytes
}

fn decode(bytes: &[u8], shape: Shape) -> [u32; 7] {
    let size = if shape.wide { 4 } else { 2 };
    let mut words = [0; 7];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(size)) {
        *word = bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
    }
    words
}

impl X87 {
    fn environment(&self, shape: Shape) -> [u32; 7] {
        let unused = UNUSED;
        let [control, status, tags] = [self.control, self.status, self.tag_word()].map(|word| unused | u32::from(word));
        let (ip, dp) = (self.ip as u32, self.dp as u32);
        let (opcode, cs, ds) = (u32::from(self.opcode & 0x7ff), u32::from(self.cs), u32::from(self.ds));
        match shape {
            Shape { protected: true, wide: true } => [control, status, tags, ip, opcode << 16 | cs, dp, unused | ds],
            Shape { protected: true, wide: false } => [control, status, tags, ip, cs, dp, ds],
            Shape { protected: false, wide } => {
                let (ip, dp) = (ip.wrapping_add(cs << 4), dp.wrapping_add(ds << 4));
                let low = |linear: u32| unused | linear & 0xffff;
                let high = |linear: u32| if wide { linear >> 16 << 12 } else { linear >> 16 << 12 & 0xf000 };
                [control, status, tags, low(ip), high(ip) | opcode, low(dp), high(dp)]
            }
        }
    }

    fn set_environment(&mut self, words: [u32; 7], shape: Shape) {
        let [control, status, tags, ip, cs, dp, ds] = words;
        self.set_tag_word(tags as u16);
        self.control = control as u16;
        self.set_control(control as u16);
        self.set_status(status as u16);
        match shape {
            Shape { protected: true, wide } => {
                (self.ip, self.cs) = (u64::from(ip), cs as u16);
                (self.dp, self.ds) = (u64::from(dp), ds as u16);
                self.opcode = if wide { (cs >> 16 & 0x7ff) as u16 } else { 0 };
            }
            Shape { protected: false, .. } => {
                let linear = |low: u32, high: u32| u64::from(low & 0xffff | high >> 12 << 16);
                (self.ip, self.cs) = (linear(ip, cs), 0);
                (self.dp, self.ds) = (linear(dp, ds), 0);
                self.opcode = (cs & 0x7ff) as u16;
            }
        }
    }
}
