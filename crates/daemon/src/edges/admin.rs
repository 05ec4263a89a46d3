//! Who may change something over the administration interface: a person with the role administrator, by HTTP Basic
//! (RFC 7617), checked and locked out as at the CTI interface.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tandem_cti::Role;

use super::cti::CtiEdge;
use super::http::problem;

/// Why somebody may not.
#[derive(Debug, PartialEq, Eq)]
pub enum NotAdministrator {
    /// There is no user and password that can be read.
    Unproven,
    /// They are wrong, or there were too many failures.
    Refused(String),
    /// They are right, but his role is another.
    Role,
    /// They are right, and neither a supervisor's nor an administrator's.
    MayNotLook,
}

impl IntoResponse for NotAdministrator {
    fn into_response(self) -> Response {
        let mut response = match self {
            Self::Unproven => problem(
                StatusCode::UNAUTHORIZED,
                "the user name and password of an administrator (to look: or supervisor) are needed",
            ),
            Self::Refused(why) => problem(StatusCode::UNAUTHORIZED, &why),
            Self::MayNotLook => {
                return problem(
                    StatusCode::FORBIDDEN,
                    "only a person with the role supervisor or administrator may see that",
                );
            }
            Self::Role => {
                return problem(
                    StatusCode::FORBIDDEN,
                    "only a person with the role administrator may do that",
                );
            }
        };
        let basic = HeaderValue::from_static("Basic realm=\"tandem\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        response
    }
}

/// The administrator who sends these headers.
///
/// # Errors
/// See [`NotAdministrator`].
pub async fn administrator(
    persons: &CtiEdge,
    remote: SocketAddr,
    headers: &HeaderMap,
) -> Result<Arc<str>, NotAdministrator> {
    let (person, role) = proven(persons, remote, headers).await?;
    if role == Role::Administrator { Ok(person) } else { Err(NotAdministrator::Role) }
}

/// Whether an administrator or supervisor sends these headers: he may see what is not for everybody.
///
/// # Errors
/// See [`NotAdministrator`].
pub async fn may_look(
    persons: &CtiEdge,
    remote: SocketAddr,
    headers: &HeaderMap,
) -> Result<(), NotAdministrator> {
    match proven(persons, remote, headers).await?.1 {
        Role::Administrator | Role::Supervisor => Ok(()),
        Role::Agent | Role::RoutingApplication => Err(NotAdministrator::MayNotLook),
    }
}

async fn proven(
    persons: &CtiEdge,
    remote: SocketAddr,
    headers: &HeaderMap,
) -> Result<(Arc<str>, Role), NotAdministrator> {
    let (user, password) = credentials(headers).ok_or(NotAdministrator::Unproven)?;
    persons.admit(remote, &user, password).await.map_err(NotAdministrator::Refused)
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()))?.ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        credentials(&headers)
    }

    #[test]
    fn a_password_may_hold_colons_and_umlauts() {
        let found = read(&format!("Basic {}", STANDARD.encode("admin:se:crét"))).unwrap();
        assert_eq!(found, ("admin".to_owned(), "se:crét".to_owned()));
    }

    #[test]
    fn anything_else_proves_nobody() {
        for value in ["", "Basic", "Basic ", "Basic !!!", "Bearer YTpi", "Basic YQ==", "Basic /w=="] {
            assert_eq!(read(value), None, "{value:?}");
        }
        assert_eq!(credentials(&HeaderMap::new()), None);
    }
}
