//! Passwords of persons: argon2id hashes in the PHC format (RFC 9106), and reading a password from a terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

/// Hashes a password with a random salt. `memory_kib` and `iterations` are what every login will cost.
///
/// # Errors
/// A sentence about the parameters.
pub fn hash(password: &str, memory_kib: u32, iterations: u32) -> Result<String, String> {
    let params = Params::new(memory_kib, iterations, 1, None).map_err(|error| error.to_string())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// Whether a password belongs to a hash. Takes what the hash costs; call it where nobody waits for the thread.
pub fn verify(password: &str, phc: &str) -> bool {
    let Ok(hash) = PasswordHash::new(phc) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

/// One line of standard input; on a terminal asked for with `prompt` and not echoed.
///
/// # Errors
/// What the operating system says; an empty or missing line.
pub fn read(prompt: &str) -> io::Result<String> {
    let stdin = io::stdin();
    let echo = stdin.is_terminal().then(|| Quiet::new(prompt)).transpose()?;
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    drop(echo);
    let password = line.trim_end_matches(['\r', '\n']);
    match password {
        "" => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no password was given")),
        password => Ok(password.to_owned()),
    }
}

/// A terminal that shows nothing of what is typed, until dropped.
struct Quiet(nix::sys::termios::Termios);

impl Quiet {
    fn new(prompt: &str) -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &silent)?;
        eprint!("{prompt}");
        io::stderr().flush()?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
        eprintln!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_belongs_to_its_password_alone_and_is_salted() {
        let (one, two) = (hash("hunter2", 8, 1).unwrap(), hash("hunter2", 8, 1).unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{one}");
        assert_ne!(one, two);
        assert!(verify("hunter2", &one) && verify("hunter2", &two));
        assert!(!verify("hunter3", &one) && !verify("", &one) && !verify("hunter2", "no hash"));
    }
}
