//! Whether a session description is an offer or an answer, by the message that carries it (RFC 3264, RFC 3261 13.2.1,
//! RFC 3262 5, RFC 3311 5).

use tandem_peer::replica::{Reader, Writer};
use tandem_sip::{Envelope, Message, Method};

use super::order::{End, Part};
use super::stored::{end, put_end};

/// What the INVITEs of a dialog have carried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roles {
    /// End and CSeq of the latest INVITE that carried an offer.
    invited: Option<(End, u32)>,
    /// The end whose response offered, while that is not answered.
    unanswered: Option<End>,
}

impl Roles {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.option(self.invited, |out, (from, cseq)| {
            put_end(out, from);
            out.u32(cseq);
        });
        out.option(self.unanswered, put_end);
    }

    pub(super) fn read(fields: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            invited: fields.option(|fields| Some((end(fields)?, fields.u32()?)))?,
            unanswered: fields.option(end)?,
        })
    }

    /// What the description is that `from` puts into this message. `None`: in such a message it is none that this dialog
    /// goes by.
    pub(super) fn part(&mut self, from: End, message: &Message, env: &Envelope<'_>) -> Option<Part> {
        let number = env.cseq.number;
        match (env.cseq.method, message.is_request()) {
            (Method::Invite, true) => {
                (self.invited, self.unanswered) = (Some((from, number)), None);
                Some(Part::Offer)
            }
            (Method::Invite, false) if self.invited == Some((from.other(), number)) => Some(Part::Answer),
            (Method::Invite, false) => {
                self.unanswered = Some(from);
                Some(Part::Offer)
            }
            (Method::Ack, true) => {
                self.unanswered = None;
                Some(Part::Answer)
            }
            (Method::Prack, true) if self.unanswered == Some(from.other()) => {
                self.unanswered = None;
                Some(Part::Answer)
            }
            (Method::Prack | Method::Update, true) => Some(Part::Offer),
            (Method::Prack | Method::Update, false) => Some(Part::Answer),
            (
                Method::Ack
                | Method::Bye
                | Method::Cancel
                | Method::Register
                | Method::Options
                | Method::Info
                | Method::Message
                | Method::Notify
                | Method::Subscribe
                | Method::Refer
                | Method::Publish
                | Method::Other,
                _,
            ) => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;

    use super::*;

    /// Some with something in each field.
    pub fn roles() -> Roles {
        Roles { invited: Some((End::Near, 9)), unanswered: Some(End::Far) }
    }

    fn part(roles: &mut Roles, from: End, first: &str, cseq: &str) -> Option<Part> {
        let text = format!(
            "{first}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:1@h>;tag=a\r\nTo: <sip:2@h>;tag=b\r\n\
             Call-ID: c\r\nCSeq: {cseq}\r\nContent-Length: 0\r\n\r\n"
        );
        let message = Message::parse(Bytes::from(text)).unwrap();
        roles.part(from, &message, &message.envelope().unwrap())
    }

    #[test]
    fn an_invite_offers_and_its_responses_answer() {
        let mut roles = Roles::default();
        assert_eq!(part(&mut roles, End::Far, "INVITE sip:2@h SIP/2.0", "1 INVITE"), Some(Part::Offer));
        assert_eq!(part(&mut roles, End::Near, "SIP/2.0 183 Progress", "1 INVITE"), Some(Part::Answer));
        assert_eq!(part(&mut roles, End::Far, "UPDATE sip:2@h SIP/2.0", "2 UPDATE"), Some(Part::Offer));
        assert_eq!(part(&mut roles, End::Near, "SIP/2.0 200 OK", "2 UPDATE"), Some(Part::Answer));
        assert_eq!(part(&mut roles, End::Near, "SIP/2.0 200 OK", "1 INVITE"), Some(Part::Answer));
        assert_eq!(part(&mut roles, End::Near, "INVITE sip:1@h SIP/2.0", "1 INVITE"), Some(Part::Offer));
        assert_eq!(part(&mut roles, End::Far, "SIP/2.0 200 OK", "1 INVITE"), Some(Part::Answer));
    }

    #[test]
    fn a_2xx_to_an_invite_without_an_offer_offers_and_the_ack_answers() {
        let mut roles = Roles::default();
        assert_eq!(part(&mut roles, End::Far, "INVITE sip:2@h SIP/2.0", "1 INVITE"), Some(Part::Offer));
        assert_eq!(part(&mut roles, End::Far, "SIP/2.0 200 OK", "7 INVITE"), Some(Part::Offer));
        assert_eq!(part(&mut roles, End::Near, "ACK sip:2@h SIP/2.0", "7 ACK"), Some(Part::Answer));
    }

    #[test]
    fn a_prack_answers_the_offer_of_a_provisional_response_and_offers_otherwise() {
        let mut roles = Roles::default();
        assert_eq!(part(&mut roles, End::Far, "SIP/2.0 183 Progress", "1 INVITE"), Some(Part::Offer));
        assert_eq!(part(&mut roles, End::Near, "PRACK sip:2@h SIP/2.0", "2 PRACK"), Some(Part::Answer));
        assert_eq!(part(&mut roles, End::Near, "PRACK sip:2@h SIP/2.0", "3 PRACK"), Some(Part::Offer));
        assert_eq!(part(&mut roles, End::Far, "SIP/2.0 200 OK", "3 PRACK"), Some(Part::Answer));
        assert_eq!(part(&mut roles, End::Far, "INFO sip:2@h SIP/2.0", "4 INFO"), None);
    }
}
