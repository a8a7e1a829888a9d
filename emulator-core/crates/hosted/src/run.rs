//! The WebAssembly interpreter: one for a thread, because the processor enters code by a plain function.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use cpu::compiled::{Context, Enter, Helpers, Shared};
use jit::{Answer, Job, Linker};
use rustc_hash::FxHashMap;
use wasmi::{
    Caller, Engine, Extern, Func, Memory, MemoryType, Module, Nullable, Ref, RefType, Store, Table, TableType,
    TypedFunc,
};
use x86::Op;

use crate::aside::Aside;
use crate::image::{Layout, Pages, copy_in, copy_out};

const WASM_PAGE_BYTES: usize = 65536;
/// Slots the table grows by.
const MORE_SLOTS: u64 = 256;
/// What modules import from.
const HOST: &str = "terrarium";

thread_local! {
    static MACHINERY: RefCell<Machinery> = RefCell::new(Machinery::new());
    /// Operations that code may have interpreted, by the low half of their address, which is all that compiled code has of it.
    static OPS: RefCell<FxHashMap<u32, usize>> = RefCell::default();
}

/// `op` is about to be compiled.
pub(crate) fn remember(op: &Op) {
    let address = core::ptr::from_ref(op) as usize;
    OPS.with_borrow_mut(|ops| ops.insert(address as u32, address));
}

/// Which of the helpers' addresses is meant.
type Address = fn(&Helpers) -> usize;

/// What helpers need to know of the processor that runs code.
struct Running {
    memory: Option<Memory>,
    processor: Option<(Shared, Pages)>,
}

struct Machinery {
    store: Store<Running>,
    linker: wasmi::Linker<Running>,
    memory: Memory,
    table: Table,
    free: Vec<u32>,
    enter: Option<TypedFunc<(u32, u32, i64), ()>>,
    /// For whom the code in a slot was made.
    owners: FxHashMap<u32, Shared>,
}

impl Machinery {
    fn new() -> Machinery {
        let engine = Engine::default();
        let mut store = Store::new(&engine, Running { memory: None, processor: None });
        let pages = Layout::BYTES.div_ceil(WASM_PAGE_BYTES) as u32;
        let memory = Memory::new(&mut store, MemoryType::new(pages, None)).expect("there is memory for it");
        store.data_mut().memory = Some(memory);
        let none = Ref::Func(Nullable::Null);
        let table = Table::new(&mut store, TableType::new(RefType::Func, 1, None), none).expect("a small table");
        let mut linker = wasmi::Linker::new(&engine);
        let x87: [(&str, Address); 4] = [
            ("x87", |helpers| helpers.x87),
            ("x87_sum", |helpers| helpers.x87_sum),
            ("x87_product", |helpers| helpers.x87_product),
            ("x87_double", |helpers| helpers.x87_double),
        ];
        for (name, helper) in x87 {
            let function =
                Func::wrap(&mut store, move |caller: Caller<'_, Running>, _: u32, a: u64, b: u64, rest: u64| {
                    run_x87(caller, [a, b, rest], helper)
                });
            linker.define(HOST, name, function).expect("a name of its own");
        }
        let named: [(&str, Extern); 7] = [
            ("memory", memory.into()),
            ("table", table.into()),
            ("interpret", Func::wrap(&mut store, interpret).into()),
            ("transfer", Func::wrap(&mut store, transfer).into()),
            ("divide_wide", Func::wrap(&mut store, divide_wide).into()),
            ("find_code", Func::wrap(&mut store, find_code).into()),
            ("select_view", Func::wrap(&mut store, select_view).into()),
        ];
        for (name, item) in named {
            linker.define(HOST, name, item).expect("a name of its own");
        }
        Machinery { store, linker, memory, table, free: Vec::new(), enter: None, owners: FxHashMap::default() }
    }

    fn instantiate(&mut self, module: &[u8]) -> wasmi::Instance {
        let module = Module::new(self.store.engine(), module).expect("our own modules are valid");
        self.linker.instantiate_and_start(&mut self.store, &module).expect("all that modules import is there")
    }

    fn run(&mut self, slot: u32, place: u32, left: i64) {
        let shared = self.owners[&slot];
        let pages = copy_in(&shared, self.memory.data_mut(&mut self.store));
        self.store.data_mut().processor = Some((shared, pages));
        let enter = self.enter.expect("modules are linked after the stubs");
        enter.call(&mut self.store, (slot, place, left)).expect("compiled code does not trap");
        let (shared, pages) = self.store.data_mut().processor.take().expect("helpers put it back");
        copy_out(&shared, self.memory.data(&self.store), &pages);
    }
}

unsafe extern "C" fn enter(slot: u32, place: u32, left: i64) {
    MACHINERY.with_borrow_mut(|machinery| machinery.run(slot, place, left));
}

fn interpret(caller: Caller<'_, Running>, _context: u32, op: u32, left: i64) -> u32 {
    run_operation(caller, op, left, |helpers| helpers.interpret)
}

fn transfer(caller: Caller<'_, Running>, _context: u32, op: u32, left: i64) -> u32 {
    run_operation(caller, op, left, |helpers| helpers.transfer)
}

fn run_operation(caller: Caller<'_, Running>, op: u32, left: i64, helper: Address) -> u32 {
    beside(caller, |shared| {
        let op = OPS.with_borrow(|ops| ops[&op]);
        // SAFETY: this is what the processor says the function's address and type are (`Helpers`).
        let helper: unsafe extern "C" fn(*mut Context, *const Op, i64) -> u32 =
            unsafe { core::mem::transmute(helper(&shared.helpers)) };
        // SAFETY: the context is of the processor that has entered the code at work, and the code owns the operation.
        unsafe { helper(shared.context as *mut Context, op as *const Op, left) }
    })
}

fn divide_wide(caller: Caller<'_, Running>, _: u32, high: u64, low: u64, divisor: u64, signed: u32) -> u32 {
    beside(caller, |shared| {
        // SAFETY: as in `run_operation`.
        let helper: unsafe extern "C" fn(*mut Context, u64, u64, u64, u32) -> u32 =
            unsafe { core::mem::transmute(shared.helpers.divide_wide) };
        // SAFETY: as in `run_operation`.
        unsafe { helper(shared.context as *mut Context, high, low, divisor, signed) }
    })
}

fn find_code(caller: Caller<'_, Running>, _: u32, rip: u64) -> u64 {
    beside(caller, |shared| {
        // SAFETY: as in `run_operation`.
        let helper: unsafe extern "C" fn(*mut Context, u64) -> u64 =
            unsafe { core::mem::transmute(shared.helpers.find_code) };
        // SAFETY: as in `run_operation`.
        unsafe { helper(shared.context as *mut Context, rip) }
    })
}

fn select_view(caller: Caller<'_, Running>, _: u32) {
    beside(caller, |shared| {
        // SAFETY: as in `run_operation`.
        let helper: unsafe extern "C" fn(*mut Context) = unsafe { core::mem::transmute(shared.helpers.select_view) };
        // SAFETY: as in `run_operation`.
        unsafe { helper(shared.context as *mut Context) }
    });
}

fn run_x87(caller: Caller<'_, Running>, [a, b, rest]: [u64; 3], helper: Address) -> u64 {
    beside(caller, |shared| {
        // SAFETY: as in `run_operation`.
        let helper: unsafe extern "C" fn(*mut Context, u64, u64, u64) -> u64 =
            unsafe { core::mem::transmute(helper(&shared.helpers)) };
        // SAFETY: as in `run_operation`.
        unsafe { helper(shared.context as *mut Context, a, b, rest) }
    })
}

/// Calls a helper of the processor that runs code, with everything where that has it.
fn beside<T>(mut caller: Caller<'_, Running>, helper: impl FnOnce(&Shared) -> T) -> T {
    let (shared, pages) = caller.data_mut().processor.take().expect("code runs for a processor");
    let memory = caller.data().memory.expect("made with it");
    copy_out(&shared, memory.data(&caller), &pages);
    let answer = helper(&shared);
    let pages = copy_in(&shared, memory.data_mut(&mut caller));
    caller.data_mut().processor = Some((shared, pages));
    answer
}

/// The linker of one translator.
#[derive(Default)]
pub(crate) struct HostLinker {
    /// The processor it compiles for.
    pub(crate) serves: Rc<Cell<Option<Shared>>>,
    pub(crate) aside: Option<Aside>,
}

impl Linker for HostLinker {
    fn link_stubs(&mut self, module: &[u8], _shared: &Shared) -> Enter {
        MACHINERY.with_borrow_mut(|machinery| {
            if machinery.enter.is_none() {
                let stubs = machinery.instantiate(module);
                for name in jit::STUBS {
                    let stub = stubs.get_export(&machinery.store, name).expect("the stubs have it");
                    machinery.linker.define(HOST, name, stub).expect("a name of its own");
                }
                machinery.enter = stubs.get_typed_func(&machinery.store, "enter").ok();
            }
        });
        enter
    }

    fn allocate(&mut self) -> u32 {
        MACHINERY.with_borrow_mut(|machinery| {
            let Machinery { store, table, free, .. } = machinery;
            if free.is_empty() {
                let first = table.grow(store, MORE_SLOTS, Ref::Func(Nullable::Null)).expect("tables have no limit");
                free.extend((first as u32..(first + MORE_SLOTS) as u32).rev());
            }
            let slot = free.pop().expect("there are more now");
            machinery.owners.extend(self.serves.get().map(|shared| (slot, shared)));
            slot
        })
    }

    fn link(&mut self, module: &[u8]) {
        MACHINERY.with_borrow_mut(|machinery| machinery.instantiate(module));
    }

    fn free(&mut self, slot: u32) {
        MACHINERY.with_borrow_mut(|Machinery { store, table, free, .. }| {
            table.set(store, u64::from(slot), Ref::Func(Nullable::Null)).expect("a slot of the table");
            free.push(slot);
        });
    }

    fn has_aside(&self) -> bool {
        self.aside.is_some()
    }

    fn send(&mut self, job: &Job) -> bool {
        self.aside.as_mut().is_some_and(|aside| aside.send(job))
    }

    fn receive(&mut self) -> Option<Answer> {
        let (answer, module) = self.aside.as_mut()?.receive()?;
        if !module.is_empty() {
            self.link(&module);
        }
        Some(answer)
    }

    fn now(&self) -> u64 {
        0
    }
}
