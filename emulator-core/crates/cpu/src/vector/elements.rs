//! Vectors in memory element by element: masked moves and gathers. They never raise #AC (SDM vol. 2, 2.4.6 and 2.4.11).

use x86::instructions::simd::{GatherOp, VectorEngine};
use x86::{Engine, Exception, Op, Vex, Width};

use crate::exec::Exec;
use crate::tlb::Use;

/// Where element `n` lies: in which half, and how far up.
fn place(w: Width, n: u32) -> (usize, u32) {
    let bit = n * w.bits();
    ((bit / 128) as usize, bit % 128)
}

fn element(w: Width, value: [u128; 2], n: u32) -> u64 {
    let (half, shift) = place(w, n);
    w.truncate((value[half] >> shift) as u64)
}

fn with_element(w: Width, mut value: [u128; 2], n: u32, new: u64) -> [u128; 2] {
    let (half, shift) = place(w, n);
    value[half] = value[half] & !(u128::from(w.mask()) << shift) | u128::from(new) << shift;
    value
}

fn is_chosen(w: Width, mask: [u128; 2], n: u32) -> bool {
    element(w, mask, n) & w.sign() != 0
}

/// Numbers of the elements `mask` chooses.
fn chosen(w: Width, mask: [u128; 2]) -> impl Iterator<Item = u32> {
    (0..256 / w.bits()).filter(move |&n| is_chosen(w, mask, n))
}

impl Exec<'_> {
    pub(super) fn load_chosen(&mut self, op: &Op, w: Width, mask: [u128; 2]) -> Result<[u128; 2], Exception> {
        self.check_elements_canonical(op, w, mask)?;
        let mut value = [0; 2];
        for n in chosen(w, mask) {
            let linear = self.element_linear(op, w, n, false)?;
            let new = self.load_linear(w, linear, op.fault_segment())?;
            value = with_element(w, value, n, new);
        }
        Ok(value)
    }

    pub(super) fn store_chosen(
        &mut self,
        op: &Op,
        w: Width,
        mask: [u128; 2],
        value: [u128; 2],
    ) -> Result<(), Exception> {
        self.check_elements_canonical(op, w, mask)?;
        self.check_elements(op, w, mask)?;
        for n in chosen(w, mask) {
            let linear = self.element_linear(op, w, n, true)?;
            self.store_linear(w, linear, op.fault_segment(), element(w, value, n))?;
        }
        Ok(())
    }

    /// All elements chosen have canonical addresses, which is looked at before any is accessed.
    fn check_elements_canonical(&mut self, op: &Op, w: Width, mask: [u128; 2]) -> Result<(), Exception> {
        for n in chosen(w, mask) {
            let linear = self.element_linear(op, w, n, false)?;
            self.check_canonical(linear, w.bytes(), op.fault_segment())?;
        }
        Ok(())
    }

    /// Makes sure that the elements chosen can be written. They lie in two pages at most: the first byte and the last one tell.
    fn check_elements(&mut self, op: &Op, w: Width, mask: [u128; 2]) -> Result<(), Exception> {
        let mut ends = None;
        for n in chosen(w, mask) {
            let linear = self.element_linear(op, w, n, true)?;
            let (first, _) = ends.unwrap_or((linear, linear));
            ends = Some((first, self.wrap(linear.wrapping_add(w.bytes() - 1))));
        }
        let Some((first, last)) = ends else { return Ok(()) };
        self.check_range(Use::Write, first, 1, op.fault_segment())?;
        self.check_range(Use::Write, last, 1, op.fault_segment())
    }

    /// Where element `n` of the memory operand lies; its address size cuts the first one's offset only.
    fn element_linear(&mut self, op: &Op, w: Width, n: u32, write: bool) -> Result<u64, Exception> {
        let offset = self.effective_address(op).wrapping_add(u64::from(n) * w.bytes());
        let linear = self.linear_unaligned(op, offset, w.bytes(), write)?;
        Ok(self.wrap(linear))
    }

    /// Each element loaded is in the destination and off the mask before the next one may fault (SDM vol. 2, VGATHERDPS).
    pub(super) fn gather_elements(&mut self, op: &Op, kind: GatherOp) -> Result<(), Exception> {
        let (w, index_width) = (kind.element(), kind.index());
        let vector_bits = if op.vex == Vex::L256 { 256 } else { 128 };
        let count = vector_bits / w.bits().max(index_width.bits());
        let index = self.both_halves(op.src);
        let mut mask = self.both_halves(op.aux);
        // What is chosen shows by the whole element.
        for n in 0..vector_bits / w.bits() {
            let all = if is_chosen(w, mask, n) { w.mask() } else { 0 };
            mask = with_element(w, mask, n, all);
        }
        if op.vex == Vex::L128 {
            mask[1] = 0;
        }
        self.set_both_halves(op.aux, mask);
        for n in chosen(w, mask).filter(|&n| n < count) {
            let offset = index_width.sign_extend(element(index_width, index, n)) << op.scale;
            let offset = op.address.truncate(self.effective_address(op).wrapping_add(offset));
            let linear = self.linear_unaligned(op, offset, w.bytes(), false)?;
            let new = self.load_linear(w, linear, op.fault_segment())?;
            let mut value = with_element(w, self.both_halves(op.dst), n, new);
            if op.vex == Vex::L128 {
                value[1] = 0;
            }
            self.set_both_halves(op.dst, value);
            mask = with_element(w, mask, n, 0);
            self.set_both_halves(op.aux, mask);
        }
        self.set_both_halves(op.aux, [0; 2]);
        let gathered = count * w.bits();
        let kept = self.xmm(op.dst) & u128::MAX >> (128 - gathered.min(128));
        self.set_xmm(op.dst, kept);
        if gathered <= 128 {
            self.set_ymm_high(op.dst, 0);
        }
        Ok(())
    }

    fn both_halves(&mut self, register: u8) -> [u128; 2] {
        [self.xmm(register), self.ymm_high(register)]
    }

    fn set_both_halves(&mut self, register: u8, [low, high]: [u128; 2]) {
        self.set_xmm(register, low);
        self.set_ymm_high(register, high);
    }
}
