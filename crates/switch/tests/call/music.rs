//! `default-music`: what a party with anchored media hears while it is held.

use tandem_sip::{HeaderName, Message};
use tandem_switch::anchor::{AnchorOrder, End, MediaChoice, Part};

use crate::anchored::{phone, saying};
use crate::support::{
    Bed, CALLEE, CALLER, answer, directory, from_callee, header, in_dialog, invite, line, sdp,
};

/// 1001, whose media are anchored, and 1002 talk: the 200 that 1001 got, and the INVITE that 1002 got.
pub fn talking(music: Option<&str>) -> (Bed, Message, Message) {
    let mut bed = Bed::with(directory(|options, extensions, _| {
        options.dr_peer_trunk = None;
        options.media = true;
        options.default_music = music.map(Into::into);
        let class = std::sync::Arc::make_mut(&mut extensions[0].class);
        class.media.choice = MediaChoice::Anchor;
    }));
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &saying(&invite("1001", CALLER, "1002", "call1"), &phone("alice")));
    bed.describes(End::Far, Part::Offer);
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &saying(&answer(&offered, 200, "callee", CALLEE, ""), &phone("bob")));
    bed.describes(End::Near, Part::Answer);
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.take(CALLEE);
    (bed, ok, offered)
}

/// The callee says that media flow this way, and Alice takes it, saying `answers`; what each was told.
pub fn says(bed: &mut Bed, offered: &Message, cseq: u32, way: &str, answers: &str) -> [Message; 2] {
    let offer = from_callee(offered, "callee", "INVITE", cseq, CALLEE, "");
    bed.receive(CALLEE, &saying(&offer, &sdp("bob", way)));
    bed.describes(End::Near, Part::Offer);
    let told = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &saying(&answer(&told, 200, "", CALLER, ""), &sdp("alice", answers)));
    bed.describes(End::Far, Part::Answer);
    let back = bed.take(CALLEE).pop().unwrap();
    bed.receive(CALLEE, &from_callee(offered, "callee", "ACK", cseq, CALLEE, ""));
    bed.take(CALLER);
    [told, back]
}

pub fn body(message: &Message) -> String {
    String::from_utf8_lossy(message.body()).into_owned()
}

#[test]
fn a_held_party_hears_music_until_it_is_taken_back() {
    for (way, told_way, answers, told_back) in [
        ("sendonly", "a=sendonly", "recvonly", "a=sendrecv"),
        ("inactive", "a=sendonly", "recvonly", "a=inactive"),
    ] {
        let (mut bed, _, offered) = talking(Some("hold.wav"));
        let [told, back] = says(&mut bed, &offered, 2, way, answers);
        assert!(body(&told).contains(told_way), "{way}: {}", body(&told));
        // The engine of this test says sendrecv of what it does not know.
        assert!(body(&back).contains(told_back), "{way}: {}", body(&back));
        let order = bed.anchors.remove(0);
        assert!(matches!(&order, AnchorOrder::Play { file, .. } if &**file == "hold.wav"), "{order:?}");
        // The session is refreshed: nothing begins anew.
        let refresh = from_callee(&offered, "callee", "INVITE", 3, CALLEE, "");
        bed.receive(CALLEE, &saying(&refresh, &sdp("bob", way)));
        let told = bed.take(CALLER).pop().unwrap();
        bed.receive(CALLER, &saying(&answer(&told, 200, "", CALLER, ""), &sdp("alice", answers)));
        bed.receive(CALLEE, &from_callee(&offered, "callee", "ACK", 3, CALLEE, ""));
        assert_eq!((bed.anchors.len(), body(&told).contains(told_way)), (0, true));
        let offer = from_callee(&offered, "callee", "INVITE", 4, CALLEE, "");
        bed.receive(CALLEE, &saying(&offer, &sdp("bob", "sendrecv")));
        bed.describes(End::Near, Part::Offer);
        assert!(matches!(bed.anchors[..], [AnchorOrder::Quiet { .. }]), "{:?}", bed.anchors);
    }
}

#[test]
fn without_default_music_a_held_party_is_told_what_the_holder_says() {
    let (mut bed, _, offered) = talking(None);
    let [told, _] = says(&mut bed, &offered, 2, "inactive", "inactive");
    assert!(body(&told).contains("a=inactive"), "{}", body(&told));
    assert_eq!(bed.anchors, []);
}

#[test]
fn who_holds_hears_no_music_and_hanging_up_ends_it() {
    let (mut bed, ok, offered) = talking(Some("hold.wav"));
    // Alice, who is anchored, holds Bob, who is not.
    let hold = saying(&in_dialog(&ok, "INVITE", 2, CALLER, ""), &sdp("alice", "sendonly"));
    bed.receive(CALLER, &hold);
    bed.describes(End::Far, Part::Offer);
    let told = bed.one(CALLEE);
    assert!(line(&told).starts_with("INVITE "));
    bed.receive(CALLEE, &saying(&answer(&told, 200, "", CALLEE, ""), &sdp("bob", "recvonly")));
    bed.describes(End::Near, Part::Answer);
    assert_eq!(bed.anchors, [], "she hears nothing, for Bob would send nothing either");
    let ok = bed.take(CALLER).pop().unwrap();
    assert!(header(&ok, HeaderName::CSeq).starts_with("2 "));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 2, CALLER, ""));
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 5, CALLEE, ""));
    assert!(matches!(bed.anchors[..], [AnchorOrder::Release { .. }]), "{:?}", bed.anchors);
}
