//! The headers that every message has (RFC 3261 8.1.1), proven once.

use super::{Message, Start};
use crate::cseq::CSeq;
use crate::error::{HeaderFault, ParseError, ParseErrorKind};
use crate::header_name::HeaderName;
use crate::lexer;
use crate::limits;
use crate::name_addr::NameAddr;
use crate::params::Params;
use crate::via::Via;

/// The mandatory headers of one message, read and checked.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The topmost Via.
    pub via: Via<'a>,
    /// From.
    pub from: NameAddr<'a>,
    /// The From-tag; an element of RFC 2543 may leave it out.
    pub from_tag: Option<&'a [u8]>,
    /// To.
    pub to: NameAddr<'a>,
    /// The To-tag, absent outside a dialog.
    pub to_tag: Option<&'a [u8]>,
    /// Call-ID, compared byte by byte.
    pub call_id: &'a [u8],
    /// CSeq; in a request its method is the request's.
    pub cseq: CSeq<'a>,
    /// Max-Forwards, 0 to 255, if it stands there.
    pub max_forwards: Option<u8>,
}

/// The first value of each header, and a fault for a second one.
#[derive(Default)]
struct Found<'a> {
    via: Option<&'a [u8]>,
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    call_id: Option<&'a [u8]>,
    cseq: Option<&'a [u8]>,
    max_forwards: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    fn collect(message: &'a Message) -> Result<Self, HeaderFault> {
        let mut found = Self::default();
        for span in &message.headers {
            let name = span.name;
            let slot = if name == HeaderName::Via {
                found.via.get_or_insert_with(|| message.slice(span.value));
                continue;
            } else if name == HeaderName::From {
                &mut found.from
            } else if name == HeaderName::To {
                &mut found.to
            } else if name == HeaderName::CallId {
                &mut found.call_id
            } else if name == HeaderName::CSeq {
                &mut found.cseq
            } else if name == HeaderName::MaxForwards {
                &mut found.max_forwards
            } else {
                continue;
            };
            if slot.replace(message.slice(span.value)).is_some() {
                return Err(HeaderFault::new(name, ParseErrorKind::Duplicate));
            }
        }
        Ok(found)
    }
}

impl<'a> Envelope<'a> {
    pub(super) fn read(message: &'a Message) -> Result<Self, HeaderFault> {
        if let Some(fault) = message.fault {
            return Err(fault);
        }
        let found = Found::collect(message)?;
        let element = lexer::trim(lexer::split_element(required(found.via, HeaderName::Via)?).0);
        let via = in_header(HeaderName::Via, Via::parse(element))?;
        sole(&via.params, b"branch", HeaderName::Via)?;
        let (from, from_tag) = address(found.from, HeaderName::From)?;
        let (to, to_tag) = address(found.to, HeaderName::To)?;
        let call_id = call_id(required(found.call_id, HeaderName::CallId)?)?;
        let cseq = in_header(HeaderName::CSeq, CSeq::parse(required(found.cseq, HeaderName::CSeq)?))?;
        if let Start::Request { token, .. } = message.start {
            if message.slice(token) != cseq.method_token {
                return Err(HeaderFault::new(HeaderName::CSeq, ParseErrorKind::CSeqMethod));
            }
            if element.len() > limits::MAX_REQUEST_VIA {
                return Err(HeaderFault::new(HeaderName::Via, ParseErrorKind::TooLong));
            }
            leaves_room(&via.params, HeaderName::Via)?;
            leaves_room(&to.params, HeaderName::To)?;
        }
        let max_forwards = found.max_forwards.map(max_forwards).transpose()?;
        Ok(Self { via, from, from_tag, to, to_tag, call_id, cseq, max_forwards })
    }
}

/// An answer adds parameters to this header of the request, and is to be readable as well.
fn leaves_room(params: &Params<'_>, name: HeaderName) -> Result<(), HeaderFault> {
    let room = limits::MAX_PARAMS - limits::ANSWER_PARAMS;
    // Each takes two bytes at least: nearly always they need not be counted.
    match params.raw().len() > 2 * room && params.iter().count() > room {
        true => Err(HeaderFault::new(name, ParseErrorKind::TooManyParams)),
        false => Ok(()),
    }
}

fn required(value: Option<&[u8]>, name: HeaderName) -> Result<&[u8], HeaderFault> {
    value.ok_or(HeaderFault::new(name, ParseErrorKind::Missing))
}

fn in_header<T>(name: HeaderName, result: Result<T, ParseError>) -> Result<T, HeaderFault> {
    result.map_err(|e| HeaderFault::new(name, e.kind))
}

/// The value of a parameter that may stand once and needs a value: a second `branch` or `tag` would let two elements see
/// two transactions or dialogs (RFC 3261 7.3.1), an empty one would leave no room for that of a response.
fn sole<'a>(params: &Params<'a>, param: &[u8], name: HeaderName) -> Result<Option<&'a [u8]>, HeaderFault> {
    let mut found = None;
    for (_, value) in params.iter().filter(|(n, _)| n.eq_ignore_ascii_case(param)) {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Err(HeaderFault::new(name, ParseErrorKind::Param));
        };
        if found.replace(value).is_some() {
            return Err(HeaderFault::new(name, ParseErrorKind::Duplicate));
        }
    }
    Ok(found)
}

type Tagged<'a> = (NameAddr<'a>, Option<&'a [u8]>);

fn address(value: Option<&[u8]>, name: HeaderName) -> Result<Tagged<'_>, HeaderFault> {
    let address = in_header(name, NameAddr::parse(required(value, name)?))?;
    let tag = sole(&address.params, b"tag", name)?;
    if tag.is_some_and(|tag| tag.len() > limits::MAX_TAG) {
        return Err(HeaderFault::new(name, ParseErrorKind::TooLong));
    }
    Ok((address, tag))
}

fn call_id(value: &[u8]) -> Result<&[u8], HeaderFault> {
    let fits = !value.is_empty()
        && value.len() <= limits::MAX_CALL_ID
        && value.iter().all(|b| *b > b' ' && *b != 0x7f);
    if fits { Ok(value) } else { Err(HeaderFault::new(HeaderName::CallId, ParseErrorKind::CallId)) }
}

fn max_forwards(value: &[u8]) -> Result<u8, HeaderFault> {
    lexer::number(value)
        .and_then(|n| u8::try_from(n).ok())
        .ok_or(HeaderFault::new(HeaderName::MaxForwards, ParseErrorKind::Number))
}
