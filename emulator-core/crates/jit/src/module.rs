//! Many compiled blocks as one WebAssembly module.

use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, MemoryType, Module,
    TypeSection, ValType,
};

use crate::Compiled;

/// Functions every module has: helpers it imports, then its own.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Callee {
    Load,
    LoadForWrite,
    Store,
    DivideWide,
    MulHighUnsigned,
    MulHighSigned,
}

const IMPORTS: [(&str, Type); 4] =
    [("load", Type::Load), ("load_for_write", Type::Load), ("store", Type::Store), ("divide_wide", Type::DivideWide)];
const OWN: [Type; 2] = [Type::MulHigh, Type::MulHigh];

/// Function types, by their index.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Type {
    Load,
    Store,
    DivideWide,
    MulHigh,
    Block,
}

fn types() -> TypeSection {
    use ValType::{I32, I64};
    let mut types = TypeSection::new();
    types.ty().function([I32, I64, I32], [I32]);
    types.ty().function([I32, I64, I32, I64], [I32]);
    types.ty().function([I32, I64, I64, I64, I32], [I32]);
    types.ty().function([I64, I64], [I64]);
    types.ty().function([I32, I32, I32], [I32]);
    types
}

/// A module that exports `blocks` as functions named by their index: `"0"`, `"1"` and so on.
///
/// It imports from `"terrarium"` the linear `"memory"` that everything lies in, and the helpers, which return a status:
/// 0 done; 1 the access faults and nothing is done; for a store also 2, done but it has changed code. `access` is the width (0 to 3: 1
/// to 8 bytes) and the segment register shifted left by 4; answers go to the context.
///
/// - `load(context, address: i64, access) -> status`: reads guest memory at a linear address.
/// - `load_for_write`: the same, but faults as a write would; a `store` to the same place will not fault.
/// - `store(context, address: i64, access, value: i64) -> status`.
/// - `divide_wide(context, high: i64, low: i64, divisor: i64, signed) -> status`: quotient and remainder; 1 is #DE.
#[must_use]
pub fn module(blocks: &[Compiled]) -> Vec<u8> {
    let mut imports = ImportSection::new();
    let memory = MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };
    imports.import("terrarium", "memory", EntityType::Memory(memory));
    for (name, ty) in IMPORTS {
        imports.import("terrarium", name, EntityType::Function(ty as u32));
    }
    let (mut functions, mut exports, mut code) = (FunctionSection::new(), ExportSection::new(), CodeSection::new());
    for ty in OWN {
        functions.function(ty as u32);
    }
    code.function(&mul_high_unsigned()).function(&mul_high_signed());
    let first = (IMPORTS.len() + OWN.len()) as u32;
    for (index, block) in (0u32..).zip(blocks) {
        functions.function(Type::Block as u32);
        exports.export(&index.to_string(), ExportKind::Func, first + index);
        code.function(&block.function);
    }
    let mut module = Module::new();
    module.section(&types()).section(&imports).section(&functions).section(&exports).section(&code);
    module.finish()
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
