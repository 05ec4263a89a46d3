//! Those who must not be let in, or not listened to.

use tokio::net::TcpStream;

use super::super::hello::Hello;
use super::super::link;
use super::*;

#[tokio::test]
async fn a_member_of_another_authority_is_refused_and_both_say_why() {
    let (ours, theirs) = (Authority::new().unwrap(), Authority::new().unwrap());
    let (one, two) = (Member::start(&ours, 11), Member::start(&theirs, 12));
    acquaint(&[&one, &two]);
    until(|| one.error(&two).contains("signed by another authority than member-ca-file names")).await;
    until(|| two.error(&one).contains("signed by another authority than member-ca-file names")).await;
    assert!(!one.is_linked(&two) && !two.is_linked(&one));
    let why = soon(one.links.introduce(&two.links.listens.to_string())).await.unwrap_err();
    assert!(why.to_string().contains("all members must name the same"), "{why}");

    certify(&two.settings, &ours, &host(12));
    two.links.reload_tls();
    until(|| one.is_linked(&two) && two.is_linked(&one)).await;
}

#[tokio::test]
async fn a_member_that_speaks_for_another_is_cut() {
    let authority = Authority::new().unwrap();
    let (one, mut two) = (Member::start(&authority, 11), Member::start(&authority, 12));
    acquaint(&[&one, &two]);
    until(|| one.is_linked(&two) && two.is_linked(&one)).await;
    one.links.send(two.id, frame_in_the_name_of(MemberId(13), two.id, 1));
    until(|| two.error(&one).contains("in the name of member d")).await;
    assert_eq!(first_to_come(&one, &mut two).await, frame_of(&one, &two, 1), "and nothing of what it forged");
}

#[tokio::test]
async fn the_certificate_of_one_member_does_not_let_in_another() {
    let authority = Authority::new().unwrap();
    let (one, two) = (Member::start(&authority, 11), Member::start(&authority, 12));
    // It runs where 14 does, with its certificate, and says that it is 12.
    let thief = Member::start(&authority, 14);
    let Member { links, settings, folder, .. } = thief;
    drop(links);
    let thief = Member::with(settings, introduction(12, Kind::Server, GROUP), folder);
    acquaint(&[&one, &two]);
    until(|| one.is_linked(&two)).await;
    thief.links.roster(&roster(&[&one]));
    until(|| thief.error(&one).contains("the certificate does not name 127.0.0.12")).await;
    assert!(!thief.is_linked(&one) && one.is_linked(&two));
}

#[tokio::test]
async fn a_member_of_another_group_is_refused_and_told_so() {
    let authority = Authority::new().unwrap();
    let one = Member::start(&authority, 11);
    let other = Member::of_kind(&authority, 12, Kind::Server, GROUP + 1);
    one.links.roster(&roster(&[&one, &other]));
    until(|| one.error(&other).contains("it belongs to group 8, this member to 7")).await;
    other.links.roster(&roster(&[&one, &other]));
    until(|| other.error(&one).contains("belongs to group")).await;
    assert!(!one.is_linked(&other));
}

#[tokio::test]
async fn whoever_is_not_added_yet_may_come_but_is_not_listened_to() {
    let authority = Authority::new().unwrap();
    let mut one = Member::start(&authority, 11);
    let joiner = Member::of_kind(&authority, 12, Kind::Server, 0);
    one.links.roster(&roster(&[&one]));
    joiner.links.roster(&roster(&[&one]));
    until(|| joiner.is_linked(&one)).await;
    joiner.links.send(one.id, frame_of(&joiner, &one, 1));
    until(|| one.seen(&joiner).is_some_and(|seen| seen.received == 1)).await;
    assert!(one.frames.try_recv().is_err());
    one.links.roster(&roster(&[&one, &joiner]));
    until(|| one.seen(&joiner).is_some_and(|seen| seen.connected.is_some())).await;
    assert_eq!(first_to_come(&joiner, &mut one).await, frame_of(&joiner, &one, 1));
}

#[tokio::test]
async fn a_member_that_finds_its_group_says_so_over_the_connection_that_is_there() {
    let authority = Authority::new().unwrap();
    let mut one = Member::start(&authority, 11);
    let joiner = Member::of_kind(&authority, 12, Kind::Server, 0);
    one.links.roster(&roster(&[&one]));
    joiner.links.roster(&roster(&[&one]));
    until(|| joiner.is_linked(&one)).await;
    let since = joiner.seen(&one).unwrap().connected;
    joiner.links.group(GROUP);
    assert_eq!(
        first_to_come(&joiner, &mut one).await,
        frame_of(&joiner, &one, 1),
        "the group tells it otherwise"
    );
    assert_eq!(joiner.seen(&one).unwrap().connected, since);
}

#[tokio::test]
async fn strangers_that_say_nothing_keep_no_member_out() {
    let authority = Authority::new().unwrap();
    let (one, two) = (Member::start(&authority, 11), Member::start(&authority, 12));
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(TcpStream::connect(one.links.listens).await.unwrap());
    }
    let (first, last) = (&mut held.remove(0), &held[held.len() - 1]);
    let ended = soon(tokio::io::AsyncReadExt::read(first, &mut [0; 1])).await;
    assert!(ended.is_err() || ended.is_ok_and(|read| read == 0), "the oldest makes room");
    assert!(last.try_read(&mut [0; 1]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    acquaint(&[&one, &two]);
    until(|| one.is_linked(&two) && two.is_linked(&one)).await;
}

#[tokio::test]
async fn something_else_that_answers_is_told_from_a_member() {
    let authority = Authority::new().unwrap();
    let one = Member::start(&authority, 11);
    let listener = TcpListener::bind("127.0.0.15:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-OpenSSH_9.6\r\n").await.unwrap();
    });
    let why = soon(one.links.introduce(&address)).await.unwrap_err().to_string();
    assert!(why.contains("is it Tandem's port for members?"), "{why}");
}

#[tokio::test]
async fn files_that_cannot_work_are_refused_at_the_start_with_their_names() {
    let (ours, theirs) = (Authority::new().unwrap(), Authority::new().unwrap());
    let Member { settings, folder, .. } = Member::start(&ours, 11);
    let start = |settings: &LinkSettings| {
        let me = introduction(11, Kind::Server, GROUP);
        let started = Links::start(&Handle::current(), settings, me, None, mpsc::channel(1).0);
        started.err().map(|error| format!("{error:#}")).unwrap_or_default()
    };
    let elsewhere = LinkSettings { advertise: "192.0.2.1:5070".to_owned(), ..settings.clone() };
    assert!(start(&elsewhere).contains("member.pem does not name 192.0.2.1"), "{}", start(&elsewhere));
    let other = folder.path().join("other.pem");
    std::fs::write(&other, theirs.made().certificate).unwrap();
    let mixed = LinkSettings { ca: other, ..settings.clone() };
    assert!(start(&mixed).contains("was not signed for a member by"), "{}", start(&mixed));
    let none = LinkSettings { key: folder.path().join("none.key"), ..settings };
    assert!(start(&none).contains("none.key"), "{}", start(&none));
}

#[tokio::test]
async fn a_member_from_which_nothing_comes_is_cut_and_dialled_again() {
    let authority = Authority::new().unwrap();
    let (one, two) = (Member::start(&authority, 11), Member::start(&authority, 12));
    // Both ends of a way that loses everything behind the handshake.
    let listener = TcpListener::bind("127.0.0.12:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (facts, acceptor) =
        (one.links.room.facts.borrow().clone(), two.links.room.security.acceptor().unwrap());
    let (mute, mut heard) = mpsc::channel(8);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = acceptor.accept(stream).await.unwrap();
            let me = Introduction { id: MemberId(12), ..facts.me.clone() };
            let hello = Hello::new(me, false);
            let ready = link::introduce(stream.into(), hello).await.unwrap();
            mute.send(ready.welcome().await.unwrap()).await.unwrap();
        }
    });
    one.links.roster(&Roster::new([one.info(), MemberInfo { address, ..two.info() }]));
    let first = soon(heard.recv()).await.unwrap();
    until(|| one.error(&two).contains("nothing came for 2 s")).await;
    let second = soon(heard.recv()).await.unwrap();
    until(|| one.is_linked(&two)).await;
    drop((first, second));
}
