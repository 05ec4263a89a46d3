//! Members on loopback, with real sockets and certificates.

mod configuration;
mod strangers;

use std::future::Future;
use std::time::Duration;

use bytes::BufMut;
use bytes::BytesMut;
use tandem_quorum::{Kind, MemberInfo, Seat, frame};
use tempfile::TempDir;

use super::admission::Side;
use super::authority::Authority;
use super::*;

const GROUP: u64 = 7;

/// A member at an address of its own, and what came to it.
struct Member {
    id: MemberId,
    kind: Kind,
    settings: LinkSettings,
    links: Arc<Links>,
    frames: mpsc::Receiver<Bytes>,
    folder: TempDir,
}

fn host(id: u64) -> String {
    format!("127.0.0.{id}")
}

fn introduction(id: u64, kind: Kind, group: u64) -> Introduction {
    let (name, version, address) = (format!("server-{id}"), "9.9".to_owned(), format!("{}:1", host(id)));
    Introduction { id: MemberId(id), kind, group, name, version, address }
}

/// Frames that wait for a test to look at them.
const WAITING: usize = 4;

impl Member {
    fn start(authority: &Authority, id: u64) -> Self {
        Self::of_kind(authority, id, Kind::Server, GROUP)
    }

    fn of_kind(authority: &Authority, id: u64, kind: Kind, group: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let in_folder = |name: &str| folder.path().join(name);
        let settings = LinkSettings {
            listen: format!("{}:0", host(id)).parse().unwrap(),
            advertise: format!("{}:1", host(id)),
            certificate: in_folder("member.pem"),
            key: in_folder("member.key"),
            ca: in_folder("ca.pem"),
        };
        certify(&settings, authority, &host(id));
        Self::with(settings, introduction(id, kind, group), folder)
    }

    fn with(settings: LinkSettings, me: Introduction, folder: TempDir) -> Self {
        let (sender, frames) = mpsc::channel(WAITING);
        let (id, kind) = (me.id, me.kind);
        let summary = (kind == Kind::Server).then(|| summary("one"));
        let links = Links::start(&Handle::current(), &settings, me, summary, sender).unwrap();
        Self { id, kind, settings, links, frames, folder }
    }

    fn info(&self) -> MemberInfo {
        let address = self.links.listens.to_string();
        MemberInfo { id: self.id, kind: self.kind, seat: Seat::Voter, address }
    }

    fn seen(&self, of: &Self) -> Option<Seen> {
        self.links.seen().into_iter().find(|seen| seen.id == of.id)
    }

    fn is_linked(&self, of: &Self) -> bool {
        self.seen(of).is_some_and(|seen| seen.connected.is_some())
    }

    fn error(&self, of: &Self) -> String {
        self.seen(of).and_then(|seen| seen.error).unwrap_or_default()
    }

    async fn next(&mut self) -> Bytes {
        soon(self.frames.recv()).await.expect("frames come to an end")
    }
}

fn certify(settings: &LinkSettings, authority: &Authority, host: &str) {
    let made = authority.member("member", &[host.to_owned()], 1).unwrap();
    std::fs::write(&settings.certificate, made.certificate).unwrap();
    std::fs::write(&settings.key, made.key).unwrap();
    std::fs::write(&settings.ca, authority.made().certificate).unwrap();
}

/// A configuration in which one key holds this.
fn summary(realm: &str) -> Summary {
    let mut value = [0; 32];
    value.iter_mut().zip(realm.bytes()).for_each(|(to, from)| *to = from);
    Summary::new([("[application] realm".to_owned(), value), ("[TServer] sip-port".to_owned(), [1; 32])])
}

fn roster(members: &[&Member]) -> Roster {
    Roster::new(members.iter().map(|member| member.info()))
}

fn acquaint(members: &[&Member]) {
    let roster = roster(members);
    members.iter().for_each(|member| member.links.roster(&roster));
}

/// A frame with a payload of so many bytes.
fn frame_of(from: &Member, to: &Member, length: usize) -> Bytes {
    frame_in_the_name_of(from.id, to.id, length)
}

fn frame_in_the_name_of(from: MemberId, to: MemberId, length: usize) -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(b"TQ\x01\x01");
    out.put_u64(GROUP);
    out.put_u32(0);
    out.put_u64(1);
    out.put_u64(from.0);
    out.put_u64(to.0);
    out.put_u32(length as u32);
    out.resize(frame::HEAD + length + frame::TAIL, 0);
    assert_eq!(frame::length(&out), Ok(Some(out.len())));
    out.freeze()
}

/// What does not come soon does not come.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it does not come")
}

/// What is sent into a connection that is dead and not known to be is lost; the next is not.
async fn first_to_come(from: &Member, to: &mut Member) -> Bytes {
    let frame = frame_of(from, to, 1);
    let come = async {
        loop {
            from.links.send(to.id, frame.clone());
            tokio::select! {
                frame = to.frames.recv() => return frame,
                () = tokio::task::yield_now() => {}
            }
        }
    };
    soon(come).await.expect("frames come to an end")
}

/// Lets others work until something is so.
async fn until(so: impl Fn() -> bool) {
    let come = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    soon(come).await;
}

#[tokio::test]
async fn members_of_a_group_exchange_frames_both_ways() {
    let authority = Authority::new().unwrap();
    let (mut one, mut two) = (Member::start(&authority, 11), Member::start(&authority, 12));
    acquaint(&[&one, &two]);
    until(|| one.is_linked(&two) && two.is_linked(&one)).await;
    for length in [0, 1, 300_000, 5] {
        one.links.send(two.id, frame_of(&one, &two, length));
        two.links.send(one.id, frame_of(&two, &one, length));
        assert_eq!(two.next().await, frame_of(&one, &two, length));
        assert_eq!(one.next().await, frame_of(&two, &one, length));
    }
    let seen = one.seen(&two).unwrap();
    assert_eq!((seen.name.as_deref(), seen.version.as_deref()), (Some("server-12"), Some("9.9")));
    assert_eq!((seen.kind, seen.sent, seen.dropped, seen.received), (Some(Kind::Server), 4, 0, 4));
    assert_eq!(seen.address, Some(two.links.listens.to_string()));
}

#[tokio::test]
async fn a_member_that_is_gone_is_linked_again_when_it_is_back() {
    let authority = Authority::new().unwrap();
    let (one, two) = (Member::start(&authority, 11), Member::start(&authority, 12));
    acquaint(&[&one, &two]);
    until(|| one.is_linked(&two)).await;
    let listened = two.links.listens;
    let Member { links, settings, folder, .. } = two;
    drop(links);
    until(|| one.links.seen().iter().all(|seen| seen.connected.is_none())).await;
    one.links.send(MemberId(12), frame_in_the_name_of(one.id, MemberId(12), 9));
    assert_eq!(one.links.seen()[0].dropped, 1, "better lost than late");
    until(|| one.links.seen()[0].error.as_ref().is_some_and(|why| why.contains("nothing listens there")))
        .await;

    let settings = LinkSettings { listen: listened, ..settings };
    let mut two = Member::with(settings, introduction(12, Kind::Server, GROUP), folder);
    until(|| one.is_linked(&two)).await;
    one.links.send(two.id, frame_of(&one, &two, 1));
    assert_eq!(
        two.next().await,
        frame_of(&one, &two, 1),
        "though the one that is back knows no group of its own yet"
    );
    until(|| one.error(&two).is_empty()).await;
}

#[tokio::test]
async fn a_member_that_was_started_anew_before_its_end_was_noticed_takes_its_own_place() {
    let authority = Authority::new().unwrap();
    let one = Member::start(&authority, 11);
    let two = introduction(12, Kind::Server, GROUP);
    let room = &one.links.room;
    let before = room.enter(&two, Side::Accepted).unwrap();
    let mut now = room.enter(&two, Side::Accepted).unwrap();
    assert!(before.close.is_cancelled() && !now.close.is_cancelled());
    room.leave(&before, Some("it is dead"));
    one.links.send(two.id, Bytes::from_static(b"a frame"));
    assert_eq!(now.queue.try_recv(), Ok(Bytes::from_static(b"a frame")));
    room.leave(&now, Some("it is dead"));
    assert_eq!(one.links.seen(), [], "a stranger to the group is forgotten");
}

#[tokio::test]
async fn what_a_member_does_not_take_fast_enough_is_dropped_and_counted() {
    let authority = Authority::new().unwrap();
    let (one, two) = (Member::start(&authority, 11), Member::start(&authority, 12));
    acquaint(&[&one, &two]);
    until(|| one.is_linked(&two)).await;
    let large = frame_of(&one, &two, 1 << 20);
    for _ in 0..1_000 {
        one.links.send(two.id, large.clone());
    }
    let seen = one.seen(&two).unwrap();
    assert_eq!(seen.sent + seen.dropped, 1_000);
    assert!(seen.sent > 0 && seen.sent <= 32, "{seen:?}");
    until(|| one.error(&two).contains("nothing could be written")).await;
    until(|| one.is_linked(&two)).await;
}

#[tokio::test]
async fn a_snapshot_goes_by_the_other_connection_while_there_are_two() {
    let authority = Authority::new().unwrap();
    let one = Member::start(&authority, 11);
    let two = introduction(12, Kind::Server, GROUP);
    let room = &one.links.room;
    let mut dialled = room.enter(&two, Side::Dialled).unwrap();
    let mut accepted = room.enter(&two, Side::Accepted).unwrap();
    let plain = frame_in_the_name_of(one.id, two.id, 1);
    let mut chunk = BytesMut::from(&plain[..]);
    chunk[3] = 2;
    let chunk = chunk.freeze();
    assert!(frame::is_bulk(&chunk));
    one.links.send(two.id, chunk.clone());
    one.links.send(two.id, plain.clone());
    assert_eq!((accepted.queue.try_recv(), dialled.queue.try_recv()), (Ok(chunk.clone()), Ok(plain)));
    room.leave(&accepted, None);
    one.links.send(two.id, chunk.clone());
    assert_eq!(dialled.queue.try_recv(), Ok(chunk));
}

#[tokio::test]
async fn a_member_without_a_group_hears_and_answers_whoever_dials_it() {
    let authority = Authority::new().unwrap();
    let mut leader = Member::start(&authority, 11);
    let mut joiner = Member::of_kind(&authority, 12, Kind::Server, 0);
    leader.links.roster(&roster(&[&leader, &joiner]));
    until(|| joiner.is_linked(&leader)).await;
    leader.links.send(joiner.id, frame_of(&leader, &joiner, 3));
    assert_eq!(joiner.next().await, frame_of(&leader, &joiner, 3));
    joiner.links.send(leader.id, frame_of(&joiner, &leader, 4));
    assert_eq!(leader.next().await, frame_of(&joiner, &leader, 4));
    let differing = joiner.seen(&leader).unwrap().differing;
    assert_eq!(differing, None, "who is no member yet compares nothing");

    joiner.links.group(GROUP);
    acquaint(&[&leader, &joiner]);
    until(|| joiner.seen(&leader).unwrap().differing == Some(Vec::new())).await;
}

#[tokio::test]
async fn an_introduction_tells_who_is_there_and_leaves_nothing_behind() {
    let authority = Authority::new().unwrap();
    let one = Member::start(&authority, 11);
    let witness = Member::of_kind(&authority, 13, Kind::Witness, 0);
    let found = soon(one.links.introduce(&witness.links.listens.to_string())).await.unwrap();
    assert_eq!(found, introduction(13, Kind::Witness, 0));
    assert_eq!((one.links.seen(), witness.links.seen()), (Vec::new(), Vec::new()));
    let nobody = soon(one.links.introduce("127.0.0.99:1")).await.unwrap_err();
    assert!(nobody.to_string().contains("nothing listens there"), "{nobody}");
    let nowhere = soon(one.links.introduce("127.0.0.99")).await.unwrap_err();
    assert_eq!(nowhere, LinkError::Address("127.0.0.99".to_owned()));
}

#[tokio::test]
async fn who_left_the_group_is_not_dialled_and_who_moved_is_dialled_where_it_went() {
    let authority = Authority::new().unwrap();
    let (one, two) = (Member::start(&authority, 11), Member::start(&authority, 12));
    acquaint(&[&one, &two]);
    until(|| one.is_linked(&two)).await;
    two.links.roster(&roster(&[&two]));
    one.links.roster(&roster(&[&one]));
    until(|| one.links.seen().is_empty() && two.links.seen().is_empty()).await;

    let moved = Member::start(&authority, 14);
    let at = |address: String| MemberInfo { address, ..two.info() };
    let nowhere = Roster::new([one.info(), at("127.0.0.12:1".to_owned())]);
    one.links.roster(&nowhere);
    until(|| !one.error(&two).is_empty()).await;
    one.links.roster(&roster(&[&one, &two]));
    until(|| one.is_linked(&two)).await;
    one.links.roster(&Roster::new([one.info(), at(moved.links.listens.to_string())]));
    until(|| one.error(&two).contains("it is member e, and the group expects c there")).await;
}
