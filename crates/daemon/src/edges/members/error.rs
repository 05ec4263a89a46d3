//! Why a link cannot be made, in words that somebody can act on.

use std::io;

use rustls::{AlertDescription, CertificateError, Error as Tls};

use super::admission::Refusal;
use super::hello::BadHello;

/// Why a link cannot be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// An address is none.
    #[error("\"{0}\" is not host:port, such as 192.0.2.12:5071")]
    Address(String),
    /// Nobody is reached there.
    #[error("{0}")]
    Unreachable(String),
    /// The handshake failed.
    #[error("{0}")]
    Handshake(String),
    /// It does not introduce itself in a way that is understood.
    #[error(transparent)]
    Hello(#[from] BadHello),
    /// It must not be linked with.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// It does not want to be linked with this member.
    #[error("it refuses the link: {0}")]
    Refused(String),
    /// It has ended the connection, and does not say why.
    #[error("it closed the connection without a word")]
    Closed,
    /// Nothing came within the time.
    #[error("no answer in time: the other is stuck, or packets are lost on the way")]
    Late,
}

/// Why nobody is reached.
pub(super) fn unreachable(error: &io::Error) -> LinkError {
    let refused = error.kind() == io::ErrorKind::ConnectionRefused;
    let what = if refused { ": nothing listens there; does the member run, with this port?" } else { "" };
    LinkError::Unreachable(format!("{}{what}", bare(error)))
}

/// Without the number, which says nothing more.
fn bare(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or_else(|| text.clone(), |(bare, _)| bare.to_owned())
}

/// Why a handshake failed.
pub(super) fn handshake(error: &io::Error) -> LinkError {
    match is_end(error) {
        true => LinkError::Closed,
        false => LinkError::Handshake(broken(error)),
    }
}

/// Whether the other end is simply gone, as of a process that was stopped or killed.
pub(super) fn is_end(error: &io::Error) -> bool {
    let gone = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
    gone.contains(&error.kind())
}

/// Why a connection broke.
pub(super) fn broken(error: &io::Error) -> String {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>()).map_or_else(|| bare(error), tls)
}

/// rustls has more kinds than concern anybody here, and gets further ones.
#[allow(clippy::wildcard_enum_match_arm)]
fn tls(error: &Tls) -> String {
    match error {
        Tls::InvalidCertificate(why) => certificate(why),
        Tls::NoCertificatesPresented => "it shows no certificate: it is no member of a group".to_owned(),
        Tls::NoApplicationProtocol | Tls::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "it speaks TLS, but not as members do: is it Tandem's port for members?".to_owned()
        }
        Tls::AlertReceived(AlertDescription::UnknownCA | AlertDescription::DecryptError) => {
            "it does not trust this member's certificate: it was signed by another authority than member-ca-file names there"
                .to_owned()
        }
        Tls::AlertReceived(AlertDescription::CertificateExpired) => {
            "it says that this member's certificate has expired: make a new one, or look at its clock"
                .to_owned()
        }
        Tls::AlertReceived(AlertDescription::BadCertificate | AlertDescription::CertificateUnknown) => {
            "it does not accept this member's certificate; its own log says why".to_owned()
        }
        Tls::AlertReceived(AlertDescription::CertificateRequired) => {
            "it asks for a certificate, and this member showed none".to_owned()
        }
        Tls::PeerIncompatible(_) | Tls::AlertReceived(AlertDescription::ProtocolVersion) => {
            "it does not speak TLS 1.3 as members do: is it Tandem's port for members?".to_owned()
        }
        Tls::InvalidMessage(_) => "what it says is no TLS: is it Tandem's port for members?".to_owned(),
        other => format!("TLS: {other}"),
    }
}

#[allow(clippy::wildcard_enum_match_arm)]
pub(super) fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate was signed by another authority than member-ca-file names here: all members must name the same"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate does not name the host of its address: make one that does (tandem ha certificates)".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: make a new one (tandem ha certificates)".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: are the clocks of both machines right?".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not for both servers and clients (extended key usage), and a member is both".to_owned()
        }
        other => format!("its certificate cannot be used: {other}"),
    }
}
