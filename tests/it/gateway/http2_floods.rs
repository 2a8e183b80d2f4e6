//! What a client may not do on a connection of HTTP/2, however much of it: each of its floods ends its own connection, or
//! meets a wall, and no other notices.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    http2::KINESIS,
    http2_attacks::{right, works},
};
use crate::harness::{
    Site,
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, End, FLOW_CONTROL_ERROR, HEADERS, PING,
        PROTOCOL_ERROR, PUSH_PROMISE, REFUSED_STREAM, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, block, frame, pair,
    },
    until,
};

#[tokio::test]
async fn one_stream_too_many_is_refused_and_the_others_go_on() {
    let site = Site::start().await;
    let mut client = Raw::new(&site, KINESIS).await;
    let head = block(&right(&site));
    let mut first = 0;
    for _ in 0..100 {
        // Each waits for its body.
        first = client.number();
        client.wire.send(frame(HEADERS, END_HEADERS, first, &head)).await;
    }
    let number = client.number();
    client.wire.send(frame(HEADERS, END_HEADERS, number, &head)).await;
    assert_eq!(client.end(number).await, End::Reset(REFUSED_STREAM));
    client.wire.send(frame(DATA, END_STREAM, first, b"{}")).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.end(first).await, End::Answer(200));
}

#[tokio::test]
async fn floods_end_the_connection_and_no_other() {
    let site = Site::start().await;
    let head = block(&right(&site));
    let resets = (0..200).flat_map(|count| {
        let number = count * 2 + 1;
        let reset = frame(RST_STREAM, 0, number, &8_u32.to_be_bytes());
        [frame(HEADERS, END_HEADERS | END_STREAM, number, &head), reset].concat()
    });
    let errors = (0..1000).flat_map(|count| {
        frame(HEADERS, END_HEADERS | END_STREAM, count * 2 + 1, &block(&[right(&site), vec![pair("te", "x")]].concat()))
    });
    let continuations = [frame(HEADERS, 0, 1, &head)]
        .into_iter()
        .chain((0..100).map(|_| frame(CONTINUATION, 0, 1, &block(&[pair("x", "y")]))))
        .flatten();
    let endless = [frame(HEADERS, 0, 1, &head)]
        .into_iter()
        .chain((0..100).map(|_| frame(CONTINUATION, 0, 1, &block(&[pair("x", &"y".repeat(16_000))]))))
        .flatten();
    // One large header in the table, and a byte for each time that it is meant.
    let mut bomb = block(&[right(&site), vec![pair("x", &"y".repeat(3_900))]].concat());
    let large = bomb.len() - 3_906;
    assert_eq!(bomb[large], 0, "the last header, for no table");
    bomb[large] = 0x40;
    bomb.extend([0xbe; 12_000]);
    let waits = frame(HEADERS, END_HEADERS, 1, &head);
    let empty = [waits.clone(), frame(DATA, 0, 1, b"").repeat(100_000)].concat();
    let drops = [waits, frame(DATA, 0, 1, b"x").repeat(100_000)].concat();
    // Mistakes for which the gateway has to reset streams by itself (CVE-2025-8671).
    let provoked = (0..1000).flat_map(|count| {
        let (number, most) = (count * 2 + 1, 0x7fff_ffff_u32.to_be_bytes());
        [frame(HEADERS, END_HEADERS | END_STREAM, number, &head), frame(WINDOW_UPDATE, 0, number, &most)].concat()
    });
    let bombs: [(&str, Vec<u8>, u32); 11] = [
        ("resets", resets.collect(), ENHANCE_YOUR_CALM),
        ("errors", errors.collect(), ENHANCE_YOUR_CALM),
        ("continuations", continuations.collect(), ENHANCE_YOUR_CALM),
        ("a head without end", endless.collect(), ENHANCE_YOUR_CALM),
        ("a table of headers", frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb), ENHANCE_YOUR_CALM),
        ("empty frames", empty, ENHANCE_YOUR_CALM),
        ("drops of data", drops, ENHANCE_YOUR_CALM),
        ("provoked resets", provoked.collect(), ENHANCE_YOUR_CALM),
        ("a window beyond all", frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()), FLOW_CONTROL_ERROR),
        ("a promise", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]), PROTOCOL_ERROR),
        ("data for no stream", frame(DATA, 0, 1, b"x"), PROTOCOL_ERROR),
    ];
    let mut other = Raw::new(&site, KINESIS).await;
    let (mut found, mut all_expected) = (Vec::new(), Vec::new());
    for (what, bytes, expected) in bombs {
        let mut client = Raw::new(&site, KINESIS).await;
        // It may be told to go before it has sent all.
        let _ = client.wire.try_send(bytes).await;
        found.push((what, client.end(u32::MAX).await));
        all_expected.push((what, End::Goaway(expected)));
        client.wire.drain().await;
        works(&site, &mut other).await;
    }
    assert_eq!(found, all_expected);
}

/// Who does not read its answers is not read.
#[tokio::test]
async fn floods_of_pings_and_settings_meet_a_wall() {
    let site = Site::start().await;
    for flood in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, b"")] {
        let mut client = Raw::new(&site, KINESIS).await;
        let (sent, piece) = (Arc::new(AtomicUsize::new(0)), flood.repeat(5_000));
        let count = Arc::clone(&sent);
        let flooding = tokio::spawn(async move {
            while client.wire.push(&piece).await.is_ok() {
                count.fetch_add(piece.len(), Ordering::SeqCst);
            }
        });
        let (mut before, mut still) = (0, 0);
        until("all buffers to be full, or the end", || {
            let now = sent.load(Ordering::SeqCst);
            still = if now == before { still + 1 } else { 0 };
            before = now;
            (still > 100 || flooding.is_finished()).then_some(())
        })
        .await;
        assert!(before < 32 * 1024 * 1024, "{before} bytes were read, and their answers kept");
        flooding.abort();
    }
    works(&site, &mut Raw::new(&site, KINESIS).await).await;
}

/// Frames that may not be: the connection ends, with what it ends for, as h2 has it.
#[tokio::test]
async fn frames_that_may_not_be() {
    const FRAME_SIZE_ERROR: u32 = 6;
    let site = Site::start().await;
    let head = block(&right(&site));
    let setting = |id: u16, value: u32| frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
    let begun = frame(HEADERS, 0, 1, &head);
    let cases = [
        ("a window of more than there can be", setting(4, 0x8000_0000), PROTOCOL_ERROR),
        ("frames smaller than all must take", setting(5, 100), PROTOCOL_ERROR),
        ("settings of a stream", frame(SETTINGS, 0, 1, b""), PROTOCOL_ERROR),
        ("half a setting", frame(SETTINGS, 0, 0, b"abc"), PROTOCOL_ERROR),
        ("half a ping", frame(PING, 0, 0, b"abc"), PROTOCOL_ERROR),
        ("a frame that is too large", frame(DATA, 0, 1, &b"x".repeat(16_385)), FRAME_SIZE_ERROR),
        ("a head on no stream", frame(HEADERS, END_HEADERS, 0, &head), PROTOCOL_ERROR),
        ("a stream of ours", frame(HEADERS, END_HEADERS, 2, &head), PROTOCOL_ERROR),
        ("the rest of no head", frame(CONTINUATION, END_HEADERS, 1, &head), PROTOCOL_ERROR),
        ("something within a head", [begun.clone(), frame(DATA, 0, 1, b"x")].concat(), PROTOCOL_ERROR),
        ("the rest of another head", [begun, frame(CONTINUATION, END_HEADERS, 3, b"")].concat(), PROTOCOL_ERROR),
        ("a reset of nothing", frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()), PROTOCOL_ERROR),
        ("more padding than there is", frame(DATA, 8, 1, &[200, 0]), PROTOCOL_ERROR),
    ];
    let (mut found, mut all_expected) = (Vec::new(), Vec::new());
    for (what, bytes, expected) in cases {
        let mut client = Raw::new(&site, KINESIS).await;
        let _ = client.wire.try_send(bytes).await;
        found.push((what, client.end(u32::MAX).await));
        all_expected.push((what, End::Goaway(expected)));
        client.wire.drain().await;
    }
    assert_eq!(found, all_expected);
    works(&site, &mut Raw::new(&site, KINESIS).await).await;
}

/// What says nothing is read away, and a call among it is served.
#[tokio::test]
async fn frames_that_mean_nothing_keep_nobody_from_working() {
    const PRIORITY: u8 = 2;
    const UNKNOWN: u8 = 0xfe;
    let site = Site::start().await;
    let mut client = Raw::new(&site, KINESIS).await;
    for flood in [
        frame(PRIORITY, 0, 1001, &[0, 0, 0, 0, 16]),
        frame(UNKNOWN, 0xff, 1001, b"anything"),
        frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
    ] {
        client.wire.send(flood.repeat(20_000)).await;
        works(&site, &mut client).await;
    }
}
