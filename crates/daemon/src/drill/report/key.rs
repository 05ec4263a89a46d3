//! The key that signs reports: made at its first use, in a directory that only its owner reads.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};

/// See the module.
pub struct Key(Ed25519KeyPair);

const NAME: &str = "drill.key";

impl Key {
    /// Where the key is when nobody says otherwise (XDG Base Directory: `XDG_STATE_HOME`).
    pub fn usual_folder() -> PathBuf {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
        state.unwrap_or_else(|| PathBuf::from("/var/lib")).join("tandem")
    }

    /// The key in a directory; it is made if it is not there.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn load(folder: &Path) -> Result<Self, String> {
        let path = folder.join(NAME);
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                    .map_err(|_| "no randomness for a key".to_owned())?;
                fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(folder)
                    .map_err(|error| failed(&error))?;
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)
                    .map_err(|error| failed(&error))?;
                file.write_all(made.as_ref()).map_err(|error| failed(&error))?;
                made.as_ref().to_vec()
            }
            Err(error) => return Err(failed(&error)),
        };
        Ed25519KeyPair::from_pkcs8(&bytes).map(Self).map_err(|error| failed(&error))
    }

    /// Whether the key in a directory is this one; none is made.
    pub fn is_in(folder: &Path, public: &[u8]) -> bool {
        folder.join(NAME).exists() && Self::load(folder).is_ok_and(|key| key.public() == public)
    }

    /// Signs.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.sign(bytes).as_ref().to_vec()
    }

    /// The public half.
    pub fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }
}
