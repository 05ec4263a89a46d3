//! The texts of a dialog, one after the other in one buffer.

/// What the buffer holds, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    CallId,
    Local,
    LocalTag,
    Remote,
    RemoteTag,
    Target,
    /// Each Route value behind its length in two bytes.
    Routes,
}

/// Parts that have an end of their own; the last one ends with the buffer.
const ENDS: usize = 6;

/// Changes when the encoded form does.
const VERSION: u8 = 1;

/// The buffer, and where each part but the last ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    bytes: Box<[u8]>,
    ends: [u16; ENDS],
}

impl Text {
    /// Takes all parts, in the order of [`Part`]. `None`: they are longer than 16-bit offsets reach.
    pub(super) fn new(parts: [&[u8]; ENDS + 1]) -> Option<Text> {
        let len = parts.iter().map(|text| text.len()).sum();
        u16::try_from(len).ok()?;
        let mut bytes = Vec::with_capacity(len);
        let mut ends = [0; ENDS];
        for (n, text) in parts.iter().enumerate() {
            bytes.extend_from_slice(text);
            if let Some(end) = ends.get_mut(n) {
                *end = u16::try_from(bytes.len()).ok()?;
            }
        }
        Some(Text { bytes: bytes.into(), ends })
    }

    pub(super) fn get(&self, part: Part) -> &[u8] {
        let part = part as usize;
        let from =
            part.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| usize::from(*end));
        let to = self.ends.get(part).map_or(self.bytes.len(), |end| usize::from(*end));
        self.bytes.get(from..to).unwrap_or_default()
    }

    /// The same with another target and route set.
    pub(super) fn replace(&self, target: &[u8], routes: &[u8]) -> Option<Text> {
        let [call_id, local, local_tag, remote, remote_tag] =
            [Part::CallId, Part::Local, Part::LocalTag, Part::Remote, Part::RemoteTag]
                .map(|part| self.get(part));
        Text::new([call_id, local, local_tag, remote, remote_tag, target, routes])
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(1 + 2 * ENDS + self.bytes.len());
        out.push(VERSION);
        for end in self.ends {
            out.extend_from_slice(&end.to_be_bytes());
        }
        out.extend_from_slice(&self.bytes);
    }

    /// Reads the rest of an encoded dialog.
    pub(super) fn decode(bytes: &[u8]) -> Option<Text> {
        let (VERSION, rest) = bytes.split_first().map(|(version, rest)| (*version, rest))? else {
            return None;
        };
        let (head, bytes) = rest.split_at_checked(2 * ENDS)?;
        let len = u16::try_from(bytes.len()).ok()?;
        let mut ends = [0; ENDS];
        for (end, pair) in ends.iter_mut().zip(head.chunks_exact(2)) {
            *end = pair.try_into().map(u16::from_be_bytes).ok()?;
        }
        let text = Text { bytes: bytes.into(), ends };
        let in_order = ends.is_sorted() && ends.last().is_none_or(|last| *last <= len);
        (in_order && is_route_list(text.get(Part::Routes))).then_some(text)
    }
}

/// Puts a Route value at the end of a list.
pub(super) fn push_route(list: &mut Vec<u8>, route: &[u8]) -> Option<()> {
    list.extend_from_slice(&u16::try_from(route.len()).ok()?.to_be_bytes());
    list.extend_from_slice(route);
    Some(())
}

/// The values of a list.
pub(super) fn routes(mut list: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    std::iter::from_fn(move || {
        let (route, rest) = split_route(list)?;
        list = rest;
        Some(route)
    })
}

fn split_route(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = list.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

fn is_route_list(mut list: &[u8]) -> bool {
    while !list.is_empty() {
        let Some((_, rest)) = split_route(list) else { return false };
        list = rest;
    }
    true
}
