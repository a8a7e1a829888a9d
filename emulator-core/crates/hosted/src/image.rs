//! What of a processor compiled code looks at, in linear memory.

use core::mem::{offset_of, size_of};

use cpu::compiled::{Context, SegmentEnds, Shared, jump_layout};
use cpu::tlb_layout::{ENTRIES, Entry};
use cpu::{Msrs, Segment, State, X87};
use rustc_hash::FxHashMap;

/// Where copies are.
pub(crate) struct Layout;

const PAGE_BYTES: usize = 4096;
/// Tables of the TLB that compiled code uses: for reading, and for writing.
const TABLES: usize = 2;
const ENTRY_BYTES: usize = size_of::<Entry>();

impl Layout {
    pub(crate) const CONTEXT: usize = 0x100;
    pub(crate) const STATE: usize = 0x1000;
    pub(crate) const TLB: usize = 0x4000;
    pub(crate) const JUMPS: usize = 0x5_0000;
    const PAGES: usize = Self::JUMPS + jump_layout::ENTRIES * jump_layout::BYTES;
    /// All of linear memory: as many pages as the TLB can lead to.
    pub(crate) const BYTES: usize = Self::PAGES + TABLES * ENTRIES * PAGE_BYTES;
}

const _: () = assert!(Layout::CONTEXT + size_of::<Context>() <= Layout::STATE);
const _: () = assert!(Layout::STATE + size_of::<State>() <= Layout::TLB);
const _: () = assert!(Layout::TLB + TABLES * ENTRIES * ENTRY_BYTES <= Layout::JUMPS);

/// Fields of the state that are numbers without padding, as offset and length.
fn state_fields() -> Vec<(usize, usize)> {
    let segment_field = |number: usize, field: usize| offset_of!(State, segs) + number * size_of::<Segment>() + field;
    let segment = |number: usize| segment_field(number, offset_of!(Segment, base));
    let selector = |number: usize| segment_field(number, offset_of!(Segment, selector));
    let mut fields = vec![
        (offset_of!(State, regs), size_of::<cpu::RegisterFile>()),
        (offset_of!(State, rip), 8),
        (offset_of!(State, flag_result), 8),
        (offset_of!(State, flag_carries), 8),
        (offset_of!(State, system_flags), 8),
        (offset_of!(State, xmm), 256),
        (offset_of!(State, ymm_high), 256),
        (offset_of!(State, mxcsr), 4),
        (offset_of!(State, interrupt_shadow), 1),
        (offset_of!(State, msrs) + offset_of!(Msrs, kernel_gs_base), 8),
        (offset_of!(State, msrs) + offset_of!(Msrs, tsc_offset), 8),
    ];
    fields.extend((0..6).flat_map(|number| [(segment(number), 8), (selector(number), 2)]));
    let x87 = |field: usize| offset_of!(State, x87) + field;
    let words = [
        offset_of!(X87, control),
        offset_of!(X87, status),
        offset_of!(X87, tags),
        offset_of!(X87, opcode),
        offset_of!(X87, cs),
        offset_of!(X87, ds),
    ];
    fields.extend(words.map(|word| (x87(word), 2)));
    fields.extend([(x87(offset_of!(X87, ip)), 8), (x87(offset_of!(X87, dp)), 8)]);
    for register in 0..8 {
        let at = x87(offset_of!(X87, registers)) + register * size_of::<(u64, u16)>();
        fields.extend([(at + offset_of!((u64, u16), 0), 8), (at + offset_of!((u64, u16), 1), 2)]);
    }
    fields
}

/// The same of the context.
const CONTEXT_FIELDS: [(usize, usize); 9] = [
    (offset_of!(Context, answers), 16),
    (offset_of!(Context, left), 8),
    (offset_of!(Context, flag_kind), 8),
    (offset_of!(Context, tag), 8),
    (offset_of!(Context, disabled), 4),
    (offset_of!(Context, exit), 4),
    (offset_of!(Context, waiting), 4),
    (offset_of!(Context, time), 24),
    (offset_of!(Context, ends), size_of::<SegmentEnds>()),
];

/// Guest pages that are in linear memory: host address, by the place there.
#[derive(Default)]
pub(crate) struct Pages {
    places: FxHashMap<usize, usize>,
    writable: Vec<(usize, usize)>,
}

impl Pages {
    /// Where the page at `host` is, now if not before.
    fn place(&mut self, host: usize, memory: &mut [u8]) -> usize {
        let next = Layout::PAGES + self.places.len() * PAGE_BYTES;
        *self.places.entry(host).or_insert_with(|| {
            // SAFETY: a TLB entry leads to whole pages of guest memory, which stay where they are while code runs.
            let page = unsafe { core::slice::from_raw_parts(host as *const u8, PAGE_BYTES) };
            memory[next..next + PAGE_BYTES].copy_from_slice(page);
            next
        })
    }
}

/// Copies all of it into linear memory.
pub(crate) fn copy_in(shared: &Shared, memory: &mut [u8]) -> Pages {
    for (offset, length) in state_fields() {
        // SAFETY: `shared` tells where the processor that runs code keeps its state; nobody else uses it meanwhile.
        let field = unsafe { core::slice::from_raw_parts((shared.state + offset) as *const u8, length) };
        memory[Layout::STATE + offset..][..length].copy_from_slice(field);
    }
    for (offset, length) in CONTEXT_FIELDS {
        // SAFETY: as above.
        let field = unsafe { core::slice::from_raw_parts((shared.context + offset) as *const u8, length) };
        memory[Layout::CONTEXT + offset..][..length].copy_from_slice(field);
    }
    let tlb_field = Layout::CONTEXT + offset_of!(Context, tlb);
    memory[tlb_field..tlb_field + 4].copy_from_slice(&(Layout::TLB as u32).to_le_bytes());
    copy_tlb(shared, memory)
}

fn copy_tlb(shared: &Shared, memory: &mut [u8]) -> Pages {
    // SAFETY: as in `copy_in`.
    let tables = unsafe { (*(shared.context as *const Context)).tlb };
    // SAFETY: the context has the address of the TLB's tables in force, the first of which these are.
    let entries = unsafe { core::slice::from_raw_parts(tables as *const Entry, TABLES * ENTRIES) };
    let mut pages = Pages::default();
    for (number, entry) in entries.iter().enumerate() {
        let to = Layout::TLB + number * ENTRY_BYTES;
        let [before, mut addend] = entry.words();
        if let Some(page) = entry.at(number % ENTRIES) {
            let host = page.wrapping_add(addend) as usize;
            let place = pages.place(host, memory);
            addend = (place as u64).wrapping_sub(page);
            if number >= ENTRIES {
                pages.writable.push((host, place));
            }
        }
        memory[to..to + 8].copy_from_slice(&before.to_le_bytes());
        memory[to + 8..to + 16].copy_from_slice(&addend.to_le_bytes());
    }
    pages
}

/// Copies back what compiled code may have changed.
pub(crate) fn copy_out(shared: &Shared, memory: &[u8], pages: &Pages) {
    for (offset, length) in state_fields() {
        // SAFETY: as in `copy_in`: numbers, for which all bytes are valid.
        let field = unsafe { core::slice::from_raw_parts_mut((shared.state + offset) as *mut u8, length) };
        field.copy_from_slice(&memory[Layout::STATE + offset..][..length]);
    }
    for (offset, length) in CONTEXT_FIELDS {
        // SAFETY: as above.
        let field = unsafe { core::slice::from_raw_parts_mut((shared.context + offset) as *mut u8, length) };
        field.copy_from_slice(&memory[Layout::CONTEXT + offset..][..length]);
    }
    for &(host, place) in &pages.writable {
        // SAFETY: an entry for writing leads to a page of guest RAM.
        let page = unsafe { core::slice::from_raw_parts_mut(host as *mut u8, PAGE_BYTES) };
        page.copy_from_slice(&memory[place..place + PAGE_BYTES]);
    }
}
