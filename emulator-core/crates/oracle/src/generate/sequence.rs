//! Straight lines and short loops of user instructions: lazy flags, and later compiled code, go wrong between instructions.

use x86::decode::operands::Spec;
use x86::flags;
use x86::instructions::fpu::Fpu;
use x86::instructions::integer::Int;
use x86::instructions::rows;
use x86::instructions::system::Sys;
use x86::{Inst, Operand, Sem, Width};

use super::prepare::preparations;
use super::randomise;
use crate::assemble::{Addressing, instruction, memory_operand};
use crate::case::Case;
use crate::judge::{
    Verdict, instructions, is_transcendental, judge, reads_flags, surely_written, undefined_after_any_count,
};
use crate::random::Random;
use crate::{DATA, STACK};

const RBX: u8 = 3;
const RSP: u8 = 4;
/// Defines all flags.
const CMP_EAX_EAX: [u8; 2] = [0x39, 0xc0];
/// Where a loop counts its rounds: out of the way, at the stack's end.
const COUNTER: u64 = STACK.end - 8;

/// An instruction, with the number of the one it may branch to.
#[derive(Clone)]
pub struct Item {
    bytes: Vec<u8>,
    target: Option<usize>,
}

/// Instructions with their branches as numbers of instructions, so that some can be taken out.
#[derive(Clone)]
pub struct Program(pub Vec<Item>);

impl Program {
    /// The instructions of a case, unless one of them branches elsewhere than to one of them.
    #[must_use]
    pub fn of(case: &Case) -> Option<Program> {
        let list = instructions(case);
        let mut starts: Vec<i64> = vec![0];
        for inst in &list {
            starts.push(starts.last()? + i64::from(inst.len));
        }
        let mut items = Vec::new();
        for (n, inst) in list.iter().enumerate() {
            let bytes = case.code.get(starts[n] as usize..starts[n + 1] as usize)?.to_vec();
            let target = match inst.operands[0] {
                Operand::Rel(distance) => Some(starts.iter().position(|&start| start == starts[n + 1] + distance)?),
                _ => None,
            };
            items.push(Item { bytes, target });
        }
        Some(Program(items))
    }

    /// Without instruction `n`: branches to it lead to the next.
    #[must_use]
    pub fn without(&self, n: usize) -> Program {
        let mut items = self.0.clone();
        items.remove(n);
        for target in items.iter_mut().filter_map(|item| item.target.as_mut()) {
            if *target > n {
                *target -= 1;
            }
        }
        Program(items)
    }

    /// The bytes, with branches led where they belong; `None` where one does not reach.
    #[must_use]
    pub fn link(&self, mode: Width) -> Option<Vec<u8>> {
        let mut starts = vec![0];
        for item in &self.0 {
            starts.push(starts.last()? + item.bytes.len() as i64);
        }
        let mut code = Vec::new();
        for (n, item) in self.0.iter().enumerate() {
            let mut bytes = item.bytes.clone();
            if let Some(target) = item.target {
                let distance = starts[target] - starts[n + 1];
                let width = displacement_bytes(&bytes, mode)?;
                let unused = 64 - 8 * width as u32;
                if distance << unused >> unused != distance {
                    return None;
                }
                let at = bytes.len() - width;
                bytes[at..].copy_from_slice(&distance.to_le_bytes()[..width]);
            }
            code.extend(bytes);
        }
        Some(code)
    }
}

/// Length of the displacement a branch ends with.
fn displacement_bytes(bytes: &[u8], mode: Width) -> Option<usize> {
    match *bytes {
        [0x70..=0x7f | 0xeb | 0xe0..=0xe3, _] => Some(1),
        [0x0f, 0x80..=0x8f, ..] | [0xe8 | 0xe9, ..] => Some(if mode == Width::W16 { 2 } else { 4 }),
        _ => None,
    }
}

/// A random sequence in a state of its own.
#[must_use]
pub fn sequence(mode: Width, random: &mut Random) -> Option<Case> {
    let length = 2 + random.below(14) as usize;
    let rounds = if random.one_in(3) { 1 + random.below(4) } else { 0 };
    let mut writer = Writer { items: Vec::new(), undefined: 0, joins: Vec::new(), mode };
    if rounds > 0 {
        // What the end of the body leaves undefined is so at its beginning.
        writer.undefined = flags::STATUS;
    }
    writer.fill(length, random)?;
    match random.below(8) {
        0 => writer.add_subroutine(random)?,
        1 if rounds == 0 => writer.add_transcendental(random)?,
        _ => {}
    }
    if rounds > 0 {
        writer.close_loop();
    }
    let mut program = Program(writer.items);
    let end = program.0.len();
    for target in program.0.iter_mut().filter_map(|item| item.target.as_mut()) {
        *target = (*target).min(end);
    }
    let mut case = Case::new(program.link(mode)?, mode);
    randomise(&mut case, random);
    settle(&mut case, rounds, random);
    match judge(&case, &instructions(&case)) {
        Verdict::Compare(_) => Some(case),
        Verdict::NotJudged(_) => None,
    }
}

/// Makes most instructions complete: valid addresses, exceptions masked.
fn settle(case: &mut Case, rounds: u64, random: &mut Random) {
    case.registers.gpr[usize::from(RBX)] = DATA.start + 0xf80 + 16 * random.below(16);
    case.registers.gpr[usize::from(RSP)] = STACK.start + 0x800;
    const ALIGNMENT_CHECK: u64 = 1 << 18;
    const DIRECTION: u64 = 1 << 10;
    case.registers.rflags &= !(ALIGNMENT_CHECK | DIRECTION);
    if rounds > 0 {
        case.set_memory(COUNTER, &rounds.to_le_bytes());
    }
    if random.one_in(8) {
        return;
    }
    const MASKS: u32 = 0x1f80;
    case.registers.set_mxcsr(case.registers.mxcsr() | MASKS);
    const EXCEPTIONS: u16 = 0x3f;
    const ERROR_AND_BUSY: u16 = 0x8080;
    let (control, status, tags) = case.registers.x87_words();
    case.registers.set_x87_words((control | EXCEPTIONS, status & !ERROR_AND_BUSY, tags));
}

struct Writer {
    items: Vec<Item>,
    /// Status flags that are undefined at the end.
    undefined: u64,
    /// Numbers of instructions that are branched to, with what is undefined there then.
    joins: Vec<(usize, u64)>,
    mode: Width,
}

impl Writer {
    /// Adds instructions until there are `length`.
    fn fill(&mut self, length: usize, random: &mut Random) -> Option<()> {
        while self.items.len() < length {
            let (bytes, inst) = body_instruction(self.mode, random)?;
            let Some(preparations) = preparations(&inst, random) else { continue };
            for bytes in preparations {
                self.join();
                self.items.push(Item { bytes, target: None });
            }
            self.push(bytes, &inst, random);
        }
        Some(())
    }

    /// A call of some instructions that return, and the jump over them.
    fn add_subroutine(&mut self, random: &mut Random) -> Option<()> {
        let near = |opcode: u8| if self.mode == Width::W16 { vec![opcode, 0, 0] } else { vec![opcode, 0, 0, 0, 0] };
        let (call, jump) = (near(0xe8), near(0xe9));
        const RET: [u8; 1] = [0xc3];
        let at = self.items.len();
        self.items.push(Item { bytes: call, target: None });
        self.undefined = flags::STATUS;
        self.fill(at + 1 + random.below(4) as usize, random)?;
        let over = self.items.len();
        self.items.push(Item { bytes: jump, target: None });
        self.items[at].target = Some(self.items.len());
        self.undefined = flags::STATUS;
        self.fill(over + 2 + random.below(4) as usize, random)?;
        self.items.push(Item { bytes: CMP_EAX_EAX.to_vec(), target: None });
        self.items.push(Item { bytes: RET.to_vec(), target: None });
        self.items[over].target = Some(self.items.len());
        self.undefined = flags::STATUS;
        Some(())
    }

    /// Last, because its result may differ a little: nothing must be computed with it.
    fn add_transcendental(&mut self, random: &mut Random) -> Option<()> {
        use Fpu::{Fcos, Fpatan, Fptan, Fsin, Fsincos, Fyl2x};
        let fpu = Sem::Fpu(random.pick(&[Fsin, Fcos, Fsincos, Fptan, Fpatan, Fyl2x]));
        let row = rows().iter().position(|row| row.sem == fpu)? as u16;
        let (bytes, inst) = instruction(row, self.mode, Addressing::NearRbx, random)?;
        self.push(bytes, &inst, random);
        Some(())
    }

    /// Adds an instruction, after one that defines all flags where it might read one that is undefined.
    fn push(&mut self, bytes: Vec<u8>, inst: &Inst, random: &mut Random) {
        self.join();
        if self.undefined != 0 && reads_flags(inst) {
            self.items.push(Item { bytes: CMP_EAX_EAX.to_vec(), target: None });
            self.undefined = 0;
            self.join();
        }
        self.undefined = self.undefined & !surely_written(inst) | undefined_after_any_count(inst);
        let target =
            matches!(inst.operands[0], Operand::Rel(_)).then(|| self.items.len() + 2 + random.below(3) as usize);
        self.joins.extend(target.map(|target| (target, self.undefined)));
        self.items.push(Item { bytes, target });
    }

    fn join(&mut self) {
        let here = self.items.len();
        self.undefined |=
            self.joins.iter().filter(|(target, _)| *target == here).fold(0, |all, (_, flags)| all | flags);
    }

    /// `SUB DWORD [COUNTER], 1`; `JNZ` to the beginning.
    fn close_loop(&mut self) {
        let address = COUNTER.to_le_bytes();
        let subtract = match self.mode {
            Width::W64 => [&[0x83, 0x2c, 0x25], &address[..4], &[1]].concat(),
            Width::W32 => [&[0x83, 0x2d], &address[..4], &[1]].concat(),
            _ => [&[0x66, 0x83, 0x2e], &address[..2], &[1]].concat(),
        };
        self.items.push(Item { bytes: subtract, target: None });
        let jump = if self.mode == Width::W16 { vec![0x0f, 0x85, 0, 0] } else { vec![0x0f, 0x85, 0, 0, 0, 0] };
        self.items.push(Item { bytes: jump, target: Some(0) });
    }
}

/// An instruction that leaves RBX and RSP alone and reaches memory through RBX, with an effect that can be judged.
fn body_instruction(mode: Width, random: &mut Random) -> Option<(Vec<u8>, Inst)> {
    const PATIENCE: usize = 1000;
    (0..PATIENCE).find_map(|_| {
        let row = random.below(rows().len() as u64) as u16;
        if !belongs(rows()[usize::from(row)].sem) && !random.one_in(8) {
            return None;
        }
        let (bytes, inst) = instruction(row, mode, Addressing::NearRbx, random)?;
        let fits =
            belongs(inst.row().sem) && stays_near(&inst, mode) && keeps_bases(&inst) && links(&bytes, &inst, mode);
        fits.then_some((bytes, inst))
    })
}

fn belongs(sem: Sem) -> bool {
    match sem {
        Sem::Int(int) => !matches!(
            int,
            // Calls and returns come in pairs.
            Int::Ret | Int::RetRelease | Int::JmpIndirect | Int::CallIndirect | Int::Call | Int::Ud
        ),
        Sem::Sys(sys) => matches!(
            sys,
            Sys::Lahf
                | Sys::Sahf
                | Sys::Pushf
                | Sys::Crc32
                | Sys::Crc32Byte
                | Sys::Pdep
                | Sys::Pext
                | Sys::Cmpxchg8b
                | Sys::Cmpxchg16b
                | Sys::Salc
                | Sys::Daa
                | Sys::Das
                | Sys::Aaa
                | Sys::Aas
                | Sys::Aad
                | Sys::Movs
                | Sys::Cmps
                | Sys::Stos
                | Sys::Lods
                | Sys::Scas
        ),
        // Those that load an environment would load nonsense. What others store of the instruction before, with its
        // pointers, differs from model to model. Results that may differ a little must not be computed with.
        Sem::Fpu(fpu) => {
            use Fpu::{Fldcw, Fldenv, Fnsave, Fnstenv, Frstor, Fxrstor, Fxsave};
            let of_environment = matches!(fpu, Fldcw | Fldenv | Fnsave | Fnstenv | Frstor | Fxrstor | Fxsave);
            !of_environment && !is_transcendental(fpu)
        }
        Sem::Simd(_) => true,
    }
}

/// The operand is in a register, on the stack, or addressed as asked for.
fn stays_near(inst: &Inst, mode: Width) -> bool {
    inst.address_size == mode
        && memory_operand(inst)
            .is_none_or(|mem| mem.base == Some(RBX) && mem.index.is_none() && mem.seg == x86::seg::DS)
}

/// None of the operands written is RBX or RSP, or a part of them.
fn keeps_bases(inst: &Inst) -> bool {
    let specs = inst.row().operands.split(' ').filter(|token| !token.is_empty()).map(Spec::parse);
    specs.zip(&inst.operands).filter(|(spec, _)| spec.written).all(|(_, operand)| match *operand {
        Operand::Gpr { reg, high, .. } => !matches!(if high { reg - 4 } else { reg }, RBX | RSP),
        _ => true,
    })
}

/// A branch can be led elsewhere.
fn links(bytes: &[u8], inst: &Inst, mode: Width) -> bool {
    !matches!(inst.operands[0], Operand::Rel(_)) || displacement_bytes(bytes, mode).is_some()
}
