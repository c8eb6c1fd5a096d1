//! `anteroom keys`.

use clap::Subcommand;
use serde_json::json;

use super::tell::{table, tell};
use super::{Failure, open};
use crate::config::Config;

/// `anteroom keys …`
#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// Say which key ring this is, and how many stored values each of its keys has sealed
    Status,
}

pub(super) async fn run(command: KeysCommand, config: Config, json: bool) -> Result<(), Failure> {
    let KeysCommand::Status = command;
    let (store, keyring) = open::store(&config).await?;
    let sealed = store.sealed_values().await;
    store.close().await;
    let sealed = sealed.map_err(Failure::environment)?;
    let (file, current) = (config.keys_file(), keyring.sealing_key_id());
    let (mut values, mut rows) = (Vec::new(), Vec::new());
    for group in &sealed {
        let key = hex::encode(&group.key_id);
        values.push(json!({ "column": group.place, "key": key, "values": group.n }));
        rows.push([group.place.clone(), key, group.n.to_string()]);
    }
    let value = json!({
        "file": file, "fingerprint": keyring.fingerprint(), "key": current, "sealed": values,
    });
    let words = format!(
        "key ring     {}\nfingerprint  {}\nseals with   {current}\n\n{}",
        file.display(),
        keyring.fingerprint(),
        table(["SEALED", "KEY", "VALUES"], rows),
    );
    tell(json, &value, &words)?;
    // A value under a key that the ring does not have can be opened by nobody.
    if sealed
        .iter()
        .any(|group| hex::encode(&group.key_id) != current)
    {
        return Err(Failure::refused(
            &"there are values sealed with a key that this ring does not have",
        ));
    }
    Ok(())
}
