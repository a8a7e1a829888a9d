//! Two of these against each other over a wire that loses, with the bytes as the judge. The kernel's own TCP is the other
//! end in the tests of the package.

use std::collections::VecDeque;

use super::*;

/// A segment on the wire.
struct Sent {
    header: Segment<'static>,
    data: Vec<u8>,
}

#[derive(Default)]
struct Wire(VecDeque<Sent>);

impl Wire {
    fn put(&mut self, segment: Segment<'_>) {
        self.0.push_back(Sent { header: Segment { data: &[], ..segment }, data: segment.data.to_vec() });
    }
}

/// Numbers that look random, the same in every run (xorshift).
fn random(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

/// Sends `bytes` from one to the other and on end back, losing one in `loss` segments; what has arrived at each.
fn exchange(bytes: &[u8], loss: u32, slow: usize) -> [Vec<u8>; 2] {
    let mut now = Instant::now();
    let mut seed = 7;
    let mut wires = [Wire::default(), Wire::default()];
    let mut asker = Connection::ask(u32::MAX - 5, now, &mut |segment| wires[0].put(segment));
    let syn = wires[0].0.pop_front().expect("a greeting").header;
    let mut answerer = Connection::asked(&syn, 77);
    answerer.accept(now, &mut |segment| wires[1].put(segment));
    let mut arrived = [Vec::new(), Vec::new()];
    let mut unsent = [bytes, bytes];
    for _ in 0..200_000 {
        for side in 0..2 {
            let (one, wire) = match side {
                0 => (&mut asker, side),
                _ => (&mut answerer, side),
            };
            while let Some(Sent { header, data }) = wires[1 - side].0.pop_front() {
                if loss == 0 || !random(&mut seed).is_multiple_of(loss) {
                    one.receive(&Segment { data: &data, ..header }, now, &mut |segment| wires[wire].put(segment));
                }
            }
            let taken = one.incoming().0.len().min(slow);
            arrived[side].extend_from_slice(&one.incoming().0[..taken]);
            one.consume(taken, &mut |segment| wires[wire].put(segment));
            let length = one.room().min(unsent[side].len());
            if length > 0 {
                one.send(&unsent[side][..length], now, &mut |segment| wires[wire].put(segment));
                unsent[side] = &unsent[side][length..];
            }
            // The answerer ends when the asker has.
            let may_end = side == 0 || one.incoming() == (&[], true);
            if unsent[side].is_empty() && one.is_open() && may_end && !one.outgoing_ends {
                one.finish(now, &mut |segment| wires[wire].put(segment));
            }
            one.tick(now, &mut |segment| wires[wire].put(segment));
        }
        if asker.is_over() && answerer.is_over() {
            assert!(!asker.is_reset && !answerer.is_reset);
            return arrived;
        }
        now += Duration::from_millis(10);
    }
    panic!("it does not come to an end: {} and {} of {} bytes", arrived[0].len(), arrived[1].len(), bytes.len());
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

#[test]
fn every_byte_arrives_in_order_whatever_is_lost() {
    let sent = bytes(1_000_000);
    for loss in [0, 50, 7] {
        let arrived = exchange(&sent, loss, usize::MAX);
        assert!(arrived == [sent.clone(), sent.clone()], "one in {loss} lost");
    }
}

#[test]
fn a_slow_reader_is_waited_for() {
    let sent = bytes(600_000);
    assert!(exchange(&sent, 0, 3_000) == [sent.clone(), sent.clone()]);
    assert!(exchange(&sent, 11, 30_000) == [sent.clone(), sent.clone()]);
}

#[test]
fn nobody_is_sent_more_than_there_is_room_for() {
    let now = Instant::now();
    let syn = Segment { sequence: 10, flags: SYN, window: 1_000, longest: Some(400), ..Segment::default() };
    let mut connection = Connection::asked(&syn, 0);
    connection.accept(now, &mut |_| {});
    let open = Segment { sequence: 11, acknowledgement: 1, flags: ACK, window: 1_000, ..Segment::default() };
    connection.receive(&open, now, &mut |_| {});
    let mut sent = Vec::new();
    connection.send(&bytes(5_000), now, &mut |segment| sent.push(segment.data.len()));
    // RFC 9293, 3.7.1: no less than 536 is taken for the longest segment.
    assert_eq!(sent, [536, 464]);
    // And a reset ends it only where the next byte would be.
    let reset = |sequence: u32| Segment { sequence, flags: RST, ..Segment::default() };
    connection.receive(&reset(10), now, &mut |_| {});
    assert!(!connection.is_reset);
    connection.receive(&reset(11), now, &mut |_| {});
    assert!(connection.is_reset && connection.is_over());
}

#[test]
fn segments_that_make_no_sense_change_nothing() {
    let now = Instant::now();
    let syn = Segment { sequence: 10, flags: SYN, window: 1_000, scale: Some(14), ..Segment::default() };
    let mut connection = Connection::asked(&syn, 0);
    connection.accept(now, &mut |_| {});
    let mut seed = 3;
    for _ in 0..20_000 {
        let segment = Segment {
            sequence: random(&mut seed),
            acknowledgement: random(&mut seed),
            flags: (random(&mut seed) as u8) & !RST,
            window: random(&mut seed) as u16,
            data: &[0; 40][..random(&mut seed) as usize % 40],
            ..Segment::default()
        };
        connection.receive(&segment, now, &mut |_| {});
        connection.tick(now, &mut |_| {});
    }
    assert_eq!(connection.incoming(), (&[][..], false));
}

/// A connection that the container has opened, whose next byte has the number 11.
fn opened(now: Instant) -> Connection {
    let syn = Segment { sequence: 10, flags: SYN, window: 1_000, scale: Some(0), ..Segment::default() };
    let mut connection = Connection::asked(&syn, 0);
    connection.accept(now, &mut |_| {});
    let open = Segment { sequence: 11, acknowledgement: 1, flags: ACK, window: 1_000, ..Segment::default() };
    connection.receive(&open, now, &mut |_| {});
    connection
}

#[test]
fn what_overtakes_is_kept_for_what_it_has_overtaken() {
    let (now, sent) = (Instant::now(), bytes(5_000));
    let mut connection = opened(now);
    let mut said = Vec::new();
    // The last carries the end, one comes twice, and one overlaps.
    for (from, to) in [(4_000, 5_000), (1_000, 2_000), (1_000, 2_000), (1_500, 4_000), (0, 1_000)] {
        let flags = ACK | if to == 5_000 { FIN } else { 0 };
        let (sequence, data) = (11 + from as u32, &sent[from..to]);
        let segment = Segment { sequence, acknowledgement: 1, flags, window: 1_000, data, ..Segment::default() };
        connection.receive(&segment, now, &mut |segment| said.push(segment.acknowledgement));
    }
    assert_eq!(connection.incoming(), (&sent[..], true));
    assert_eq!(said, [11, 11, 11, 11, 11 + 5_001]);
}

#[test]
fn no_more_is_kept_ahead_than_there_is_room_for() {
    let (now, data) = (Instant::now(), bytes(60_000));
    let mut connection = opened(now);
    for number in 0..1_000 {
        let sequence = 12 + number * 3;
        let segment = Segment { sequence, acknowledgement: 1, flags: ACK, data: &data, ..Segment::default() };
        connection.receive(&segment, now, &mut |_| {});
    }
    let kept = connection.ahead.bytes();
    assert!((60_000..=BUFFER).contains(&kept), "{kept}");
    let beyond = Segment { sequence: 11 + BUFFER as u32, flags: ACK, data: &data, ..Segment::default() };
    connection.receive(&beyond, now, &mut |_| {});
    assert_eq!(connection.ahead.bytes(), kept);
}

#[test]
fn a_window_that_has_been_said_is_not_taken_back() {
    let (now, sent) = (Instant::now(), bytes(700_000));
    let mut connection = opened(now);
    let (mut seed, mut edge, mut from) = (5, 0, 0);
    while from < sent.len() {
        connection.share = [LEAST_WINDOW, BUFFER / 2, BUFFER][random(&mut seed) as usize % 3];
        let mut edges = Vec::new();
        let mut look = |said: Segment<'_>| {
            edges.push(said.acknowledgement - 11 + (u32::from(said.window) << SCALE));
        };
        let to = sent.len().min(from + random(&mut seed) as usize % 60_000);
        let (sequence, data) = (11 + from as u32, &sent[from..to]);
        connection.receive(&Segment { sequence, flags: ACK, data, ..Segment::default() }, now, &mut look);
        let taken = connection.incoming().0.len() * (random(&mut seed) as usize % 3) / 2;
        connection.consume(taken.min(connection.incoming().0.len()), &mut look);
        for next in edges {
            // What a shifted window cannot say is less than a unit of it.
            assert!(next + (1 << SCALE) > edge, "{next} behind {edge}");
            edge = edge.max(next);
        }
        from = (connection.expected - 11) as usize;
    }
}
