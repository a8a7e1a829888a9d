//! Regions for a translator aside: another instance of this program, with a memory and a thread of its own.
//!
//! A job is values of plain types one after the other, as they lie in memory. They mean the same to whoever reads them, which is the same program.

use core::mem::{MaybeUninit, size_of};

use cpu::Mode;
use cpu::compiled::{Region, RegionBlock, Shared, Sharing};
use x86::Op;

use crate::module::{RegionCode, region_module};
use crate::{Compiled, compile};

/// A type of which a copy of the bytes is as good as the value, in another memory too.
///
/// # Safety
/// It owns nothing and refers to nothing.
unsafe trait Plain {}

/// What a job begins with.
struct Head {
    shared: Shared,
    regions: usize,
}

/// Before the blocks of a region.
struct RegionHead {
    slot: u32,
    mode: Mode,
    sharing: Sharing,
    usual_x87: bool,
    blocks: usize,
}

/// Before a block's operations and targets.
struct BlockHead {
    start: i64,
    home: usize,
    ops: usize,
    next: Option<usize>,
    targets: usize,
    called: bool,
    entered: bool,
}

// SAFETY: numbers; the addresses among them are those of the memory that compiled code runs in, and nobody follows them here.
unsafe impl Plain for Head {}
// SAFETY: numbers and enumerations.
unsafe impl Plain for RegionHead {}
// SAFETY: as above.
unsafe impl Plain for BlockHead {}
// SAFETY: as above; its cell is a number.
unsafe impl Plain for Op {}
// SAFETY: a number.
unsafe impl Plain for usize {}

/// A job's bytes. Those between a value's fields are nothing in particular.
pub type Job = Vec<MaybeUninit<u8>>;

/// A job to compile `regions` for where `shared` says, each for a slot of the function table.
#[must_use]
pub fn job(shared: &Shared, regions: &[(u32, Region)]) -> Job {
    let mut job = Job::new();
    put(&mut job, &Head { shared: *shared, regions: regions.len() });
    for &(slot, Region { mode, sharing, usual_x87, ref blocks }) in regions {
        put(&mut job, &RegionHead { slot, mode, sharing, usual_x87, blocks: blocks.len() });
        for block in blocks {
            let &RegionBlock { start, home, next, called, entered, .. } = block;
            let (ops, targets) = (block.ops.len(), block.targets.len());
            put(&mut job, &BlockHead { start, home, ops, next, targets, called, entered });
            block.ops.iter().for_each(|op| put(&mut job, op));
            block.targets.iter().for_each(|target| put(&mut job, target));
        }
    }
    job
}

fn put<T: Plain>(job: &mut Job, value: &T) {
    let bytes = core::ptr::from_ref(value).cast::<MaybeUninit<u8>>();
    // SAFETY: a value's bytes, in whatever state they are.
    job.extend_from_slice(unsafe { core::slice::from_raw_parts(bytes, size_of::<T>()) });
}

/// What has become of a job.
pub struct Work {
    /// [`region_module`] of the regions that could be compiled, or nothing.
    pub module: Vec<u8>,
    /// The slots it fills.
    pub slots: Vec<u32>,
    /// For each region [`crate::Compiled::entries`] and [`crate::Compiled::homes`], each behind their number; no entries where it could not be compiled.
    pub places: Vec<u32>,
}

/// Does a job.
///
/// # Safety
/// `job` is a copy of what [`job`] of this very program gave.
#[must_use]
pub unsafe fn work(job: &[MaybeUninit<u8>]) -> Work {
    let mut reader = Reader { job };
    // SAFETY: `job` has written these values in this order.
    let (shared, regions) = unsafe { reader.regions() };
    let compiled: Vec<_> = regions.iter().map(|(slot, region)| (*slot, compile(region, &shared, None))).collect();
    let codes: Vec<_> = compiled
        .iter()
        .filter_map(|(slot, compiled)| Some(RegionCode { slot: *slot, compiled: compiled.as_ref()? }))
        .collect();
    let module = if codes.is_empty() { Vec::new() } else { region_module(&codes) };
    let slots = codes.iter().map(|code| code.slot).collect();
    let mut places = Vec::new();
    for (_, compiled) in &compiled {
        let of = |list: fn(&Compiled) -> &[usize]| compiled.as_ref().map_or(&[][..], list);
        for list in [of(|compiled| &compiled.entries), of(|compiled| &compiled.homes)] {
            places.push(list.len() as u32);
            places.extend(list.iter().map(|&place| place as u32));
        }
    }
    Work { module, slots, places }
}

struct Reader<'a> {
    job: &'a [MaybeUninit<u8>],
}

impl Reader<'_> {
    /// # Safety
    /// What follows is what [`job`] writes.
    unsafe fn regions(&mut self) -> (Shared, Vec<(u32, Region)>) {
        // SAFETY: as for this function, value by value.
        unsafe {
            let head: Head = self.take();
            let region = |_| {
                let RegionHead { slot, mode, sharing, usual_x87, blocks } = self.take();
                (slot, Region { mode, blocks: (0..blocks).map(|_| self.block()).collect(), sharing, usual_x87 })
            };
            (head.shared, (0..head.regions).map(region).collect())
        }
    }

    /// # Safety
    /// What follows is a block.
    unsafe fn block(&mut self) -> RegionBlock {
        // SAFETY: as for this function, value by value.
        unsafe {
            let BlockHead { start, home, ops, next, targets, called, entered } = self.take();
            let ops = (0..ops).map(|_| self.take()).collect();
            let targets = (0..targets).map(|_| self.take()).collect();
            RegionBlock { start, ops, home, next, targets, called, entered }
        }
    }

    /// # Safety
    /// What follows is a value of this type.
    unsafe fn take<T: Plain>(&mut self) -> T {
        let (value, rest) = self.job.split_at(size_of::<T>());
        self.job = rest;
        // SAFETY: there are so many bytes, and they are a copy of a value that its bytes are as good as.
        unsafe { value.as_ptr().cast::<T>().read_unaligned() }
    }
}
