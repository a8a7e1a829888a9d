//! Many compiled regions as one WebAssembly module, and the module of what all of them share.

use cpu::compiled::{Shared, jump_layout};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ElementSection, Elements, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, ImportSection, IndirectNameMap, InstructionSink, MemArg, MemArgTarget, MemoryType, Module,
    NameMap, NameSection, RefType, TableType, TypeSection, ValType,
};
use x86::{Width, seg};

use crate::Compiled;
use crate::ir::{Cell, FLAG_CARRIES, FLAG_KIND, FLAG_RESULT, RIP};
use crate::layout::{EXIT, LEFT, TAG, home, segment_base_offset};

/// Functions a module of regions has: those it imports, then its own.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Callee {
    DivideWide,
    Interpret,
    Transfer,
    Leave,
    Chain,
    ChainInSegment,
    X87,
    X87Sum,
    X87Product,
    X87Double,
    SelectView,
    MulHighUnsigned,
    MulHighSigned,
}

const IMPORTS: [(&str, Type); 11] = [
    ("divide_wide", Type::DivideWide),
    ("interpret", Type::Interpret),
    ("transfer", Type::Interpret),
    (STUBS[0], Type::Region),
    (STUBS[1], Type::Region),
    (STUBS[2], Type::Region),
    ("x87", Type::X87),
    ("x87_sum", Type::X87),
    ("x87_product", Type::X87),
    ("x87_double", Type::X87),
    ("select_view", Type::SelectView),
];
const OWN: [Type; 2] = [Type::MulHigh, Type::MulHigh];
/// Index of the first region's function.
const REGIONS_FROM: u32 = (IMPORTS.len() + OWN.len()) as u32;

/// Function types, by their index.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Type {
    DivideWide,
    Interpret,
    MulHigh,
    Region,
    Enter,
    X87,
    SelectView,
    FindCode,
}

pub(crate) const REGION_TYPE: u32 = Type::Region as u32;
/// What every imported thing is a member of.
const HOST: &str = "terrarium";
fn types() -> TypeSection {
    use ValType::{I32, I64};
    let mut types = TypeSection::new();
    types.ty().function([I32, I64, I64, I64, I32], [I32]);
    types.ty().function([I32, I32, I64], [I32]);
    types.ty().function([I64, I64], [I64]);
    // Where the region lies in linear memory, what is left of the slice, and the number of the entry.
    types.ty().function([I64, I64, I32], []);
    types.ty().function([I32, I32, I64], []);
    types.ty().function([I32, I64, I64, I64], [I64]);
    types.ty().function([I32], []);
    types.ty().function([I32, I64], [I64]);
    types
}

/// The memory everything lies in, and the table all functions are in.
fn imports() -> ImportSection {
    let mut imports = ImportSection::new();
    let memory = MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };
    imports.import(HOST, "memory", EntityType::Memory(memory));
    let table = TableType { element_type: RefType::FUNCREF, table64: false, minimum: 1, maximum: None, shared: false };
    imports.import(HOST, "table", EntityType::Table(table));
    imports
}

/// Turns the address of a place and the place, on the stack, into the address of the region's first byte.
pub(crate) fn subtract_offset(sink: &mut InstructionSink<'_>) {
    sink.i32_const(jump_layout::OFFSET_SHIFT).i32_shr_s().i64_extend_i32_s().i64_sub();
}

/// A memory operand at `offset` from an address on the stack. Guest accesses may be unaligned: no promise is made.
pub(crate) fn at(offset: u64) -> MemArg {
    MemArg { offset, align: 0, target: MemArgTarget::Memory(0), ordering: None }
}

/// A region with the slot of the function table it is to be put into.
pub struct RegionCode<'a> {
    /// The slot.
    pub slot: u32,
    /// The region.
    pub compiled: &'a Compiled,
}

/// A module that puts `regions` into their slots when it is instantiated, and exports nothing.
///
/// It imports from `"terrarium"` the `"memory"` and the `"table"`, the [`STUBS`] of [`stub_module`], and the helpers of [`cpu::compiled::Helpers`] by their names.
#[must_use]
pub fn region_module(regions: &[RegionCode<'_>]) -> Vec<u8> {
    module_of(regions).finish()
}

fn module_of(regions: &[RegionCode<'_>]) -> Module {
    let mut imports = imports();
    for (name, ty) in IMPORTS {
        imports.import(HOST, name, EntityType::Function(ty as u32));
    }
    let (mut functions, mut elements, mut code) = (FunctionSection::new(), ElementSection::new(), CodeSection::new());
    for ty in OWN {
        functions.function(ty as u32);
    }
    code.function(&mul_high_unsigned()).function(&mul_high_signed());
    for (index, region) in (REGIONS_FROM..).zip(regions) {
        functions.function(REGION_TYPE);
        let slot = ConstExpr::i32_const(region.slot as i32);
        elements.active(None, &slot, Elements::Functions([index].as_slice().into()));
        code.function(&region.compiled.function);
    }
    let mut module = Module::new();
    module.section(&types()).section(&imports).section(&functions).section(&elements).section(&code);
    module
}

/// A module of `compiled` alone with names for what is in it, to be read.
#[must_use]
pub fn named_module(compiled: &Compiled) -> Vec<u8> {
    let mut functions = NameMap::new();
    let own = ["mul_high_unsigned", "mul_high_signed", "region"];
    let names = IMPORTS.iter().map(|&(name, _)| name).chain(own);
    for (index, name) in (0..).zip(names) {
        functions.append(index, name);
    }
    let mut of_region = NameMap::new();
    for (index, name) in (0..).zip(["place", "left", "entry", "tlb", "translation", "host", "target"]) {
        of_region.append(index, name);
    }
    for &(index, cell) in &compiled.cells {
        of_region.append(index, name_of(cell));
    }
    let mut locals = IndirectNameMap::new();
    locals.append(REGIONS_FROM, &of_region);
    let mut names = NameSection::new();
    names.functions(&functions);
    names.locals(&locals);
    let mut module = module_of(&[RegionCode { slot: 0, compiled }]);
    module.section(&names);
    module.finish()
}

fn name_of(cell: Cell) -> &'static str {
    match cell {
        FLAG_RESULT => "flag_result",
        FLAG_CARRIES => "flag_carries",
        FLAG_KIND => "flag_kind",
        register => x86::register_name(Width::W64, register as u8),
    }
}

/// A module with the ways into regions and out of them. It imports `"memory"`, `"table"` and the helper `"find_code"`, and exports
/// - `enter(slot, place, left: i64)`: calls the region in `slot`, to be entered at a place of [`jump_layout`], where the guest's state is;
/// - `leave(rip: i64, left: i64, exit)`: stores where the guest goes on and what is left of its slice; `exit` is the number of an [`cpu::Exit`], or 0;
/// - `chain`, of the same type: goes on to the region that the jump cache has for RIP, if that code is flat and there is one, or to `leave`;
/// - `chain_in_segment`: the same for code that is not flat.
#[must_use]
pub fn stub_module(shared: &Shared) -> Vec<u8> {
    let (mut functions, mut exports, mut code) = (FunctionSection::new(), ExportSection::new(), CodeSection::new());
    let mut imports = imports();
    imports.import(HOST, "find_code", EntityType::Function(Type::FindCode as u32));
    let stubs = STUBS.into_iter().zip([leave(shared), chain(shared, true), chain(shared, false)]);
    let stubs = stubs.map(|(name, function)| (name, Type::Region, function));
    let all = core::iter::once(("enter", Type::Enter, enter(shared))).chain(stubs);
    for (index, (name, ty, function)) in (FIND_CODE + 1..).zip(all) {
        functions.function(ty as u32);
        exports.export(name, ExportKind::Func, index);
        code.function(&function);
    }
    let mut module = Module::new();
    module.section(&types()).section(&imports).section(&functions).section(&exports).section(&code);
    module.finish()
}

/// What [`stub_module`] exports for regions to import.
pub const STUBS: [&str; 3] = ["leave", "chain", "chain_in_segment"];

/// Functions in the module of stubs, by their index.
const FIND_CODE: u32 = 0;
const LEAVE: u32 = 2;
const TABLE: u32 = 0;

fn enter(shared: &Shared) -> Function {
    let mut enter = Function::new([]);
    let mut sink = enter.instructions();
    sink.i32_const(0).i64_load(at(home(shared, RIP))).local_get(1);
    subtract_offset(&mut sink);
    sink.local_get(2).local_get(1).i32_const(jump_layout::NUMBER).i32_and();
    sink.local_get(0).return_call_indirect(TABLE, REGION_TYPE).end();
    enter
}

/// Parameters of what a region ends with: where the guest goes on, and what is left of the slice; what is told beside them is the last.
const GOES_ON: u32 = 0;
const IS_LEFT: u32 = 1;
const TOLD: u32 = 2;

fn leave(shared: &Shared) -> Function {
    let mut leave = Function::new([]);
    let mut sink = leave.instructions();
    let [left, exit] = [LEFT, EXIT].map(|field| at(shared.context as u64 + field));
    sink.i32_const(0).local_get(GOES_ON).i64_store(at(home(shared, RIP)));
    sink.i32_const(0).local_get(IS_LEFT).i64_store(left);
    // Helpers tell by themselves.
    sink.local_get(TOLD).if_(BlockType::Empty).i32_const(0).local_get(TOLD).i32_store(exit).end().end();
    leave
}

/// It is one function for all regions, so that it is in the host's caches when one ends: written into each, it was read from memory each time.
fn chain(shared: &Shared, flat: bool) -> Function {
    const ENTRY: u32 = TOLD + 1;
    const CODE: u32 = TOLD + 2;
    const PLACE: u32 = TOLD + 3;
    const FOUND: u32 = TOLD + 4;
    let (jumps, context) = (shared.jumps as u64, shared.context as u64);
    let mut chain = Function::new([(3, ValType::I32), (1, ValType::I64)]);
    let mut sink = chain.instructions();
    let linear = |sink: &mut InstructionSink<'_>| {
        sink.local_get(GOES_ON);
        if !flat {
            let base = shared.state as u64 + segment_base_offset(seg::CS);
            sink.i32_const(0).i64_load(at(base)).i64_add().i32_wrap_i64().i64_extend_i32_u();
        }
    };
    sink.block(BlockType::Empty);
    sink.local_get(IS_LEFT).i64_const(jump_layout::MAX_REGION_OPS as i64).i64_lt_s().br_if(0);
    linear(&mut sink);
    linear(&mut sink);
    sink.i64_const(i64::from(jump_layout::SHIFT)).i64_shr_u().i64_xor().i32_wrap_i64();
    sink.i32_const(jump_layout::ENTRIES as i32 - 1).i32_and();
    sink.i32_const(jump_layout::BYTES.trailing_zeros() as i32).i32_shl().local_tee(ENTRY);
    // What is read stands first: V8 would read the second operand twice.
    sink.i64_load(at(jumps + jump_layout::LINEAR as u64));
    linear(&mut sink);
    sink.i64_xor();
    sink.local_get(ENTRY).i64_load(at(jumps + jump_layout::TAG as u64));
    sink.i32_const(0).i64_load(at(context + TAG)).i64_xor().i64_or().i64_eqz();
    sink.if_(BlockType::Empty);
    for (field, local) in [(jump_layout::CODE, CODE), (jump_layout::PLACE, PLACE)] {
        sink.local_get(ENTRY).i32_load(at(jumps + field as u64)).local_set(local);
    }
    sink.else_();
    sink.i32_const(context as i32).local_get(GOES_ON).call(FIND_CODE).local_tee(FOUND).i32_wrap_i64().local_set(CODE);
    sink.local_get(FOUND).i64_const(32).i64_shr_u().i32_wrap_i64().local_set(PLACE).end();
    sink.local_get(CODE).i32_const(jump_layout::NO_CODE as i32).i32_eq().br_if(0);
    sink.local_get(GOES_ON).local_get(PLACE);
    subtract_offset(&mut sink);
    sink.local_get(IS_LEFT).local_get(PLACE).i32_const(jump_layout::NUMBER).i32_and();
    sink.local_get(CODE).return_call_indirect(TABLE, REGION_TYPE).end();
    sink.local_get(GOES_ON).local_get(IS_LEFT).i32_const(0).return_call(LEAVE).end();
    chain
}

const LOW_HALF: i64 = 0xffff_ffff;

/// High half of the unsigned product, by four products of 32-bit halves: with `a = a1:a0` and `b = b1:b0`, `t = a1*b0 + (a0*b0 >> 32)`
/// and `u = a0*b1 + (t & low)` do not overflow, and the answer is `a1*b1 + (t >> 32) + (u >> 32)`.
fn mul_high_unsigned() -> Function {
    let (a, b, t) = (0, 1, 2);
    let mut function = Function::new([(1, ValType::I64)]);
    let mut sink = function.instructions();
    sink.local_get(a).i64_const(32).i64_shr_u().local_get(b).i64_const(LOW_HALF).i64_and().i64_mul();
    sink.local_get(a).i64_const(LOW_HALF).i64_and().local_get(b).i64_const(LOW_HALF).i64_and().i64_mul();
    sink.i64_const(32).i64_shr_u().i64_add().local_set(t);
    sink.local_get(a).i64_const(32).i64_shr_u().local_get(b).i64_const(32).i64_shr_u().i64_mul();
    sink.local_get(t).i64_const(32).i64_shr_u().i64_add();
    sink.local_get(a).i64_const(LOW_HALF).i64_and().local_get(b).i64_const(32).i64_shr_u().i64_mul();
    sink.local_get(t).i64_const(LOW_HALF).i64_and().i64_add();
    sink.i64_const(32).i64_shr_u().i64_add().end();
    function
}

/// Signed from unsigned: each negative operand counts as 2^64 too much, which takes the other operand off the high half.
fn mul_high_signed() -> Function {
    let (a, b) = (0, 1);
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    sink.local_get(a).local_get(b).call(Callee::MulHighUnsigned as u32);
    sink.local_get(a).i64_const(63).i64_shr_s().local_get(b).i64_and().i64_sub();
    sink.local_get(b).i64_const(63).i64_shr_s().local_get(a).i64_and().i64_sub().end();
    function
}
