//! The key ring's file: two independent random roots, readable by its owner alone.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::SealError;

/// The roots all keys come from.
pub struct Roots {
    /// For sealing.
    pub enc: [u8; 32],
    /// Names `enc` in what it sealed.
    pub enc_id: [u8; 4],
    /// For everything that must be found or told again.
    pub index: [u8; 32],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: u8,
    enc: WireKey,
    index: WireKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireKey {
    id: String,
    key: String,
}

const HEADING: &str = "# The keys of this installation. Whoever has this file and the database can read every address;\n\
                       # without it nobody can, not even you. Keep a copy where the database's backups are not.\n";

/// Reads a key ring.
///
/// # Errors
/// [`SealError::File`] if it is missing, open to others, or not a key ring.
pub fn read(path: &Path) -> Result<Roots, SealError> {
    let bad = |why: String| SealError::File(format!("the key ring `{}` {why}", path.display()));
    let meta = fs::metadata(path).map_err(|error| bad(format!("cannot be read: {error}")))?;
    if meta.mode() & 0o077 != 0 {
        return Err(bad("can be read by others; run chmod 600 on it".to_owned()));
    }
    let text = fs::read_to_string(path).map_err(|error| bad(format!("cannot be read: {error}")))?;
    let text = Zeroizing::new(text);
    // The parser's message would quote the line, which holds a key.
    let wire: Wire = toml::from_str(&text).map_err(|_| bad("is not a key ring".to_owned()))?;
    if wire.format != 1 {
        return Err(bad(format!(
            "has format {}, and this program knows format 1",
            wire.format
        )));
    }
    let key = |key: &WireKey| -> Result<[u8; 32], SealError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(&key.key, &mut bytes)
            .map_err(|_| bad(format!("has a key `{}` that is not 64 hex digits", key.id)))?;
        Ok(bytes)
    };
    let mut enc_id = [0; 4];
    hex::decode_to_slice(&wire.enc.id, &mut enc_id)
        .map_err(|_| bad("has an id that is not 8 hex digits".to_owned()))?;
    Ok(Roots {
        enc: key(&wire.enc)?,
        enc_id,
        index: key(&wire.index)?,
    })
}

/// Makes a key ring of random keys in `path`, mode 0600, unless there is one.
///
/// # Errors
/// [`SealError`] if it cannot be written whole.
pub fn create_if_missing(path: &Path) -> Result<(), SealError> {
    if path.exists() {
        return Ok(());
    }
    let bad = |error: std::io::Error| {
        SealError::File(format!(
            "cannot write the key ring `{}`: {error}",
            path.display()
        ))
    };
    let wire = Wire {
        format: 1,
        enc: new_key()?,
        index: new_key()?,
    };
    let text = toml::to_string(&wire)
        .map_err(|error| SealError::File(format!("the key ring cannot be written: {error}")))?;
    // Written beside and linked into place: a crash leaves no half key ring, and of two programs that start at once
    // one wins and both read the same keys.
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(bad)?;
    let written = file
        .write_all(HEADING.as_bytes())
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_all())
        .and_then(|()| match fs::hard_link(&beside, path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
    let removed = fs::remove_file(&beside);
    written.and(removed).map_err(bad)
}

fn new_key() -> Result<WireKey, SealError> {
    let (mut id, mut key) = ([0; 4], [0; 32]);
    getrandom::fill(&mut id)?;
    getrandom::fill(&mut key)?;
    Ok(WireKey {
        id: hex::encode(id),
        key: hex::encode(key),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_key_ring_is_private_and_read_again_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyring.toml");

        create_if_missing(&path).unwrap();
        let first = read(&path).unwrap();
        create_if_missing(&path).unwrap();
        let second = read(&path).unwrap();

        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!((first.enc, first.index), (second.enc, second.index));
        assert_ne!(first.enc, first.index);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_ring_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyring.toml");
        create_if_missing(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();

        let refused = read(&path).err().map(|error| error.to_string());

        assert!(refused.is_some_and(|message| message.contains("chmod 600")));
    }
}
