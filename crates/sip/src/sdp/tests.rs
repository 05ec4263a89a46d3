//! What is read of session descriptions, and what is written, with damage and by property.

use proptest::prelude::*;

use super::*;

const OURS: Origin<'static> = Origin { id: 7, version: 3, address: "10.0.0.1" };

const OFFER: &str = "v=0\r\no=alice 28 28 IN IP4 10.0.0.11\r\ns=a call\r\nc=IN IP4 10.0.0.11\r\nt=0 0\r\n\
    m=audio 49170 RTP/AVP 101 96 0\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\nm=video 0 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn direction(body: &str) -> Direction {
    Sdp::parse(body.as_bytes()).unwrap().direction()
}

#[test]
fn the_direction_is_that_of_any_open_medium() {
    let head = "v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 10.0.0.9\r\n";
    for (tail, wanted) in [
        ("t=0 0\r\nm=audio 8 RTP/AVP 0\r\n", Direction::SendRecv),
        ("t=0 0\r\na=sendonly\r\nm=audio 8 RTP/AVP 0\r\n", Direction::SendOnly),
        ("a=sendonly\r\nm=audio 8 RTP/AVP 0\r\na=inactive\r\n", Direction::Inactive),
        ("m=audio 8 RTP/AVP 0\r\na=inactive\r\nm=video 8 RTP/AVP 9\r\na=recvonly\r\n", Direction::RecvOnly),
        ("m=audio 8 RTP/AVP 0\r\na=sendonly\r\nm=video 0 RTP/AVP 9\r\n", Direction::SendOnly),
        ("m=audio 8 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", Direction::SendOnly),
        ("m=audio 8 RTP/AVP 0\r\nc=IN IP6 ::\r\na=inactive\r\n", Direction::Inactive),
        ("m=audio 8 RTP/AVP 0\r\nc=IN IP6 0::1\r\n", Direction::SendRecv),
    ] {
        assert_eq!(direction(&format!("{head}{tail}")), wanted, "{tail}");
    }
    let nowhere = head.replace("10.0.0.9", "0.0.0.0");
    assert_eq!(direction(&format!("{nowhere}m=audio 8 RTP/AVP 0\n")), Direction::SendOnly);
    let media = "m=audio 8 RTP/AVP 0\nc=IN IP4 10.0.0.9\n";
    assert_eq!(
        direction(&format!("{nowhere}{media}")),
        Direction::SendRecv,
        "the medium's own address counts"
    );
    assert!(Sdp::parse(format!("{nowhere}m=audio 8 RTP/AVP 0\n").as_bytes()).unwrap().is_hold());
}

#[test]
fn directions_reverse() {
    for (way, reversed) in [
        (Direction::SendRecv, Direction::SendRecv),
        (Direction::SendOnly, Direction::RecvOnly),
        (Direction::RecvOnly, Direction::SendOnly),
        (Direction::Inactive, Direction::Inactive),
    ] {
        assert_eq!(way.reversed(), reversed);
    }
}

#[test]
fn an_inactive_answer_accepts_every_open_medium_and_lets_nothing_flow() {
    let answer = Sdp::parse(OFFER.as_bytes()).unwrap().inactive_answer(&OURS);
    assert_eq!(
        text(&answer),
        "v=0\r\no=- 7 3 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 96\r\n\
         a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=inactive\r\nm=video 0 RTP/AVP 97\r\n"
    );
    assert_eq!(Sdp::parse(&answer).unwrap().direction(), Direction::Inactive);
}

#[test]
fn an_inactive_answer_keeps_one_key_and_refuses_what_dtls_would_have_to_agree_on() {
    let offer = "v=0\no=- 1 1 IN IP4 h\ns=-\nt=5 6\nm=audio 5 RTP/SAVP 0 8\na=crypto:1 A inline:x\na=crypto:2 B inline:y\n\
                 m=audio 6 UDP/TLS/RTP/SAVPF 111\na=rtpmap:111 opus/48000/2\n";
    let answer = text(&Sdp::parse(offer.as_bytes()).unwrap().inactive_answer(&OURS));
    assert!(
        answer.contains("t=5 6\r\nm=audio 9 RTP/SAVP 0\r\na=crypto:1 A inline:x\r\na=inactive\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("m=audio 0 UDP/TLS/RTP/SAVPF 111\r\n"), "{answer}");
}

#[test]
fn an_origin_is_replaced_and_nothing_else() {
    let amended = Sdp::parse(OFFER.as_bytes()).unwrap().with_origin(&OURS);
    assert_eq!(text(&amended), OFFER.replace("o=alice 28 28 IN IP4 10.0.0.11", "o=- 7 3 IN IP4 10.0.0.1"));
    let six = Origin { address: "[2001:db8::1]", ..OURS };
    let amended = Sdp::parse(OFFER.as_bytes()).unwrap().with_origin(&six);
    assert!(text(&amended).contains("o=- 7 3 IN IP6 2001:db8::1\r\n"));
}

#[test]
fn a_direction_replaces_every_other() {
    let offer = OFFER.replace("t=0 0\r\n", "t=0 0\r\na=recvonly\r\n");
    let amended = text(&Sdp::parse(offer.as_bytes()).unwrap().with_direction(Direction::Inactive));
    assert_eq!(amended.matches("a=inactive\r\n").count(), 2);
    assert!(!amended.contains("sendrecv") && !amended.contains("recvonly"));
    assert_eq!(direction(&amended), Direction::Inactive);
    let unended = "v=0\no=- 1 1 IN IP4 h\nm=audio 5 RTP/AVP 0";
    let amended = Sdp::parse(unended.as_bytes()).unwrap().with_direction(Direction::SendOnly);
    assert!(text(&amended).ends_with("m=audio 5 RTP/AVP 0\r\na=sendonly\r\n"));
}

#[test]
fn damage_is_named() {
    let many = format!("v=0\no=- 1 1 IN IP4 h\n{}", "m=audio 5 RTP/AVP 0\n".repeat(MAX_MEDIA + 1));
    for (body, wanted) in [
        ("", SdpError::Empty),
        ("\r\n\r\n", SdpError::Empty),
        ("o=- 1 1 IN IP4 h\r\n", SdpError::Version),
        ("v=1\r\no=- 1 1 IN IP4 h\r\n", SdpError::Version),
        ("v=0\r\ns=-\r\n", SdpError::Origin),
        ("v=0\r\no=a\r\no=b\r\n", SdpError::Origin),
        ("v=0\r\no=a\r\nm=audio 5 RTP/AVP 0\r\no=b\r\n", SdpError::Origin),
        ("v=0\r\no=a\r\nm=audio RTP/AVP 0\r\n", SdpError::Media),
        ("v=0\r\no=a\r\nm=audio 5 RTP/AVP\r\n", SdpError::Media),
        ("v=0\r\no=a\r\nm=audio 5/2/x\r\n", SdpError::Media),
        ("v=0\r\no=a\r\nnonsense\r\n", SdpError::Line),
        ("v=0\r\no=a\r\n\r\ns=-\r\n", SdpError::Line),
        ("v=0~", SdpError::Version),
        (&many, SdpError::TooManyMedia),
    ] {
        assert_eq!(Sdp::parse(body.as_bytes()).err(), Some(wanted), "{body:?}");
    }
}

proptest! {
    #[test]
    fn a_damaged_description_is_read_or_refused_and_what_is_read_can_be_answered(
        damage in proptest::collection::vec((0..OFFER.len(), any::<u8>()), 0..6),
        end in 0..OFFER.len(),
    ) {
        let mut body = OFFER.as_bytes().to_vec();
        for (place, byte) in damage {
            body[place] = byte;
        }
        body.truncate(end);
        if let Ok(sdp) = Sdp::parse(&body) {
            prop_assert!(Sdp::parse(&sdp.inactive_answer(&OURS)).is_ok());
            prop_assert!(Sdp::parse(&sdp.with_origin(&OURS)).is_ok());
        }
    }

    #[test]
    fn what_is_written_from_anything_readable_is_readable(
        lines in proptest::collection::vec(
            prop_oneof![
                "m=(audio|video) [0-9]{1,5}(/2)? (RTP/AVP|RTP/SAVP|UDP/TLS/RTP/SAVPF) [0-9]{1,3}( [0-9]{1,3})?",
                "a=(sendrecv|sendonly|recvonly|inactive|rtpmap:[0-9]{1,3} (PCMU|CN|red)/8000|crypto:1 x inline:y)",
                "c=IN IP4 (0.0.0.0|10.0.0.9)",
                "[abcikrstuz]=[ -~]{0,20}",
            ],
            0..20,
        ),
        end in prop_oneof![Just("\r\n"), Just("\n")],
        last in any::<bool>(),
    ) {
        let mut body = format!("v=0{end}o=a 1 1 IN IP4 h{end}{}", lines.join(end));
        if last {
            body.push_str(end);
        }
        let Ok(sdp) = Sdp::parse(body.as_bytes()) else { return Err(TestCaseError::reject("not readable")) };
        let answer = sdp.inactive_answer(&OURS);
        prop_assert_eq!(Sdp::parse(&answer).map(|sdp| sdp.direction()), Ok(Direction::Inactive));
        let media = |text: &[u8]| Sdp { text }.lines().filter(|line| line.letter == b'm').count();
        prop_assert_eq!(media(&answer), media(body.as_bytes()), "an answer has as many media as its offer");
        let amended = sdp.with_origin(&OURS);
        prop_assert_eq!(Sdp::parse(&amended).map(|sdp| sdp.direction()), Ok(sdp.direction()));
        let held = sdp.with_direction(Direction::Inactive);
        prop_assert_eq!(Sdp::parse(&held).map(|sdp| sdp.direction()), Ok(Direction::Inactive));
    }
}

#[test]
fn a_text_that_ends_within_a_line_end_is_closed_properly() {
    let sdp = Sdp::parse(b"v=0\r\no=- 1 1 IN IP4 a\r\nm=audio 9 RTP/AVP 0\r").unwrap();
    let held = sdp.with_direction(Direction::Inactive);
    assert!(held.ends_with(b"m=audio 9 RTP/AVP 0\r\na=inactive\r\n"), "{}", held.escape_ascii());
}
