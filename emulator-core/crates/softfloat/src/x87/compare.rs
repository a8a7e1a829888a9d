//! FCOM, FUCOM, FTST and their relatives.

use crate::context::{Context, Flags};
use crate::unpacked::{Class, Unpacked};
use crate::{Relation, unpacked};
use std::cmp::Ordering;

/// Compares `a` with `b`. `quiet` comparisons (FUCOM) raise invalid operation for signaling NaNs and unsupported
/// encodings only, the others for every NaN.
pub fn compare(a: impl Into<Unpacked>, b: impl Into<Unpacked>, quiet: bool, ctx: &mut Context) -> Relation {
    let (a, b) = (a.into(), b.into());
    let is = |class: Class| a.class == class || b.class == class;
    if is(Class::SignalingNan) || is(Class::Unsupported) || (is(Class::QuietNan) && !quiet) {
        ctx.raise(Flags::INVALID);
        return Relation::Unordered;
    }
    if is(Class::QuietNan) {
        return Relation::Unordered;
    }
    if is(Class::Denormal) {
        ctx.raise(Flags::DENORMAL);
    }
    match unpacked::order(a, b) {
        Ordering::Less => Relation::Less,
        Ordering::Equal => Relation::Equal,
        Ordering::Greater => Relation::Greater,
    }
}
