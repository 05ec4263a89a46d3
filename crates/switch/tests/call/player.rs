//! What a media server plays to a caller who waits, and everything that can come between.

use std::time::Duration;

use bytes::Bytes;
use tandem_sip::{HeaderName, Message};
use tandem_switch::Input;
use tandem_switch::arena::Key;
use tandem_switch::call::control::{Begun, Operation};
use tandem_switch::call::{News, Ticket};
use tandem_switch::directory::floor::Treatment;
use tandem_switch::media::{MediaId, MediaNews, MediaOrder, Repeat};

use crate::floor::{MUSIC, POINT, QUEUE, bed, on_to};
use crate::support::{Bed, CALLEE, CALLER, answer, cancel_of, codes, header, in_dialog, invite, line, with};

const SDP: &[u8] = b"v=0 of the media server";

fn tag(message: &Message) -> String {
    header(message, HeaderName::To).split_once(";tag=").unwrap().1.to_owned()
}

impl Bed {
    #[track_caller]
    pub fn order(&mut self) -> MediaOrder {
        assert_eq!(self.media.len(), 1, "{:?}", self.media);
        self.media.remove(0)
    }

    pub fn says(&mut self, news: MediaNews) {
        self.node.handle_input(Input::Media(news), self.now);
        self.drain();
    }

    fn playing(&mut self, (id, turn): (MediaId, u32)) {
        self.says(MediaNews::Playing { id, turn, sdp: Bytes::from_static(SDP) });
    }

    fn failed(&mut self, (id, turn): (MediaId, u32)) {
        self.says(MediaNews::Failed { id, turn, why: "it was lost".into() });
    }

    fn why(&mut self) -> String {
        let why = self.node.why("call1").unwrap();
        why.steps.iter().map(|step| format!("{}\n", step.text)).collect()
    }
}

/// The player of an order to play.
#[track_caller]
pub fn play(order: &MediaOrder) -> (MediaId, u32) {
    let MediaOrder::Play { id, turn, .. } = order else { panic!("{order:?}") };
    (*id, *turn)
}

/// 1001 waits at the queue with music, and the media server was asked.
#[track_caller]
fn asked(bed: &mut Bed) -> (Key, (MediaId, u32)) {
    bed.register("1001", CALLER);
    bed.receive(CALLER, &invite("1001", CALLER, MUSIC, "call1"));
    assert_eq!(codes(&bed.take(CALLER)), [100], "nothing is told before the server says whether it plays");
    let order = bed.order();
    let MediaOrder::Play { offer, file, repeat, .. } = &order else { panic!("{order:?}") };
    assert_eq!((&offer[..], &**file, *repeat), (&b"v=0~"[..], "hold.wav", Repeat::Forever));
    (bed.key(), play(&order))
}

/// The same, and it plays: with the 183.
#[track_caller]
fn hears(bed: &mut Bed) -> (Key, (MediaId, u32), Message) {
    let (key, player) = asked(bed);
    bed.playing(player);
    let heard = bed.one(CALLER);
    (key, player, heard)
}

#[track_caller]
fn stopped(bed: &mut Bed, (id, _): (MediaId, u32)) {
    assert_eq!(bed.order(), MediaOrder::Stop { id });
}

#[test]
fn a_caller_hears_music_by_a_183_and_is_told_again_every_minute() {
    let mut bed = bed();
    let (_, player, heard) = hears(&mut bed);
    assert_eq!((heard.code(), heard.body()), (Some(183), SDP));
    assert_eq!(header(&heard, HeaderName::ContentType), "application/sdp");
    assert_eq!(header(&heard, HeaderName::Contact), "<sip:10.0.0.1:5060>");
    bed.pass(Duration::from_secs(61));
    let again = bed.one(CALLER);
    assert_eq!((again.code(), tag(&again), again.body()), (Some(183), tag(&heard), SDP));
    bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, MUSIC, "call1")));
    assert_eq!(codes(&bed.take(CALLER)), [200, 487]);
    stopped(&mut bed, player);
    bed.nothing_stays();
    assert!(bed.media.is_empty());
}

#[test]
fn the_agent_answers_in_another_dialog_than_the_music_and_the_music_stops() {
    let mut bed = bed();
    let (key, player, heard) = hears(&mut bed);
    bed.register("1002", CALLEE);
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    let offer = bed.one(CALLEE);
    assert_eq!(offer.body(), b"v=0~", "the caller's own offer, still unanswered in the agent's dialog");
    bed.receive(CALLEE, &answer(&offer, 180, "agent", CALLEE, ""));
    assert!(bed.take(CALLER).is_empty() && bed.media.is_empty(), "the music goes on while a phone rings");
    bed.receive(CALLEE, &answer(&offer, 200, "agent", CALLEE, "answer"));
    let ok = bed.one(CALLER);
    assert_eq!((ok.code(), ok.body()), (Some(200), &b"answer"[..]));
    assert_ne!(tag(&ok), tag(&heard), "an answer of its own needs a dialog of its own");
    stopped(&mut bed, player);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let bye = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&bye, 200, "", CALLEE, ""));
    bed.nothing_stays();
}

#[test]
fn an_agent_who_answers_before_the_media_server_stops_it() {
    let mut bed = bed();
    let (key, player) = asked(&mut bed);
    bed.register("1002", CALLEE);
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    let offer = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offer, 200, "agent", CALLEE, "answer"));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
    stopped(&mut bed, player);
    bed.playing(player);
    assert!(bed.take(CALLER).is_empty(), "what comes too late is not told");
}

#[test]
fn a_caller_who_gives_up_before_the_media_server_plays_stops_it() {
    let mut bed = bed();
    let (_, player) = asked(&mut bed);
    bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, MUSIC, "call1")));
    assert_eq!(codes(&bed.take(CALLER)), [200, 487]);
    stopped(&mut bed, player);
    bed.playing(player);
    assert!(bed.take(CALLER).is_empty());
    bed.nothing_stays();
    bed.playing(player);
}

#[test]
fn a_bye_in_the_dialog_of_the_music_ends_the_call() {
    let mut bed = bed();
    let (_, player, heard) = hears(&mut bed);
    bed.receive(CALLER, &in_dialog(&heard, "UPDATE", 2, CALLER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [491]);
    bed.receive(CALLER, &in_dialog(&heard, "BYE", 3, CALLER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [200, 487]);
    stopped(&mut bed, player);
    bed.nothing_stays();
}

#[test]
fn without_a_media_server_the_caller_has_ringback_and_why_says_so() {
    let mut bed = bed();
    let (_, player) = asked(&mut bed);
    bed.failed(player);
    let heard = bed.one(CALLER);
    assert_eq!((heard.code(), heard.body()), (Some(180), &b""[..]));
    assert!(bed.news().contains(&News::TreatmentFailed));
    let why = bed.why();
    assert!(why.contains("asked to play hold.wav"), "{why}");
    assert!(why.contains("nothing is played, ringback instead: it was lost"), "{why}");
    stopped(&mut bed, player);
}

#[test]
fn a_media_server_that_is_lost_later_leaves_ringback_and_the_next_treatment_asks_again() {
    let mut bed = bed();
    let (key, player, heard) = hears(&mut bed);
    bed.failed(player);
    assert_eq!(codes(&bed.take(CALLER)), [180]);
    stopped(&mut bed, player);
    bed.pass(Duration::from_secs(61));
    assert_eq!(codes(&bed.take(CALLER)), [180]);
    bed.steer(key, Operation::Treat(Treatment::Music("jazz.wav".into()))).unwrap();
    let next = play(&bed.order());
    assert_ne!(next.0, player.0, "another player");
    bed.playing(player);
    assert!(bed.take(CALLER).is_empty(), "the lost one means nothing");
    bed.playing(next);
    let again = bed.one(CALLER);
    assert_eq!(again.code(), Some(183));
    assert_ne!(tag(&again), tag(&heard), "another description is another dialog's");
}

#[test]
fn a_media_server_that_says_nothing_does_not_keep_the_caller_in_silence() {
    let mut bed = bed();
    let (_, player) = asked(&mut bed);
    bed.pass(Duration::from_secs(4));
    assert_eq!(codes(&bed.take(CALLER)), [180]);
    bed.playing(player);
    assert_eq!(codes(&bed.take(CALLER)), [183], "better late");
}

#[test]
fn an_announcement_is_played_once_and_then_it_rings() {
    let mut bed = bed();
    let (key, player, heard) = hears(&mut bed);
    let hello = Treatment::Announcement("hello.wav".into());
    assert_eq!(bed.steer(key, Operation::Treat(hello)), Ok(Begun::Later));
    let order = bed.order();
    assert!(matches!(&order, MediaOrder::Play { id, repeat: Repeat::Once, .. } if *id == player.0));
    let turn = play(&order);
    bed.news();
    bed.playing(turn);
    let told = bed.one(CALLER);
    assert_eq!((told.code(), tag(&told), told.body()), (Some(183), tag(&heard), SDP), "the same dialog");
    assert_eq!(bed.news(), [News::Done { ticket: Ticket(1), outcome: Ok(()) }]);
    bed.says(MediaNews::Ended { id: player.0, turn: player.1 });
    assert!(bed.take(CALLER).is_empty() && bed.news().is_empty(), "news of an earlier order mean nothing");
    bed.says(MediaNews::Ended { id: turn.0, turn: turn.1 });
    assert_eq!(bed.news(), [News::TreatmentEnded]);
    let rings = bed.one(CALLER);
    assert_eq!((rings.code(), rings.body()), (Some(180), &b""[..]));
    bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, MUSIC, "call1")));
    stopped(&mut bed, player);
    bed.nothing_stays();
}

#[test]
fn a_request_for_ringback_quietens_the_player_and_the_next_music_is_the_same_player() {
    let mut bed = bed();
    let (key, player, heard) = hears(&mut bed);
    assert_eq!(bed.steer(key, Operation::Treat(Treatment::Ringback)), Ok(Begun::Done));
    assert_eq!(bed.order(), MediaOrder::Quiet { id: player.0 });
    assert_eq!(codes(&bed.take(CALLER)), [180]);
    bed.steer(key, Operation::Treat(Treatment::Music("jazz.wav".into()))).unwrap();
    let next = play(&bed.order());
    assert!(next.0 == player.0 && next.1 > player.1);
    bed.playing(next);
    assert_eq!(tag(&bed.one(CALLER)), tag(&heard));
}

#[test]
fn a_request_whose_treatment_is_not_played_is_refused_and_so_is_one_that_is_overtaken() {
    let mut bed = bed();
    let (key, _, _) = hears(&mut bed);
    bed.news();
    let music = |name: &str| Operation::Treat(Treatment::Music(name.into()));
    bed.steer(key, music("one")).unwrap();
    bed.media.clear();
    bed.steer(key, music("two")).unwrap();
    let second = play(&bed.order());
    assert_eq!(bed.news(), [News::Done { ticket: Ticket(1), outcome: Err(487) }]);
    bed.failed(second);
    assert_eq!(bed.news(), [News::Done { ticket: Ticket(1), outcome: Err(503) }]);
    assert_eq!(codes(&bed.take(CALLER)), [180]);
}

#[test]
fn a_call_that_is_sent_on_or_refused_stops_its_player() {
    for operation in [Operation::Refuse(486), Operation::Redirect(on_to(1)), Operation::Clear] {
        let mut bed = bed();
        let (key, player, _) = hears(&mut bed);
        bed.register("1002", CALLEE);
        bed.steer(key, operation).unwrap();
        stopped(&mut bed, player);
    }
}

#[test]
fn a_call_that_moves_to_a_queue_without_music_keeps_a_quiet_player() {
    let mut bed = bed();
    let (key, player, _) = hears(&mut bed);
    bed.steer(key, Operation::Park(POINT.into())).unwrap();
    assert_eq!(bed.order(), MediaOrder::Quiet { id: player.0 });
    assert_eq!(codes(&bed.take(CALLER)), [180]);
    bed.steer(key, Operation::Park(MUSIC.into())).unwrap();
    assert_eq!(play(&bed.order()).0, player.0);
}

#[test]
fn a_caller_who_cannot_be_played_to_has_ringback() {
    let whole = invite("1001", CALLER, MUSIC, "call1");
    let bare = whole.replace("Content-Type: application/sdp\n", "").replace("Length: 4", "Length: 0");
    let bare = bare.trim_end_matches("v=0~").to_owned();
    let other = whole.replace("application/sdp", "application/pidf+xml");
    for text in [bare, other] {
        let mut bed = bed();
        bed.register("1001", CALLER);
        bed.receive(CALLER, &text);
        assert_eq!(codes(&bed.take(CALLER)), [100, 180]);
        assert!(bed.media.is_empty());
        assert!(bed.why().contains("the INVITE has no session description"));
        let key = bed.key();
        assert_eq!(bed.steer(key, Operation::Treat(Treatment::Music("m".into()))), Err(501));
        assert!(bed.take(CALLER).is_empty(), "a refused request changes nothing");
    }
    let mut bed = bed();
    bed.register("1001", CALLER);
    bed.receive(CALLER, &with(&whole, "Require: 100rel"));
    assert_eq!(codes(&bed.take(CALLER)), [100]);
    assert_eq!(bed.media.len(), 1, "he is played to in reliable responses");
}

#[test]
fn a_call_has_so_many_players_and_then_ringback() {
    let mut bed = bed();
    let (key, player, _) = hears(&mut bed);
    bed.failed(player);
    let mut players = 1;
    loop {
        bed.media.clear();
        if bed.steer(key, Operation::Treat(Treatment::Music("m".into()))).is_err() {
            break;
        }
        players += 1;
        let next = play(&bed.order());
        bed.failed(next);
    }
    assert_eq!(players, tandem_switch::limits::MAX_PLAYERS);
    assert!(bed.media.is_empty() && QUEUE != MUSIC);
}
