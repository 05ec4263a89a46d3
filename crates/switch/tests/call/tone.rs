//! What a party on the line hears while it waits for somebody else, and everything that can come between.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tandem_sip::{HeaderName, Message};
use tandem_switch::directory::{Directory, Options};
use tandem_switch::media::{MediaNews, MediaOrder};

use crate::floor::{MUSIC, with_floor};
use crate::player::play;
use crate::support::{
    Bed, CALLEE, CALLER, OTHER, answer, body, codes, from_callee, header, in_dialog, line, sdp, with,
};

fn office(change: impl FnOnce(&mut Options)) -> Arc<Directory> {
    with_floor(|options| {
        options.dr_peer_trunk = None;
        (options.media, options.ring_tone) = (true, Some("ring.wav".into()));
        change(options);
    })
}

fn typed(text: &str) -> String {
    with(text, "Content-Type: application/sdp")
}

fn ok_of(request: &Message, at: &str, who: &str) -> String {
    typed(&answer(request, 200, "", at, &sdp(who, "sendrecv")))
}

/// 1001's own phone is on the line for a call that a request makes, and 1002 rings: the INVITEs that each of them got.
#[track_caller]
fn ringing(bed: &mut Bed) -> (Message, Message) {
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    let own = bed.made("1002");
    bed.receive(CALLER, &typed(&answer(&own, 200, "own", CALLER, &sdp("caller", "sendrecv"))));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    (own, offered)
}

/// The same; 1001 has been asked for an offer, and the media server for its answer.
#[track_caller]
fn ordered(bed: &mut Bed) -> (Message, Message, MediaOrder) {
    let (own, offered) = ringing(bed);
    let asked = bed.one(CALLER);
    assert!(line(&asked).starts_with("INVITE ") && asked.body().is_empty());
    assert!(bed.media.is_empty());
    bed.receive(CALLER, &ok_of(&asked, CALLER, "listener"));
    assert!(bed.take(CALLER).is_empty(), "the ACK waits for the answer");
    let order = bed.order();
    (own, offered, order)
}

#[track_caller]
fn plays(bed: &mut Bed, order: &MediaOrder) {
    let (id, turn) = play(order);
    let sdp = sdp("engine", "sendonly").replace('\u{1}', "\r\n");
    bed.says(MediaNews::Playing { id, turn, sdp: Bytes::from(sdp) });
}

/// 1002 answers, and is connected with 1001.
#[track_caller]
fn joins(bed: &mut Bed, offered: &Message) {
    bed.receive(CALLEE, &typed(&answer(offered, 200, "callee", CALLEE, &sdp("callee", "sendrecv"))));
    is_joined(bed);
}

#[track_caller]
fn is_joined(bed: &mut Bed) {
    let joined = bed.one(CALLER);
    assert!(line(&joined).starts_with("INVITE ") && body(&joined).contains("a=sendrecv"));
    bed.receive(CALLER, &ok_of(&joined, CALLER, "caller"));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("ACK ")));
    bed.take(CALLER);
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
}

#[test]
fn whose_phone_was_called_first_hears_that_it_rings() {
    let mut bed = Bed::with(office(|_| {}));
    let (own, offered, order) = ordered(&mut bed);
    let MediaOrder::Play { offer, file, .. } = &order else { panic!("{order:?}") };
    assert!(String::from_utf8_lossy(offer).contains("o=listener") && &**file == "ring.wav");
    plays(&mut bed, &order);
    let ack = bed.one(CALLER);
    assert!(line(&ack).starts_with("ACK ") && body(&ack).contains("a=sendonly"), "the engine's answer");
    assert!(body(&ack).contains("IN IP4 10.0.0.1"), "in this server's name");
    joins(&mut bed, &offered);
    assert!(matches!(bed.order(), MediaOrder::Stop { .. }));
    bed.receive(CALLER, &from_callee(&own, "own", "BYE", 1, CALLER, ""));
    bed.nothing_stays();
}

#[test]
fn who_answers_meanwhile_waits_until_the_tone_is_settled() {
    let mut bed = Bed::with(office(|_| {}));
    let (_, offered) = ringing(&mut bed);
    let asked = bed.one(CALLER);
    bed.receive(CALLEE, &typed(&answer(&offered, 200, "callee", CALLEE, &sdp("callee", "sendrecv"))));
    assert!(bed.take(CALLER).is_empty(), "one INVITE at a time");
    bed.receive(CALLER, &ok_of(&asked, CALLER, "listener"));
    let order = bed.order();
    assert!(bed.take(CALLER).is_empty());
    let (id, turn) = play(&order);
    bed.says(MediaNews::Playing {
        id,
        turn,
        sdp: Bytes::from(sdp("engine", "sendonly").replace('\u{1}', "\r\n")),
    });
    let sent = bed.take(CALLER);
    assert!(line(&sent[0]).starts_with("ACK ") && line(&sent[1]).starts_with("INVITE "));
    bed.receive(CALLER, &ok_of(&sent[1], CALLER, "caller"));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("ACK ")));
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
}

#[test]
fn without_a_tone_the_party_waits_in_silence_and_is_connected_all_the_same() {
    for how in ["no file", "no media server", "lost", "slow", "refused", "no offer"] {
        let mut bed = Bed::with(office(|options| match how {
            "no file" => options.ring_tone = None,
            "no media server" => options.media = false,
            _ => {}
        }));
        let offered = match how {
            "lost" | "slow" => {
                let (_, offered, order) = ordered(&mut bed);
                let (id, turn) = play(&order);
                if how == "lost" {
                    bed.says(MediaNews::Failed { id, turn, why: "it was lost".into() });
                } else {
                    bed.pass(tandem_switch::limits::MEDIA_PATIENCE);
                }
                let ack = bed.take(CALLER).pop().unwrap();
                assert!(line(&ack).starts_with("ACK ") && body(&ack).contains("a=inactive"), "{how}");
                offered
            }
            "refused" | "no offer" => {
                let (_, offered) = ringing(&mut bed);
                let asked = bed.one(CALLER);
                let code = if how == "refused" { 488 } else { 200 };
                bed.receive(CALLER, &answer(&asked, code, "", CALLER, ""));
                assert!(line(&bed.one(CALLER)).starts_with("ACK "), "{how}");
                assert!(!bed.media.iter().any(|order| matches!(order, MediaOrder::Play { .. })), "{how}");
                offered
            }
            _ => {
                let (_, offered) = ringing(&mut bed);
                assert!(bed.take(CALLER).is_empty() && bed.media.is_empty(), "{how}");
                offered
            }
        };
        joins(&mut bed, &offered);
    }
}

#[test]
fn a_listener_who_hangs_up_ends_the_call_in_each_moment() {
    for moment in ["asked", "ordered", "plays"] {
        let mut bed = Bed::with(office(|_| {}));
        let own = if moment == "asked" {
            let (own, _) = ringing(&mut bed);
            bed.one(CALLER);
            own
        } else {
            let (own, _, order) = ordered(&mut bed);
            if moment == "plays" {
                plays(&mut bed, &order);
                bed.take(CALLER);
            }
            own
        };
        bed.receive(CALLER, &from_callee(&own, "own", "BYE", 1, CALLER, ""));
        assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("CANCEL ")), "{moment}");
        if moment != "asked" {
            assert!(matches!(bed.media.pop(), Some(MediaOrder::Stop { .. })), "{moment}");
        }
        assert!(codes(&bed.take(CALLER)).contains(&200), "{moment}");
        bed.nothing_stays();
    }
}

/// 1001 talks with 1002, and 1004 is there: the INVITE that 1002 got.
#[track_caller]
fn talking(bed: &mut Bed) -> Message {
    bed.register("1004", OTHER);
    bed.established().1
}

fn refers(bed: &mut Bed, offered: &Message, to: &str) {
    let refer = from_callee(offered, "callee", "REFER", 1, CALLEE, "");
    bed.receive(CALLEE, &with(&refer, &format!("Refer-To: <sip:{to}@10.0.0.1>")));
    bed.take(CALLEE);
}

#[test]
fn who_is_transferred_hears_that_it_rings_once_the_other_phone_has_hung_up() {
    for rings_first in [true, false] {
        let mut bed = Bed::with(office(|_| {}));
        let offered = talking(&mut bed);
        refers(&mut bed, &offered, "1004");
        let rings = bed.one(OTHER);
        let ringing = answer(&rings, 180, "other", OTHER, "");
        if rings_first {
            bed.receive(OTHER, &ringing);
        }
        assert!(bed.take(CALLER).is_empty(), "the two still talk");
        bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 2, CALLEE, ""));
        if !rings_first {
            assert!(bed.take(CALLER).is_empty(), "nobody rings yet");
            bed.receive(OTHER, &ringing);
        }
        let asked = bed.one(CALLER);
        assert!(line(&asked).starts_with("INVITE ") && asked.body().is_empty());
        bed.receive(CALLER, &ok_of(&asked, CALLER, "listener"));
        let order = bed.order();
        plays(&mut bed, &order);
        assert!(line(&bed.one(CALLER)).starts_with("ACK "));
        bed.receive(OTHER, &typed(&answer(&rings, 200, "other", OTHER, &sdp("other", "sendrecv"))));
        let joined = bed.one(CALLER);
        assert!(line(&joined).starts_with("INVITE ") && body(&joined).contains("a=sendrecv"));
        bed.receive(CALLER, &ok_of(&joined, CALLER, "caller"));
        assert!(bed.lines(OTHER).iter().any(|line| line.starts_with("ACK ")));
        let told = bed.take(CALLEE);
        let told: Vec<String> = told.iter().map(|message| body(message).trim_end().to_owned()).collect();
        assert!(told.contains(&"SIP/2.0 200 OK".to_owned()), "its phone hears how it went: {told:?}");
        bed.receive(OTHER, &from_callee(&rings, "other", "BYE", 1, OTHER, ""));
        bed.nothing_stays();
    }
}

#[test]
fn who_is_transferred_to_nobody_is_released_as_before() {
    let mut bed = Bed::with(office(|_| {}));
    let offered = talking(&mut bed);
    refers(&mut bed, &offered, "1004");
    let rings = bed.one(OTHER);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 2, CALLEE, ""));
    bed.receive(OTHER, &answer(&rings, 486, "other", OTHER, ""));
    assert!(bed.lines(CALLER).iter().any(|line| line.starts_with("BYE ")));
    bed.nothing_stays();
}

#[test]
fn who_is_transferred_to_a_queue_hears_its_music() {
    let mut bed = Bed::with(office(|_| {}));
    let offered = talking(&mut bed);
    refers(&mut bed, &offered, MUSIC);
    let asked = bed.one(CALLER);
    assert!(line(&asked).starts_with("INVITE ") && asked.body().is_empty());
    bed.receive(CALLER, &ok_of(&asked, CALLER, "listener"));
    let order = bed.order();
    let MediaOrder::Play { file, .. } = &order else { panic!("{order:?}") };
    assert_eq!(&**file, "hold.wav");
    plays(&mut bed, &order);
    assert!(body(&bed.one(CALLER)).contains("a=sendonly"));
    bed.pass(Duration::from_secs(1));
    assert_eq!(bed.node.call_list(bed.now)[0].state, "waiting");
    bed.receive(CALLER, &in_dialog_of_caller(&asked));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
    assert!(matches!(bed.media.pop(), Some(MediaOrder::Stop { .. })));
    bed.nothing_stays();
}

#[test]
fn who_waits_on_the_line_when_the_server_starts_anew_hears_the_music_again() {
    for answered in [false, true] {
        let mut bed = Bed::with(office(|_| {}));
        let offered = talking(&mut bed);
        refers(&mut bed, &offered, MUSIC);
        let asked = bed.one(CALLER);
        if answered {
            bed.receive(CALLER, &ok_of(&asked, CALLER, "listener"));
        }
        bed.media.clear();
        bed.restart(Duration::from_secs(1));
        assert_eq!(bed.node.call_list(bed.now)[0].state, "waiting");
        let anew = bed.one(CALLER);
        assert!(line(&anew).starts_with("INVITE ") && anew.body().is_empty());
        // The phone says again what nobody has acknowledged.
        bed.receive(CALLER, &ok_of(&asked, CALLER, "listener"));
        let ack = bed.one(CALLER);
        assert!(line(&ack).starts_with("ACK ") && body(&ack).contains("a=inactive"), "{}", body(&ack));
        assert_eq!(
            header(&ack, HeaderName::CSeq).split(' ').next(),
            header(&asked, HeaderName::CSeq).split(' ').next()
        );
        bed.receive(CALLER, &ok_of(&anew, CALLER, "listener"));
        let order = bed.order();
        plays(&mut bed, &order);
        assert!(body(&bed.one(CALLER)).contains("a=sendonly"), "answered: {answered}");
        bed.receive(CALLER, &in_dialog_of_caller(&anew));
        assert_eq!(codes(&bed.take(CALLER)), [200]);
        bed.nothing_is_left();
    }
}

#[test]
fn after_a_restart_it_rings_again_for_somebody_on_the_line_and_he_hears_so() {
    let mut bed = Bed::with(office(|_| {}));
    let (_, offered) = ringing(&mut bed);
    let asked = bed.one(CALLER);
    bed.receive(CALLER, &ok_of(&asked, CALLER, "listener"));
    bed.media.clear();
    bed.restart(Duration::from_secs(1));
    let sent = bed.take(CALLEE);
    assert!(sent.iter().any(|message| line(message).starts_with("CANCEL ")));
    bed.receive(CALLEE, &answer(&offered, 487, "callee", CALLEE, ""));
    let rings = sent.iter().find(|message| line(message).starts_with("INVITE ")).expect("it is called anew");
    bed.receive(CALLEE, &answer(rings, 180, "again", CALLEE, ""));
    let sent = bed.take(CALLER);
    let anew = sent.iter().find(|message| line(message).starts_with("INVITE ")).expect("he is to hear so");
    // The phone says again what nobody has acknowledged.
    bed.receive(CALLER, &ok_of(&asked, CALLER, "listener"));
    assert!(line(&bed.one(CALLER)).starts_with("ACK "));
    bed.receive(CALLER, &ok_of(anew, CALLER, "listener"));
    let order = bed.order();
    plays(&mut bed, &order);
    assert!(body(&bed.one(CALLER)).contains("a=sendonly"));
    bed.receive(CALLER, &in_dialog_of_caller(anew));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("CANCEL ")));
    bed.receive(CALLEE, &answer(rings, 487, "again", CALLEE, ""));
    bed.nothing_is_left();
}

/// The BYE of who got a request of ours.
fn in_dialog_of_caller(request: &Message) -> String {
    let (to, from) = (header(request, HeaderName::To), header(request, HeaderName::From));
    let bye = in_dialog(request, "BYE", 9, CALLER, "");
    bye.replace(&format!("From: {from}"), "From: x")
        .replace(&format!("To: {to}"), &format!("To: {from}"))
        .replace("From: x", &format!("From: {to}"))
}
