//! The bench started once more, as the floor the program is compared with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::service::{Service, free_address};

/// What a floor is told when it starts.
pub(crate) struct Floor {
    pub(crate) address: SocketAddr,
    pub(crate) folder: PathBuf,
}

/// Starts this very program as a floor that works in `folder`.
pub(crate) async fn start(folder: &Path) -> Service {
    let address = free_address();
    let program = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(program);
    command.arg("floor").arg(address.to_string()).arg(folder);
    Service::ready(command.spawn().expect("the floor starts"), address, "/").await
}

/// What this process was told, if it was started as a floor.
pub(crate) fn asked_for() -> Option<Floor> {
    let mut words = std::env::args().skip(1);
    if words.next()? != "floor" {
        return None;
    }
    Some(Floor {
        address: words.next()?.parse().ok()?,
        folder: words.next()?.into(),
    })
}
