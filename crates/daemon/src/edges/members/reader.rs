//! The half of a link that hears: frames go to the member, words are answered.

use bytes::{Bytes, BytesMut};
use rustls::pki_types::CertificateDer;
use tandem_quorum::{Kind, frame};
use tokio::io::{AsyncReadExt, ReadHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::admission::{Side, Terms, admit};
use super::comparison::{Comparison, Step};
use super::hello::{Hello, Introduction};
use super::link::{End, Stream};
use super::room::{Facts, Room};
use super::security::names;
use super::summary::Summary;
use super::word::{Piece, Word, cut};
use crate::limits::MEMBER_SILENCE;

/// See the module.
pub(super) struct Reader<'a> {
    room: &'a Room,
    facts: watch::Receiver<Facts>,
    side: Side,
    /// How this member introduced itself.
    introduced: Introduction,
    /// How the other did.
    of: Introduction,
    certificate: Option<CertificateDer<'static>>,
    terms: Terms,
    comparison: Comparison,
    replies: mpsc::Sender<Word>,
    /// It has been said that its frames are not taken.
    said_unheard: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        room: &'a Room,
        side: Side,
        (introduced, of): (Introduction, Introduction),
        certificate: Option<CertificateDer<'static>>,
        replies: mpsc::Sender<Word>,
    ) -> Self {
        let facts = room.facts.subscribe();
        let (terms, comparison) = (Terms::Listen, Comparison::default());
        Self {
            room,
            facts,
            side,
            introduced,
            of,
            certificate,
            terms,
            comparison,
            replies,
            said_unheard: false,
        }
    }

    /// Hears until the connection ends, or has to.
    pub(super) async fn run(&mut self, mut stream: ReadHalf<Stream>, mut come: BytesMut) -> End {
        if let Err(end) = self.learn() {
            return end;
        }
        loop {
            loop {
                let taken = match cut(&mut come) {
                    Ok(Some(Piece::Frame(frame))) => self.frame(frame).await,
                    Ok(Some(Piece::Word(word))) => self.word(word),
                    Ok(Some(Piece::Unknown)) => Ok(()),
                    Ok(None) => break,
                    Err(bad) => Err(End::Bad(bad)),
                };
                if let Err(end) = taken {
                    return end;
                }
            }
            let deadline = Instant::now() + MEMBER_SILENCE;
            loop {
                let read = tokio::select! {
                    read = timeout_at(deadline, stream.read_buf(&mut come)) => read,
                    changed = self.facts.changed() => {
                        let learned = if changed.is_ok() { self.learn() } else { Err(End::Over) };
                        match learned {
                            Ok(()) => continue,
                            Err(end) => return end,
                        }
                    }
                };
                match read {
                    Err(_) => return End::Silent,
                    Ok(Ok(0)) => return End::Closed,
                    Ok(Ok(_)) => break,
                    Ok(Err(error)) => return End::Failed(error),
                }
            }
        }
    }

    /// This member's group, the roster or the configuration may have changed.
    fn learn(&mut self) -> Result<(), End> {
        let facts = self.facts.borrow_and_update().clone();
        self.judge(&facts)?;
        if self.introduced != facts.me {
            self.introduced = facts.me.clone();
            self.say(Word::Hello(Box::new(Hello::new(facts.me.clone(), false))))?;
        }
        match self.comparable(&facts) {
            Some(own) => {
                let step = self.comparison.told(own);
                self.follow(step)
            }
            None => Ok(()),
        }
    }

    fn judge(&mut self, facts: &Facts) -> Result<(), End> {
        let named = |host: &str| self.certificate.as_ref().is_some_and(|shown| names(shown, host));
        let terms = admit(&facts.me, &facts.roster, &self.of, self.side, named);
        self.terms = terms.map_err(End::Refusal)?;
        Ok(())
    }

    /// This server's configuration, if the other is a server of the group.
    fn comparable<'f>(&self, facts: &'f Facts) -> Option<&'f Summary> {
        let is_server = |kind| kind == Kind::Server;
        let both =
            is_server(self.of.kind) && facts.roster.get(self.of.id).is_some_and(|of| is_server(of.kind));
        facts.summary.as_deref().filter(|_| both)
    }

    async fn frame(&mut self, frame: Bytes) -> Result<(), End> {
        let sender = frame::sender(&frame);
        if sender != Some(self.of.id) {
            let claimed = sender.map_or_else(String::new, |sender| sender.to_string());
            return Err(End::Forged { claimed });
        }
        self.room.received(self.of.id);
        if self.terms == Terms::Listen {
            if !std::mem::replace(&mut self.said_unheard, true) {
                let (member, name) = (self.of.id, &self.of.name);
                tracing::warn!(%member, %name, "speaks to a group that it does not belong to: not listened to");
            }
            return Ok(());
        }
        self.room.frames.send(frame).await.map_err(|_| End::Over)
    }

    fn word(&mut self, word: Word) -> Result<(), End> {
        let facts = self.facts.borrow().clone();
        let step = match word {
            Word::Beat | Word::Welcome => return Ok(()),
            Word::Refused(why) => return Err(End::Refused(why)),
            Word::Hello(hello) => return self.introduced_again(hello.introduction, &facts),
            Word::Digest(digest) => self.comparison.heard(digest, self.comparable(&facts)),
            Word::Parts(parts) => Comparison::asked(&parts, self.comparable(&facts)),
            Word::Excerpt(excerpt) => {
                let found = self.comparable(&facts).map(|own| own.differing(&excerpt));
                Step { say: Vec::new(), found }
            }
        };
        self.follow(step)
    }

    fn introduced_again(&mut self, of: Introduction, facts: &Facts) -> Result<(), End> {
        if of.id != self.of.id {
            return Err(End::Changed);
        }
        self.of = of;
        self.room.introduced_again(&self.of);
        self.judge(facts)
    }

    fn follow(&self, step: Step) -> Result<(), End> {
        if let Some(found) = step.found {
            self.room.compared(self.of.id, &found);
        }
        step.say.into_iter().try_for_each(|word| self.say(word))
    }

    fn say(&self, word: Word) -> Result<(), End> {
        self.replies.try_send(word).map_err(|_| End::Insatiable)
    }
}
