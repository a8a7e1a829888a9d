//! XSAVE and its family: x87, SSE and AVX state by component (Intel SDM vol. 1, chapter 13).
//!
//! The first 512 bytes of an area are those of FXSAVE, then comes the header, then the upper halves of the YMM registers: in
//! the standard form and, because they are the only component there, in the compacted one too.

use x86::instructions::system::Sys;
use x86::{Engine, Exception, Feature, FeatureSet, Op, Width};

use super::fxsave::{self, MXCSR_MASK};
use crate::exec::Exec;
use crate::state::control::{CR0_TS, CR4_OSXSAVE};
use crate::state::{MXCSR_RESET, State, X87};

/// Components, as bits of XCR0 (13.1).
pub(crate) const XCR0_X87: u64 = 1 << 0;
pub(crate) const XCR0_SSE: u64 = 1 << 1;
pub(crate) const XCR0_AVX: u64 = 1 << 2;

/// What of the FXSAVE part belongs to which component (13.4.1); the rest is software's, or reserved.
const X87_WORDS: core::ops::Range<usize> = 0..24;
const MXCSR: core::ops::Range<usize> = 24..32;
const X87_REGISTERS: core::ops::Range<usize> = 32..160;
const XMM: usize = 160;
const HEADER: usize = 512;
const YMM_HIGH: usize = 576;
const REGISTER_BYTES: usize = 16;
/// Size of an area with everything.
pub(crate) const AREA_BYTES: usize = YMM_HIGH + 16 * REGISTER_BYTES;
/// XCOMP_BV: the area is compacted.
const COMPACTED: u64 = 1 << 63;
const ALIGNMENT: u64 = 64;

/// The components a processor with `features` has.
pub(crate) fn components(features: FeatureSet) -> u64 {
    XCR0_X87 | XCR0_SSE | if features.contains(Feature::Avx) { XCR0_AVX } else { 0 }
}

/// Whether XCR0 may have this value: x87 state always, AVX state with SSE state (13.3).
pub(crate) fn xcr0_is_possible(value: u64, features: FeatureSet) -> bool {
    value & !components(features) == 0 && value & XCR0_X87 != 0 && value & (XCR0_SSE | XCR0_AVX) != XCR0_AVX
}

/// Bytes of an area with these components.
pub(crate) fn area_bytes(components: u64) -> usize {
    if components & XCR0_AVX != 0 { AREA_BYTES } else { YMM_HIGH }
}

impl State {
    /// The components that are not in their initial configuration (13.6). MXCSR is in none of them.
    fn in_use(&self) -> u64 {
        let mut initial = X87::default();
        initial.initialise();
        let used = |component: u64, used: bool| if used { component } else { 0 };
        used(XCR0_X87, self.x87 != initial)
            | used(XCR0_SSE, self.xmm != [0; 16])
            | used(XCR0_AVX, self.ymm_high != [0; 16])
    }
}

/// The header of an area: XSTATE_BV, XCOMP_BV, and whether what is behind them is clear where it has to be.
struct Header {
    state: u64,
    compaction: u64,
    rest_clear: bool,
}

impl Exec<'_> {
    pub(crate) fn xgetbv(&mut self) -> Result<(), Exception> {
        self.check_xsave_enabled()?;
        let state = &self.cpu.state;
        let value = match state.regs.get(1) as u32 {
            0 => state.xcr0,
            1 if self.cpu.features.contains(Feature::Xgetbv1) => state.xcr0 & state.in_use(),
            _ => return Err(Exception::GeneralProtection(0)),
        };
        self.set_pair(value);
        Ok(())
    }

    pub(crate) fn xsetbv(&mut self) -> Result<(), Exception> {
        self.check_xsave_enabled()?;
        self.require_privilege(0)?;
        let value = self.pair();
        let names_xcr0 = self.cpu.state.regs.get(1) as u32 == 0;
        if !names_xcr0 || !xcr0_is_possible(value, self.cpu.features) {
            return Err(Exception::GeneralProtection(0));
        }
        self.cpu.state.xcr0 = value;
        Ok(())
    }

    fn check_xsave_enabled(&self) -> Result<(), Exception> {
        if self.cpu.state.cr4 & CR4_OSXSAVE == 0 { Err(Exception::InvalidOpcode) } else { Ok(()) }
    }

    /// EDX:EAX.
    fn pair(&self) -> u64 {
        let regs = &self.cpu.state.regs;
        regs.get(0) & 0xffff_ffff | regs.get(2) << 32
    }

    /// Everything that may keep the family from running; gives the components asked for, and where the area begins.
    fn requested_components(&mut self, op: &Op, sys: Sys) -> Result<(u64, u64), Exception> {
        self.check_xsave_enabled()?;
        if self.cpu.state.cr0 & CR0_TS != 0 {
            return Err(Exception::DeviceNotAvailable);
        }
        if matches!(sys, Sys::Xsaves | Sys::Xrstors) {
            self.require_privilege(0)?;
        }
        let start = self.linear(op, 1, false)?;
        if start & (ALIGNMENT - 1) != 0 {
            self.check_canonical(start, 1, op.fault_segment())?;
            return Err(Exception::GeneralProtection(0));
        }
        Ok((self.cpu.state.xcr0 & self.pair(), start))
    }

    /// `XSAVE` writes what is asked for, the others leave out what is in its initial configuration (13.7 to 13.11). `XSAVES` is
    /// `XSAVEC` for supervisors: of the components only they may name there are none.
    pub(crate) fn xsave(&mut self, op: &Op, sys: Sys) -> Result<(), Exception> {
        let (requested, start) = self.requested_components(op, sys)?;
        let compacts = matches!(sys, Sys::Xsavec | Sys::Xsaves);
        // Nothing is written before everything is known to be writable: first the end, as Intel's processors look at it.
        self.load_rw_at(Width::W8, op, area_bytes(requested) as u64 - 1)?;
        self.load_rw_at(Width::W8, op, 0)?;
        let mut in_use = self.cpu.state.in_use();
        let control_too = sys != Sys::Xsave && requested & XCR0_SSE != 0 && self.cpu.state.mxcsr != MXCSR_RESET;
        if control_too {
            in_use |= XCR0_SSE;
        }
        let written = if sys == Sys::Xsave { requested } else { requested & in_use };
        let (state, compaction) = if compacts {
            (requested & in_use, COMPACTED | requested)
        } else {
            let old = self.load_at(Width::W64, op, HEADER as u64)?;
            (old & !requested | requested & in_use, 0)
        };
        let control = if compacts { written & XCR0_SSE } else { requested & (XCR0_SSE | XCR0_AVX) };
        self.write_components(op, start, written, control != 0)?;
        self.write_part(op, start, HEADER, &state.to_le_bytes())?;
        if compacts {
            self.write_part(op, start, HEADER + 8, &compaction.to_le_bytes())?;
        }
        Ok(())
    }

    fn write_components(&mut self, op: &Op, start: u64, written: u64, control: bool) -> Result<(), Exception> {
        let (registers, wide) = (self.registers_in_mode(), op.opsize == Width::W64);
        let area = fxsave::encode(&self.cpu.state, wide);
        if written & XCR0_X87 != 0 {
            self.write_part(op, start, X87_WORDS.start, &area[X87_WORDS])?;
            self.write_part(op, start, X87_REGISTERS.start, &area[X87_REGISTERS])?;
        }
        if control {
            self.write_part(op, start, MXCSR.start, &area[MXCSR])?;
        }
        if written & XCR0_SSE != 0 {
            self.write_part(op, start, XMM, &area[XMM..XMM + REGISTER_BYTES * registers])?;
        }
        if written & XCR0_AVX != 0 {
            let bytes = self.cpu.state.ymm_high.map(u128::to_le_bytes);
            self.write_part(op, start, YMM_HIGH, bytes[..registers].as_flattened())?;
        }
        Ok(())
    }

    /// What the header says is there is loaded, the rest of what is asked for initialised (13.8). `XRSTORS` takes the compacted
    /// form only (13.12).
    pub(crate) fn xrstor(&mut self, op: &Op, sys: Sys) -> Result<(), Exception> {
        let (requested, _) = self.requested_components(op, sys)?;
        let header = self.read_header(op)?;
        let compacted = header.compaction & COMPACTED != 0;
        let present = if compacted { header.compaction & !COMPACTED } else { header.compaction };
        let in_area = if compacted { requested & present } else { requested };
        self.load_at(Width::W8, op, area_bytes(in_area) as u64 - 1)?;
        let xcr0 = self.cpu.state.xcr0;
        let malformed = if compacted {
            !header.rest_clear || present & !xcr0 != 0 || header.state & !present != 0
        } else {
            sys == Sys::Xrstors || !header.rest_clear || present != 0 || header.state & !xcr0 != 0
        };
        if malformed {
            return Err(Exception::GeneralProtection(0));
        }
        let loaded = requested & header.state;
        let mut area = [0; AREA_BYTES];
        let needed = area_bytes(loaded);
        self.read_block(op, &mut area[..needed])?;
        let mxcsr = u32::from_le_bytes([area[24], area[25], area[26], area[27]]);
        // The compacted form treats MXCSR as part of SSE state; the standard form always takes it from memory.
        let control = if compacted { loaded & XCR0_SSE } else { requested & (XCR0_SSE | XCR0_AVX) } != 0;
        if control && mxcsr & !MXCSR_MASK != 0 {
            return Err(Exception::GeneralProtection(0));
        }
        if control {
            self.cpu.state.mxcsr = mxcsr;
        } else if compacted && requested & XCR0_SSE != 0 {
            self.cpu.state.mxcsr = MXCSR_RESET;
        }
        self.replace_components(&area, requested, loaded, op.opsize == Width::W64);
        Ok(())
    }

    fn read_header(&mut self, op: &Op) -> Result<Header, Exception> {
        let mut word = |number: u64| self.load_at(Width::W64, op, HEADER as u64 + 8 * number);
        let compaction = word(1)?;
        let state = word(0)?;
        // The standard form leaves all but the first of them to software (13.8.1).
        let checked = if compaction & COMPACTED != 0 { 2..8 } else { 2..3 };
        let mut rest_clear = true;
        for number in checked {
            rest_clear &= word(number)? == 0;
        }
        Ok(Header { state, compaction, rest_clear })
    }

    /// Loads or initialises each requested component; nothing can fault any more.
    fn replace_components(&mut self, area: &[u8], requested: u64, loaded: u64, wide: bool) {
        let registers = self.registers_in_mode();
        let state = &mut self.cpu.state;
        if requested & XCR0_X87 != 0 {
            state.x87 = X87::default();
            state.x87.initialise();
            if loaded & XCR0_X87 != 0 {
                fxsave::decode_x87(&mut state.x87, area, wide);
            }
        }
        for (component, at, bank) in [(XCR0_SSE, XMM, &mut state.xmm), (XCR0_AVX, YMM_HIGH, &mut state.ymm_high)] {
            if requested & component == 0 {
                continue;
            }
            bank[..registers].fill(0);
            if loaded & component != 0 {
                fxsave::decode_vectors(&mut bank[..registers], &area[at..]);
            }
        }
    }

    /// Registers 8 to 15 only exist in 64-bit mode.
    fn registers_in_mode(&self) -> usize {
        if self.cpu.state.code64() { 16 } else { 8 }
    }
}
