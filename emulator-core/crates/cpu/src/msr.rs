//! Model-specific registers, the time-stamp counter and random numbers (Intel SDM vol. 4, chapter 2).

use platform::MsrAnswer;
use x86::{Engine, Exception, Feature, FeatureSet, Op, flags, seg};

use crate::exec::Exec;
use crate::mmu::canonical;
use crate::state::Msrs;
use crate::state::control::{CR0_PG, CR4_TSD, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE};

/// PAT after reset (Intel SDM vol. 3, 12.12.4).
pub(crate) const PAT_RESET: u64 = 0x0007_0406_0007_0406;
/// Fast strings; no branch trace storage, no precise event sampling.
pub(crate) const MISC_ENABLE_RESET: u64 = 1 | 1 << 11 | 1 << 12;

const IA32_TIME_STAMP_COUNTER: u32 = 0x10;
const IA32_PLATFORM_ID: u32 = 0x17;
const IA32_APIC_BASE: u32 = 0x1b;
const IA32_FEATURE_CONTROL: u32 = 0x3a;
const IA32_TSC_ADJUST: u32 = 0x3b;
const IA32_BIOS_SIGN_ID: u32 = 0x8b;
const IA32_MTRRCAP: u32 = 0xfe;
const IA32_SYSENTER_CS: u32 = 0x174;
const IA32_SYSENTER_ESP: u32 = 0x175;
const IA32_SYSENTER_EIP: u32 = 0x176;
const IA32_MCG_CAP: u32 = 0x179;
const IA32_MCG_STATUS: u32 = 0x17a;
const IA32_MISC_ENABLE: u32 = 0x1a0;
const IA32_DEBUGCTL: u32 = 0x1d9;
const IA32_MTRR_PHYSBASE0: u32 = 0x200;
const IA32_MTRR_PHYSMASK7: u32 = 0x20f;
const IA32_MTRR_FIX64K_00000: u32 = 0x250;
const IA32_MTRR_FIX16K_80000: u32 = 0x258;
const IA32_MTRR_FIX16K_A0000: u32 = 0x259;
const IA32_MTRR_FIX4K_C0000: u32 = 0x268;
const IA32_MTRR_FIX4K_F8000: u32 = 0x26f;
const IA32_PAT: u32 = 0x277;
const IA32_MTRR_DEF_TYPE: u32 = 0x2ff;
const IA32_TSC_DEADLINE: u32 = 0x6e0;
const IA32_XSS: u32 = 0xda0;
const X2APIC_FIRST: u32 = 0x800;
const X2APIC_LAST: u32 = 0x8ff;
const IA32_EFER: u32 = 0xc000_0080;
const IA32_STAR: u32 = 0xc000_0081;
const IA32_LSTAR: u32 = 0xc000_0082;
const IA32_CSTAR: u32 = 0xc000_0083;
const IA32_FMASK: u32 = 0xc000_0084;
const IA32_FS_BASE: u32 = 0xc000_0100;
const IA32_GS_BASE: u32 = 0xc000_0101;
const IA32_KERNEL_GS_BASE: u32 = 0xc000_0102;
const IA32_TSC_AUX: u32 = 0xc000_0103;

/// Eight variable ranges, fixed ranges, write-combining.
const MTRR_CAPABILITIES: u64 = 8 | 1 << 8 | 1 << 10;
/// No bank of error-reporting registers: nothing in this processor can fail (Intel SDM vol. 3, 16.3.1.1).
const MACHINE_CHECK_CAPABILITIES: u64 = 0;
/// No machine check is in progress.
const MACHINE_CHECK_STATUS: u64 = 0;
/// State components that only XSAVES and XRSTORS see: there are none (Intel SDM vol. 1, 13.3).
const SUPERVISOR_COMPONENTS: u64 = 0;
/// Locked with VMX and SMX off.
const FEATURE_CONTROL_LOCKED: u64 = 1;

const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;

const FAULT: Exception = Exception::GeneralProtection(0);

/// Slot of a fixed-range register.
fn fixed_range(msr: u32) -> Option<usize> {
    Some(match msr {
        IA32_MTRR_FIX64K_00000 => 0,
        IA32_MTRR_FIX16K_80000 => 1,
        IA32_MTRR_FIX16K_A0000 => 2,
        IA32_MTRR_FIX4K_C0000..=IA32_MTRR_FIX4K_F8000 => 3 + (msr - IA32_MTRR_FIX4K_C0000) as usize,
        _ => return None,
    })
}

/// The feature a register comes with; asking for it without is #GP(0).
fn feature_of(msr: u32) -> Feature {
    match msr {
        IA32_TIME_STAMP_COUNTER => Feature::Tsc,
        IA32_SYSENTER_CS..=IA32_SYSENTER_EIP => Feature::Sep,
        IA32_MCG_CAP | IA32_MCG_STATUS => Feature::Mca,
        IA32_PAT => Feature::Pat,
        IA32_MTRRCAP | IA32_MTRR_DEF_TYPE | IA32_MTRR_PHYSBASE0..=IA32_MTRR_PHYSMASK7 => Feature::Mtrr,
        _ if fixed_range(msr).is_some() => Feature::Mtrr,
        IA32_TSC_ADJUST => Feature::TscAdjust,
        IA32_TSC_DEADLINE => Feature::TscDeadline,
        X2APIC_FIRST..=X2APIC_LAST => Feature::X2apic,
        IA32_EFER => Feature::Syscall,
        IA32_XSS => Feature::Xsaves,
        IA32_TSC_AUX => Feature::Rdtscp,
        // Came with the Pentium 4, and then with everything.
        IA32_FEATURE_CONTROL | IA32_MISC_ENABLE | IA32_STAR..=IA32_KERNEL_GS_BASE => Feature::LongMode,
        _ => Feature::P6,
    }
}

/// Whether every byte of `types` is a memory type an MTRR may have; PAT also has 7, UC-.
fn memory_types(types: u64, uncached_minus: bool) -> bool {
    types.to_le_bytes().iter().all(|t| matches!(t, 0 | 1 | 4 | 5 | 6) || (uncached_minus && *t == 7))
}

/// Registers that are plain storage: where they live and whether they may hold `value`.
fn plain(msrs: &mut Msrs, msr: u32, value: u64) -> Option<(&mut u64, bool)> {
    let small = value >> 32 == 0;
    Some(match msr {
        IA32_SYSENTER_CS => (&mut msrs.sysenter_cs, true),
        IA32_SYSENTER_ESP => (&mut msrs.sysenter_esp, canonical(value)),
        IA32_SYSENTER_EIP => (&mut msrs.sysenter_eip, canonical(value)),
        IA32_MISC_ENABLE => (&mut msrs.misc_enable, true),
        IA32_PAT => (&mut msrs.pat, memory_types(value, true)),
        IA32_MTRR_DEF_TYPE => (&mut msrs.mtrr_def_type, value & !0xcff == 0 && memory_types(value & 0xff, false)),
        IA32_MTRR_PHYSBASE0..=IA32_MTRR_PHYSMASK7 => {
            (&mut msrs.mtrr_variable[(msr - IA32_MTRR_PHYSBASE0) as usize], true)
        }
        IA32_STAR => (&mut msrs.star, true),
        IA32_LSTAR => (&mut msrs.lstar, canonical(value)),
        IA32_CSTAR => (&mut msrs.cstar, canonical(value)),
        IA32_FMASK => (&mut msrs.sfmask, small),
        IA32_KERNEL_GS_BASE => (&mut msrs.kernel_gs_base, canonical(value)),
        IA32_TSC_AUX => (&mut msrs.tsc_aux, small),
        // Last-branch records and branch single-stepping do not exist.
        IA32_DEBUGCTL => (&mut msrs.debug_control, value == 0),
        _ => (&mut msrs.mtrr_fixed[fixed_range(msr)?], memory_types(value, false)),
    })
}

/// The EFER bits that software may set.
pub(crate) fn efer_bits(features: FeatureSet) -> u64 {
    let bits = [(EFER_SCE, Feature::Syscall), (EFER_LME, Feature::LongMode), (EFER_NXE, Feature::Nx)];
    bits.iter().filter(|(_, feature)| features.contains(*feature)).fold(0, |all, (bit, _)| all | bit)
}

/// State of the generator for `seed`: the mixing of splitmix64, so that close seeds give unlike numbers; never zero, which
/// xorshift would not leave.
pub(crate) fn random_state(seed: u64) -> u64 {
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ mixed >> 31).max(1)
}

impl Exec<'_> {
    /// The time-stamp counter: nanoseconds of guest time, moved by what software wrote to it.
    fn tsc(&self) -> u64 {
        self.now().wrapping_add(self.cpu.state.msrs.tsc_offset)
    }

    pub(crate) fn set_pair(&mut self, value: u64) {
        self.cpu.state.regs.set(RAX, value & 0xffff_ffff);
        self.cpu.state.regs.set(RDX, value >> 32);
    }

    pub(crate) fn rdtsc(&mut self) -> Result<(), Exception> {
        if self.cpu.state.cr4 & CR4_TSD != 0 && self.cpu.state.protected() {
            self.require_privilege(0)?;
        }
        let tsc = self.tsc();
        self.set_pair(tsc);
        Ok(())
    }

    pub(crate) fn rdtscp(&mut self) -> Result<(), Exception> {
        self.rdtsc()?;
        let aux = self.cpu.state.msrs.tsc_aux;
        self.cpu.state.regs.set(RCX, aux & 0xffff_ffff);
        Ok(())
    }

    pub(crate) fn rdmsr(&mut self) -> Result<(), Exception> {
        self.require_privilege(0)?;
        let msr = self.cpu.state.regs.get(RCX) as u32;
        let value = self.read_msr(msr)?;
        self.set_pair(value);
        Ok(())
    }

    pub(crate) fn wrmsr(&mut self) -> Result<(), Exception> {
        self.require_privilege(0)?;
        let regs = &self.cpu.state.regs;
        let value = regs.get(RAX) & 0xffff_ffff | regs.get(RDX) << 32;
        self.write_msr(regs.get(RCX) as u32, value)
    }

    fn read_msr(&mut self, msr: u32) -> Result<u64, Exception> {
        self.check_msr_exists(msr)?;
        let msrs = &mut self.cpu.state.msrs;
        if let Some((register, _)) = plain(msrs, msr, 0) {
            return Ok(*register);
        }
        Ok(match msr {
            IA32_TIME_STAMP_COUNTER => self.tsc(),
            IA32_TSC_ADJUST => msrs.tsc_adjust,
            IA32_PLATFORM_ID => 0,
            IA32_FEATURE_CONTROL => FEATURE_CONTROL_LOCKED,
            IA32_BIOS_SIGN_ID => msrs.microcode_revision << 32,
            IA32_MTRRCAP => MTRR_CAPABILITIES,
            IA32_MCG_CAP => MACHINE_CHECK_CAPABILITIES,
            IA32_MCG_STATUS => MACHINE_CHECK_STATUS,
            IA32_XSS => SUPERVISOR_COMPONENTS,
            IA32_EFER => msrs.efer,
            IA32_FS_BASE => self.cpu.state.segs[usize::from(seg::FS)].base,
            IA32_GS_BASE => self.cpu.state.segs[usize::from(seg::GS)].base,
            IA32_APIC_BASE | IA32_TSC_DEADLINE | X2APIC_FIRST..=X2APIC_LAST => {
                let (tsc, now) = (self.tsc(), self.now());
                let answer = self.bus.apic_msr_read(msr, tsc, now);
                return self.apic_answer(answer);
            }
            _ => return Err(FAULT),
        })
    }

    fn check_msr_exists(&self, msr: u32) -> Result<(), Exception> {
        if self.cpu.features.contains(feature_of(msr)) { Ok(()) } else { Err(FAULT) }
    }

    fn write_msr(&mut self, msr: u32, value: u64) -> Result<(), Exception> {
        self.check_msr_exists(msr)?;
        if let Some((register, allowed)) = plain(&mut self.cpu.state.msrs, msr, value) {
            if !allowed {
                return Err(FAULT);
            }
            *register = value;
            return Ok(());
        }
        match msr {
            IA32_TIME_STAMP_COUNTER => self.move_tsc(value.wrapping_sub(self.tsc())),
            IA32_TSC_ADJUST => self.move_tsc(value.wrapping_sub(self.cpu.state.msrs.tsc_adjust)),
            // Written with zero before CPUID reports the revision.
            IA32_BIOS_SIGN_ID => {}
            // Software clears it; anything but zero is #GP (Intel SDM vol. 3, 16.3.1.2).
            IA32_MCG_STATUS if value == 0 => {}
            IA32_XSS if value == SUPERVISOR_COMPONENTS => {}
            IA32_EFER => return self.write_efer(value),
            IA32_FS_BASE | IA32_GS_BASE => {
                if !canonical(value) {
                    return Err(FAULT);
                }
                let register = if msr == IA32_FS_BASE { seg::FS } else { seg::GS };
                self.cpu.state.segs[usize::from(register)].base = value;
            }
            IA32_APIC_BASE | IA32_TSC_DEADLINE | X2APIC_FIRST..=X2APIC_LAST => {
                let (tsc, now) = (self.tsc(), self.now());
                let answer = self.bus.apic_msr_write(msr, value, tsc, now);
                self.apic_answer(answer)?;
            }
            _ => return Err(FAULT),
        }
        Ok(())
    }

    fn apic_answer(&mut self, answer: MsrAnswer) -> Result<u64, Exception> {
        self.bus_accessed();
        match answer {
            MsrAnswer::Value(value) => Ok(value),
            MsrAnswer::Fault => Err(FAULT),
        }
    }

    /// A write of the TSC or of its adjustment moves both (Intel SDM vol. 3, 17.17.3).
    fn move_tsc(&mut self, by: u64) {
        let msrs = &mut self.cpu.state.msrs;
        msrs.tsc_offset = msrs.tsc_offset.wrapping_add(by);
        msrs.tsc_adjust = msrs.tsc_adjust.wrapping_add(by);
    }

    fn write_efer(&mut self, value: u64) -> Result<(), Exception> {
        let writable = efer_bits(self.cpu.features);
        let state = &mut self.cpu.state;
        let old = state.msrs.efer;
        // Software may write LMA back; it does not change.
        let reserved = value & !(writable | EFER_LMA) != 0;
        let switches_under_paging = (value ^ old) & EFER_LME != 0 && state.cr0 & CR0_PG != 0;
        if reserved || switches_under_paging {
            return Err(FAULT);
        }
        state.msrs.efer = value & writable | old & EFER_LMA;
        if (value ^ old) & EFER_NXE != 0 {
            self.flush_translations(false);
        }
        self.cpu.state_changed();
        Ok(())
    }

    /// Always succeeds: the generator (xorshift64*) is part of the state, so that a run can be repeated.
    pub(crate) fn rdrand(&mut self, op: &Op) -> Result<(), Exception> {
        let mut x = self.cpu.state.random;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.cpu.state.random = x;
        let value = x.wrapping_mul(0x2545_f491_4f6c_dd1d);
        self.set_register(op.opsize, op.dst, op.opsize.truncate(value));
        let others = self.cpu.state.rflags() & !flags::STATUS;
        self.cpu.state.set_rflags(others | flags::CF);
        Ok(())
    }
}
