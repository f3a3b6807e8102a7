//! All attacks at once, one client each.

use super::{
    attack::Attack,
    crowd::{Client, Crowd},
    families,
    settings::{GENERAL, Setting},
};
use std::sync::OnceLock;

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack::new("own-mixture", "a client of every other attack in turn", Crowd::OverSeats, |attacker| {
            let clients = clients();
            clients[attacker.number % clients.len()](attacker)
        })
        .in_suite(&[Setting::FewSeats]),
    ]
}

/// The clients of all attacks that suit every setting.
fn clients() -> &'static [Client] {
    static CLIENTS: OnceLock<Vec<Client>> = OnceLock::new();
    CLIENTS.get_or_init(|| families().into_iter().filter(|attack| attack.settings == GENERAL).map(|attack| attack.client).collect())
}
