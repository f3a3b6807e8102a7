//! One attack in one setting: the measurement and the judgement.

use super::{
    attack::Attack,
    crowd::{Endings, attack, runtime},
    memory::{MemoryGroup, observe_peak, resident_mib},
    polls::{PollResults, PolledServer, poll, poll_for},
    settings::{AttackedService, Setting},
};
use crate::chaos::{NOISE, is_full};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The deadline of a poll, and what the client and the network may add.
const LATENCY_BOUND: Duration = Duration::from_millis(800 + 200);

/// How much more memory than before a service may hold some time after an attack: some of it are pages of the program itself, and those of a debug
/// build are many.
const KEPT_MIB: u64 = 24;
const KEPT_AFTER: Duration = Duration::from_secs(5);

/// The line of the table, how the connections ended, and everything that is wrong.
pub(super) struct AttackResult {
    pub(super) row: String,
    pub(super) note: String,
    pub(super) faults: Vec<String>,
}

struct Measured {
    polls: PollResults,
    crowd: usize,
    endings: Endings,
    newcomer: Result<(), String>,
    before_mib: u64,
    peak_mib: u64,
    after_mib: u64,
    poll_after: Result<u16, String>,
}

/// Runs an attack. Fails with a reason if this machine cannot provide the setting.
pub(super) fn run(planned: &Attack, setting: Setting) -> Result<AttackResult, String> {
    let attacked = setting.prepare()?;
    let measured = measure(planned, setting, &attacked);
    let mut faults = judge_polls(&measured.polls);
    faults.extend(judge_memory(&measured, setting, &attacked));
    faults.extend(judge_log(&attacked));
    faults.extend(measured.newcomer.as_ref().err().cloned());
    match &measured.poll_after {
        Ok(200) => {}
        Ok(status) => faults.push(format!("a poll after the attack was answered with {status}")),
        Err(error) => faults.push(format!("a poll after the attack was not answered: {error}")),
    }
    let Measured { crowd, endings, .. } = &measured;
    let (opened, ended, calmed) = (endings.opened(), endings.by_server(), endings.calmed());
    if opened == 0 {
        faults.push("the attackers never connected".to_owned());
    }
    if planned.has_to_be_ended && ended < *crowd {
        faults.push(format!("the server ended {ended} connections, fewer than the {crowd} of the crowd"));
    }
    for fault in &mut faults {
        *fault = format!("{} ({}): {fault}", planned.name, setting.name());
    }
    let note = format!("{opened} connections, {ended} ended by the server, {calmed} of them with ENHANCE_YOUR_CALM");
    Ok(AttackResult { row: row(planned, setting, &measured), note, faults })
}

fn measure(planned: &Attack, setting: Setting, attacked: &AttackedService) -> Measured {
    let duration = Duration::from_millis(if is_full() { 8000 } else { 2500 });
    let pid = attacked.service.pid();
    let address = attacked.service.address;
    let polled = PolledServer { address, tls: attacked.tls.clone() };
    let runtime = runtime();
    let (over, stop) = (AtomicBool::new(false), Arc::new(AtomicBool::new(false)));
    let before_mib = resident_mib(pid);
    let (polls, (crowd, endings), newcomer, after_mib, peak_mib) = thread::scope(|scope| {
        let peak = scope.spawn(|| observe_peak(pid, &over, &stop));
        let attacking = runtime.spawn(attack(address, setting.seats(), planned.arrival, planned.client, duration, Arc::clone(&stop)));
        let newcomer = planned.newcomer.map(|newcomer| {
            scope.spawn(move || {
                thread::sleep(duration / 2);
                newcomer(address)
            })
        });
        let polls = poll_for(&polled, duration);
        let ended = runtime.block_on(attacking).expect("no panic");
        let newcomer = newcomer.map_or(Ok(()), |newcomer| newcomer.join().expect("no panic"));
        // Requests that have arrived may be worked on, and occupy memory, after the clients have gone.
        let after_mib = memory_after(pid, before_mib);
        over.store(true, Ordering::Relaxed);
        (polls, ended, newcomer, after_mib, peak.join().expect("no panic"))
    });
    let poll_after = poll(&polled, "/health").1.map_err(|error| error.to_string());
    Measured { polls, crowd, endings, newcomer, before_mib, peak_mib, after_mib, poll_after }
}

/// The memory some time after the attack. The suite waits no longer than necessary.
fn memory_after(pid: u32, before_mib: u64) -> u64 {
    let ended = Instant::now();
    loop {
        let after = resident_mib(pid);
        if ended.elapsed() > KEPT_AFTER || (!is_full() && after <= before_mib + KEPT_MIB) {
            return after;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn judge_polls(polls: &PollResults) -> Vec<String> {
    let mut faults = Vec::new();
    if polls.answered() < polls.sent() {
        faults.push(format!("{} of {} polls were not answered: {:?}", polls.sent() - polls.answered(), polls.sent(), polls.errors));
    }
    if polls.statuses.keys().any(|status| *status != 200) {
        faults.push(format!("the verdict changed: {:?}", polls.statuses));
    }
    // In the suite other tests share the machine: single polls may be late, but not most of them.
    let noise = if is_full() { Duration::ZERO } else { NOISE };
    if polls.slowest() > LATENCY_BOUND + noise {
        faults.push(format!("the slowest poll took {:?}", polls.slowest()));
    } else if polls.third_quartile() > LATENCY_BOUND {
        faults.push(format!("a quarter of the polls took more than {:?}", polls.third_quartile()));
    }
    faults
}

fn judge_memory(measured: &Measured, setting: Setting, attacked: &AttackedService) -> Vec<String> {
    let mut faults = Vec::new();
    let Measured { before_mib, peak_mib, after_mib, .. } = *measured;
    if peak_mib > before_mib + setting.allowance_mib() {
        faults.push(format!("memory grew from {before_mib} to {peak_mib} MiB, more than {} MiB", setting.allowance_mib()));
    }
    if after_mib > before_mib + KEPT_MIB {
        faults.push(format!("memory was {before_mib} MiB before the attack and {after_mib} MiB five seconds after it"));
    }
    if let Some(kills) = attacked.group.as_ref().and_then(MemoryGroup::kills).filter(|kills| *kills > 0) {
        faults.push(format!("the kernel killed {kills} processes for lack of memory"));
    }
    faults
}

/// No component may fail, and nothing may panic.
fn judge_log(attacked: &AttackedService) -> Vec<String> {
    let log = attacked.service.log();
    let events = attacked.service.events();
    let failures = events.iter().filter(|event| event["to"].is_string() && event["to"] != "pass");
    let mut faults: Vec<String> = failures.map(|event| format!("a component changed: {}", event["message"])).collect();
    if log.contains("panicked") {
        faults.push(format!("the service panicked: {log}"));
    }
    faults
}

fn row(planned: &Attack, setting: Setting, measured: &Measured) -> String {
    let Measured { crowd, polls, before_mib, peak_mib, after_mib, .. } = measured;
    let grown = |mib: u64| format!("{mib} MiB ({:+})", mib.cast_signed() - before_mib.cast_signed());
    format!(
        "| {crowd} × {} (`{}`) | {} | {} | {} | {:.0} ms | {} | {} |\n",
        planned.title,
        planned.name,
        setting.name(),
        polls.sent(),
        polls.answered(),
        polls.slowest().as_secs_f64() * 1e3,
        grown(*peak_mib),
        grown(*after_mib)
    )
}
