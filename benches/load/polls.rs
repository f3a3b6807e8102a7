//! Measures the cost of a poll: compared with the control, and compared with itself while backends hang.

use crate::{
    backends::Backends,
    figures::{Figures, ratios},
    servers::Server,
    service::Service,
    table::Row,
    wrk::{Load, LoadResult, wrk},
};

const ROUNDS: usize = 7;

/// Loads the service and the control in turn.
pub(crate) fn compare_with_control(backends: &Backends) -> Vec<Row> {
    let ours = Service::allswell(&backends.configuration(""));
    let control = Service::control(&ours.await_status(200).body);
    let kept = turns(&ours, &control, Load::KEPT);
    let connection_per_request = turns(&ours, &control, Load { connection_per_request: true, ..Load::KEPT });
    let ratio = |turns: &[[Turn; 2]], of: fn(&Turn) -> f64| {
        ratios(&turns.iter().map(|[ours, control]| (of(ours), of(control))).collect::<Vec<_>>())
    };
    let rate = ratio(&kept, |turn| turn.result.per_second);
    let p99 = ratio(&kept, |turn| turn.result.p99.as_secs_f64());
    let connection_per_request = ratio(&connection_per_request, |turn| turn.result.per_second);
    let processor = ratio(&kept, |turn| turn.per_thousand);
    let of = |which: usize, of: fn(&Turn) -> f64, digits| kept.iter().map(|turns| of(&turns[which])).collect::<Figures>().to_text(digits);
    let (rates, times) = (|which| of(which, |turn| turn.result.per_second / 1e3, 1), |which| of(which, |turn| turn.per_thousand * 1e3, 1));
    vec![
        Row::at_least(
            "`/health` requests per second, 32 kept connections",
            "≥ 1.0 × control",
            format!("{} ×; {} thousand per second, control {}", rate.to_text(2), rates(0), rates(1)),
            rate.median(),
            1.0,
        ),
        Row::at_most(
            "`/health` p99, the same load",
            "≤ 1.0 × control",
            format!(
                "{} ×; {} ms, control {}",
                p99.to_text(2),
                of(0, |turn| turn.result.p99.as_secs_f64() * 1e3, 2),
                of(1, |turn| turn.result.p99.as_secs_f64() * 1e3, 2)
            ),
            p99.median(),
            1.0,
        ),
        Row::at_least(
            "requests per second, each on a new connection, 32 at a time",
            "≥ 0.95 × control",
            format!("{} ×", connection_per_request.to_text(2)),
            connection_per_request.median(),
            0.95,
        ),
        Row::at_most(
            "processor time for 1,000 polls",
            "≤ 1.1 × control",
            format!("{} ×; {} ms, control {}", processor.to_text(2), times(0), times(1)),
            processor.median(),
            1.1,
        ),
    ]
}

/// The result of a load, and the processor time for a thousand requests, in seconds.
struct Turn {
    result: LoadResult,
    per_thousand: f64,
}

fn turns(ours: &Service, control: &Service, load: Load) -> Vec<[Turn; 2]> {
    // The first load warms up caches and branch predictors, and is not measured.
    let warm = Load { seconds: 1, ..load };
    for service in [ours, control] {
        wrk(service.address, warm);
    }
    (0..ROUNDS).map(|_| [ours, control].map(|service| turn(service, load))).collect()
}

fn turn(service: &Service, load: Load) -> Turn {
    let before = service.processor_time();
    let result = wrk(service.address, load);
    Turn { result, per_thousand: service.processor_time().saturating_sub(before).as_secs_f64() / result.requests * 1e3 }
}

/// Loads the service while all backends respond, while one hangs, and while all hang.
pub(crate) fn latency_while_backends_hang(backends: &Backends) -> Vec<Row> {
    let service = Service::allswell(&backends.configuration("interval = \"1s\"\ntimeout = \"500ms\""));
    let (mut one, mut all) = (Vec::new(), Vec::new());
    let p99 = || wrk(service.address, Load::KEPT).p99.as_secs_f64();
    // A p99 varies from round to round, and there is no control to divide it by: so there are twice the rounds.
    for _ in 0..ROUNDS * 2 {
        service.await_status(200);
        let baseline = p99();
        backends.redis.pause();
        service.await_status(500);
        one.push((p99(), baseline));
        backends.all().into_iter().for_each(Server::pause);
        crate::helpers::eventually("all four are reported as failed", || service.get("/health").body.contains("4 of 4").then_some(()));
        all.push((p99(), baseline));
        backends.all().into_iter().for_each(Server::resume);
    }
    service.await_status(200);
    [("one of four backends hangs", one), ("all four hang", all)]
        .map(|(condition, rounds)| {
            let ratio = ratios(&rounds);
            let figure = format!("`/health` p99 while {condition}");
            Row::at_most(&figure, "≤ 1.1 × when all respond", format!("{} ×", ratio.to_text(2)), ratio.median(), 1.1)
        })
        .into()
}
