//! Power-on and INIT state (Intel SDM vol. 3, table 10-1), and which restored states are possible.

use x86::{Feature, FeatureSet, seg};

use crate::state::control::{CR0_CD, CR0_ET, CR0_NW, EFER_LMA};
use crate::state::{
    Access, DescriptorTable, InterruptShadow, MXCSR_RESET, Msrs, RegisterFile, Segment, State, X87, eflags,
};
use crate::system::cr4_bits;
use crate::x87::xsave::{XCR0_X87, xcr0_is_possible};
use crate::{CpuModel, msr};

const RDX: usize = 2;
/// B0 to B3, BS and BT of DR6.
const DR6_TRAPS: u64 = 0xc00f;

impl State {
    /// As after power-on.
    pub(crate) fn at_reset(model: CpuModel) -> State {
        let data = Segment { selector: 0, base: 0, limit: 0xffff, access: Access(0x93) };
        let mut segs = [data; 7];
        segs[usize::from(seg::CS)] =
            Segment { selector: 0xf000, base: 0xffff_0000, limit: 0xffff, access: Access(0x9b) };
        segs[6] = Segment { selector: 0, base: 0, limit: u32::MAX, access: Access(0xc093) };
        let mut regs = RegisterFile::new();
        regs.set(RDX, u64::from(model.description().signature));
        let mut state = State {
            regs,
            rip: 0xfff0,
            flag_result: 0,
            flag_carries: 0,
            system_flags: eflags::FIXED,
            segs,
            ldtr: Segment { selector: 0, base: 0, limit: 0xffff, access: Access(0x82) },
            tr: Segment { selector: 0, base: 0, limit: 0xffff, access: Access(0x8b) },
            gdtr: DescriptorTable { base: 0, limit: 0xffff },
            idtr: DescriptorTable { base: 0, limit: 0xffff },
            cpl: 0,
            cr0: CR0_CD | CR0_NW | CR0_ET,
            cr2: 0,
            cr3: 0,
            cr4: 0,
            dr: [0, 0, 0, 0, 0, 0, 0xffff_0ff0, 0x400],
            pdptes: [0; 4],
            msrs: Msrs { pat: msr::PAT_RESET, misc_enable: msr::MISC_ENABLE_RESET, ..Msrs::default() },
            x87: X87::default(),
            xmm: [0; 16],
            ymm_high: [0; 16],
            xcr0: XCR0_X87,
            mxcsr: MXCSR_RESET,
            interrupt_shadow: InterruptShadow::None,
            nmi_blocked: false,
            halted: false,
            pending_debug: 0,
            random: msr::random_state(0),
        };
        state.set_rflags(eflags::FIXED);
        state
    }

    /// A restored state the rest of this crate can work with.
    pub(crate) fn is_consistent(&self, features: FeatureSet) -> bool {
        let none = &self.segs[6];
        let flat_is_flat = none.base == 0 && none.limit == u32::MAX;
        let long = self.msrs.efer & EFER_LMA != 0;
        let traps_exist = self.pending_debug & !DR6_TRAPS == 0;
        self.cpl <= 3
            && traps_exist
            && flat_is_flat
            && (!long || self.cr0 >> 31 & 1 != 0)
            && self.random != 0
            && self.has_only(features)
    }

    /// Whether every bit set in CR4, EFER and XCR0 is of a feature the processor has.
    fn has_only(&self, features: FeatureSet) -> bool {
        let long = self.msrs.efer & EFER_LMA != 0;
        self.cr4 & !cr4_bits(features) == 0
            && xcr0_is_possible(self.xcr0, features)
            && self.msrs.efer & !(msr::efer_bits(features) | EFER_LMA) == 0
            && (!long || features.contains(Feature::LongMode))
    }
}
