//! Calls of devices whose media a media server carries: what each side is told, in which order, and what becomes of the
//! call when the server is slow, refuses, or is lost.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tandem_sip::{HeaderName, Message};
use tandem_switch::Input;
use tandem_switch::anchor::{AnchorId, AnchorNews, AnchorOrder, End, MediaChoice, MediaOption, Part, Speaks};
use tandem_switch::call::control::{Begun, Operation};
use tandem_switch::directory::{Directory, DnClass, Watchers};

use crate::support::{
    Bed, CALLEE, CALLER, OTHER, answer, body, cancel_of, codes, directory, from_callee, header, in_dialog,
    invite, line,
};

/// 1001 and 1004 speak as browsers do, 1003 is anchored as it speaks; the others are plain phones.
fn office(media: bool) -> Arc<Directory> {
    office_with(media, |number| match number {
        "1001" | "1004" => Some(MediaChoice::WebRtc),
        "1003" => Some(MediaChoice::Anchor),
        _ => None,
    })
}

/// A configuration in which Extensions have this `media`; 1004 may take calls and places of 1001 and 1002.
pub fn office_with(media: bool, choice: impl Fn(&str) -> Option<MediaChoice>) -> Arc<Directory> {
    directory(|options, extensions, trunks| {
        options.media = media;
        options.dr_peer_trunk = None;
        options.events.dialog_watchers = Watchers::Only(["1004".into()].into());
        trunks.iter_mut().for_each(|trunk| trunk.oos = tandem_peer::trunk::TrunkOptions::default());
        for extension in extensions {
            let Some(choice) = choice(&extension.number) else { continue };
            let class =
                DnClass { media: MediaOption { choice, network: None }, ..(*extension.class).clone() };
            extension.class = Arc::new(class);
        }
    })
}

pub fn bed() -> Bed {
    let mut bed = Bed::with(office(true));
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    bed.register("1004", OTHER);
    bed
}

/// A browser's description.
pub fn browser(who: &str) -> String {
    let ice = "a=ice-ufrag:abcd~a=ice-pwd:0123456789012345678901~a=fingerprint:sha-256 AA:BB~a=setup:actpass~a=mid:0~";
    let filler = "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level~".repeat(6);
    format!(
        "v=0~o={who} 5 5 IN IP4 127.0.0.1~s=-~c=IN IP4 10.0.0.78~t=0 0~m=audio 4000 UDP/TLS/RTP/SAVPF 0~{ice}{filler}a=sendrecv~"
    )
    .replace('~', "\u{1}")
}

pub fn phone(who: &str) -> String {
    crate::support::sdp(who, "sendrecv")
}

pub fn saying(text: &str, sdp: &str) -> String {
    let (head, _) = text.split_once("\n\n").unwrap();
    let head: Vec<&str> = head.lines().filter(|line| !line.starts_with("Content-")).collect();
    let length = sdp.len();
    format!("{}\nContent-Type: application/sdp\nContent-Length: {length}\n\n{sdp}", head.join("\n"))
}

/// What the media server makes of a description: it says whose it was, and to whom it is told.
pub fn made(order: &AnchorOrder) -> (AnchorId, u32, Bytes) {
    let AnchorOrder::Describe { id, turn, from, sdp, profile, .. } = order else { panic!("{order:?}") };
    let said = String::from_utf8(sdp.to_vec()).unwrap();
    let who = said.split_once("o=").unwrap().1.split(' ').next().unwrap().to_owned();
    let (transport, keys) = match (from, profile.speaks) {
        (End::Near, Speaks::WebRtc) => ("UDP/TLS/RTP/SAVPF", "a=fingerprint:sha-256 CC\r\n"),
        (End::Far, _) | (_, Speaks::Rtp) => ("RTP/AVP", ""),
    };
    let ways = ["inactive", "sendonly"];
    let way = ways.into_iter().find(|way| said.contains(way)).unwrap_or("sendrecv");
    let told = format!(
        "v=0\r\no={who} 1 1 IN IP4 10.0.0.50\r\ns=of-{who}\r\nc=IN IP4 10.0.0.50\r\nt=0 0\r\nm=audio 40000 {transport} 0\r\n\
         a=mid:0\r\n{keys}a={way}\r\n"
    );
    (*id, *turn, told.into())
}

impl Bed {
    #[track_caller]
    pub fn asked(&mut self) -> (End, Part, AnchorOrder) {
        assert_eq!(self.anchors.len(), 1, "{:?}", self.anchors);
        let order = self.anchors.remove(0);
        let AnchorOrder::Describe { from, part, .. } = &order else { panic!("{order:?}") };
        (*from, *part, order)
    }

    pub fn hears(&mut self, news: AnchorNews) {
        self.node.handle_input(Input::Anchor(news), self.now);
        self.drain();
    }

    /// The media server is asked this, and does it.
    #[track_caller]
    pub fn describes(&mut self, from: End, part: Part) {
        let (asked_from, asked_part, order) = self.asked();
        assert_eq!((asked_from, asked_part), (from, part));
        let (id, turn, sdp) = made(&order);
        self.hears(AnchorNews::Described { id, turn, sdp });
    }

    #[track_caller]
    pub fn fails(&mut self, refused: bool) {
        let (_, _, order) = self.asked();
        let (id, turn, _) = made(&order);
        self.hears(AnchorNews::Failed { id, turn, why: "it broke".into(), refused });
    }

    #[track_caller]
    pub fn released(&mut self) -> AnchorId {
        let order = self.anchors.remove(0);
        let AnchorOrder::Release { id } = order else { panic!("{order:?}") };
        id
    }

    /// 1001's browser calls 1002's phone, which rings; the INVITE that the phone got.
    #[track_caller]
    fn called(&mut self) -> Message {
        self.receive(CALLER, &saying(&invite("1001", CALLER, "1002", "call1"), &browser("browser")));
        assert!(self.take(CALLEE).is_empty(), "nobody is rung before the offer is described");
        self.describes(End::Far, Part::Offer);
        self.one(CALLEE)
    }

    /// The same, and the phone has answered; the INVITE that it got, and the 200 that the browser got.
    #[track_caller]
    pub fn bridged(&mut self) -> (Message, Message) {
        let offered = self.called();
        self.receive(CALLEE, &saying(&answer(&offered, 200, "callee", CALLEE, ""), &phone("phone")));
        self.describes(End::Near, Part::Answer);
        let ok = self.take(CALLER).pop().unwrap();
        self.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
        self.take(CALLEE);
        (offered, ok)
    }

    fn why_of_call1(&mut self) -> String {
        let why = self.node.why("call1").unwrap();
        why.steps.iter().map(|step| format!("{}\n", step.text)).collect()
    }
}

#[test]
fn a_browser_and_a_phone_are_told_what_each_understands() {
    let mut bed = bed();
    let (offered, ok) = bed.bridged();
    let offer = body(&offered);
    assert!(offer.contains("m=audio 40000 RTP/AVP 0\r\n") && offer.contains("s=of-browser"), "{offer}");
    assert!(!offer.contains("fingerprint") && !offer.contains("a=mid"), "{offer}");
    assert!(offer.contains(" IN IP4 10.0.0.1\r\n"), "the origin is this server's: {offer}");
    let answered = body(&ok);
    assert!(answered.contains("UDP/TLS/RTP/SAVPF") && answered.contains("fingerprint"), "{answered}");
    assert_eq!(header(&ok, HeaderName::ContentLength), answered.len().to_string());
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.released();
    let bye = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&bye, 200, "", CALLEE, ""));
    bed.pass(Duration::from_secs(100));
    bed.nothing_stays();
    assert!(bed.anchors.is_empty(), "once: {:?}", bed.anchors);
}

#[test]
fn a_phone_calls_a_browser_which_is_offered_what_it_understands() {
    let mut bed = bed();
    bed.receive(CALLEE, &saying(&invite("1002", CALLEE, "1004", "call1"), &phone("phone")));
    assert!(bed.take(OTHER).is_empty());
    bed.describes(End::Near, Part::Offer);
    let offered = bed.one(OTHER);
    assert!(body(&offered).contains("UDP/TLS/RTP/SAVPF"));
    bed.receive(OTHER, &answer(&offered, 180, "b", OTHER, ""));
    assert_eq!(codes(&bed.take(CALLEE)), [100, 180]);
    bed.receive(OTHER, &saying(&answer(&offered, 200, "b", OTHER, ""), &browser("browser")));
    assert!(bed.take(CALLEE).is_empty(), "the answer waits for the media server");
    bed.describes(End::Far, Part::Answer);
    let ok = bed.one(CALLEE);
    assert!(body(&ok).contains("m=audio 40000 RTP/AVP 0"));
}

#[test]
fn early_media_and_the_answer_are_described_once_where_they_are_the_same() {
    let mut bed = bed();
    let offered = bed.called();
    bed.take(CALLER);
    bed.receive(CALLEE, &saying(&answer(&offered, 183, "callee", CALLEE, ""), &phone("phone")));
    bed.describes(End::Near, Part::Answer);
    let early = body(&bed.one(CALLER));
    bed.receive(CALLEE, &saying(&answer(&offered, 200, "callee", CALLEE, ""), &phone("phone")));
    assert!(bed.anchors.is_empty());
    assert_eq!(body(&bed.one(CALLER)), early);
}

#[test]
fn messages_of_a_leg_keep_their_order_while_the_media_server_thinks() {
    let mut bed = bed();
    let (_, ok) = bed.bridged();
    bed.receive(CALLER, &saying(&in_dialog(&ok, "INVITE", 2, CALLER, ""), &browser("again")));
    bed.receive(CALLER, &in_dialog(&ok, "INFO", 3, CALLER, ""));
    assert!(bed.take(CALLEE).is_empty(), "the INFO waits behind the INVITE");
    bed.describes(End::Far, Part::Offer);
    let lines = bed.lines(CALLEE);
    assert!(lines[0].starts_with("INVITE") && lines[1].starts_with("INFO"), "{lines:?}");
}

#[test]
fn hold_and_retrieve_by_either_party_pass_the_media_server() {
    let mut bed = bed();
    let (offered, ok) = bed.bridged();
    let held = phone("phone").replace("sendrecv", "sendonly");
    bed.receive(CALLEE, &saying(&from_callee(&offered, "callee", "INVITE", 1, CALLEE, ""), &held));
    bed.take(CALLEE);
    bed.describes(End::Near, Part::Offer);
    let reinvite = bed.one(CALLER);
    assert!(body(&reinvite).contains("UDP/TLS/RTP/SAVPF"));
    bed.receive(CALLER, &saying(&answer(&reinvite, 200, "", CALLER, ""), &browser("held")));
    bed.describes(End::Far, Part::Answer);
    let answered = bed.one(CALLEE);
    assert!(body(&answered).contains("RTP/AVP"));
    bed.receive(CALLEE, &from_callee(&offered, "callee", "ACK", 1, CALLEE, ""));
    assert_eq!(bed.lines(CALLER).len(), 1, "the ACK");
    bed.receive(CALLER, &saying(&in_dialog(&ok, "UPDATE", 2, CALLER, ""), &browser("updated")));
    bed.describes(End::Far, Part::Offer);
    let update = bed.one(CALLEE);
    bed.receive(CALLEE, &saying(&answer(&update, 200, "", CALLEE, ""), &phone("updated")));
    bed.describes(End::Near, Part::Answer);
    assert!(body(&bed.one(CALLER)).contains("fingerprint"));
}

#[test]
fn what_this_server_says_itself_is_described_too() {
    let mut bed = bed();
    bed.bridged();
    assert_eq!(bed.operate(Operation::Hold(0)), Ok(Begun::Later));
    let parked = bed.one(CALLEE);
    bed.receive(CALLEE, &saying(&answer(&parked, 200, "", CALLEE, ""), &phone("phone")));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK"));
    let asked = bed.one(CALLER);
    assert!(asked.body().is_empty(), "without an offer");
    bed.receive(CALLER, &saying(&answer(&asked, 200, "", CALLER, ""), &browser("parked")));
    bed.describes(End::Far, Part::Offer);
    bed.describes(End::Near, Part::Answer);
    let ack = bed.one(CALLER);
    assert!(line(&ack).starts_with("ACK"));
    let told = body(&ack);
    assert!(told.contains("fingerprint") && told.contains("a=inactive"), "{told}");
}

#[test]
fn a_leg_that_is_anchored_as_it_speaks_goes_without_when_there_is_no_media_server() {
    let mut bed = bed();
    bed.receive(CALLEE, &saying(&invite("1002", CALLEE, "1003", "call1"), &phone("phone")));
    bed.fails(false);
    let sent: Vec<_> = bed.sent.drain(..).filter(|(_, message)| message.is_request()).collect();
    let (_, offered) = &sent[0];
    assert_eq!(body(offered), phone("phone").replace('\u{1}', "\n"));
    assert!(bed.anchors.is_empty());
}

#[test]
fn a_browsers_call_that_no_media_server_takes_is_refused_and_says_why() {
    for (refused, status) in [(false, 503), (true, 488)] {
        let mut bed = bed();
        bed.receive(CALLER, &saying(&invite("1001", CALLER, "1002", "call1"), &browser("browser")));
        bed.fails(refused);
        let told = bed.take(CALLER).pop().unwrap();
        assert_eq!(told.code(), Some(status));
        assert_eq!(header(&told, HeaderName::Warning), "399 tandem \"it broke\"");
        assert!(bed.why_of_call1().contains("the media cannot be carried: it broke"));
        assert!(bed.take(CALLEE).is_empty());
        bed.receive(CALLER, &invite_ack(&told));
        bed.pass(Duration::from_secs(100));
        bed.nothing_stays();
    }
}

fn invite_ack(refusal: &Message) -> String {
    in_dialog(refusal, "ACK", 1, CALLER, "")
}

#[test]
fn browsers_talk_to_browsers_without_a_media_server() {
    for media in [true, false] {
        let mut bed = Bed::with(office(media));
        bed.register("1001", CALLER);
        bed.register("1004", OTHER);
        bed.receive(CALLER, &saying(&invite("1001", CALLER, "1004", "call1"), &browser("browser")));
        if media {
            bed.fails(false);
        }
        assert_eq!(body(&bed.one(OTHER)), browser("browser").replace('\u{1}', "\n"));
        assert!(bed.anchors.is_empty(), "{:?}", bed.anchors);
    }
}

#[test]
fn without_media_in_the_configuration_a_browsers_call_to_a_phone_says_what_is_missing() {
    let mut bed = Bed::with(office(false));
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &saying(&invite("1001", CALLER, "1002", "call1"), &browser("browser")));
    let told = bed.take(CALLER).pop().unwrap();
    assert_eq!(told.code(), Some(503));
    assert_eq!(header(&told, HeaderName::Warning), "399 tandem \"no media server is configured ([media])\"");
}

#[test]
fn a_browser_that_cannot_be_offered_the_call_refuses_it_unasked() {
    let mut bed = bed();
    bed.receive(CALLEE, &saying(&invite("1002", CALLEE, "1004", "call1"), &phone("phone")));
    bed.fails(true);
    assert!(bed.lines(OTHER).iter().all(|line| line.starts_with("ACK")), "the INVITE never left");
    let told = bed.take(CALLEE).pop().unwrap();
    assert_eq!(told.code(), Some(488));
    assert_eq!(header(&told, HeaderName::Warning), "399 tandem \"it broke\"");
    bed.released();
}

#[test]
fn an_answer_that_cannot_be_described_ends_the_call_for_both() {
    let mut bed = bed();
    let offered = bed.called();
    bed.take(CALLER);
    bed.receive(CALLEE, &saying(&answer(&offered, 200, "callee", CALLEE, ""), &phone("phone")));
    bed.fails(false);
    let told = bed.take(CALLER);
    assert_eq!(told.first().and_then(Message::code), Some(488));
    let bye = bed.take(CALLEE);
    assert!(line(&bye[0]).starts_with("BYE") || line(&bye[1]).starts_with("BYE"), "{bye:?}");
    assert!(bed.why_of_call1().contains("no media server could carry its media"));
}

#[test]
fn a_media_server_that_never_answers_is_given_up() {
    let mut bed = bed();
    bed.receive(CALLER, &saying(&invite("1001", CALLER, "1002", "call1"), &browser("browser")));
    let (_, _, order) = bed.asked();
    bed.pass(Duration::from_secs(4));
    let told = bed.take(CALLER).pop().unwrap();
    assert_eq!(told.code(), Some(503));
    let (id, turn, sdp) = made(&order);
    bed.hears(AnchorNews::Described { id, turn, sdp });
    assert!(bed.take(CALLEE).is_empty(), "too late");
}

#[test]
fn a_caller_who_gives_up_while_the_media_server_thinks_is_heard() {
    let mut bed = bed();
    let text = saying(&invite("1001", CALLER, "1002", "call1"), &browser("browser"));
    bed.receive(CALLER, &text);
    bed.receive(CALLER, &cancel_of(&text));
    assert_eq!(codes(&bed.take(CALLER)), [100, 200, 487]);
    let order = bed.anchors.remove(0);
    bed.released();
    let (id, turn, sdp) = made(&order);
    bed.hears(AnchorNews::Described { id, turn, sdp });
    assert!(bed.take(CALLEE).is_empty());
}

#[test]
fn a_reinvite_that_cannot_be_described_is_refused_and_the_call_goes_on() {
    let mut bed = bed();
    let (_, ok) = bed.bridged();
    bed.receive(CALLER, &saying(&in_dialog(&ok, "INVITE", 2, CALLER, ""), &browser("again")));
    bed.fails(false);
    let told = bed.take(CALLER).pop().unwrap();
    assert_eq!((told.code(), &*header(&told, HeaderName::Warning)), (Some(488), "399 tandem \"it broke\""));
    assert!(bed.take(CALLEE).is_empty());
    bed.receive(CALLER, &in_dialog(&ok, "INFO", 3, CALLER, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("INFO"));
}

#[test]
fn when_the_media_server_is_lost_both_parties_are_offered_another() {
    let mut bed = bed();
    bed.bridged();
    bed.hears(AnchorNews::Lost { id: AnchorId(0) });
    let asked = bed.one(CALLEE);
    assert!(asked.body().is_empty(), "the phone is asked for its offer");
    bed.receive(CALLEE, &saying(&answer(&asked, 200, "", CALLEE, ""), &phone("phone")));
    bed.describes(End::Near, Part::Offer);
    let offer = bed.one(CALLER);
    assert!(body(&offer).contains("fingerprint"));
    bed.receive(CALLER, &saying(&answer(&offer, 200, "", CALLER, ""), &browser("moved")));
    bed.describes(End::Far, Part::Answer);
    let acks: Vec<_> = bed.take(CALLEE);
    assert!(line(&acks[0]).starts_with("ACK") && body(&acks[0]).contains("RTP/AVP"), "{acks:?}");
    let why = bed.why_of_call1();
    assert!(why.contains("the media server of the caller's leg was lost"), "{why}");
    assert!(why.contains("the two parties are offered their media anew"), "{why}");
    assert!(bed.anchors.is_empty());
}

#[test]
fn a_media_server_lost_before_the_answer_is_replaced_when_the_call_is_at_rest() {
    let mut bed = bed();
    let offered = bed.called();
    bed.hears(AnchorNews::Lost { id: AnchorId(0) });
    assert!(bed.take(CALLEE).is_empty());
    bed.receive(CALLEE, &saying(&answer(&offered, 200, "callee", CALLEE, ""), &phone("phone")));
    let (_, _, order) = bed.asked();
    let (id, turn, sdp) = made(&order);
    bed.hears(AnchorNews::Described { id, turn, sdp });
    let ok = bed.take(CALLER).pop().unwrap();
    bed.hears(AnchorNews::Lost { id });
    bed.take(CALLEE);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    let lines = bed.lines(CALLEE);
    assert!(lines[0].starts_with("ACK") && lines[1].starts_with("INVITE"), "{lines:?}");
}

#[test]
fn a_call_on_hold_is_left_alone_when_the_media_server_is_lost() {
    let mut bed = bed();
    let (_, ok) = bed.bridged();
    let held = browser("browser").replace("a=sendrecv", "a=sendonly");
    bed.receive(CALLER, &saying(&in_dialog(&ok, "INVITE", 2, CALLER, ""), &held));
    bed.describes(End::Far, Part::Offer);
    let held = bed.one(CALLEE);
    bed.receive(CALLEE, &saying(&answer(&held, 200, "", CALLEE, ""), &phone("held")));
    bed.describes(End::Near, Part::Answer);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 2, CALLER, ""));
    bed.take(CALLEE);
    bed.hears(AnchorNews::Lost { id: AnchorId(0) });
    assert!(bed.take(CALLEE).is_empty());
}

#[test]
fn branches_of_a_forked_call_have_sessions_of_their_own_and_losers_are_released() {
    let mut bed = bed();
    bed.register("1004", "10.0.0.14:5060");
    bed.receive(CALLEE, &saying(&invite("1002", CALLEE, "1004", "call1"), &phone("phone")));
    assert_eq!(bed.anchors.len(), 2);
    for order in std::mem::take(&mut bed.anchors) {
        let (id, turn, sdp) = made(&order);
        bed.hears(AnchorNews::Described { id, turn, sdp });
    }
    let (one, other) = (bed.one(OTHER), bed.one("10.0.0.14:5060"));
    bed.receive("10.0.0.14:5060", &answer(&other, 180, "o", "10.0.0.14:5060", ""));
    bed.receive(OTHER, &saying(&answer(&one, 200, "b", OTHER, ""), &browser("browser")));
    bed.describes(End::Far, Part::Answer);
    assert!(matches!(bed.anchors[..], [AnchorOrder::Release { .. }]), "{:?}", bed.anchors);
}

#[test]
fn a_repeated_invite_leaves_as_it_did_before() {
    let mut bed = bed();
    bed.receive(CALLEE, &saying(&invite("1002", CALLEE, "1004", "call1"), &phone("phone")));
    bed.pass(Duration::from_millis(600));
    assert!(bed.take(OTHER).is_empty(), "nothing leaves before it is described");
    bed.describes(End::Near, Part::Offer);
    bed.pass(Duration::from_secs(1));
    let sent: Vec<String> = bed.take(OTHER).iter().map(body).collect();
    assert!(sent.len() >= 2 && sent.iter().all(|sdp| *sdp == sent[0] && sdp.contains("SAVPF")), "{sent:?}");
}
