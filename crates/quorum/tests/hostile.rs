//! Frames that no member sends: a broken one may be wrong, and must not take another down with it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use bytes::Bytes;
use tandem_quorum::{Input, frame};
use world::{MS, World};

/// A frame with some of its payload changed, and the checksum made good.
fn spoiled(world: &mut World, bytes: &Bytes) -> Bytes {
    let mut spoiled = bytes.to_vec();
    let end = spoiled.len() - frame::TAIL;
    for _ in 0..=world.roll(3) {
        let at = frame::HEAD + world.roll((end - frame::HEAD) as u64) as usize;
        if at < end {
            spoiled[at] = match world.roll(4) {
                0 => 0,
                1 => 0xff,
                2 => spoiled[at].wrapping_add(1),
                _ => world.roll(256) as u8,
            };
        }
    }
    let checksum = crc32fast::hash(&spoiled[..end]).to_be_bytes();
    spoiled[end..].copy_from_slice(&checksum);
    spoiled.into()
}

#[test]
fn no_frame_whatever_it_says_brings_a_member_down() {
    for seed in 0..60 {
        let mut world = World::trio(seed);
        world.net.tap = Some(Vec::new());
        world.work(300 * MS, 10 * MS);
        world.power_off(0);
        world.work(600 * MS, 10 * MS);
        world.power_on(0);
        world.work(300 * MS, 10 * MS);
        let _ = world.switchover();
        world.work(300 * MS, 10 * MS);
        let frames = world.net.tap.take().unwrap();
        for _ in 0..2_000 {
            let (to, genuine) = frames[world.roll(frames.len() as u64) as usize].clone();
            let bytes = spoiled(&mut world, &genuine);
            let tick = std::time::Duration::from_micros(world.roll(3_000));
            let later = world.local(to) + tick;
            world.now += tick.as_micros() as u64;
            let member = world.machines[to].member_mut();
            member.handle_input(Input::Frame { bytes }, later);
            while let Some(output) = member.poll_output() {
                if let tandem_quorum::Output::Write(write) = output {
                    member.handle_input(Input::Stored { token: write.token }, later);
                }
            }
        }
    }
}

#[test]
fn bytes_that_are_no_frame_are_said_to_be_none() {
    let mut world = World::trio(1);
    let now = world.local(0);
    for length in [0, 1, 43, 44, 48, 500] {
        let bytes = Bytes::from(vec![0x54; length]);
        world.machines[0].member_mut().handle_input(Input::Frame { bytes }, now);
        let output = world.machines[0].member_mut().poll_output();
        assert!(
            matches!(output, Some(tandem_quorum::Output::Note(tandem_quorum::Note::BadFrame(_)))),
            "{output:?}"
        );
    }
}
