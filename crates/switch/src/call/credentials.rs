//! A trunk that challenges this server is answered once, with the trunk's own credentials (RFC 3261 22.2, 22.3).

use tandem_sip::auth::{Challenge, Login, answer};
use tandem_sip::{HeaderName, Message};

use crate::directory::Directory;
use crate::rooms::{Device, Rooms};

/// The header that answers a challenge.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// `Authorization` or `Proxy-Authorization`.
    pub name: HeaderName,
    /// Its value.
    pub value: Box<[u8]>,
}

/// Whose challenge is answered, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Challenged<'a> {
    /// Who challenges.
    pub device: Device,
    /// The 401 or 407.
    pub response: &'a Message,
    /// Method of the request that was challenged.
    pub method: &'a [u8],
    /// Its Request-URI.
    pub uri: &'a [u8],
}

impl Authorization {
    /// The answer to a challenge; `None` when it is none, when this server has no credentials for the device, or when
    /// it cannot do what is asked for.
    pub fn answering(rooms: &mut Rooms, directory: &Directory, challenged: Challenged<'_>) -> Option<Self> {
        let Challenged { device, response, method, uri } = challenged;
        let (asks, name) = match response.code()? {
            401 => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
            407 => (HeaderName::ProxyAuthenticate, HeaderName::ProxyAuthorization),
            _ => return None,
        };
        let Device::Trunk(id) = device else { return None };
        let (user, password) = directory.trunk(id)?.credentials.as_ref()?;
        let challenge = Challenge::best(response.lines(asks))?;
        let login = Login { user: user.as_bytes(), password: password.as_bytes() };
        let cnonce = rooms.ids.tag().text();
        Some(Self { name, value: answer(&challenge, login, method, uri, &cnonce, 1).into() })
    }
}
