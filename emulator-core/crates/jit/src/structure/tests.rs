//! Shapes by hand, and what must hold of any.

use super::*;

/// Blocks of one byte each, by where they go on; numbers that no block has are out of the region.
fn region(targets: &[&[usize]]) -> Vec<Flow> {
    let count = targets.len();
    let flow = |(start, targets): (i64, &&[usize])| Flow {
        start,
        targets: targets.iter().map(|&target| (target < count).then_some(target)).collect(),
        ..Flow::default()
    };
    (0..).zip(targets).map(flow).collect()
}

fn structure(targets: &[&[usize]]) -> Structure {
    Structure::of(&region(targets))
}

#[test]
fn a_branch_back_to_a_block_that_dominates_makes_a_loop() {
    let shape = structure(&[&[1], &[1, 2], &[]]);
    assert_eq!(
        (shape.edge(0, 0), shape.edge(1, 0), shape.edge(1, 1)),
        (Edge::Joins(1), Edge::Back(1), Edge::Continues(2))
    );
    assert_eq!(shape.is_loop[..3], [false, true, false]);
    assert_eq!(shape.entries, [0, 1], "it can be entered at its head");
}

#[test]
fn ways_that_meet_again_join_behind_what_parts_them() {
    let shape = structure(&[&[2, 1], &[3], &[3], &[]]);
    assert_eq!((shape.edge(1, 0), shape.edge(2, 0)), (Edge::Joins(3), Edge::Joins(3)));
    assert_eq!((shape.edge(0, 0), shape.edge(0, 1)), (Edge::Continues(2), Edge::Continues(1)));
    assert_eq!(shape.joins_under(0), [3]);
}

#[test]
fn a_branch_back_into_the_middle_of_a_loop_leaves() {
    // 1 and 2 lead to each other, and neither is the only way to the other.
    let shape = structure(&[&[2, 1], &[2, 3], &[1, 3], &[]]);
    let between = [shape.edge(1, 0), shape.edge(2, 0)];
    assert_eq!(between.iter().filter(|&&edge| edge == Edge::Leaves).count(), 1, "{between:?}");
    assert!(!shape.is_loop.contains(&true));
}

#[test]
fn where_a_call_comes_back_inside_a_loop_is_reached_by_its_head() {
    // 1 calls and comes back at 2, which goes round.
    let mut flows = region(&[&[1], &[], &[1, 3], &[]]);
    flows[1].resumes = Some(2);
    let shape = Structure::of(&flows);
    let entry = shape.entries.iter().position(|&entry| entry == 2).expect("calls come back there");
    let gate = shape.dispatch(shape.root())[entry];
    assert!(!shape.is_block(gate) && shape.is_loop[gate]);
    assert_eq!((shape.dispatch(gate)[entry], shape.dispatch(gate)[0]), (2, 1));
    assert_eq!(shape.edge(2, 0), Edge::Back(gate));
}

#[test]
fn an_inner_loop_that_begins_as_the_outer_one_does_is_gone_round_behind_the_gate() {
    // 0 goes round by itself, and round through 1, which is a loop as well.
    let shape = structure(&[&[0, 1], &[1, 0]]);
    let gate = shape.dispatch(shape.root())[0];
    assert_eq!(
        (shape.edge(0, 0), shape.edge(1, 0), shape.edge(1, 1)),
        (Edge::Back(0), Edge::Back(1), Edge::Back(gate))
    );
}

#[test]
fn a_function_that_calls_itself_comes_back_by_the_gate() {
    // 0 calls itself, and comes back at 1, or goes on to 2, which returns to 1; so does 1.
    let mut flows = region(&[&[0, 2], &[1], &[1]]);
    flows[0].resumes = Some(1);
    let shape = Structure::of(&flows);
    assert_eq!((shape.edge(0, 0), shape.edge(1, 0)), (Edge::Back(shape.dispatch(shape.root())[0]), Edge::Back(1)));
    assert!(matches!(shape.edge(2, 0), Edge::Joins(_) | Edge::Enters(..)), "{:?}", shape.edge(2, 0));
}

/// A xorshift generator (G. Marsaglia, "Xorshift RNGs", 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % limit
    }
}

/// What is reached from the root by the ways that code takes, without passing `avoided`.
fn reached(shape: &Structure, avoided: Option<BlockId>) -> Vec<bool> {
    let root = shape.root();
    let mut seen = vec![false; shape.is_loop.len()];
    let mut pending = vec![root];
    while let Some(block) = pending.pop() {
        if Some(block) == avoided || core::mem::replace(&mut seen[block], true) {
            continue;
        }
        if !shape.is_block(block) {
            pending.extend(shape.dispatch(block));
            continue;
        }
        pending.extend(shape.edges(block).filter_map(|edge| match edge {
            Edge::Leaves => None,
            Edge::Back(next) | Edge::Joins(next) | Edge::Continues(next) | Edge::Enters(next, _) => Some(next),
        }));
    }
    seen
}

#[test]
fn in_any_region_loops_are_entered_at_their_heads_and_every_entry_is_reached() {
    let mut random = Random(0x5eed);
    for _ in 0..3000 {
        let count = 1 + random.below(9);
        let targets: Vec<Vec<usize>> =
            (0..count).map(|_| (0..random.below(4)).map(|_| random.below(count + 2) as usize).collect()).collect();
        let targets: Vec<&[usize]> = targets.iter().map(Vec::as_slice).collect();
        let resumes: Vec<_> =
            (0..count).map(|_| (random.below(4) == 0).then(|| random.below(count) as usize)).collect();
        let mut flows = region(&targets);
        for (flow, &resumes) in flows.iter_mut().zip(&resumes) {
            flow.resumes = resumes;
            flow.entered = random.below(6) == 0;
        }
        let shape = Structure::of(&flows);
        let live = reached(&shape, None);
        for block in (0..shape.root()).filter(|&block| live[block]) {
            for edge in shape.edges(block) {
                let place = |block: BlockId| shape.order.iter().position(|&other| other == block);
                match edge {
                    Edge::Leaves => {}
                    Edge::Back(head) | Edge::Enters(head, _) => {
                        assert!(shape.is_loop[head], "{targets:?} {resumes:?}");
                        let around = reached(&shape, Some(head));
                        assert!(!around[block], "a way into the loop of {head} past it: {targets:?} {resumes:?}");
                    }
                    Edge::Joins(next) | Edge::Continues(next) => {
                        assert!(place(next) > place(block), "{targets:?} {resumes:?}");
                    }
                }
            }
        }
        for block in (0..shape.root()).filter(|&block| flows[block].entered && live[block]) {
            assert!(shape.entries.contains(&block), "{block} of {targets:?} {resumes:?}");
        }
        for (number, &entry) in shape.entries.iter().enumerate() {
            let mut at = shape.root();
            while at != entry {
                at = shape.dispatch(at)[number];
                assert!(at == entry || !shape.is_block(at), "somebody on the way knows the next step");
            }
        }
    }
}
