//! Measures ten thousand checks: when their probes arrive, what they cost, and how they affect polls; and how the cost grows with the numbers of
//! checks and pollers.

use crate::{
    figures::Figures,
    service::Service,
    start::tcp,
    table::Row,
    wrk::{Load, wrk},
};
use std::{
    collections::HashMap,
    fmt::Write as _,
    net::{IpAddr, TcpListener},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

const CHECKS: u32 = 10_000;
const INTERVAL: Duration = Duration::from_secs(10);

/// A server that accepts and closes connections, and records their times and destination addresses.
pub(crate) struct ConnectionLog {
    pub(crate) port: u16,
    connections: Arc<Mutex<Vec<(Instant, IpAddr)>>>,
}

impl ConnectionLog {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        // The standard library's backlog is too short for a burst.
        rustix::net::listen(&listener, 65_535).expect("a longer backlog");
        let server = Self { port: listener.local_addr().expect("an address").port(), connections: Arc::default() };
        let connections = Arc::clone(&server.connections);
        // The thread ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let now = Instant::now();
                let address = stream.local_addr().expect("an address").ip();
                connections.lock().expect("no panic").push((now, address));
            }
        });
        server
    }

    /// The connections since the last call.
    fn take(&self) -> Vec<(Instant, IpAddr)> {
        std::mem::take(&mut *self.connections.lock().expect("no panic"))
    }
}

/// Measures ten thousand checks, and returns the rows and the histogram of their probes.
pub(crate) fn measure_ten_thousand() -> (Vec<Row>, String) {
    let server = ConnectionLog::new();
    let one_p99 = |service: &Service| wrk(service.address, Load { connections: 1, ..Load::KEPT }).p99.as_secs_f64() * 1e3;
    let p99 = |service: &Service| -> Figures { (0..5).map(|_| one_p99(service)).collect() };
    // Before the ten thousand checks run, which would slow it down.
    let few = Service::allswell(&tcp(0..10, server.port));
    few.await_status(200);
    let fews = p99(&few);
    drop(few);
    let lateness = lateness(&server);
    let began = Instant::now();
    let crowd = Service::allswell(&tcp(0..CHECKS, server.port));
    crowd.await_status(200);
    thread::sleep(INTERVAL * 3);
    let before = crowd.processor_time();
    let measured = Instant::now();
    thread::sleep(INTERVAL * 3);
    let share = crowd.processor_time().saturating_sub(before).as_secs_f64() / measured.elapsed().as_secs_f64();
    let histogram = histogram(began, &server.take());
    let body = crowd.get("/health").body;
    let megabytes = f64::from(u32::try_from(body.len()).expect("not so much")) / 1e6;
    // The cost of the body alone, while the ten thousand checks run.
    let control = Service::control(&body);
    let turns: Vec<[f64; 2]> = (0..5).map(|_| [one_p99(&crowd), one_p99(&control)]).collect();
    let [crowds, controls] = [0, 1].map(|which| turns.iter().map(|turn| turn[which]).collect::<Figures>());
    let ratio = crowds.median() / fews.median();
    let rows = vec![
        Row::at_most(
            "10,000 tcp checks at an interval of 10 s: share of one core",
            "≤ 30 %",
            format!("{:.1} %", share * 100.0),
            share,
            0.3,
        ),
        Row::at_most(
            "the same: lateness of a tick, p99",
            "≤ 100 ms",
            format!("{:.1} ms; p50 {:.1} ms, {} ticks", lateness.quantile(0.99), lateness.quantile(0.5), lateness.len()),
            lateness.quantile(0.99),
            100.0,
        ),
        Row::at_most(
            "the same: `/health` p99, one poll at a time",
            "≤ 5 × with 10 checks",
            format!(
                "{ratio:.1} ×; {} ms for a body of {megabytes:.1} MB; control with the same body {}; with 10 checks {}",
                crowds.to_text(2),
                controls.to_text(2),
                fews.to_text(2)
            ),
            ratio,
            5.0,
        ),
    ];
    (rows, histogram)
}

/// The differences between the interval and the time between successive probes of a component, in milliseconds. Without jitter, because then the due
/// time is known. The second probe is left out: it is due earlier by design.
fn lateness(server: &ConnectionLog) -> Figures {
    let service = Service::allswell(&format!("[defaults]\njitter = 0.0\n{}", tcp(0..CHECKS, server.port)));
    service.await_status(200);
    thread::sleep(INTERVAL * 5);
    drop(service);
    let mut probes: HashMap<IpAddr, Vec<Instant>> = HashMap::new();
    for (at, address) in server.take() {
        probes.entry(address).or_default().push(at);
    }
    let gaps = probes.values().flat_map(|times| times.windows(2).skip(1)).map(|pair| pair[1] - pair[0]);
    // An early tick follows a late one.
    gaps.map(|gap| gap.abs_diff(INTERVAL).as_secs_f64() * 1e3).collect()
}

/// Two histograms of probes: the beginning by tenths of a second, and a minute by seconds.
fn histogram(began: Instant, probes: &[(Instant, IpAddr)]) -> String {
    let first = probes.iter().map(|(at, _)| *at).min().unwrap_or(began);
    let bin = |at: Instant, width: u128| ((at - first).as_millis() / width) as usize;
    let mut text = String::from("The first probes, by tenths of a second:\n\n```text\n");
    let mut start = [0_usize; 12];
    let mut intervals = [0_usize; 60];
    let mut milliseconds: HashMap<usize, usize> = HashMap::new();
    for (at, _) in probes {
        if let Some(count) = start.get_mut(bin(*at, 100)) {
            *count += 1;
        }
        if let Some(count) = intervals.get_mut(bin(*at, 1000)) {
            *count += 1;
        }
        *milliseconds.entry(bin(*at, 1)).or_default() += 1;
    }
    let bar = |count: usize, counts: &[usize]| "█".repeat(count * 60 / counts.iter().max().copied().unwrap_or_default().max(1));
    for (tenth, count) in start.iter().enumerate() {
        let _ = writeln!(text, "{:>4} ms {count:>6} {}", tenth * 100, bar(*count, &start));
    }
    text += "```\n\nAll probes of a minute, by seconds:\n\n```text\n";
    for (second, count) in intervals.iter().enumerate() {
        let _ = writeln!(text, "{second:>4} s {count:>6} {}", bar(*count, &intervals));
    }
    let most = milliseconds.values().max().copied().unwrap_or_default();
    let _ = write!(text, "```\n\nThe most probes in one millisecond: {most} of {}.\n", probes.len());
    text
}

/// Two tables: the cost by number of checks, and by number of pollers.
pub(crate) fn growth() -> String {
    let server = ConnectionLog::new();
    let mut text = String::from(
        "| checks | body | resident memory | processor, idle | `/health` p50 | p99, one poll at a time | p99, 32 connections |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for checks in [1, 10, 100, 1000, 10_000] {
        let service = Service::allswell(&tcp(0..checks, server.port));
        service.await_status(200);
        thread::sleep(INTERVAL);
        let (before, began) = (service.processor_time(), Instant::now());
        thread::sleep(INTERVAL * 2);
        let share = service.processor_time().saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
        let resident = f64::from(service.resident_kib()) / 1024.0;
        let alone = wrk(service.address, Load { connections: 1, ..Load::KEPT });
        let crowded = wrk(service.address, Load::KEPT);
        let body = service.get("/health").body.len();
        let _ = writeln!(
            text,
            "| {checks} | {body} bytes | {resident:.1} MiB | {share:.1} % | {} | {} | {} |",
            crate::figures::HumanDuration(alone.p50),
            crate::figures::HumanDuration(alone.p99),
            crate::figures::HumanDuration(crowded.p99),
        );
    }
    text += "\n| pollers | polls per second | p50 | p99 |\n| --- | --- | --- | --- |\n";
    // One address can have three quarters of the connections, so the limit is above 1024.
    let service = Service::allswell(&format!("[server]\nmax_connections = 2048\n{}", tcp(0..10, server.port)));
    service.await_status(200);
    for connections in [1, 4, 16, 64, 256, 1024] {
        let loaded = wrk(service.address, Load { connections, ..Load::KEPT });
        let (p50, p99) = (crate::figures::HumanDuration(loaded.p50), crate::figures::HumanDuration(loaded.p99));
        let _ = writeln!(text, "| {connections} | {:.0} | {p50} | {p99} |", loaded.per_second);
    }
    text
}
