//! What agreement costs, all members in one thread and disks that answer at once: `cargo bench -p tandem-quorum`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, missing_docs)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_quorum::{
    Change, Input, Kind, Member, MemberId, MemberInfo, Output, Persisted, Seat, Settings, Write,
};

fn main() {
    divan::main();
}

struct Group {
    members: Vec<Member>,
    now: Instant,
    committed: u64,
}

impl Group {
    fn new(size: u64) -> Self {
        let now = Instant::now();
        let kinds = [Kind::Server, Kind::Server, Kind::Witness].into_iter().zip(1..=size);
        let infos: Vec<MemberInfo> = kinds
            .map(|(kind, id)| MemberInfo {
                id: MemberId(id),
                kind,
                seat: Seat::Voter,
                address: String::new(),
            })
            .collect();
        let members = infos.iter().map(|info| {
            let persisted = match info.id.0 {
                1 => Persisted::found(7, info.clone()),
                _ => Persisted::join(info.id),
            };
            Member::start(Settings::new(info.kind, info.id.0 as u8, 1), persisted, now).unwrap()
        });
        let mut group = Self { members: members.collect(), now, committed: 0 };
        group.settle();
        if size > 1 {
            group.members[0].change(&Change { set: infos, remove: Vec::new() }, now).unwrap();
        }
        for _ in 0..20 {
            group.now += Duration::from_millis(20);
            for member in &mut group.members {
                member.handle_timeout(group.now);
            }
            group.settle();
        }
        assert_eq!(group.members[0].votes().voters.len() as u64, size);
        group
    }

    /// Carries everything out until nobody has anything to say.
    fn settle(&mut self) {
        let mut inputs: VecDeque<(usize, Input)> = VecDeque::new();
        loop {
            for at in 0..self.members.len() {
                while let Some(output) = self.members[at].poll_output() {
                    match output {
                        Output::Send { to, frame } => {
                            inputs.push_back((to.0 as usize - 1, Input::Frame { bytes: frame }));
                        }
                        Output::Write(Write { token, .. }) => inputs.push_back((at, Input::Stored { token })),
                        Output::SnapshotWanted { index } => {
                            inputs.push_back((at, Input::SnapshotMade { index, data: Bytes::new() }));
                        }
                        Output::Committed { index, .. } if at == 0 => self.committed = index,
                        Output::Committed { .. }
                        | Output::Install(_)
                        | Output::Standing(_)
                        | Output::Serve { .. }
                        | Output::StandDown { .. }
                        | Output::Roster(_)
                        | Output::Note(_) => {}
                    }
                }
            }
            let Some((to, input)) = inputs.pop_front() else { break };
            self.members[to].handle_input(input, self.now);
        }
    }

    fn agree(&mut self, count: usize, batch: &Bytes) {
        let mut last = 0;
        for _ in 0..count {
            last = self.members[0].propose(batch.clone(), self.now).unwrap();
        }
        self.settle();
        assert_eq!(self.committed, last);
    }
}

/// Microseconds for one batch of 300 bytes, at a server alone.
#[divan::bench(args = [1, 16])]
fn alone(bencher: divan::Bencher, together: usize) {
    let mut group = Group::new(1);
    let batch = Bytes::from(vec![7; 300]);
    bencher.counter(divan::counter::ItemsCount::new(together)).bench_local(|| group.agree(together, &batch));
}

/// The same at all three members together.
#[divan::bench(args = [1, 16])]
fn three(bencher: divan::Bencher, together: usize) {
    let mut group = Group::new(3);
    let batch = Bytes::from(vec![7; 300]);
    bencher.counter(divan::counter::ItemsCount::new(together)).bench_local(|| group.agree(together, &batch));
}
