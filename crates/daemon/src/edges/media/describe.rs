//! The far side that a player makes up. rtpengine joins two parties; here there is only the caller, so his offer, as the
//! engine passes it on, is answered by a party that sends one codec and takes nothing.

use tandem_sip::{Direction, Sdp};

/// Codecs that rtpengine encodes files to, by their names in `a=rtpmap` (any case).
const CODECS: [&str; 4] = ["PCMA", "PCMU", "G722", "opus"];

/// Answers an offer with the first audio stream that has a codec of ours, and that codec. `None`: it has none.
pub fn answer(offer: &str) -> Option<String> {
    let mut out = String::from("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n");
    let mut taken = false;
    for medium in media(offer) {
        let mut words = medium.first()?.split(' ');
        let (kind, port, protocol) = (words.next()?, words.next()?, words.next()?);
        let payloads: Vec<&str> = words.collect();
        let usable = kind == "audio" && port != "0" && !taken;
        let Some(codec) = payloads.iter().find(|payload| usable && plays(payload, &medium)) else {
            let any = payloads.first().copied().unwrap_or("0");
            out.push_str(&format!("m={kind} 0 {protocol} {any}\r\n"));
            continue;
        };
        taken = true;
        out.push_str(&format!("m=audio 9 {protocol} {codec}\r\n"));
        for line in medium.iter().filter(|line| describes(line, codec)) {
            out.push_str(&format!("{line}\r\n"));
        }
        out.push_str("a=sendonly\r\n");
    }
    taken.then_some(out)
}

/// The caller's session as he is told of it: where his offer lets media flow both ways, so does the answer. What he sends
/// is dropped, but a phone behind NAT that sends is one that can be reached.
pub fn both_ways(offer: &[u8], answer: &str) -> Vec<u8> {
    let offered = Sdp::parse(offer).is_ok_and(|offer| offer.direction() == Direction::SendRecv);
    match Sdp::parse(answer.as_bytes()) {
        Ok(answer) if offered => answer.with_direction(Direction::SendRecv),
        Ok(_) | Err(_) => answer.as_bytes().to_vec(),
    }
}

/// The media: each one's `m=` line without the `m=`, then its other lines.
fn media(sdp: &str) -> Vec<Vec<&str>> {
    let mut media: Vec<Vec<&str>> = Vec::new();
    for line in sdp.lines() {
        match (line.strip_prefix("m="), media.last_mut()) {
            (Some(line), _) => media.push(vec![line]),
            (None, Some(medium)) => medium.push(line),
            (None, None) => {}
        }
    }
    media
}

fn plays(payload: &str, medium: &[&str]) -> bool {
    let named = medium.iter().find_map(|line| {
        let (number, codec) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        (number == payload).then(|| codec.split('/').next().unwrap_or(codec))
    });
    match named {
        Some(name) => CODECS.iter().any(|codec| codec.eq_ignore_ascii_case(name)),
        None => matches!(payload, "0" | "8" | "9"),
    }
}

fn describes(line: &str, payload: &str) -> bool {
    ["a=rtpmap:", "a=fmtp:"].iter().any(|attribute| {
        let number = line.strip_prefix(attribute).and_then(|rest| rest.split(' ').next());
        number == Some(payload)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n";

    #[test]
    fn the_callers_first_codec_that_can_be_played_is_taken() {
        let offer = "v=0\r\ns=-\r\nm=audio 36000 RTP/AVP 18 97 8 0\r\na=rtpmap:97 OPUS/48000/2\r\n\
                     a=fmtp:97 useinbandfec=1\r\na=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n";
        let expected =
            "m=audio 9 RTP/AVP 97\r\na=rtpmap:97 OPUS/48000/2\r\na=fmtp:97 useinbandfec=1\r\na=sendonly\r\n";
        assert_eq!(answer(offer), Some(format!("{HEAD}{expected}")));
    }

    #[test]
    fn other_media_are_refused_in_their_places() {
        let offer =
            "m=video 4 RTP/AVP 31\r\nm=audio 0 RTP/AVP 8\r\nm=audio 6 RTP/AVP 0\r\nm=audio 8 RTP/AVP 8\r\n";
        let expected = "m=video 0 RTP/AVP 31\r\nm=audio 0 RTP/AVP 8\r\nm=audio 9 RTP/AVP 0\r\na=sendonly\r\n\
                        m=audio 0 RTP/AVP 8\r\n";
        assert_eq!(answer(offer), Some(format!("{HEAD}{expected}")));
    }

    #[test]
    fn an_offer_without_such_a_codec_is_not_answered() {
        for offer in
            ["", "v=0\r\n", "m=audio 5 RTP/AVP 18 101\r\n", "m=video 5 RTP/AVP 31\r\n", "m=audio\r\n"]
        {
            assert_eq!(answer(offer), None, "{offer:?}");
        }
        let renamed = "m=audio 5 RTP/AVP 8\r\na=rtpmap:8 X-OTHER/8000\r\n";
        assert_eq!(answer(renamed), None);
    }

    #[test]
    fn a_caller_who_offers_both_ways_is_answered_so_and_no_other() {
        let answer = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nm=audio 7 RTP/AVP 8\r\na=sendonly\r\n";
        let told = |offer: &str| String::from_utf8(both_ways(offer.as_bytes(), answer)).unwrap();
        assert_eq!(
            told("v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\nm=audio 5 RTP/AVP 8\r\n"),
            answer.replace("sendonly", "sendrecv")
        );
        assert_eq!(told("v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\nm=audio 5 RTP/AVP 8\r\na=recvonly\r\n"), answer);
    }
}
