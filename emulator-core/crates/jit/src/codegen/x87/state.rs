//! The x87 in locals: loaded where a region begins and behind helpers, stored where it ends and before them.

use cpu::compiled::x87::C1;
use wasm_encoder::BlockType;
use x86::seg;

use crate::codegen::{Codegen, ENTERED, ENTRY, PLACE, X87_START};
use crate::ir::{
    Cell, Value, X87_BASE, X87_DEPTH, X87_EXPONENTS, X87_LAST, X87_LAST_OPCODE, X87_LAST_SHIFT, X87_LOST,
    X87_NOT_NORMAL, X87_POINTER, X87_SEGMENT, X87_SIGN, X87_SIGNIFICANDS, X87_SIGNS, X87_STATUS, X87_STATUS_BITS,
    X87_TAGS, X87_UP,
};
use crate::layout::{self, segment_bytes, selector_offset};
use crate::module::at;
use crate::structure::Structure;

const NOT_NORMAL_SHIFT: i64 = X87_NOT_NORMAL.trailing_zeros() as i64;
const C1_SHIFT: i64 = C1.trailing_zeros() as i64;
const PRECISION_SHIFT: i64 = 5;
const REGISTER_SHIFT: i64 = layout::X87_REGISTER_BYTES.trailing_zeros() as i64;

/// A cell with the value before a helper, and the value it gets by it.
type Loaded = (Cell, Value, Value);

impl Codegen<'_> {
    /// Loads the unit where the region begins. What it knows of the last instruction, memory tells at first: there zero stands for that.
    pub(in crate::codegen) fn enter_x87(&mut self, structure: &Structure) {
        self.sink().local_get(PLACE).local_set(X87_START);
        let depths = &self.source.depths;
        let first = depths[structure.entries[0]];
        self.sink().i64_const(i64::from(first));
        for (number, &entry) in structure.entries.iter().enumerate() {
            let depth = self.source.depths[entry];
            if depth != first {
                self.sink().local_set(X87_START + 1).i64_const(i64::from(depth)).local_get(X87_START + 1);
                self.sink().local_get(ENTERED).i32_const(number as i32).i32_eq().select();
            }
        }
        self.load_x87(|codegen, cell| Some(codegen.local_of(cell)));
    }

    /// Loads those values that a helper has made and somebody wants.
    pub(in crate::codegen) fn load_x87_after(&mut self, depth: u64, wanted: &[&Loaded]) {
        self.sink().i64_const(depth as i64);
        self.load_x87(|codegen, cell| {
            let &&(_, _, value) = wanted.iter().find(|&&&(other, ..)| other == cell)?;
            codegen.locals[value.index()]
        });
    }

    /// Loads the unit, where the stack has moved as the top of the stack says. `into` gives the locals, and always one for [`X87_BASE`].
    fn load_x87(&mut self, into: impl Fn(&Self, Cell) -> Option<u32>) {
        let state = self.source.shared.state as u64;
        let base = into(self, X87_BASE).expect("who leaves behind a helper stores by it");
        let [shift, mask] = [layout::X87_TOP_SHIFT, layout::X87_TOP_MASK].map(|part| part as i64);
        let mut sink = self.sink();
        sink.local_set(base);
        sink.i32_const(0).i64_load16_u(at(state + layout::X87_STATUS)).i64_const(shift).i64_shr_u();
        sink.local_get(base).i64_sub().i64_const(mask).i64_and().local_set(base);
        if let Some(local) = into(self, X87_STATUS) {
            let mut sink = self.sink();
            sink.i32_const(0).i64_load16_u(at(state + layout::X87_STATUS));
            sink.i64_const(X87_STATUS_BITS as i64).i64_and().local_set(local);
        }
        if let Some(local) = into(self, X87_UP) {
            let mut sink = self.sink();
            sink.i32_const(0).i64_load16_u(at(state + layout::X87_STATUS));
            sink.i64_const(C1_SHIFT).i64_shr_u().local_set(local);
        }
        if let Some(local) = into(self, X87_TAGS) {
            let mut sink = self.sink();
            sink.i32_const(0).i64_load16_u(at(state + layout::X87_TAGS)).i64_const(0x1_0001).i64_mul();
            sink.local_get(base).i64_const(1).i64_shl().i64_shr_u().i64_const(0xffff).i64_and().local_set(local);
        }
        for register in self.x87_registers() {
            self.x87_register(base, register);
            let (significand, exponent) = (state + layout::X87_SIGNIFICAND, state + layout::X87_SIGN_EXPONENT);
            if let Some(local) = into(self, X87_SIGNIFICANDS + register) {
                self.sink().local_get(ENTRY).i64_load(at(significand)).local_set(local);
            }
            if let Some(local) = into(self, X87_EXPONENTS + register) {
                let mut sink = self.sink();
                sink.local_get(ENTRY).i64_load16_u(at(exponent)).i64_const(X87_SIGN as i64 - 1).i64_and();
                sink.local_tee(local).local_get(local).local_get(ENTRY).i64_load(at(significand)).i64_or();
                sink.i64_const(0).i64_gt_s().i64_extend_i32_u();
                sink.i64_const(NOT_NORMAL_SHIFT).i64_shl().i64_or().local_set(local);
            }
            if let Some(local) = into(self, X87_SIGNS + register) {
                let mut sink = self.sink();
                sink.local_get(ENTRY).i64_load16_u(at(exponent));
                sink.i64_const(X87_SIGN as i64).i64_and().local_set(local);
            }
        }
    }

    /// Stores the unit, as the values are that are `held`, or else as the cells are.
    pub(in crate::codegen) fn store_x87(&mut self, held: Option<&[(Cell, Value)]>) {
        let state = self.source.shared.state as u64;
        self.sink().i32_const(0);
        self.x87_cell(X87_STATUS, held);
        self.x87_cell(X87_LOST, held);
        self.sink().i64_const(0).i64_ne().i64_extend_i32_u().i64_const(PRECISION_SHIFT).i64_shl().i64_or();
        self.x87_cell(X87_UP, held);
        self.sink().i64_const(1).i64_and().i64_const(C1_SHIFT).i64_shl().i64_or();
        self.x87_cell(X87_BASE, held);
        self.x87_cell(X87_DEPTH, held);
        let [shift, mask] = [layout::X87_TOP_SHIFT, layout::X87_TOP_MASK].map(|part| part as i64);
        let mut sink = self.sink();
        sink.i64_add().i64_const(mask).i64_and().i64_const(shift).i64_shl().i64_or();
        sink.i64_store16(at(state + layout::X87_STATUS)).i32_const(0);
        self.x87_cell(X87_TAGS, held);
        self.sink().i64_const(0x1_0001).i64_mul();
        self.x87_cell(X87_BASE, held);
        self.sink().i64_const(1).i64_shl().i64_shl().i64_const(16).i64_shr_u();
        self.sink().i64_store16(at(state + layout::X87_TAGS));
        for register in self.x87_registers() {
            self.x87_cell(X87_BASE, held);
            self.x87_place(register);
            self.sink().local_get(ENTRY);
            self.x87_cell(X87_SIGNIFICANDS + register, held);
            self.sink().i64_store(at(state + layout::X87_SIGNIFICAND)).local_get(ENTRY);
            self.x87_cell(X87_EXPONENTS + register, held);
            self.x87_cell(X87_SIGNS + register, held);
            self.sink().i64_or().i64_store16(at(state + layout::X87_SIGN_EXPONENT));
        }
        self.store_last(held);
    }

    /// Stores where the last instruction and its operand are, if one has run.
    fn store_last(&mut self, held: Option<&[(Cell, Value)]>) {
        let state = self.source.shared.state as u64;
        let selector = |segment: u8| at(state + selector_offset(segment));
        self.x87_cell(X87_LAST, held);
        self.sink().i64_eqz().i32_eqz();
        self.open_if(BlockType::Empty);
        self.sink().i32_const(0).local_get(X87_START);
        self.x87_cell(X87_LAST, held);
        self.sink().i64_const(i64::from(X87_LAST_SHIFT)).i64_shr_s().i64_add();
        self.cut_address();
        self.sink().i64_store(at(state + layout::X87_IP)).i32_const(0);
        self.x87_cell(X87_LAST, held);
        self.sink().i64_const(X87_LAST_OPCODE as i64).i64_and().i64_store16(at(state + layout::X87_OPCODE));
        self.sink().i32_const(0).i32_const(0).i64_load16_u(selector(seg::CS)).i64_store16(at(state + layout::X87_CS));
        self.close();
        self.x87_cell(X87_SEGMENT, held);
        self.sink().i64_eqz().i32_eqz();
        self.open_if(BlockType::Empty);
        self.sink().i32_const(0);
        self.x87_cell(X87_POINTER, held);
        self.sink().i64_store(at(state + layout::X87_DP)).i32_const(0);
        // One that has no segment has a selector of 0.
        self.x87_cell(X87_SEGMENT, held);
        self.sink().i64_const(1).i64_sub().i64_const(segment_bytes() as i64).i64_mul().i32_wrap_i64();
        self.sink().i64_load16_u(selector(0)).i64_const(0);
        self.x87_cell(X87_SEGMENT, held);
        self.sink().i64_const(8).i64_lt_u().select().i64_store16(at(state + layout::X87_DS));
        self.close();
    }

    /// Pushes a cell, or the value that is held for it.
    fn x87_cell(&mut self, cell: Cell, held: Option<&[(Cell, Value)]>) {
        match held.and_then(|held| held.iter().find(|&&(other, _)| other == cell)) {
            Some(&(_, value)) => self.value(value),
            None => {
                let local = self.local_of(cell);
                self.sink().local_get(local);
            }
        }
    }

    /// The registers that the region names.
    fn x87_registers(&self) -> impl Iterator<Item = usize> + use<> {
        let named = self.source.units.x87;
        (0..8).filter(move |register| named >> register & 1 != 0)
    }

    /// Leaves in [`ENTRY`] how far a register lies behind the first, with the one counted from in a local.
    fn x87_register(&mut self, base: u32, register: usize) {
        self.sink().local_get(base);
        self.x87_place(register);
    }

    /// The same, with that one on the stack.
    fn x87_place(&mut self, register: usize) {
        let mut sink = self.sink();
        sink.i64_const(register as i64).i64_add().i64_const(layout::X87_TOP_MASK as i64).i64_and();
        sink.i64_const(REGISTER_SHIFT).i64_shl().i32_wrap_i64().local_set(ENTRY);
    }

    /// Notes how far the stack has moved where the region is left.
    pub(in crate::codegen) fn set_x87_depth(&mut self, depth: u8) {
        if self.source.units.x87 != 0 {
            let local = self.local_of(X87_DEPTH);
            self.sink().i64_const(i64::from(depth)).local_set(local);
        }
    }
}
