//! A state for an instruction to do something in.

use filetest::{Instruction, Place, Setting, Value};
use x86::instructions::integer::Int;
use x86::{Inst, Operand, Sem, Vex, Width, flags};

use super::{PLACE, values};
use crate::assemble::memory_operand;
use crate::judge::reads_flags;
use crate::random::Random;

/// How far apart memory operands are.
const APART: u64 = 0x100;

/// What the instruction reads, and what it writes only a part of.
pub fn draw(inst: &Inst, instruction: &Instruction, random: &mut Random) -> Vec<Setting> {
    let mut inputs = Inputs { settings: Vec::new(), inst, instruction };
    inputs.memory(random);
    inputs.registers(random);
    inputs.implied(random);
    let set = random.pick(&[0, flags::CF, flags::STATUS]);
    if matches!(inst.row().sem, Sem::Int(_)) && reads_flags(inst) && set != 0 {
        inputs.settings.push(Setting::Status { told: flags::STATUS, set });
    }
    inputs.settings
}

struct Inputs<'a> {
    settings: Vec<Setting>,
    inst: &'a Inst,
    instruction: &'a Instruction,
}

impl Inputs<'_> {
    /// The first value of a place counts.
    fn set(&mut self, place: Place, value: Value) {
        let known = |setting: &Setting| matches!(setting, Setting::Is(old, _) if *old == place);
        if !self.settings.iter().any(known) {
            self.settings.push(Setting::Is(place, value));
        }
    }

    fn width(&self) -> Width {
        if self.instruction.mode == Width::W64 { Width::W64 } else { Width::W32 }
    }

    fn general(&mut self, register: u8, value: u64) {
        let width = self.width();
        self.set(Place::General { register, shift: 0, width }, value.into());
    }

    /// Memory operands and their addresses.
    fn memory(&mut self, random: &mut Random) {
        const INDICES: u64 = 0x0000_0008_0000_0004;
        let mut address = PLACE;
        for (place, operand) in self.inst.operands.iter().enumerate() {
            let Operand::Mem(mem) = *operand else { continue };
            if let Some(base) = mem.base {
                self.general(base, address.wrapping_sub(mem.disp as u64));
            }
            match mem.index {
                Some(index) if mem.vsib == 0 => self.general(index, 0),
                Some(index) => self.set(Place::Xmm(index), INDICES.into()),
                None => {}
            }
            if let Some(place_of_it) = Place::memory(address, mem.bytes) {
                let value = values::memory(self.inst, self.instruction, place, mem.bytes, random);
                self.set(place_of_it, value);
            }
            address += APART;
        }
    }

    fn registers(&mut self, random: &mut Random) {
        let written_only = self.inst.row().operands.split(' ').next().is_some_and(|first| first.ends_with('='));
        let alone = self.inst.vex == Vex::L128 && memory_operand(self.inst).is_none();
        for (place, operand) in self.inst.operands.iter().enumerate() {
            let elements = values::elements(self.inst, self.instruction, place);
            let written = *operand == self.inst.operands[0] && written_only && self.inst.vex != Vex::None;
            match *operand {
                Operand::Gpr { reg, high, .. } => {
                    let register = if high { reg - 4 } else { reg };
                    let value = values::general(self.width(), random);
                    self.general(register, value);
                }
                // The upper half of what a VEX prefix of 128 bits writes is cleared.
                Operand::Xmm(n) if written && alone => self.set(Place::Ymm(n), Value { low: 0, high: 1 }),
                Operand::Xmm(_) | Operand::Ymm(_) if written => {}
                Operand::Xmm(n) => self.set(Place::Xmm(n), values::vector(elements, 128, random)),
                Operand::Ymm(n) => self.set(Place::Ymm(n), values::vector(elements, 256, random)),
                Operand::Mm(n) => self.set(Place::Mmx(n), values::vector(elements, 128, random).word().into()),
                Operand::St(n) => self.set(Place::X87(n), values::x87(random)),
                _ => {}
            }
        }
    }

    /// What is no operand: accumulators, and the top of the x87 stack.
    fn implied(&mut self, random: &mut Random) {
        use Int::{Cmpxchg, ConvertAccumulator, Div, ExtendAccumulator, Idiv, ImulWide, Mul};
        const RAX: u8 = 0;
        const RDX: u8 = 2;
        let sem = self.inst.row().sem;
        let divides = matches!(sem, Sem::Int(Div | Idiv));
        if divides || matches!(sem, Sem::Int(Mul | ImulWide | Cmpxchg | ConvertAccumulator | ExtendAccumulator)) {
            let value = values::general(self.width(), random);
            self.general(RAX, value);
        }
        if divides {
            self.general(RDX, random.pick(&[0, 1, 0x11]));
        }
        let mnemonic = self.inst.row().mnemonic;
        let pushes = ["FLD", "FILD", "FBLD"].iter().any(|prefix| mnemonic.starts_with(prefix));
        if matches!(sem, Sem::Fpu(_)) && !pushes {
            self.set(Place::X87(0), values::x87(random));
            if self.inst.operands[0] == Operand::None {
                self.set(Place::X87(1), values::x87(random));
            }
        }
    }
}
