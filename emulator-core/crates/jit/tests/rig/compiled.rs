//! Compiled code, in a WebAssembly interpreter, with helpers that know the data area.

use std::mem::{offset_of, size_of};

use cpu::{Mode, Segment, State};
use jit::{Compiled, Reason};
use wasmi::{AsContext, Caller, Engine, Linker, Memory, MemoryType, Module, Store};
use x86::decode::decode;
use x86::{Op, Width, flags};

use super::{CODE, Case, DATA, DATA_BYTES, End, FLAGS, FS_BASE, GS_BASE, Outcome, READ_ONLY, permitted};

/// Where things lie in linear memory.
const CONTEXT: usize = 0x40;
const STATE: usize = 0x100;
const TLB: usize = 0x1000;
const DATA_COPY: usize = 0x2_0000;
const PAGES: u32 = 4;
const TLB_TABLE_BYTES: usize = 1024 * 16;

/// A flat mode of this width.
pub fn mode(width: Width) -> Mode {
    Mode { code: width, stack: width, flat: true, user: false, aligned: false, vex: true, single: false }
}

/// What helpers share.
pub struct Helpers {
    memory: Option<Memory>,
    /// Vector of the last access that was refused.
    vector: u8,
    /// What a store through the helper answers when it succeeds.
    pub stored: i32,
    /// How many accesses went through helpers.
    pub slow: u64,
}

/// A linear memory with a guest in it.
pub struct Runner {
    store: Store<Helpers>,
    linker: Linker<Helpers>,
    memory: Memory,
}

/// Decodes a block as the interpreter does.
pub fn lower(code: &[u8], mode: Width) -> Vec<Op> {
    let mut ops = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let inst = decode(&code[at..], mode).expect("generated code decodes");
        ops.push(Op::lower(&inst, at as u16));
        at += usize::from(inst.len);
    }
    ops
}

impl Runner {
    pub fn new() -> Runner {
        let engine = Engine::default();
        let helpers = Helpers { memory: None, vector: 0, stored: 0, slow: 0 };
        let mut store = Store::new(&engine, helpers);
        let memory = Memory::new(&mut store, MemoryType::new(PAGES, None)).unwrap();
        store.data_mut().memory = Some(memory);
        let mut linker = Linker::new(&engine);
        linker.define("terrarium", "memory", memory).unwrap();
        add_helpers(&mut linker).unwrap();
        Runner { store, linker, memory }
    }

    pub fn helpers(&mut self) -> &mut Helpers {
        self.store.data_mut()
    }

    /// Compiles and runs the block of `case`. Bit n of `cached` says whether the TLB knows the data area's nth page.
    pub fn run(&mut self, case: &Case, cached: u64) -> Outcome {
        let ops = lower(&case.code, case.mode);
        let compiled = jit::compile(&ops, mode(case.mode)).expect("the block compiles");
        assert_eq!(compiled.instructions, ops.len(), "the whole block compiles");
        self.write_state(case, cached);
        let module =
            Module::new(self.store.engine(), jit::module(std::slice::from_ref(&compiled))).expect("valid module");
        let instance = self.linker.instantiate_and_start(&mut self.store, &module).unwrap();
        let block = instance.get_typed_func::<(i32, i32, i32), i32>(&self.store, "0").unwrap();
        let exit = block.call(&mut self.store, (CONTEXT as i32, STATE as i32, TLB as i32)).unwrap();
        self.outcome(&compiled, exit as usize)
    }

    fn write_state(&mut self, case: &Case, cached: u64) {
        let memory = self.memory.data_mut(&mut self.store);
        memory.fill(0);
        let mut put = |at: usize, value: u64| memory[at..at + 8].copy_from_slice(&value.to_le_bytes());
        for (number, &value) in case.registers.iter().enumerate() {
            put(STATE + offset_of!(State, regs) + number * 8, value);
        }
        let (result, carries) = flags::unpack(case.rflags);
        put(STATE + offset_of!(State, flag_result), result);
        put(STATE + offset_of!(State, flag_carries), carries);
        put(STATE + offset_of!(State, system_flags), case.rflags & !flags::STATUS);
        put(STATE + offset_of!(State, rip), CODE);
        for (segment, base) in [(x86::seg::FS, FS_BASE), (x86::seg::GS, GS_BASE)] {
            let at = offset_of!(State, segs) + usize::from(segment) * size_of::<Segment>() + offset_of!(Segment, base);
            put(STATE + at, base);
        }
        for entry in 0..TLB_TABLE_BYTES * 2 / 16 {
            put(TLB + entry * 16, 1);
        }
        for page in 0..DATA_BYTES >> 12 {
            let linear = DATA + (page << 12);
            let entry = TLB + (linear >> 12 & 1023) as usize * 16;
            let addend = (DATA_COPY as u64).wrapping_sub(DATA);
            for (table, allowed) in [(0, true), (TLB_TABLE_BYTES, linear < READ_ONLY)] {
                if allowed && cached >> page & 1 != 0 {
                    put(table + entry, linear);
                    put(table + entry + 8, addend);
                }
            }
        }
        memory[DATA_COPY..DATA_COPY + case.data.len()].copy_from_slice(&case.data);
    }

    fn outcome(&mut self, compiled: &Compiled, exit: usize) -> Outcome {
        let vector = self.store.data().vector;
        let memory = self.memory.data(&self.store);
        let word = |offset: usize| u64::from_le_bytes(memory[STATE + offset..STATE + offset + 8].try_into().unwrap());
        let exit = compiled.exits[exit];
        let rip = exit.next_offset.map_or(word(offset_of!(State, rip)), |offset| CODE + u64::from(offset));
        let end = match exit.reason {
            Reason::Done => End::At(rip),
            Reason::Fault => End::Exception(vector, rip),
            Reason::Raised(exception) => End::Exception(exception.vector(), rip),
        };
        let status = flags::pack(word(offset_of!(State, flag_result)), word(offset_of!(State, flag_carries)));
        Outcome {
            registers: std::array::from_fn(|number| word(offset_of!(State, regs) + number * 8)),
            rflags: (status | word(offset_of!(State, system_flags))) & FLAGS,
            data: memory[DATA_COPY..DATA_COPY + DATA_BYTES as usize].to_vec(),
            end,
        }
    }
}

fn add_helpers(linker: &mut Linker<Helpers>) -> Result<(), wasmi::Error> {
    let read = |caller: Caller<Helpers>, context, address, access| load(caller, context, address, access, false);
    let update = |caller: Caller<Helpers>, context, address, access| load(caller, context, address, access, true);
    linker.func_wrap("terrarium", "load", read)?;
    linker.func_wrap("terrarium", "load_for_write", update)?;
    linker.func_wrap("terrarium", "store", store_helper)?;
    linker.func_wrap("terrarium", "divide_wide", divide_wide)?;
    Ok(())
}

fn host_range(address: u64, bytes: u64) -> std::ops::Range<usize> {
    let start = DATA_COPY + (address - DATA) as usize;
    start..start + bytes as usize
}

fn answer(caller: &mut Caller<Helpers>, context: i32, place: usize, value: u64) {
    let memory = caller.data().memory.unwrap();
    let at = context as usize + place * 8;
    memory.data_mut(caller)[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn refused(caller: &mut Caller<Helpers>, address: u64, access: i32, write: bool) -> bool {
    caller.data_mut().slow += 1;
    let stack = access >> 4 == i32::from(x86::seg::SS);
    match permitted(address, 1 << (access & 3), write, stack) {
        Ok(()) => false,
        Err(vector) => {
            caller.data_mut().vector = vector;
            true
        }
    }
}

fn load(mut caller: Caller<Helpers>, context: i32, address: i64, access: i32, write: bool) -> i32 {
    let (address, bytes) = (address as u64, 1 << (access & 3));
    if refused(&mut caller, address, access, write) {
        return 1;
    }
    let memory = caller.data().memory.unwrap();
    let mut value = [0; 8];
    value[..bytes as usize].copy_from_slice(&memory.data(caller.as_context())[host_range(address, bytes)]);
    answer(&mut caller, context, 0, u64::from_le_bytes(value));
    0
}

fn store_helper(mut caller: Caller<Helpers>, _context: i32, address: i64, access: i32, value: i64) -> i32 {
    let (address, bytes) = (address as u64, 1 << (access & 3));
    if refused(&mut caller, address, access, true) {
        return 1;
    }
    let memory = caller.data().memory.unwrap();
    memory.data_mut(&mut caller)[host_range(address, bytes)].copy_from_slice(&value.to_le_bytes()[..bytes as usize]);
    caller.data().stored
}

/// By the definition (Intel SDM vol. 2, DIV and IDIV).
fn divide_wide(mut caller: Caller<Helpers>, context: i32, high: i64, low: i64, divisor: i64, signed: i32) -> i32 {
    let (quotient, remainder) = if signed != 0 {
        let dividend = i128::from(high) << 64 | i128::from(low as u64);
        let (Some(quotient), Some(remainder)) =
            (dividend.checked_div(i128::from(divisor)), dividend.checked_rem(i128::from(divisor)))
        else {
            return 1;
        };
        let Ok(quotient) = i64::try_from(quotient) else { return 1 };
        (quotient as u64, remainder as u64)
    } else {
        let dividend = u128::from(high as u64) << 64 | u128::from(low as u64);
        let Some(quotient) = dividend.checked_div(u128::from(divisor as u64)) else { return 1 };
        let Ok(quotient) = u64::try_from(quotient) else { return 1 };
        (quotient, (dividend % u128::from(divisor as u64)) as u64)
    };
    answer(&mut caller, context, 0, quotient);
    answer(&mut caller, context, 1, remainder);
    0
}
