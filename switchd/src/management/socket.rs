//! The unix socket's file: made with its owner's rights only, taken over when stale, removed at the end.

use crate::config::SocketPlace;
use rustix::fs::Mode;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A listening socket's file, removed on drop if it is still ours.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have taken the path over meanwhile: its file stays.
        let ours = std::fs::symlink_metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == (self.device, self.inode));
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Listens at `path`, readable and writable by this user alone.
///
/// A socket file that nobody listens on is a leftover and is replaced; one that answers is another
/// process's. Missing directories are made.
///
/// # Errors
/// Somebody listens there, something that is no socket lies there, or the kernel refuses.
pub fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir)?;
    }
    let listener = match bind(path) {
        Err(e) if e.kind() == ErrorKind::AddrInUse => {
            remove_stale(path)?;
            bind(path)?
        }
        other => other?,
    };
    listener.set_nonblocking(true)?;
    let meta = std::fs::symlink_metadata(path)?;
    Ok((listener, SocketFile { path: path.to_owned(), device: meta.dev(), inode: meta.ino() }))
}

/// Listens where a configuration says, within a runtime. A place that nobody asked for and that can't be had is told
/// to `missed`, and is none.
///
/// # Errors
/// A place that was asked for can't be had: which, and as [`listen`] says.
pub fn listen_at(
    place: &SocketPlace,
    missed: impl FnOnce(&Path, &io::Error),
) -> Result<Option<(tokio::net::UnixListener, SocketFile)>, (PathBuf, io::Error)> {
    let (path, insist) = match place {
        SocketPlace::Off => return Ok(None),
        SocketPlace::At(path) => (path, true),
        SocketPlace::Default(path) => (path, false),
    };
    match listen(path).and_then(|(l, file)| Ok((tokio::net::UnixListener::from_std(l)?, file))) {
        Ok(opened) => Ok(Some(opened)),
        Err(e) if insist => Err((path.clone(), e)),
        Err(e) => {
            missed(path, &e);
            Ok(None)
        }
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    // The mode must be right from the first moment: a later chmod would leave a gap. The mask is the process's:
    // of two threads at once the one would put back the other's.
    static MASK: Mutex<()> = Mutex::new(());
    let _alone = MASK.lock().unwrap_or_else(PoisonError::into_inner);
    let old = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let listener = UnixListener::bind(path);
    rustix::process::umask(old);
    listener
}

fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let meta = std::fs::symlink_metadata(path)?;
    if !meta.file_type().is_socket() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "something that is no socket lies there"));
    }
    match UnixStream::connect(path) {
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(_) => Err(io::Error::new(ErrorKind::AddrInUse, "another process listens there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_file_is_private_and_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/m.sock");
        let (listener, file) = listen(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
        assert_eq!(listen(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop((listener, file));
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_other_files_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let (_listener, file) = listen(&path).unwrap();
        // Somebody replaced the file: it isn't ours to remove.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        drop(file);
        assert!(path.exists());
        assert_eq!(listen(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
