//! Attacks: clients that misbehave, while a load balancer polls. However they behave, every poll is answered in time, no verdict
//! changes, and memory stays within bounds and is given back.
//!
//! The suite runs some attacks for a short time. `cargo xtask chaos` runs every attack in every setting and writes the table into
//! `docs/reliability.md`.
//!
//! To run one attack: `ALLSWELL_ATTACK=a1-events,default cargo test --package allswell --test it attacks::chosen`. The beginning of a
//! name selects several attacks. Without a setting, the first setting that suits the attack is used; `all` uses every one. Settings are
//! `default`, `fewseats`, `manycomponents`, `sidecar`, `unit`, `tlsecdsa`, `tlsrsa`, `descriptors1024` and `descriptors64`.
//! `ALLSWELL_ATTACK_PROGRAM=PATH` attacks another program. `ALLSWELL_CHAOS=FOLDER` makes each attack as long as in `cargo xtask chaos`.

mod attack;
mod connections;
mod crowd;
mod descriptors;
mod floods;
mod frames;
mod handshakes;
mod http1;
mod http2;
mod measurement;
mod memory;
mod mixture;
mod polls;
mod rendering;
mod seats;
mod settings;
mod streams;
mod trickles;

use crate::chaos::{is_full, load::raise_descriptor_limit, table::keep_lines};
use attack::Attack;
use settings::Setting;
use std::{
    env,
    io::Write,
    sync::{Mutex, PoisonError},
};

/// Runs attacks one after the other, and fails if any of them found a fault.
fn run(name: &str, planned: impl IntoIterator<Item = (Attack, Setting)>) {
    /// Attacks at the same time would add up.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    raise_descriptor_limit();
    let (mut rows, mut faults) = (String::new(), Vec::new());
    for (attack, setting) in planned {
        match measurement::run(&attack, setting) {
            Ok(result) => {
                show(&format!("{}  {}: {}\n", result.row, attack.name, result.note));
                result.faults.iter().for_each(|fault| show(&format!("  FAULT {fault}\n")));
                rows += &result.row;
                // A full run takes more than an hour, and keeps what it has measured.
                keep_lines(name, &rows);
                faults.extend(result.faults);
            }
            Err(reason) => show(&format!("skipped: {} in {}: {reason}\n", attack.name, setting.name())),
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn show(line: &str) {
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Runs those attacks of a family that are part of the suite in one of these settings.
fn run_in_suite(family: Vec<Attack>, settings: &[Setting]) {
    if !is_full() {
        let pairs = family.into_iter().flat_map(|attack| attack.in_suite.iter().map(move |setting| (attack.clone(), *setting)));
        run("attacks", pairs.filter(|(_, setting)| settings.contains(setting)));
    }
}

fn all() -> Vec<Attack> {
    [families(), mixture::attacks()].concat()
}

fn families() -> Vec<Attack> {
    [
        seats::attacks(),
        streams::attacks(),
        rendering::attacks(),
        floods::attacks(),
        trickles::attacks(),
        connections::attacks(),
        handshakes::attacks(),
        descriptors::attacks(),
    ]
    .concat()
}

#[test]
fn connections_that_are_never_idle_do_not_keep_a_poll_out() {
    run_in_suite(seats::attacks(), &[Setting::Default]);
}

#[test]
fn unread_streams_stay_within_a_memory_budget() {
    run_in_suite(streams::attacks(), &[Setting::Default]);
}

#[test]
fn requests_for_large_bodies_do_not_delay_a_poll() {
    run_in_suite(rendering::attacks(), &[Setting::Default, Setting::ManyComponents]);
}

#[test]
fn floods_of_frames_are_ended() {
    run_in_suite(floods::attacks(), &[Setting::Default]);
}

#[test]
fn slow_clients_do_not_delay_a_poll() {
    run_in_suite(trickles::attacks(), &[Setting::Default]);
}

#[test]
fn idle_and_aborted_connections_do_not_delay_a_poll() {
    run_in_suite(connections::attacks(), &[Setting::Default]);
}

#[test]
fn floods_of_handshakes_do_not_delay_a_poll() {
    run_in_suite(handshakes::attacks(), settings::TLS);
}

#[test]
fn clients_that_use_all_file_descriptors_do_not_change_the_verdict() {
    run_in_suite(descriptors::attacks(), &[Setting::Descriptors1024, Setting::Descriptors64]);
}

#[test]
fn a_small_max_connections_suffices_under_attack() {
    run_in_suite(all(), &[Setting::FewSeats]);
}

#[test]
fn the_memory_limits_of_our_packages_suffice_under_attack() {
    run_in_suite(all(), &[Setting::Sidecar, Setting::Unit]);
}

#[test]
fn every_attack_in_every_setting() {
    if is_full() && env::var_os("ALLSWELL_ATTACK").is_none() {
        run("9-attacks", all().into_iter().flat_map(|attack| attack.settings.iter().map(move |setting| (attack.clone(), *setting))));
    }
}

#[test]
fn chosen() {
    let Some(choice) = env::var_os("ALLSWELL_ATTACK") else { return };
    let choice = choice.to_str().expect("text");
    let (name, setting) = choice.split_once(',').unwrap_or((choice, ""));
    let settings = |attack: &Attack| match setting {
        "" => attack.settings[..1].to_vec(),
        "all" => attack.settings.to_vec(),
        key => {
            let setting = Setting::from_key(key).unwrap_or_else(|| panic!("no setting is named {key}"));
            attack.settings.iter().copied().filter(|suitable| *suitable == setting).collect()
        }
    };
    let chosen: Vec<Attack> = all().into_iter().filter(|attack| attack.name.starts_with(name)).collect();
    assert!(!chosen.is_empty(), "no attack is named {name}");
    run(
        "9-attacks-chosen",
        chosen.into_iter().flat_map(|attack| settings(&attack).into_iter().map(move |setting| (attack.clone(), setting))),
    );
}
