//! How far accesses through each segment may go, as compiled code checks it: with one compare.

use x86::seg;

use crate::State;
use crate::segments::segment_allows;

/// For reading and for writing by each of the six segments, and for jumps: an access is allowed if its last byte lies before. Zero where none is, or
/// where one compare does not tell: then the interpreter does.
pub type SegmentEnds = [u64; SEGMENT_ENDS];
/// See [`SegmentEnds`].
pub const SEGMENT_ENDS: usize = 13;

/// The place in [`SegmentEnds`] for an access of data.
#[must_use]
pub const fn end_of_data(segment: u8, write: bool) -> usize {
    segment as usize + if write { 6 } else { 0 }
}

/// The place in [`SegmentEnds`] for a jump.
#[must_use]
pub const fn end_of_code() -> usize {
    12
}

/// Where the limit is the whole address space, offsets wrap: every access lies before this.
const WHOLE: u64 = 1 << 33;

/// In `flat` modes only those that compiled code asks for, which are few.
pub(super) fn segment_ends(state: &State, flat: bool) -> SegmentEnds {
    let mut ends = [0; SEGMENT_ENDS];
    let protected = state.protected();
    let asked_for = |number| !flat || matches!(number, seg::CS | seg::FS | seg::GS);
    for (number, segment) in (0..6).zip(&state.segs).filter(|&(number, _)| asked_for(number)) {
        for write in [false, true] {
            let allowed = !segment.access.expand_down() && segment_allows(segment, 0, 1, write, protected);
            let end = if segment.limit == u32::MAX { WHOLE } else { u64::from(segment.limit) + 1 };
            ends[end_of_data(number, write)] = if allowed { end } else { 0 };
        }
    }
    ends[end_of_code()] = u64::from(state.segs[usize::from(seg::CS)].limit) + 1;
    ends
}
