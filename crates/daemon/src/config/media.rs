//! `[media]`: the rtpengines that carry the media of browsers and anchored trunks, and play to callers who wait; and what
//! Extensions and Trunks say of theirs.

use std::net::SocketAddr;

use tandem_switch::anchor::{MediaChoice, MediaOption};

use super::reader::{Reader, Section};
use crate::limits::MAX_MEDIA_ENGINES;

/// Where files lie on the engines' hosts, if the configuration does not say.
const DIRECTORY: &str = "/usr/share/tandem/media";

/// What plays to callers who wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSettings {
    /// Where rtpengines take orders (`--listen-ng`); a new player is made at the first that works, in turn.
    pub engines: Vec<SocketAddr>,
    /// Directory of the files on the engines' hosts.
    pub directory: String,
    /// Name at the engines of the network on this side of anchored legs.
    pub network: Option<String>,
}

/// Reads the table if it is there.
pub fn read(reader: &Reader, root: &mut Section<'_>) -> Option<MediaSettings> {
    let mut table = root.table("media", "[media]")?;
    let engines = table.list("rtpengine", "\"127.0.0.1:22222\"", |text| {
        text.parse::<SocketAddr>().map_err(|_| format!("\"{text}\" is not address:port"))
    });
    let engines = table.required("rtpengine", engines, "[\"127.0.0.1:22222\"]");
    let directory = table.parsed("directory", "an absolute path", |text| match text.strip_prefix('/') {
        Some(_) => Ok(text.trim_end_matches('/').to_owned()),
        None => Err(format!("\"{text}\" is not absolute")),
    });
    let network = table.string("network").map(|found| found.value);
    let engines: Vec<SocketAddr> = engines.unwrap_or_default().into_iter().map(|found| found.value).collect();
    let at = table.at();
    if engines.len() > MAX_MEDIA_ENGINES {
        reader.fault(at, "`rtpengine` names too many", format!("at most {MAX_MEDIA_ENGINES}"));
    } else if engines.is_empty() && table.has("rtpengine") && reader.is_clean() {
        reader.fault(at, "`rtpengine` of [media] is empty", "name at least one engine, or leave [media] out");
    }
    table.finish();
    let directory = directory.map_or_else(|| DIRECTORY.to_owned(), |found| found.value);
    (!engines.is_empty()).then_some(MediaSettings { engines, directory, network })
}

/// Reads `media` and `media-network` of an Extension or Trunk.
pub fn option(table: &mut Section<'_>) -> MediaOption {
    const CHOICES: [(&str, MediaChoice); 4] = [
        ("auto", MediaChoice::Auto),
        ("direct", MediaChoice::Direct),
        ("anchor", MediaChoice::Anchor),
        ("webrtc", MediaChoice::WebRtc),
    ];
    MediaOption {
        choice: table.choice("media", &CHOICES).unwrap_or_default(),
        network: table.string("media-network").map(|found| found.value.into()),
    }
}
