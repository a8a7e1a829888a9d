//! Fused multiplication and addition (Intel SDM vol. 1, 14.5): rows and semantics.

use super::FmaKind::{self, Add, AddSub, NegatedAdd, NegatedSub, Sub, SubAdd};
use super::FmaOrder::{self, Order132, Order213, Order231};
use super::avx::{read, source, write};
use super::vex::vex_rows;
use super::{Lanes, Simd, VectorEngine};
use crate::Feature::Fma;
use crate::{Op, Row, Vex};

/// A fused operation in some lanes, in one byte: the order times 24, plus the kind times four, plus the lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct FmaOp(u8);

impl FmaOp {
    const fn new(order: FmaOrder, kind: FmaKind, lanes: Lanes) -> FmaOp {
        FmaOp(order as u8 * 24 + kind as u8 * 4 + lanes as u8)
    }

    const fn order(self) -> FmaOrder {
        [Order132, Order213, Order231][(self.0 / 24) as usize]
    }

    /// What is computed.
    #[must_use]
    pub const fn kind(self) -> FmaKind {
        [Add, Sub, NegatedAdd, NegatedSub, AddSub, SubAdd][(self.0 % 24 / 4) as usize]
    }

    /// The lanes.
    #[must_use]
    pub const fn lanes(self) -> Lanes {
        [Lanes::Ps, Lanes::Pd, Lanes::Ss, Lanes::Sd][(self.0 % 4) as usize]
    }
}

const fn op(order: FmaOrder, kind: FmaKind, lanes: Lanes) -> Simd {
    Simd::Fused(FmaOp::new(order, kind, lanes))
}

macro_rules! packed {
    ($length:literal) => {
        vex_rows!($length Fma;
            "VFMADDSUB132PS" "66.0F38.W0 96 /r" "Vx+ Hx Wx" op(Order132, AddSub, Lanes::Ps);
            "VFMADDSUB132PD" "66.0F38.W1 96 /r" "Vx+ Hx Wx" op(Order132, AddSub, Lanes::Pd);
            "VFMADDSUB213PS" "66.0F38.W0 A6 /r" "Vx+ Hx Wx" op(Order213, AddSub, Lanes::Ps);
            "VFMADDSUB213PD" "66.0F38.W1 A6 /r" "Vx+ Hx Wx" op(Order213, AddSub, Lanes::Pd);
            "VFMADDSUB231PS" "66.0F38.W0 B6 /r" "Vx+ Hx Wx" op(Order231, AddSub, Lanes::Ps);
            "VFMADDSUB231PD" "66.0F38.W1 B6 /r" "Vx+ Hx Wx" op(Order231, AddSub, Lanes::Pd);
            "VFMSUBADD132PS" "66.0F38.W0 97 /r" "Vx+ Hx Wx" op(Order132, SubAdd, Lanes::Ps);
            "VFMSUBADD132PD" "66.0F38.W1 97 /r" "Vx+ Hx Wx" op(Order132, SubAdd, Lanes::Pd);
            "VFMSUBADD213PS" "66.0F38.W0 A7 /r" "Vx+ Hx Wx" op(Order213, SubAdd, Lanes::Ps);
            "VFMSUBADD213PD" "66.0F38.W1 A7 /r" "Vx+ Hx Wx" op(Order213, SubAdd, Lanes::Pd);
            "VFMSUBADD231PS" "66.0F38.W0 B7 /r" "Vx+ Hx Wx" op(Order231, SubAdd, Lanes::Ps);
            "VFMSUBADD231PD" "66.0F38.W1 B7 /r" "Vx+ Hx Wx" op(Order231, SubAdd, Lanes::Pd);
            "VFMADD132PS" "66.0F38.W0 98 /r" "Vx+ Hx Wx" op(Order132, Add, Lanes::Ps);
            "VFMADD132PD" "66.0F38.W1 98 /r" "Vx+ Hx Wx" op(Order132, Add, Lanes::Pd);
            "VFMADD213PS" "66.0F38.W0 A8 /r" "Vx+ Hx Wx" op(Order213, Add, Lanes::Ps);
            "VFMADD213PD" "66.0F38.W1 A8 /r" "Vx+ Hx Wx" op(Order213, Add, Lanes::Pd);
            "VFMADD231PS" "66.0F38.W0 B8 /r" "Vx+ Hx Wx" op(Order231, Add, Lanes::Ps);
            "VFMADD231PD" "66.0F38.W1 B8 /r" "Vx+ Hx Wx" op(Order231, Add, Lanes::Pd);
            "VFMSUB132PS" "66.0F38.W0 9A /r" "Vx+ Hx Wx" op(Order132, Sub, Lanes::Ps);
            "VFMSUB132PD" "66.0F38.W1 9A /r" "Vx+ Hx Wx" op(Order132, Sub, Lanes::Pd);
            "VFMSUB213PS" "66.0F38.W0 AA /r" "Vx+ Hx Wx" op(Order213, Sub, Lanes::Ps);
            "VFMSUB213PD" "66.0F38.W1 AA /r" "Vx+ Hx Wx" op(Order213, Sub, Lanes::Pd);
            "VFMSUB231PS" "66.0F38.W0 BA /r" "Vx+ Hx Wx" op(Order231, Sub, Lanes::Ps);
            "VFMSUB231PD" "66.0F38.W1 BA /r" "Vx+ Hx Wx" op(Order231, Sub, Lanes::Pd);
            "VFNMADD132PS" "66.0F38.W0 9C /r" "Vx+ Hx Wx" op(Order132, NegatedAdd, Lanes::Ps);
            "VFNMADD132PD" "66.0F38.W1 9C /r" "Vx+ Hx Wx" op(Order132, NegatedAdd, Lanes::Pd);
            "VFNMADD213PS" "66.0F38.W0 AC /r" "Vx+ Hx Wx" op(Order213, NegatedAdd, Lanes::Ps);
            "VFNMADD213PD" "66.0F38.W1 AC /r" "Vx+ Hx Wx" op(Order213, NegatedAdd, Lanes::Pd);
            "VFNMADD231PS" "66.0F38.W0 BC /r" "Vx+ Hx Wx" op(Order231, NegatedAdd, Lanes::Ps);
            "VFNMADD231PD" "66.0F38.W1 BC /r" "Vx+ Hx Wx" op(Order231, NegatedAdd, Lanes::Pd);
            "VFNMSUB132PS" "66.0F38.W0 9E /r" "Vx+ Hx Wx" op(Order132, NegatedSub, Lanes::Ps);
            "VFNMSUB132PD" "66.0F38.W1 9E /r" "Vx+ Hx Wx" op(Order132, NegatedSub, Lanes::Pd);
            "VFNMSUB213PS" "66.0F38.W0 AE /r" "Vx+ Hx Wx" op(Order213, NegatedSub, Lanes::Ps);
            "VFNMSUB213PD" "66.0F38.W1 AE /r" "Vx+ Hx Wx" op(Order213, NegatedSub, Lanes::Pd);
            "VFNMSUB231PS" "66.0F38.W0 BE /r" "Vx+ Hx Wx" op(Order231, NegatedSub, Lanes::Ps);
            "VFNMSUB231PD" "66.0F38.W1 BE /r" "Vx+ Hx Wx" op(Order231, NegatedSub, Lanes::Pd);
        )
    };
}

pub const ROWS_128: &[Row] = packed!("128");
pub const ROWS_256: &[Row] = packed!("256");
pub const SCALARS: &[Row] = vex_rows!("LIG" Fma;
    "VFMADD132SS" "66.0F38.W0 99 /r" "V+ H Wd" op(Order132, Add, Lanes::Ss);
    "VFMADD132SD" "66.0F38.W1 99 /r" "V+ H Wq" op(Order132, Add, Lanes::Sd);
    "VFMADD213SS" "66.0F38.W0 A9 /r" "V+ H Wd" op(Order213, Add, Lanes::Ss);
    "VFMADD213SD" "66.0F38.W1 A9 /r" "V+ H Wq" op(Order213, Add, Lanes::Sd);
    "VFMADD231SS" "66.0F38.W0 B9 /r" "V+ H Wd" op(Order231, Add, Lanes::Ss);
    "VFMADD231SD" "66.0F38.W1 B9 /r" "V+ H Wq" op(Order231, Add, Lanes::Sd);
    "VFMSUB132SS" "66.0F38.W0 9B /r" "V+ H Wd" op(Order132, Sub, Lanes::Ss);
    "VFMSUB132SD" "66.0F38.W1 9B /r" "V+ H Wq" op(Order132, Sub, Lanes::Sd);
    "VFMSUB213SS" "66.0F38.W0 AB /r" "V+ H Wd" op(Order213, Sub, Lanes::Ss);
    "VFMSUB213SD" "66.0F38.W1 AB /r" "V+ H Wq" op(Order213, Sub, Lanes::Sd);
    "VFMSUB231SS" "66.0F38.W0 BB /r" "V+ H Wd" op(Order231, Sub, Lanes::Ss);
    "VFMSUB231SD" "66.0F38.W1 BB /r" "V+ H Wq" op(Order231, Sub, Lanes::Sd);
    "VFNMADD132SS" "66.0F38.W0 9D /r" "V+ H Wd" op(Order132, NegatedAdd, Lanes::Ss);
    "VFNMADD132SD" "66.0F38.W1 9D /r" "V+ H Wq" op(Order132, NegatedAdd, Lanes::Sd);
    "VFNMADD213SS" "66.0F38.W0 AD /r" "V+ H Wd" op(Order213, NegatedAdd, Lanes::Ss);
    "VFNMADD213SD" "66.0F38.W1 AD /r" "V+ H Wq" op(Order213, NegatedAdd, Lanes::Sd);
    "VFNMADD231SS" "66.0F38.W0 BD /r" "V+ H Wd" op(Order231, NegatedAdd, Lanes::Ss);
    "VFNMADD231SD" "66.0F38.W1 BD /r" "V+ H Wq" op(Order231, NegatedAdd, Lanes::Sd);
    "VFNMSUB132SS" "66.0F38.W0 9F /r" "V+ H Wd" op(Order132, NegatedSub, Lanes::Ss);
    "VFNMSUB132SD" "66.0F38.W1 9F /r" "V+ H Wq" op(Order132, NegatedSub, Lanes::Sd);
    "VFNMSUB213SS" "66.0F38.W0 AF /r" "V+ H Wd" op(Order213, NegatedSub, Lanes::Ss);
    "VFNMSUB213SD" "66.0F38.W1 AF /r" "V+ H Wq" op(Order213, NegatedSub, Lanes::Sd);
    "VFNMSUB231SS" "66.0F38.W0 BF /r" "V+ H Wd" op(Order231, NegatedSub, Lanes::Ss);
    "VFNMSUB231SD" "66.0F38.W1 BF /r" "V+ H Wq" op(Order231, NegatedSub, Lanes::Sd);
);

pub fn fused<E: VectorEngine>(e: &mut E, op: &Op, kind: FmaOp) -> Result<(), E::Stop> {
    let third = source(e, op)?;
    let (first, second) = (read(e, op.dst), read(e, op.aux));
    let [a, b, c] = match kind.order() {
        Order132 => [first, third, second],
        Order213 => [second, first, third],
        Order231 => [second, third, first],
    };
    let value = if op.vex == Vex::L256 {
        e.fused(kind, first, [a, b, c])?
    } else {
        let [low] = e.fused(kind, [first[0]], [[a[0]], [b[0]], [c[0]]])?;
        [low, first[1]]
    };
    write(e, op, op.dst, value);
    Ok(())
}
