//! The interpreter's dispatch: one dense `match` over the operations that matter, each the shared semantics with its operation, width and
//! form fixed; then a second one, in a function of its own, and behind it everything else. Measured in WebAssembly, a few hundred arms in one `match` beat
//! a function pointer an operation by two to three times (ARCHITECTURE.md, Decisions).

use pastey::paste;
use x86::instructions::integer::{self, Int};
use x86::{Exception, Form, Op, Sem, Width};

use crate::blocks::LEAVE;
use crate::exec::Exec;

/// What the block loop does after an operation.
pub(crate) enum Next {
    /// The next operation.
    Continue,
    /// The next operation, which most often is a conditional jump.
    Compared,
    /// The block was overwritten: leave before this operation.
    Leave,
}

macro_rules! hot {
    (
        hot { $( $int:ident $form:ident [ $($width:ident)* ] )* }
        warm { $( $warm:ident $warm_form:ident [ $($warm_width:ident)* ] )* }
        mild { $( $mild:ident $mild_form:ident [ $($mild_width:ident)* ] )* }
        conditions { $( $cc:literal )* }
    ) => {
        paste! {
            #[derive(Clone, Copy)]
            #[repr(u16)]
            #[allow(clippy::enum_variant_names, reason = "generated")]
            enum Hot {
                Cold,
                $( $( [<$int $form $width>], )* )*
                $( [<Jcc $cc>], )*
                $( $( [<$warm $warm_form $warm_width>], )* )*
                LastWarm,
                $( $( [<$mild $mild_form $mild_width>], )* )*
                $( [<Cmov32Cc $cc>], [<Cmov64Cc $cc>], [<SetCc $cc>], )*
                Last,
            }

            fn integer_code(int: Int, op: &Op) -> Hot {
                match (int, op.form, op.width) {
                    $( $( (Int::$int, Form::$form, Width::$width) => Hot::[<$int $form $width>], )* )*
                    $( $( (Int::$warm, Form::$warm_form, Width::$warm_width) =>
                        Hot::[<$warm $warm_form $warm_width>], )* )*
                    $( $( (Int::$mild, Form::$mild_form, Width::$mild_width) =>
                        Hot::[<$mild $mild_form $mild_width>], )* )*
                    _ => conditional_code(int, op),
                }
            }

            fn conditional_code(int: Int, op: &Op) -> Hot {
                match (int, op.form, op.width, op.aux) {
                    $(
                        (Int::Jcc, _, _, $cc) => Hot::[<Jcc $cc>],
                        (Int::Cmovcc, Form::Rr, Width::W32, $cc) => Hot::[<Cmov32Cc $cc>],
                        (Int::Cmovcc, Form::Rr, Width::W64, $cc) => Hot::[<Cmov64Cc $cc>],
                        (Int::Setcc, Form::Rr, _, $cc) => Hot::[<SetCc $cc>],
                    )*
                    _ => Hot::Cold,
                }
            }

            impl Exec<'_> {
                /// Runs one predecoded operation.
                #[inline(always)]
                pub(crate) fn dispatch(&mut self, op: &Op) -> Result<Next, Exception> {
                    match op.code.get() {
                        $( $(
                            x if x == Hot::[<$int $form $width>] as u16 => {
                                integer::execute(self, op, Int::$int, Width::$width, Form::$form)?;
                                if const { matches!(Int::$int, Int::Cmp | Int::Test) } {
                                    return Ok(Next::Compared);
                                }
                            }
                        )* )*
                        $( x if x == Hot::[<Jcc $cc>] as u16 => integer::jcc(self, op, $cc)?, )*
                        LEAVE => return Ok(Next::Leave),
                        code if code < Hot::LastWarm as u16 => self.apart().warm(op)?,
                        _ => self.apart().mild(op)?,
                    }
                    Ok(Next::Continue)
                }

                /// The second dispatch, a function of its own: one match of everything makes a function of which the engine's optimising
                /// compiler takes 60 MB for a moment, and longer to be ready.
                #[inline(never)]
                fn warm(&mut self, op: &Op) -> Result<(), Exception> {
                    let mut exec = self.apart();
                    match op.code.get() {
                        $( $(
                            x if x == Hot::[<$warm $warm_form $warm_width>] as u16 =>
                                integer::execute(&mut exec, op, Int::$warm, Width::$warm_width, Form::$warm_form),
                        )* )*
                        _ => exec.apart().cold(op),
                    }
                }

                /// The third.
                #[inline(never)]
                fn mild(&mut self, op: &Op) -> Result<(), Exception> {
                    let mut exec = self.apart();
                    match op.code.get() {
                        $( $(
                            x if x == Hot::[<$mild $mild_form $mild_width>] as u16 =>
                                integer::execute(&mut exec, op, Int::$mild, Width::$mild_width, Form::$mild_form),
                        )* )*
                        $(
                            x if x == Hot::[<Cmov32Cc $cc>] as u16 =>
                                integer::cmovcc(&mut exec, op, $cc, Width::W32, Form::Rr),
                            x if x == Hot::[<Cmov64Cc $cc>] as u16 =>
                                integer::cmovcc(&mut exec, op, $cc, Width::W64, Form::Rr),
                            x if x == Hot::[<SetCc $cc>] as u16 => integer::setcc(&mut exec, op, $cc, Form::Rr),
                        )*
                        _ => exec.apart().cold(op),
                    }
                }
            }
        }
    };
}

hot! {
    hot {
        Add Rr [W32 W64] Add Ri [W32 W64] Add Rm [W32 W64]
        Sub Rr [W32 W64] Sub Ri [W32 W64]
        And Rr [W32 W64] And Ri [W32 W64]
        Or Rr [W32 W64] Xor Rr [W32 W64]
        Cmp Rr [W8 W32 W64] Cmp Ri [W8 W32 W64] Cmp Rm [W32 W64] Cmp Mr [W32 W64] Cmp Mi [W8 W32 W64]
        Test Rr [W8 W32 W64] Test Ri [W8 W32]
        Adc Rr [W64] Inc Rr [W32] Dec Rr [W32]
        Mov Rr [W32 W64] Mov Ri [W32 W64] Mov Rm [W8 W32 W64] Mov Mr [W8 W16 W32 W64] Mov Mi [W8 W32 W64]
        Lea Rm [W32 W64]
        MovzxByte Rr [W32] MovzxByte Rm [W32] MovzxWord Rr [W32] MovzxWord Rm [W32] MovsxDword Rr [W64]
        Shl Ri [W32 W64] Shr Ri [W32 W64] Sar Ri [W32 W64] Rol Ri [W32] Ror Ri [W32]
        Imul Rr [W32 W64] Push Rr [W32 W64] Pop Rr [W32 W64]
        Call Ri [W32 W64] Jmp Ri [W32 W64] Ret Rr [W32 W64] Nop Mr [W32]
    }
    warm {
        Add Rr [W8] Add Ri [W8] Add Rm [W8] Add Mr [W32 W64] Add Mi [W32 W64]
        Sub Rr [W8] Sub Ri [W8] Sub Rm [W8 W32 W64] Sub Mr [W32 W64] Sub Mi [W32 W64]
        And Rr [W8] And Ri [W8] And Rm [W32 W64] And Mi [W32 W64]
        Or Rr [W8] Or Ri [W8 W32 W64] Or Rm [W32 W64] Or Mr [W64] Or Mi [W32 W64]
        Xor Rr [W8] Xor Ri [W8 W32 W64] Xor Rm [W8 W32 W64]
        Cmp Rr [W16] Cmp Ri [W16] Cmp Rm [W8 W16] Cmp Mr [W8] Cmp Mi [W16]
        Test Rr [W16] Test Ri [W16 W64] Test Mr [W8 W32 W64] Test Mi [W8 W16 W32 W64]
        Adc Rr [W32] Adc Ri [W32 W64] Adc Rm [W32 W64]
        Sbb Rr [W32 W64] Sbb Ri [W32 W64] Sbb Rm [W32 W64]
        Inc Rr [W8 W64] Inc Mr [W32 W64] Dec Rr [W8 W64] Dec Mr [W32 W64]
        Neg Rr [W32 W64] Not Rr [W32 W64] Bswap Rr [W32 W64]
        Mov Rr [W8 W16] Mov Ri [W8] Mov Rm [W16] Mov Mi [W16]
    }
    mild {
        MovzxByte Rr [W64] MovzxByte Rm [W64] MovzxWord Rr [W64] MovzxWord Rm [W64]
        MovsxByte Rr [W32 W64] MovsxByte Rm [W32 W64] MovsxWord Rr [W32 W64] MovsxWord Rm [W32 W64]
        MovsxDword Rm [W64]
        Xchg Rr [W32 W64] Xadd Mr [W32 W64] Cmpxchg Mr [W32 W64]
        Shl Ri [W8] Shl Rr [W32 W64] Shr Ri [W8] Shr Rr [W32 W64] Sar Rr [W32 W64]
        Rol Ri [W16 W64] Rol Rr [W32 W64] Ror Ri [W64] Ror Rr [W32 W64]
        Imul Rm [W32 W64] ImulImmediate Rr [W32 W64] Mul Rr [W32 W64] Mul Mr [W64] ImulWide Rr [W64]
        Div Rr [W32 W64] Div Mr [W64]
        Bt Rr [W32 W64] Bt Ri [W32 W64] Bt Mi [W64] Bts Ri [W32 W64] Bts Mi [W64] Btr Mi [W64]
        Bsf Rr [W32 W64] Bsr Rr [W32 W64]
        Push Ri [W32 W64] Push Mr [W32 W64] CallIndirect Rr [W32 W64] CallIndirect Mr [W32 W64]
        JmpIndirect Rr [W32 W64] JmpIndirect Mr [W32 W64] Leave Rr [W32 W64]
        Nop Rr [W16 W32 W64] Nop Mr [W16 W64]
        ConvertAccumulator Rr [W32 W64] ExtendAccumulator Rr [W32 W64]
    }
    conditions { 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 }
}

/// The dispatch code of `op`.
pub(crate) fn code_of(op: &Op) -> u16 {
    match op.sem {
        Sem::Int(int) => integer_code(int, op) as u16,
        _ => Hot::Cold as u16,
    }
}

/// The condition of the conditional jump with dispatch code `code`, if it is that of one.
#[inline(always)]
pub(crate) fn condition_of(code: u16) -> Option<u8> {
    let condition = code.wrapping_sub(Hot::Jcc0 as u16);
    (condition <= Hot::Jcc15 as u16 - Hot::Jcc0 as u16).then_some(condition as u8)
}

// `LEAVE` must not be a hot code.
const _: () = assert!((Hot::Last as u16) < LEAVE);

impl Exec<'_> {
    /// Everything that is not hot: the same semantics with width and form looked at as they run.
    #[inline(never)]
    pub(crate) fn cold(&mut self, op: &Op) -> Result<(), Exception> {
        x86::execute(self, op)
    }
}
