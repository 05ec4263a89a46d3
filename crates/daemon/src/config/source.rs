//! Where configuration text comes from: files, or the demonstration that is part of the binary.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::fault::SourceFile;

/// The two sites of the demonstration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Site {
    /// 127.0.0.1
    SiteA,
    /// 127.0.0.2
    SiteB,
}

/// Where the main file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On disk.
    File(PathBuf),
    /// In the binary.
    Demo(Site),
}

const SITE_A: &str = include_str!("../../../../config/site-a.toml");
const SITE_B: &str = include_str!("../../../../config/site-b.toml");
const OFFICE: &str = include_str!("../../../../config/office.toml");

impl Origin {
    /// Reads the main file.
    pub fn main(&self) -> io::Result<SourceFile> {
        match self {
            Self::File(path) => read(path),
            Self::Demo(Site::SiteA) => Ok(embedded("site-a.toml", SITE_A)),
            Self::Demo(Site::SiteB) => Ok(embedded("site-b.toml", SITE_B)),
        }
    }

    /// Reads a file that the main file includes; a relative name counts from the main file's folder.
    pub fn include(&self, name: &str) -> io::Result<SourceFile> {
        match self {
            Self::File(path) => read(&path.parent().unwrap_or(Path::new("")).join(name)),
            Self::Demo(_) if name == "office.toml" => Ok(embedded("office.toml", OFFICE)),
            Self::Demo(_) => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Demo(Site::SiteA) => f.write_str("demo:site-a.toml"),
            Self::Demo(Site::SiteB) => f.write_str("demo:site-b.toml"),
        }
    }
}

fn read(path: &Path) -> io::Result<SourceFile> {
    Ok(SourceFile { name: path.display().to_string(), text: std::fs::read_to_string(path)? })
}

fn embedded(name: &str, text: &str) -> SourceFile {
    SourceFile { name: format!("demo:{name}"), text: text.to_owned() }
}
