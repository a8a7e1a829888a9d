//! Where a guest spends its time: its compiled regions, and what is in them.

use cpu::compiled::{Code, Part, RegionProfile};
use platform::{Backing, Bus as _, PAGE_BYTES, PhysAddr};
use serde::Serialize;
use x86::decode::decode_on;
use x86::{Disassembly, Width};

use crate::Machine;

/// A region that counts what it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HotRegion {
    /// What [`Machine::region`] knows it by.
    pub slot: u32,
    /// Linear address at which it began when it was compiled, in hexadecimal digits.
    pub address: String,
    /// Width of its code segment: 16, 32 or 64.
    pub bits: u32,
    /// Whether it runs in user mode.
    pub user: bool,
    /// Instructions retired in it.
    pub instructions: u64,
    /// Times it was entered, from another region too.
    pub entries: u64,
}

/// What is in a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// The guest's instructions, a line each, and an empty one between blocks.
    pub guest: Vec<String>,
    /// A WebAssembly module of this region alone, with names.
    pub module: Vec<u8>,
}

impl Machine {
    /// All regions that count, the hottest first. Those do that a translator compiles for a profile.
    #[must_use]
    pub fn profile(&self) -> Vec<HotRegion> {
        let mut regions: Vec<HotRegion> = self.cpu.profile().into_iter().map(hot_region).collect();
        regions.sort_by_key(|region| core::cmp::Reverse(region.instructions));
        regions
    }

    /// What is in a region; none where it is there no more, or does not count.
    #[must_use]
    pub fn region(&mut self, slot: u32) -> Option<Listing> {
        let (profile, parts, module) = self.cpu.region(Code(slot))?;
        let (parts, module) = (parts.to_vec(), module.to_vec());
        let mut blocks: Vec<Vec<String>> = Vec::new();
        let mut parts = parts.into_iter().peekable();
        while let Some(Part { linear, phys, bytes }) = parts.next() {
            let mut code = self.code(phys, bytes);
            // The last instruction may go on in the next page.
            let rest =
                parts.next_if(|next| next.linear % PAGE_BYTES == 0 && next.linear == linear.wrapping_add(bytes.into()));
            code.extend(rest.map(|rest| self.code(rest.phys, rest.bytes)).unwrap_or_default());
            blocks.push(self.disassemble(&code, linear, profile.mode.code));
        }
        Some(Listing { guest: blocks.join(&String::new()), module })
    }

    /// Bytes at a physical address, within a page; none where it is no memory.
    fn code(&mut self, phys: u64, bytes: u16) -> Vec<u8> {
        let (Backing::Ram(page) | Backing::Rom(page)) = self.board.backing(PhysAddr(phys)) else { return Vec::new() };
        let at = PhysAddr(page as u64 & !(PAGE_BYTES - 1) | phys & (PAGE_BYTES - 1));
        self.board.memory().get(at, usize::from(bytes)).map(<[u8]>::to_vec).unwrap_or_default()
    }

    fn disassemble(&self, mut bytes: &[u8], mut rip: u64, code: Width) -> Vec<String> {
        let mut lines = Vec::new();
        while let Ok(inst) = decode_on(self.cpu.model().features(), bytes, code) {
            lines.push(format!("{rip:x}  {}", Disassembly { inst: &inst, rip }));
            bytes = &bytes[usize::from(inst.len)..];
            rip = rip.wrapping_add(u64::from(inst.len));
        }
        lines
    }
}

fn hot_region(RegionProfile { code, linear, mode, counts }: RegionProfile) -> HotRegion {
    HotRegion {
        slot: code.0,
        address: format!("{linear:x}"),
        bits: mode.code.bits(),
        user: mode.user,
        instructions: counts.instructions,
        entries: counts.entries,
    }
}
