//! A walk of the page tables as the manual's chapter 4 tells it, to compare with.

use cpu::control as c;

pub(super) const PRESENT: u64 = 1;
pub(super) const WRITABLE: u64 = 2;
pub(super) const USER: u64 = 4;
const ACCESSED: u8 = 0x20;
const DIRTY: u8 = 0x40;
const LARGE: u64 = 0x80;
const NO_EXECUTE: u64 = 1 << 63;
/// Width of a physical address, as CPUID reports it.
const PHYSICAL_BITS: u32 = 39;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Paging {
    Legacy,
    Pae,
    Long,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Read,
    Write,
    Fetch,
}

/// One access under one configuration.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) paging: Paging,
    pub(super) kind: Kind,
    pub(super) user: bool,
    pub(super) linear: u64,
    pub(super) cr0: u64,
    pub(super) cr4: u64,
    pub(super) no_execute: bool,
    pub(super) access_flag: bool,
    /// Physical address of the top-level table; PAE paging has `pointers` instead.
    pub(super) root: u64,
    pub(super) pointers: [u64; 4],
}

/// The fetch bit of error codes is in use (Intel SDM vol. 3, 4.7).
pub(super) fn tells_fetch(case: &Case) -> bool {
    case.cr4 & c::CR4_SMEP != 0 || case.cr4 & c::CR4_PAE != 0 && case.no_execute
}

/// Intel SDM vol. 3, 4.3 to 4.8: the physical address, with the entries that lead there marked, or the error code.
pub(super) fn walk(memory: &mut [u8], case: &Case) -> Result<u64, u64> {
    let mut used = Vec::new();
    let phys = translate(memory, case, &mut used)?;
    let leaf = used.last().copied();
    for at in used {
        if let Some(byte) = memory.get_mut(at as usize) {
            let dirty = case.kind == Kind::Write && Some(at) == leaf;
            *byte |= if dirty { ACCESSED | DIRTY } else { ACCESSED };
        }
    }
    Ok(phys)
}

/// As [`walk`], noting where the entries lie.
fn translate(memory: &[u8], case: &Case, used: &mut Vec<u64>) -> Result<u64, u64> {
    let read = |at: u64, bytes: usize| {
        let mut word = [0; 8];
        if let Some(found) = memory.get(at as usize..at as usize + bytes) {
            word[..bytes].copy_from_slice(found);
        }
        u64::from_le_bytes(word)
    };
    let base = (u64::from(case.kind == Kind::Write) << 1)
        | u64::from(case.user) << 2
        | u64::from(case.kind == Kind::Fetch && tells_fetch(case)) << 4;
    let (mut table, levels): (u64, &[u32]) = match case.paging {
        Paging::Legacy => (case.root, &[22, 12]),
        Paging::Long => (case.root, &[39, 30, 21, 12]),
        Paging::Pae => {
            let pointer = case.pointers[(case.linear >> 30) as usize];
            if pointer & PRESENT == 0 {
                return Err(base);
            }
            (pointer & 0x7f_ffff_f000, &[21, 12])
        }
    };
    let mut rights = WRITABLE | USER;
    let mut execute = true;
    for &shift in levels {
        let (bits, size) = if case.paging == Paging::Legacy { (10, 4) } else { (9, 8) };
        let at = table + (case.linear >> shift & ((1 << bits) - 1)) * size;
        let entry = read(at, size as usize);
        used.push(at);
        if entry & PRESENT == 0 {
            return Err(base);
        }
        let large = entry & LARGE != 0 && (shift == 21 || shift == 22 && case.cr4 & c::CR4_PSE != 0);
        if reserved(case, shift, large, entry) {
            return Err(base | 9);
        }
        rights &= entry;
        execute &= case.paging == Paging::Legacy || entry & NO_EXECUTE == 0;
        if large || shift == 12 {
            permitted(case, rights, execute).then_some(()).ok_or(base | 1)?;
            let offset = (1u64 << shift) - 1;
            let mut frame = entry & 0x7f_ffff_f000;
            if case.paging == Paging::Legacy {
                frame = entry & 0xffff_f000;
                if large {
                    frame |= (entry >> 13 & 0xff) << 32;
                }
            }
            return Ok(frame & !offset | case.linear & offset);
        }
        table = if case.paging == Paging::Legacy { entry & 0xffff_f000 } else { entry & 0x7f_ffff_f000 };
    }
    unreachable!("the last level maps a page")
}

/// Tables 4-4 to 4-6, 4-8 to 4-11 and 4-14 to 4-20.
fn reserved(case: &Case, shift: u32, large: bool, entry: u64) -> bool {
    let above = (1u64 << 52) - (1 << PHYSICAL_BITS);
    match case.paging {
        Paging::Legacy => large && (entry >> 21 & 1 != 0 || entry >> 20 & 1 != 0),
        _ => {
            let high = if case.paging == Paging::Pae { 0x7ff << 52 } else { 0 };
            let no_execute = if case.no_execute { 0 } else { NO_EXECUTE };
            let size = if shift >= 30 { LARGE } else { 0 };
            let low = if large { 0x1f_e000 } else { 0 };
            entry & (above | high | no_execute | size | low) != 0
        }
    }
}

/// Intel SDM vol. 3, 4.6.1.
fn permitted(case: &Case, rights: u64, execute: bool) -> bool {
    let (writable, user_page) = (rights & WRITABLE != 0, rights & USER != 0);
    let smap = case.cr4 & c::CR4_SMAP != 0 && !case.access_flag;
    let (smep, protect) = (case.cr4 & c::CR4_SMEP != 0, case.cr0 & c::CR0_WP != 0);
    match (case.user, case.kind) {
        (true, Kind::Read) => user_page,
        (true, Kind::Write) => user_page && writable,
        (true, Kind::Fetch) => user_page && execute,
        (false, Kind::Read) => !(user_page && smap),
        (false, Kind::Write) => !(user_page && smap) && (writable || !protect),
        (false, Kind::Fetch) => execute && !(user_page && smep),
    }
}
