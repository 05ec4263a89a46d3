//! How two servers find out, over one connection, where their configurations differ.
//!
//! Each tells the digest of the whole, first and whenever it has become another. Who hears another than its own tells its
//! parts; who hears parts answers with the keys in those that differ; who hears these knows.

use super::summary::{Digest, Summary};
use super::word::Word;

/// What was told and heard over one connection.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    told: Option<Digest>,
    heard: Option<Digest>,
}

/// What follows from a word, or from another configuration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// To be said, in this order.
    pub(super) say: Vec<Word>,
    /// The keys that differ, when they are known anew.
    pub(super) found: Option<Vec<String>>,
}

impl Comparison {
    /// This server's configuration may have become another; or the other a server of the group, to which it is told.
    pub(super) fn told(&mut self, own: &Summary) -> Step {
        let mut step = Step::default();
        if self.told != Some(own.whole()) {
            self.told = Some(own.whole());
            step.say.push(Word::Digest(own.whole()));
            if let Some(heard) = self.heard {
                step = self.compared(heard, own, step);
            }
        }
        step
    }

    /// The other's configuration is this. `own`: if the other may know this server's.
    pub(super) fn heard(&mut self, digest: Digest, own: Option<&Summary>) -> Step {
        self.heard = Some(digest);
        own.map_or_else(Step::default, |own| self.compared(digest, own, Step::default()))
    }

    /// The other's parts came.
    pub(super) fn asked(parts: &[Digest], own: Option<&Summary>) -> Step {
        let say = own.map(|own| Word::Excerpt(own.excerpt(parts)));
        Step { say: say.into_iter().collect(), found: None }
    }

    fn compared(&self, heard: Digest, own: &Summary, mut step: Step) -> Step {
        if heard == own.whole() {
            step.found = Some(Vec::new());
        } else {
            step.say.push(Word::Parts(own.parts().to_vec()));
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(realm: u8) -> Summary {
        Summary::new([("[application] realm".to_owned(), [realm; 32])])
    }

    /// Both ends of a connection, and what each knows of the other.
    #[derive(Default)]
    struct Pair {
        ends: [Comparison; 2],
        found: [Option<Vec<String>>; 2],
    }

    impl Pair {
        /// Both talk until nothing is left to be said, `first` after it has read its configuration.
        fn talk(&mut self, own: [&Summary; 2], first: usize) {
            let mut said = vec![(first, self.ends[first].told(own[first]))];
            while let Some((at, step)) = said.pop() {
                if step.found.is_some() {
                    self.found[at] = step.found;
                }
                let other = 1 - at;
                for word in step.say {
                    let step = match word {
                        Word::Digest(digest) => self.ends[other].heard(digest, Some(own[other])),
                        Word::Parts(parts) => Comparison::asked(&parts, Some(own[other])),
                        Word::Excerpt(excerpt) => {
                            Step { say: Vec::new(), found: Some(own[other].differing(&excerpt)) }
                        }
                        Word::Hello(_) | Word::Welcome | Word::Beat | Word::Refused(_) => panic!("{word:?}"),
                    };
                    said.insert(0, (other, step));
                }
            }
        }
    }

    #[test]
    fn both_know_the_difference_and_both_know_when_it_is_gone() {
        let (one, two) = (summary(1), summary(2));
        let mut pair = Pair::default();
        pair.talk([&one, &two], 0);
        pair.talk([&one, &two], 1);
        let realm = || Some(vec!["[application] realm".to_owned()]);
        assert_eq!(pair.found, [realm(), realm()]);
        pair.talk([&two, &two], 0);
        assert_eq!(pair.found, [Some(Vec::new()), Some(Vec::new())]);
        pair.talk([&two, &one], 1);
        assert_eq!(pair.found, [realm(), realm()]);
    }

    #[test]
    fn nothing_is_said_of_a_configuration_to_whom_it_does_not_concern() {
        let mut end = Comparison::default();
        assert_eq!(end.heard([1; 16], None), Step::default());
        assert_eq!(Comparison::asked(summary(1).parts(), None), Step::default());
        let step = end.told(&summary(1));
        assert_eq!(step.say.len(), 2, "told, and asked about what was heard before: {step:?}");
    }
}
